"""Decide which candidate to take, and write what that rests on."""

from pathlib import Path

from pocketscope.core import parquet
from pocketscope.evaluation import evidence
from pocketscope.runtime import job
from pocketscope.statistics import decision, score_table

job.begin(snakemake)
source, params = snakemake.input, snakemake.params
places = {key: dict(zip(map(tuple, params.splits), source[key], strict=True)) for key in ("splits", "truths")}
located = evidence.located(params.candidates, source.predictions, places, params.bounds)
costs = evidence.costs(evidence.timings(source.timings)) if source.timings else None  # the best teacher is not timed
decided = decision.decide(
    score_table.read(source.scores, bounds=params.bounds),
    costs,
    evidence.gather(located, parquet.notes(source.scores)["positive"]),
    bounds=params.bounds,
    margin=params.statistics["margin"],
    alpha=params.statistics["alpha"],
    share=params.reliable,
    controls=params.statistics["controls"],
)
decision.write(decided, Path(snakemake.output.recommendation).parent)
