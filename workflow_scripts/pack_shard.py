"""Decode, check, orient, fit and encode the images of one shard of a data set."""

from functools import partial
from pathlib import Path

from pocketscope.data import preparing, shards
from pocketscope.runtime import job
from pocketscope.tables.shards import files_of

job.begin(snakemake)
given = {name: snakemake.params[name] for name in ("image_size", "resize", "page", "group_by")}
members = sorted(files_of(Path(snakemake.params.manifest), int(snakemake.wildcards.shard)))
shards.write(snakemake.output[0], snakemake.params.top, members, partial(preparing.prepare, **given), snakemake.threads)
