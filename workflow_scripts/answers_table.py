"""Write the answers as the table that people open."""

from pocketscope.core import parquet
from pocketscope.deploy.sheet import write_sheet
from pocketscope.runtime import job
from pocketscope.tables.answers import ANSWERS

job.begin(snakemake)
write_sheet(parquet.read(snakemake.input.answers, ANSWERS), snakemake.output[0], snakemake.params.top)
