"""Let a trained network see every image of the training set under every view."""

from pocketscope.core import parquet
from pocketscope.distillation import predict_views
from pocketscope.models import networks
from pocketscope.runtime import devices, job
from pocketscope.tables.images import read_images
from pocketscope.tables.predictions import PREDICTIONS, predictions_table
from pocketscope.tables.split import SPLIT, images_with

root = job.begin(snakemake)
params = snakemake.params
device = devices.prepare(params.device, params.threads, snakemake.threads)
trained = networks.load(snakemake.input.model, root)
split = parquet.read(snakemake.input.split, SPLIT)
# Labelled images too: those that the network was not trained on tell how far its confidence can be believed.
wanted = [image_id for role in ("labelled", "validation", "unlabelled") for image_id in images_with(split, role)[0]]
images = read_images(snakemake.input.images, wanted)
image_ids, seen = predict_views.probabilities(
    trained.classifier, images, len(wanted), params.views, params.strengths, device
)
predictions = predictions_table(image_ids, params.views, seen)
parquet.write(predictions, snakemake.output[0], PREDICTIONS, notes={"classes": trained.classes})
