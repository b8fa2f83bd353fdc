"""Compare what all rows predict with the truth, in one table."""

from pyarrow import csv

from pocketscope.core import parquet
from pocketscope.core.files import whole
from pocketscope.evaluation import metrics
from pocketscope.runtime import job
from pocketscope.tables.scores import SCORES

job.begin(snakemake)
source, params = snakemake.input, snakemake.params
positive = {
    dataset: parquet.notes(path)["positive"] for dataset, path in zip(params.datasets, source.classes, strict=True)
}
scores = metrics.score(
    params.candidates, source.predictions, dict(zip(params.splits, source.truths, strict=True)), positive
)
parquet.write(scores, snakemake.output.scores, SCORES, notes={"positive": positive})
with whole(snakemake.output.csv) as temporary:
    csv.write_csv(scores, temporary)
