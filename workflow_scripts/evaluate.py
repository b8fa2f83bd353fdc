"""Run the model file that would ship on the test part."""

import numpy as np
from pocketscope import inference, job, packed, prediction, splits, tables

job.begin(snakemake)
source = snakemake.input
shipped = inference.open_model(source.model, threads=snakemake.threads)
image_ids, _ = splits.images_with(tables.read(source.split, splits.SPLIT), "test")
parts = packed.load_in_parts(source.images, image_ids)
found = np.concatenate([inference.probabilities(shipped, part) for part in parts])
predictions = prediction.table(image_ids, ["identity"], found[None])
tables.write(predictions, snakemake.output[0], prediction.PROBABILITIES, notes={"classes": shipped.classes})
