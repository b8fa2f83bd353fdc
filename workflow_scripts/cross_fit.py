"""Predict the labelled images out of fold, from a network's pretrained features."""

from pocketscope.core import parquet
from pocketscope.distillation import cross_fit, folds
from pocketscope.models import networks
from pocketscope.runtime import devices, job
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.predictions import PREDICTIONS, predictions_table
from pocketscope.tables.split import SPLIT
from pocketscope.training.batches import load_examples

root = job.begin(snakemake)
params, source = snakemake.params, snakemake.input
device = devices.prepare(params.device, params.threads, snakemake.threads)
labels = parquet.read(source.labels, LABEL_SET)
classes = parquet.notes(source.split)["classes"]
labelled = load_examples(source.images, labels, classes)
classifier = networks.build(params.network, len(classes), root, seed=params.seed)
image_ids = labels["image_id"].to_pylist()
units = folds.units(image_ids, parquet.read(source.split, SPLIT))
fold = folds.assign(labels["label"].to_pylist(), units, params.folds, params.seed)
seen = cross_fit.frozen(
    classifier, labelled.images, labelled.targets.argmax(axis=1), fold, params.views, params.strengths, device
)
predictions = predictions_table(image_ids, params.views, seen)
parquet.write(predictions, snakemake.output[0], PREDICTIONS, notes={"classes": classes})
