"""Answer the images that came since the snapshot, by the model that ships."""

from pocketscope.core import parquet
from pocketscope.data import corrections
from pocketscope.deploy import answers
from pocketscope.inference import onnx_model
from pocketscope.runtime import job
from pocketscope.tables.answers import ANSWERS
from pocketscope.tables.images import IMAGES
from pocketscope.tables.source_labels import SOURCE_LABELS

job.begin(snakemake)
source = snakemake.input
models = [onnx_model.open_model(path, threads=snakemake.threads) for path in source.models]
shipped = next(model for model in models if model.about["recommended"])
paths = parquet.mapping(source.images, IMAGES, "image_id", "paths")
# What their folder, or their table, says of them counts as said: nothing has learnt from it.
of_source = parquet.mapping(source.source_labels, SOURCE_LABELS, "image_id", "label")
said = {identity: label for identity, label in of_source.items() if label is not None}
said |= corrections.of_images(snakemake.params.labels["now"], paths)
enough = shipped.about["reliable"]["probability"]
found, unlike = (told(shipped, source.images, list(paths)) for told in (answers.answer, answers.unlikeness))
parquet.write(answers.answers_table(found, paths, enough, said, unlike), snakemake.output.answers, ANSWERS)
