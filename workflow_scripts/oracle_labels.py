"""Give the upper bound every training image's true label."""

from pocketscope.core import parquet
from pocketscope.data.splitting import oracle_labels
from pocketscope.runtime import job
from pocketscope.tables.label_set import LABEL_SET, human_labels
from pocketscope.tables.split import SPLIT, TRUTH

job.begin(snakemake)
split = parquet.read(snakemake.input.split, SPLIT)
truth = parquet.read(snakemake.input.truth, TRUTH)
parquet.write(human_labels(*oracle_labels(split, truth)), snakemake.output.labels, LABEL_SET)
