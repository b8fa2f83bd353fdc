"""Make the int8 form of a model, calibrated on images of the training set."""

from pocketscope.core import parquet
from pocketscope.deploy import quantization
from pocketscope.runtime import job
from pocketscope.tables.images import load_images
from pocketscope.tables.label_set import LABEL_SET

job.begin(snakemake)
labels = parquet.read(snakemake.input.labels, LABEL_SET, columns=["image_id", "label"]).to_pydict()
drawn = quantization.drawn(labels["image_id"], labels["label"], snakemake.params.seed)
images = load_images(snakemake.input.images, drawn)
quantization.quantize(snakemake.input.model, images, snakemake.output[0])
