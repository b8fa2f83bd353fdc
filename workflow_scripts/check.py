"""Count what a data set holds, and refuse what the configuration did not mean."""

from pocketscope import checks, corrections, job, packed, packing, tables

root = job.begin(snakemake)
source, params = snakemake.input, snakemake.params
images = tables.read(source.images, packed.IMAGES, columns=["image_id", "paths"])
labels = tables.read(source.labels, packed.LABELS)
skipped = tables.read(source.skipped, packing.SKIPPED)
corrected = corrections.read(params.corrections, root, images, labels)
classes, notes = checks.check(images, labels, skipped, corrected, **params.meant)
tables.write(classes, snakemake.output.classes, checks.CLASSES, notes=notes)
