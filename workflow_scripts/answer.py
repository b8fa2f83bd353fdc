"""Copy the model that ships, answer the images that nobody labelled, and say what it is."""

import json
from pathlib import Path

from pocketscope.core import files, parquet
from pocketscope.data import corrections
from pocketscope.deploy import answers
from pocketscope.deploy.card import model_card
from pocketscope.evaluation import metrics
from pocketscope.inference import onnx_model
from pocketscope.runtime import job
from pocketscope.tables.answers import ANSWERS
from pocketscope.tables.images import IMAGES
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.source_labels import SOURCE_LABELS
from pocketscope.tables.split import SPLIT

job.begin(snakemake)
source, params, made = snakemake.input, snakemake.params, snakemake.output
for model, copy in ((source.model, made.model), (source.int8, made.int8)):
    files.copy(model, copy)
shipped, int8 = (onnx_model.open_model(path, threads=snakemake.threads) for path in (made.model, made.int8))
positive = parquet.notes(source.classes)["positive"]
tested = answers.measured(*metrics.pool(source.predictions, source.truths), positive, params.reliable)
split = parquet.read(source.split, SPLIT)
paths = parquet.mapping(source.images, IMAGES, "image_id", "paths")
of_source = parquet.read(source.source_labels, SOURCE_LABELS)
of_source = corrections.called_now(of_source, corrections.renamed_in(params.labels["now"]))
asked, said = answers.to_answer(split, of_source)
given, unlike = (told(shipped, source.images, asked) for told in (answers.answer, answers.unlikeness))
table = answers.answers_table(given, paths, tested["reliable"], said, unlike)
parquet.write(table, made.answers, ANSWERS, notes={"reliable": tested["reliable"].probability})
decided = {} if params.named else json.loads(Path(source.recommendation).read_text())["datasets"][params.dataset]
labelled_by = parquet.read(source.labels, LABEL_SET, columns=["source"])["source"].to_pylist()
agreement = answers.agreement(shipped, int8, source.images, split["image_id"].to_pylist())
about = tested | {
    "dataset": params.dataset,
    "study": Path(snakemake.output.card).parts[0],
    "candidate": params.candidate,
    "pinned": params.labels["when"],
    "labels_since": corrections.changed(params.labels["pinned"], params.labels["now"]),
    "classes": shipped.classes,
    "image_size": shipped.image_size,
    "resize": parquet.notes(source.images)["resize"],
    **{by: labelled_by.count(by) for by in ("human", "pseudo")},
    **answers.counted(table),
    **dict(zip(("same", "compared"), agreement, strict=True)),
    "recommendation": decided if params.candidate.items() <= decided.items() else {},
    "instead_of": decided,
}
files.write_text(made.card, model_card(about))
