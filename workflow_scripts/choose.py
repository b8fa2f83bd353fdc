"""Take the best of a method's teachers as its result: the one with the best F1 on labelled images it has not seen."""

import shutil

from pocketscope import job, prediction, rounds, splits, tables
from pocketscope.files import whole

job.begin(snakemake)
source = snakemake.input
split = tables.read(source.split, splits.SPLIT)
validation = bool(splits.images_with(split, "validation")[0]) or not source.get("out_of_fold")
merits = []
for path in source.predictions if validation else source.out_of_fold:
    predictions = tables.read(path, prediction.PROBABILITIES)
    unseen = rounds.held_out(predictions, split) if validation else predictions
    merits.append(rounds.merit(unseen, split, tables.notes(path)["classes"]))
    print(f"{path}: F1 {merits[-1][0]:.4f}, loss {-merits[-1][1]:.4f}")
best = merits.index(max(merits))
print(f"chosen: {source.models[best]}")
for path, copy in ((source.models[best], snakemake.output.onnx), (source.histories[best], snakemake.output.history)):
    with whole(copy) as temporary:
        shutil.copyfile(path, temporary)
