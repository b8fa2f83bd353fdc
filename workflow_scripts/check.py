"""Count what a data set holds, and refuse what the configuration did not mean, before anything is trained."""

from pocketscope import checks, corrections, job, packed, packing, tables

root = job.begin(snakemake)
source, params = snakemake.input, snakemake.params
images = tables.read(source.images, packed.IMAGES, columns=["image_id", "paths"])
labels = tables.read(source.labels, packed.LABELS)
skipped = tables.read(source.skipped, packing.SKIPPED)
classes, whole = checks.count(images, labels, corrections.read(params.corrections, root, images, labels))
checks.compare(params.expect, classes, whole, len(skipped))
notes = whole | {"positive": checks.positive(params.positive, classes)}
tables.write(classes, snakemake.output.classes, checks.CLASSES, notes=notes)
