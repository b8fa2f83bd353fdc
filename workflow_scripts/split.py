"""Part a data set into test, labelled, validation and unlabelled images."""

from pocketscope import job, packed, pseudo_labels, splits, tables

job.begin(snakemake)
sharing = {key: value for key, value in snakemake.params.sharing.items() if key not in ("labelled", "seeds")}
split, truth, notes = splits.assign(
    tables.read(snakemake.input.images, packed.IMAGES, columns=["image_id", "group", "role"]),
    tables.read(snakemake.input.labels, packed.LABELS),
    labelled=snakemake.params.labelled,
    seed=snakemake.params.seed,
    **sharing,
)
tables.write(split, snakemake.output.split, splits.SPLIT, notes=notes)
tables.write(truth, snakemake.output.truth, splits.TRUTH)
human = pseudo_labels.human(*splits.images_with(split, "labelled"))
tables.write(human, snakemake.output.labels, pseudo_labels.LABELS)
