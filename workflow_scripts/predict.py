"""Let a trained network see every unlabelled image under every view."""

from pocketscope import devices, job, networks, packed, prediction, splits, tables, teaching

job.begin(snakemake)
params = snakemake.params
device = devices.prepare(params.device, params.threads, snakemake.threads)
trained = networks.load(snakemake.input.model)
image_ids, _ = splits.images_with(tables.read(snakemake.input.split, splits.SPLIT), "unlabelled")
images = packed.load_images(snakemake.input.images, image_ids)
seen = teaching.probabilities(trained.classifier, images, params.views, device)
predictions = prediction.table(image_ids, params.views, seen)
tables.write(predictions, snakemake.output[0], prediction.PROBABILITIES, notes={"classes": trained.classes})
