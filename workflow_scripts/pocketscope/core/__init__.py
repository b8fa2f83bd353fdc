"""What every room stands on: errors, files written whole, Parquet, tables that people give, seeds, messages.

Only what has no subject of its own belongs here, and it imports nothing of the package. What knows of images, networks
or Snakemake's jobs lives elsewhere.
"""
