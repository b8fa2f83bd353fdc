"""Say how far the probabilities of what ships can be believed, and from which one on its answers are reliable."""

import json

import numpy as np

from pocketscope.core import files, parquet
from pocketscope.deploy import reliability
from pocketscope.evaluation import metrics
from pocketscope.inference import onnx_model
from pocketscope.runtime import job
from pocketscope.tables.images import load_images
from pocketscope.tables.split import SPLIT, images_with

job.begin(snakemake)
source = snakemake.input
seen, truth, classes = metrics.pool(source.predictions, source.truths)
unlabelled = images_with(parquet.read(source.split, SPLIT), "unlabelled")[0]
# Identities are hashes: any of them are as good as drawn.
images = load_images(source.images, sorted(unlabelled)[: reliability.COMPARED])


def answers(path: str) -> np.ndarray:
    """Return what a model file says of unlabelled images, float32 (M, classes)."""
    return onnx_model.probabilities(onnx_model.open_model(path, threads=snakemake.threads), images)


folds = reliability.Folds(
    seen, np.array([classes.index(name) for name in truth]), np.stack([answers(path) for path in source.folds])
)
measured = reliability.measure(folds, classes, snakemake.params.share)
models = {form: reliability.transfer(folds, measured, answers(source[form])) for form in ("fp32", "int8")}
files.write_text(snakemake.output[0], json.dumps(measured | {"models": models}, indent=2) + "\n")
