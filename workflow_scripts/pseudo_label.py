"""Accept what the teachers agree on, and leave the rest unlabelled."""

from pocketscope.core import parquet
from pocketscope.core.own_functions import loaded
from pocketscope.distillation import rounds
from pocketscope.runtime import job
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.predictions import PREDICTIONS
from pocketscope.tables.proposals import PROPOSALS
from pocketscope.tables.split import SPLIT
from pocketscope.tables.teachers import TEACHERS, believed

root = job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
classes = parquet.notes(source.predictions[0])["classes"]
temperatures, views = dict.fromkeys(params.teachers, 1.0), params.views
if calibrated := source.get("teachers"):
    temperatures, views = believed(parquet.read(calibrated, TEACHERS))
labels, candidates = rounds.label(
    [parquet.read(path, PREDICTIONS) for path in source.predictions],
    [temperatures[name] for name in params.teachers],
    parquet.read(source.labels, LABEL_SET),
    parquet.read(source.split, SPLIT),
    classes,
    loaded(params.method, root),
    views,
    round_number=int(snakemake.wildcards["round"]),
    before=[parquet.read(path, PREDICTIONS) for path in source.get("before", [])],
)
parquet.write(labels, made.labels, LABEL_SET)
parquet.write(candidates, made.proposals, PROPOSALS, notes={"classes": classes})
