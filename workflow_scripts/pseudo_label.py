"""Accept what the teachers agree on, and leave the rest unlabelled."""

from pocketscope import job, prediction, pseudo_labels, rounds, splits, tables

job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
split = tables.read(source.split, splits.SPLIT)
classes = tables.notes(source.predictions[0])["classes"]
unseen = dict(zip(params.teachers, source.get("out_of_fold", []), strict=False))
teachers = []
for name, path in zip(params.teachers, source.predictions, strict=True):
    predictions = tables.read(path, prediction.PROBABILITIES)
    out_of_fold = tables.read(unseen[name], prediction.PROBABILITIES) if unseen else None
    teachers.append(rounds.Teacher(name, predictions, rounds.held_out(predictions, split, out_of_fold)))
labels, candidates, about = rounds.label(
    teachers,
    tables.read(source.labels, pseudo_labels.LABELS),
    split,
    classes,
    params.method,
    params.views,
    round_number=int(snakemake.wildcards["round"]),
    before=[tables.read(path, prediction.PROBABILITIES) for path in source.get("before", [])],
)
tables.write(labels, made.labels, pseudo_labels.LABELS)
tables.write(candidates, made.candidates, pseudo_labels.CANDIDATES, notes={"classes": classes})
tables.write(about, made.teachers, rounds.TEACHERS)
