"""List test images that are nearly the same as an image that is learnt from."""

from pyarrow import csv

from pocketscope.core import parquet
from pocketscope.core.files import whole
from pocketscope.data import near_duplicates
from pocketscope.runtime import job
from pocketscope.tables.images import IMAGES
from pocketscope.tables.near_duplicates import ACROSS
from pocketscope.tables.split import SPLIT

job.begin(snakemake)
source, made = snakemake.input, snakemake.output
parts = {
    name: parquet.mapping(path, SPLIT, "image_id", "role")
    for name, path in zip(snakemake.params.names, source.splits, strict=True)
}
found = near_duplicates.across_parts(
    near_duplicates.near_duplicates(source.images),
    parquet.read(source.images, IMAGES, columns=["image_id", "paths"]),
    parts,
)
pairs = len(found.group_by(["image_id", "other"]).aggregate([]))
print(f"{pairs} pairs of nearly equal images of which one is a test image and the other is learned from")
parquet.write(found, made.table, ACROSS)
with whole(made.csv) as temporary:
    csv.write_csv(found, temporary)
