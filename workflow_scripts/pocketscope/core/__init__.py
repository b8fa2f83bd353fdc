"""What every room stands on: errors, whole files, Parquet with a schema, seeds, parts of messages.

Only what has no subject of its own belongs here, and it imports nothing of the package. What knows of images, networks
or Snakemake's jobs lives elsewhere.
"""
