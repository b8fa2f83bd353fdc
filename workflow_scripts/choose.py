"""Take the best of a method's teachers as its result: the one with the best F1 on labelled images it has not seen."""

import shutil

from pocketscope.core import parquet
from pocketscope.core.files import whole
from pocketscope.distillation.held_out import held_out, validation_score
from pocketscope.runtime import job
from pocketscope.tables.predictions import PREDICTIONS
from pocketscope.tables.split import SPLIT, images_with

job.begin(snakemake)
source = snakemake.input
split = parquet.read(source.split, SPLIT)
validation = bool(images_with(split, "validation")[0]) or not source.get("out_of_fold")
merits = []
for path in source.predictions if validation else source.out_of_fold:
    predictions = parquet.read(path, PREDICTIONS)
    unseen = held_out(predictions, split) if validation else predictions
    merits.append(validation_score(unseen, split, parquet.notes(path)["classes"]))
    print(f"{path}: F1 {merits[-1][0]:.4f}, loss {-merits[-1][1]:.4f}")
best = merits.index(max(merits))
print(f"chosen: {source.models[best]}")
for path, copy in ((source.models[best], snakemake.output.onnx), (source.histories[best], snakemake.output.history)):
    with whole(copy) as temporary:
        shutil.copyfile(path, temporary)
