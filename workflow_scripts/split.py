"""Part a data set into test, labelled, validation and unlabelled images."""

from pocketscope import checks, corrections, job, packed, packing, pseudo_labels, splits, tables

root = job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
images = tables.read(source.images, packed.IMAGES, columns=["image_id", "paths", "group", "role"])
labels = tables.read(source.labels, packed.LABELS)
corrected = corrections.read(params.corrections, root, images, labels)
checks.check(images, labels, tables.read(source.skipped, packing.SKIPPED), corrected, **params.meant)
split, truth, notes = splits.assign(images, labels, corrected=corrected, **params.drawn)
tables.write(split, made.split, splits.SPLIT, notes=notes)
tables.write(truth, made.truth, splits.TRUTH)
human = pseudo_labels.human(*splits.images_with(split, "labelled"))
tables.write(human, made.labels, pseudo_labels.LABELS)
