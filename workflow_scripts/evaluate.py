"""Run the model file that would ship on the test set."""

import numpy as np

from pocketscope.core import parquet
from pocketscope.inference import onnx_model
from pocketscope.runtime import job
from pocketscope.tables.images import load_in_parts
from pocketscope.tables.predictions import PREDICTIONS, predictions_table
from pocketscope.tables.split import SPLIT, images_with

job.begin(snakemake)
source = snakemake.input
shipped = onnx_model.open_model(source.model, threads=snakemake.threads)
image_ids, _ = images_with(parquet.read(source.split, SPLIT), "test")
parts = load_in_parts(source.images, image_ids)
found = np.concatenate([onnx_model.probabilities(shipped, part) for part in parts])
predictions = predictions_table(image_ids, ["identity"], found[None])
parquet.write(predictions, snakemake.output[0], PREDICTIONS, notes={"classes": shipped.classes})
