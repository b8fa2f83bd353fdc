"""Give the upper bound every training image's true label."""

from pocketscope import job, pseudo_labels, splits, tables

job.begin(snakemake)
split = tables.read(snakemake.input.split, splits.SPLIT)
truth = tables.read(snakemake.input.truth, splits.TRUTH)
tables.write(pseudo_labels.human(*splits.reveal(split, truth)), snakemake.output.labels, pseudo_labels.LABELS)
