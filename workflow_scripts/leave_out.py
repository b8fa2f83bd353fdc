"""Leave one fold out of people's labels: what its teacher then says of that fold, it says unseen."""

import numpy as np
from pocketscope import folds, job, pseudo_labels, splits, tables

job.begin(snakemake)
labels = tables.read(snakemake.input.labels, pseudo_labels.LABELS)
units = folds.units(labels["image_id"].to_pylist(), tables.read(snakemake.input.split, splits.SPLIT))
fold = folds.assign(labels["label"].to_pylist(), units, snakemake.params.folds, snakemake.params.seed)
kept = labels.filter(np.asarray(fold != int(snakemake.wildcards.fold)))
tables.write(kept, snakemake.output[0], pseudo_labels.LABELS)
