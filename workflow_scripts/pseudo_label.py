"""Accept what the teachers agree on, and leave the rest unlabelled."""

from pocketscope.core import parquet
from pocketscope.distillation import rounds
from pocketscope.runtime import job
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.predictions import PREDICTIONS
from pocketscope.tables.proposals import PROPOSALS, TEACHERS
from pocketscope.tables.split import SPLIT

job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
split = parquet.read(source.split, SPLIT)
classes = parquet.notes(source.predictions[0])["classes"]
unseen = dict(zip(params.teachers, source.get("out_of_fold", []), strict=False))
teachers = []
for name, path in zip(params.teachers, source.predictions, strict=True):
    predictions = parquet.read(path, PREDICTIONS)
    out_of_fold = parquet.read(unseen[name], PREDICTIONS) if unseen else None
    teachers.append(rounds.Teacher(name, predictions, rounds.held_out(predictions, split, out_of_fold)))
labels, candidates, about = rounds.label(
    teachers,
    parquet.read(source.labels, LABEL_SET),
    split,
    classes,
    params.method,
    params.views,
    round_number=int(snakemake.wildcards["round"]),
    before=[parquet.read(path, PREDICTIONS) for path in source.get("before", [])],
)
parquet.write(labels, made.labels, LABEL_SET)
parquet.write(candidates, made.proposals, PROPOSALS, notes={"classes": classes})
parquet.write(about, made.teachers, TEACHERS)
