"""Join what fold teachers say of the fold that each was not trained on."""

from pocketscope import folds, job, prediction, pseudo_labels, tables

job.begin(snakemake)
predictions = [tables.read(path, prediction.PROBABILITIES) for path in snakemake.input.predictions]
kept = [tables.read(path, pseudo_labels.LABELS)["image_id"].to_pylist() for path in snakemake.input.labels]
notes = tables.notes(snakemake.input.predictions[0])
tables.write(folds.join(predictions, kept), snakemake.output[0], prediction.PROBABILITIES, notes=notes)
