"""Take the best of a method's teachers as its result: the one with the best F1 on labelled images it has not seen."""

from pocketscope.core import files, parquet
from pocketscope.distillation.held_out import held_out, validation_score
from pocketscope.runtime import job
from pocketscope.tables.predictions import PREDICTIONS
from pocketscope.tables.split import SPLIT, images_with

job.begin(snakemake)
source = snakemake.input
split = parquet.read(source.split, SPLIT)
validation = bool(images_with(split, "validation")[0]) or not source.get("out_of_fold")
scores = []
for path in source.predictions if validation else source.out_of_fold:
    predictions = parquet.read(path, PREDICTIONS)
    unseen = held_out(predictions, split) if validation else predictions
    scores.append(validation_score(unseen, split, parquet.notes(path)["classes"]))
    print(f"{path}: F1 {scores[-1][0]:.4f}, loss {-scores[-1][1]:.4f}")
best = scores.index(max(scores))
print(f"chosen: {source.models[best]}")
files.copy(source.models[best], snakemake.output.onnx)
files.copy(source.histories[best], snakemake.output.history)
