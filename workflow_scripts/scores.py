"""Compare what all rows predict with the truth, in one table."""

from pocketscope import job, metrics, tables
from pocketscope.files import whole
from pyarrow import csv

job.begin(snakemake)
source, params = snakemake.input, snakemake.params
positive = {
    dataset: tables.notes(path)["positive"] for dataset, path in zip(params.datasets, source.classes, strict=True)
}
scores = metrics.score(params.rows, source.predictions, dict(zip(params.splits, source.truths, strict=True)), positive)
tables.write(scores, snakemake.output.scores, metrics.SCORES, notes={"positive": positive})
with whole(snakemake.output.csv) as temporary:
    csv.write_csv(scores, temporary)
