"""List test images that are nearly the same as an image that is learnt from."""

from pocketscope import job, near_duplicates, packed, splits, tables
from pocketscope.files import whole
from pyarrow import csv

job.begin(snakemake)
source, made = snakemake.input, snakemake.output
parts = {
    name: tables.mapping(path, splits.SPLIT, "image_id", "role")
    for name, path in zip(snakemake.params.names, source.splits, strict=True)
}
found = near_duplicates.across_parts(
    near_duplicates.near_duplicates(source.images),
    tables.read(source.images, packed.IMAGES, columns=["image_id", "paths"]),
    parts,
)
pairs = len(found.group_by(["image_id", "other"]).aggregate([]))
print(f"{pairs} pairs of nearly equal images, of which one is tested on and the other learnt from")
tables.write(found, made.table, near_duplicates.ACROSS)
with whole(made.csv) as temporary:
    csv.write_csv(found, temporary)
