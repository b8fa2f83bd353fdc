"""Join what fold teachers say of the fold that each was not trained on."""

from pocketscope.core import parquet
from pocketscope.distillation import folds
from pocketscope.runtime import job
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.predictions import PREDICTIONS

job.begin(snakemake)
predictions = [parquet.read(path, PREDICTIONS) for path in snakemake.input.predictions]
kept = [parquet.read(path, LABEL_SET)["image_id"].to_pylist() for path in snakemake.input.labels]
notes = parquet.notes(snakemake.input.predictions[0])
parquet.write(folds.join(predictions, kept), snakemake.output[0], PREDICTIONS, notes=notes)
