"""Run the model file that would ship on the test part."""

from pocketscope import inference, job, packed, prediction, splits, tables

job.begin(snakemake)
source = snakemake.input
shipped = inference.open_model(source.model, threads=snakemake.threads)
image_ids, _ = splits.images_with(tables.read(source.split, splits.SPLIT), "test")
found = inference.probabilities(shipped, packed.load_images(source.images, image_ids))
predictions = prediction.table(image_ids, ["identity"], found[None])
tables.write(predictions, snakemake.output[0], prediction.PROBABILITIES, notes={"classes": shipped.classes})
