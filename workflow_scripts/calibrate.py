"""Say how far each teacher is believed, and which views vote, by labelled images that it was not trained on."""

from pocketscope.core import parquet
from pocketscope.distillation import calibration
from pocketscope.distillation.held_out import held_out
from pocketscope.runtime import job
from pocketscope.tables.predictions import PREDICTIONS
from pocketscope.tables.split import SPLIT
from pocketscope.tables.teachers import TEACHERS

job.begin(snakemake)
source, params = snakemake.input, snakemake.params
split = parquet.read(source.split, SPLIT)
unseen = dict(zip(params.teachers, source.get("out_of_fold", []), strict=False))
found = {}
for name, path in zip(params.teachers, source.predictions, strict=True):
    # Fold teachers of one network share its name, and its temperature.
    out_of_fold = parquet.read(unseen[name], PREDICTIONS) if unseen else None
    found[name] = held_out(parquet.read(path, PREDICTIONS), split, out_of_fold)
classes = parquet.notes(source.predictions[0])["classes"]
about = calibration.calibrate(
    found, split, classes, params.views, temperatures=params.temperatures, drop_views=params.drop_views
)
parquet.write(about, snakemake.output.teachers, TEACHERS)
