"""Accept what the teachers agree on, and leave the rest unlabelled."""

from pocketscope import job, prediction, pseudo_labels, tables

job.begin(snakemake)
labels = pseudo_labels.accept(
    [tables.read(path, prediction.PROBABILITIES) for path in snakemake.input.predictions],
    tables.read(snakemake.input.labels, pseudo_labels.LABELS),
    tables.notes(snakemake.input.predictions[0])["classes"],
    views=snakemake.params.views,
    how=snakemake.params.how,
    threshold=snakemake.params.threshold,
    round_number=int(snakemake.wildcards["round"]),
)
tables.write(labels, snakemake.output[0], pseudo_labels.LABELS)
