"""List all pairs of images that are nearly the same."""

from pocketscope.core import parquet
from pocketscope.data import near_duplicates
from pocketscope.runtime import job
from pocketscope.tables.near_duplicates import PAIRS

job.begin(snakemake)
pairs = near_duplicates.near_duplicates(snakemake.input.images)
parquet.write(pairs, snakemake.output.pairs, PAIRS)
print(f"{len(pairs)} pairs of nearly equal images")
