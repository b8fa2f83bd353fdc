"""Let a trained network see every image of the training side under every view."""

from pocketscope import devices, job, networks, packed, prediction, splits, tables, teaching

job.begin(snakemake)
params = snakemake.params
device = devices.prepare(params.device, params.threads, snakemake.threads)
trained = networks.load(snakemake.input.model)
split = tables.read(snakemake.input.split, splits.SPLIT)
# Labelled images too: those that the network was not trained on tell how far its confidence can be believed.
wanted = [
    image_id for role in ("labelled", "validation", "unlabelled") for image_id in splits.images_with(split, role)[0]
]
images = packed.read_images(snakemake.input.images, wanted)
image_ids, seen = teaching.probabilities(
    trained.classifier, images, len(wanted), params.views, params.strengths, device
)
predictions = prediction.table(image_ids, params.views, seen)
tables.write(predictions, snakemake.output[0], prediction.PROBABILITIES, notes={"classes": trained.classes})
