"""Decode, check, orient, fit and encode every image of a source once."""

from pathlib import Path

from pocketscope.data import packing
from pocketscope.runtime import job

root = job.begin(snakemake)
summary = packing.pack(
    snakemake.params.source,
    root,
    **{name: snakemake.output[name] for name in ("images", "labels", "skipped", "files")},
    **{name: snakemake.params[name] for name in ("classes", "page", "image_size", "resize", "max_skipped_share")},
    snapshot=snakemake.params.get("snapshot"),
    new=snakemake.params.get("new", False),
    decoded=list(snakemake.input.get("shards", [])),
    manifest=snakemake.params.get("manifest"),
    processes=snakemake.threads,
    remembered=Path(snakemake.output.images).parent,
)
print(summary)
