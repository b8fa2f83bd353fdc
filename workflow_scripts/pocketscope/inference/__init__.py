"""Run a shipped model file on images: all that a user of a model needs, without torch, pandas or Snakemake.

It reads a model's metadata and nothing of a study.
"""
