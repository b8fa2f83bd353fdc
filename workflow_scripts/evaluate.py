"""Run the model file that would ship on the test part, and measure its predictions."""

import numpy as np
from pocketscope import inference, job, metrics, packed, prediction, splits, tables

job.begin(snakemake)
source = snakemake.input
shipped = inference.open_model(source.model, threads=snakemake.threads)
image_ids, _ = splits.images_with(tables.read(source.split, splits.SPLIT), "test")
parts = packed.load_in_parts(source.images, image_ids)
found = np.concatenate([inference.probabilities(shipped, part) for part in parts])
predictions = prediction.table(image_ids, ["identity"], found[None])
tables.write(predictions, snakemake.output.predictions, prediction.PROBABILITIES, notes={"classes": shipped.classes})

truth = dict(zip(*tables.read(source.truth, splits.TRUTH).to_pydict().values(), strict=True))
positive = metrics.positive(snakemake.params.positive, tables.notes(source.split))
measured = metrics.measure(found, [truth[image_id] for image_id in image_ids], shipped.classes, positive)
tables.write(measured, snakemake.output.scores, metrics.METRICS, notes={"positive": positive})
