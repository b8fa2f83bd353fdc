"""Make an export of a shipped model."""

from pathlib import Path

from pocketscope.exports import kinds
from pocketscope.runtime import job

job.begin(snakemake)
kinds.export(snakemake.wildcards.kind, Path(snakemake.input[0]).parent, Path(snakemake.output[0]))
