"""Make the int8 form of a model, calibrated on images of the training set."""

from pocketscope.core import parquet, seeds
from pocketscope.deploy import quantization
from pocketscope.runtime import job
from pocketscope.tables.images import load_images
from pocketscope.tables.label_set import LABEL_SET

job.begin(snakemake)
labels = parquet.read(snakemake.input.labels, LABEL_SET, columns=["image_id"])["image_id"].to_pylist()
drawn = sorted(labels, key=lambda image_id: seeds.rank(snakemake.params.seed, image_id))
images = load_images(snakemake.input.images, drawn[: quantization.CALIBRATION_IMAGES])
quantization.quantize(snakemake.input.model, images, snakemake.output[0])
