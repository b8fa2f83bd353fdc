"""Copy the model that ships, answer the images that nobody labelled, and say what it is."""

import json
from pathlib import Path

from pocketscope import files, inference, job, metrics, packed, pseudo_labels, shipping, splits, tables

job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
for model, copy in ((source.model, made.model), (source.int8, made.int8)):
    files.copy(model, copy)
shipped, int8 = (inference.open_model(path, threads=snakemake.threads) for path in (made.model, made.int8))
positive = tables.notes(source.classes)["positive"]
tested = shipping.measured(*metrics.pool(source.predictions, source.truths), positive, params.sure)
split = tables.read(source.split, splits.SPLIT)
paths = tables.mapping(source.images, packed.IMAGES, "image_id", "paths")
answers = list(shipping.answer(shipped, source.images, splits.images_with(split, "unlabelled")[0]))
sure_answers = shipping.write_answers(made.answers, answers, paths, tested["sure"])

recommended = None if params.row else json.loads(Path(source.recommendation).read_text())["datasets"][params.dataset]
labelled_by = tables.read(source.labels, pseudo_labels.LABELS, columns=["source"])["source"].to_pylist()
same, compared = shipping.agreement(shipped, int8, source.images, split["image_id"].to_pylist())
about = tested | {
    "dataset": params.dataset,
    "study": Path(snakemake.output.card).parts[0],
    "row": params.row or recommended,
    "classes": shipped.classes,
    "image_size": shipped.image_size,
    "fit": tables.notes(source.images)["fit"],
    "human": labelled_by.count("human"),
    "pseudo": labelled_by.count("pseudo"),
    "answers": len(answers),
    "sure_answers": sure_answers,
    "same": same,
    "compared": compared,
    "recommendation": recommended and recommended["text"],
}
files.write_text(made.card, shipping.card(about))
