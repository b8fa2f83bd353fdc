"""Write the page that says which network to take, and what that rests on."""

from pathlib import Path

from pocketscope.core import parquet
from pocketscope.report import evidence
from pocketscope.report.build import build_report
from pocketscope.runtime import job
from pocketscope.statistics import comparison, score_table

job.begin(snakemake)
source, params, asked = snakemake.input, snakemake.params, snakemake.params.statistics
scores = score_table.read(source.scores, bounds=params.bounds)
main = score_table.most_labelled(scores)
asking = {key: asked[key] for key in ("protocol", "alpha")}
answers = comparison.compare(main, controls=asked["controls"], families=params.families, bounds=params.bounds, **asking)
places = {key: dict(zip(map(tuple, params.splits), source[key], strict=True)) for key in ("splits", "truths")}
kinds = ("images", "classes", "near_duplicates")
by_dataset = {kind: dict(zip(params.datasets, source[kind], strict=True)) for kind in kinds}
rows = evidence.located(params.candidates, source.predictions, places, params.bounds)
gathered = evidence.gather(rows, parquet.notes(source.scores)["positive"])
accepted, curves = evidence.automatic_labels(source.audits, source.coverages, params.splits)
provenance, warnings = evidence.provenance([*source.histories, *source.timings])
timed = evidence.timings(source.timings) if source.timings else None  # the best teacher alone is not timed
build_report(
    Path(snakemake.output.page).parent,
    scores,
    answers,
    **asking,
    margin=asked["margin"],
    title=Path(snakemake.output.page).parts[0],
    bounds=params.bounds,
    costs=None if timed is None else evidence.costs(timed),
    timings=timed,
    evidence=gathered,
    histories=evidence.histories(source.histories),
    pseudo_labels=accepted,
    pseudo_label_curves=curves,
    examples=evidence.example_images(gathered, main, by_dataset["images"], params.bounds)
    + evidence.wrongly_accepted(source.labels, params.label_sets, places, by_dataset["images"]),
    provenance=provenance | {"configuration": params.config},
    warnings=warnings + evidence.warnings(by_dataset["classes"], by_dataset["near_duplicates"], source.histories),
)
