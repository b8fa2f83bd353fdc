"""Count what a data set holds, and refuse what the configuration did not mean."""

from pocketscope.core import parquet
from pocketscope.data import checks, corrections
from pocketscope.runtime import job
from pocketscope.tables.classes import CLASSES
from pocketscope.tables.images import IMAGES
from pocketscope.tables.source_labels import SKIPPED, SOURCE_LABELS

root = job.begin(snakemake)
source, params = snakemake.input, snakemake.params
images = parquet.read(source.images, IMAGES, columns=["image_id", "paths", "single_colour", "further_pages"])
labels = parquet.read(source.labels, SOURCE_LABELS)
skipped = parquet.read(source.skipped, SKIPPED)
corrected = corrections.read(params.corrections, root, images, labels)
classes, notes = checks.check_dataset(images, labels, skipped, corrected, **params.expected)
parquet.write(classes, snakemake.output.classes, CLASSES, notes=notes)
