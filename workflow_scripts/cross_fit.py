"""Predict the labelled images out of fold, from a network's pretrained features."""

from pocketscope import crossfit, devices, examples, folds, job, networks, prediction, pseudo_labels, splits, tables

root = job.begin(snakemake)
params, source = snakemake.params, snakemake.input
device = devices.prepare(params.device, params.threads, snakemake.threads)
labels = tables.read(source.labels, pseudo_labels.LABELS)
classes = tables.notes(source.split)["classes"]
labelled = examples.load(source.images, labels, classes)
classifier = networks.build(params.network, len(classes), root, seed=params.seed)
image_ids = labels["image_id"].to_pylist()
units = folds.units(image_ids, tables.read(source.split, splits.SPLIT))
fold = folds.assign(labels["label"].to_pylist(), units, params.folds, params.seed)
seen = crossfit.frozen(
    classifier, labelled.images, labelled.targets.argmax(axis=1), fold, params.views, params.strengths, device
)
predictions = prediction.table(image_ids, params.views, seen)
tables.write(predictions, snakemake.output[0], prediction.PROBABILITIES, notes={"classes": classes})
