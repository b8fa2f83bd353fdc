"""Draw the page that says which network to take, and what that rests on."""

import datetime
from pathlib import Path

from pocketscope.evaluation.evidence import timings
from pocketscope.report import evidence, studied
from pocketscope.report.build import build_report
from pocketscope.runtime import job
from pocketscope.statistics import comparison, decision, score_table

job.begin(snakemake)
source, params = snakemake.input, snakemake.params
tables = Path(source.recommendation).parent
decided = decision.read(tables)
kinds = ("images", "classes", "near_duplicates")
by_dataset = {kind: dict(zip(params.datasets, source[kind], strict=True)) for kind in kinds}
accepted, curves = evidence.automatic_labels(source.audits, source.coverages, params.splits)
provenance, warnings = evidence.provenance([*source.histories, *source.timings])
build_report(
    Path(snakemake.output.page).parent,
    score_table.read(source.scores, bounds=params.bounds),
    comparison.read(tables),
    decided,
    protocol=params.protocol,
    title=Path(snakemake.output.page).parts[0],
    bounds=params.bounds,
    timings=timings(source.timings) if source.timings else None,  # the best teacher alone is not timed
    histories=evidence.histories(source.histories),
    pseudo_labels=accepted,
    pseudo_label_curves=curves,
    examples=evidence.example_images(decided.answers, by_dataset["images"])
    + evidence.wrongly_accepted(source.labels, source.truths, params.label_sets, by_dataset["images"]),
    provenance=provenance | {"configuration": params.config},
    about=studied.about(by_dataset["classes"], source.roles, params.splits, params.settings),
    date=datetime.date.today().isoformat(),
    warnings=warnings + evidence.warnings(by_dataset["classes"], by_dataset["near_duplicates"], source.histories),
)
