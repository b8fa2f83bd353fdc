"""Answer a study's questions: which differences hold."""

from pathlib import Path

from pocketscope.runtime import job
from pocketscope.statistics import comparison, score_table

job.begin(snakemake)
asked = snakemake.params.statistics
scores = score_table.read(snakemake.input.scores, bounds=snakemake.params.bounds)
answers = comparison.compare(
    score_table.most_labelled(scores),
    protocol=asked["protocol"],
    controls=asked["controls"],
    families=snakemake.params.families,
    bounds=snakemake.params.bounds,
    alpha=asked["alpha"],
    margin=asked["margin"],
)
notes = {"protocol": asked["protocol"], "alpha": asked["alpha"]}
comparison.write(answers, Path(snakemake.output[0]).parent, notes=notes)
