"""Join the measurements of all runs into one table."""

from pocketscope import job, metrics, tables
from pocketscope.files import whole
from pyarrow import csv

job.begin(snakemake)
scores = metrics.collect([tables.read(path, metrics.METRICS) for path in snakemake.input], snakemake.params.rows)
tables.write(scores, snakemake.output.scores, metrics.SCORES)
with whole(snakemake.output.csv) as temporary:
    csv.write_csv(scores, temporary)
