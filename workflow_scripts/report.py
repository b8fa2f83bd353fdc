"""Write the page that says which network to take, and what that rests on."""

from pathlib import Path

from pocketscope import comparison, evidence, job, report, score_table, tables

job.begin(snakemake)
source, params, asked = snakemake.input, snakemake.params, snakemake.params.statistics
scores = score_table.read(source.scores, bounds=params.bounds)
main = score_table.most_labelled(scores)
asking = {key: asked[key] for key in ("protocol", "alpha")}
answers = comparison.compare(main, controls=asked["controls"], families=params.families, bounds=params.bounds, **asking)
places = {key: dict(zip(map(tuple, params.splits), source[key], strict=True)) for key in ("splits", "truths")}
images = dict(zip(params.datasets, source.images, strict=True))
rows = [
    row | {"predictions": path, "split_table": places["splits"][where], "truth": places["truths"][where]}
    for row, path in zip(params.rows, source.predictions, strict=True)
    if row["method"] not in params.bounds and (where := (row["dataset"], row["split"]))
]
gathered = evidence.gather(rows, tables.notes(source.scores)["positive"])
accepted, curves = evidence.automatic_labels(source.audits, source.coverages, params.splits)
provenance, warnings = evidence.provenance([*source.histories, *source.timings])
timed = evidence.timings(source.timings)
report.build(
    Path(snakemake.output.page).parent,
    scores,
    answers,
    **asking,
    margin=asked["margin"],
    title=Path(snakemake.output.page).parts[0],
    bounds=params.bounds,
    costs=evidence.costs(timed),
    timings=timed,
    evidence=gathered,
    histories=evidence.histories(source.histories),
    pseudo_labels=accepted,
    pseudo_label_curves=curves,
    examples=evidence.examples(gathered, main, images, params.bounds)
    + evidence.wrongly_accepted(source.labels, params.label_sets, places, images),
    provenance=provenance | {"configuration": params.config},
    warnings=warnings
    + evidence.remarks(dict(zip(params.datasets, source.classes, strict=True)))
    + evidence.flattered(dict(zip(params.datasets, source.near_duplicates, strict=True))),
)
