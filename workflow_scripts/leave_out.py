"""Leave one fold out of people's labels: what its teacher then says of that fold, it says unseen."""

import numpy as np

from pocketscope.core import parquet
from pocketscope.distillation import folds
from pocketscope.runtime import job
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.split import SPLIT

job.begin(snakemake)
labels = parquet.read(snakemake.input.labels, LABEL_SET)
units = folds.units(labels["image_id"].to_pylist(), parquet.read(snakemake.input.split, SPLIT))
fold = folds.assign(labels["label"].to_pylist(), units, snakemake.params.folds, snakemake.params.seed)
kept = labels.filter(np.asarray(fold != int(snakemake.wildcards.fold)))
parquet.write(kept, snakemake.output[0], LABEL_SET)
