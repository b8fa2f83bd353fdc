"""Write the answers as the table that people open."""

from pocketscope.deploy.sheet import write_sheet
from pocketscope.runtime import job
from pocketscope.tables import answers

job.begin(snakemake)
write_sheet(answers.joined(snakemake.input.answers), snakemake.output[0], snakemake.params.top)
