"""Make the int8 form of a model, calibrated on images of the training part."""

from pocketscope import job, packed, pseudo_labels, quantization, randomness, tables

job.begin(snakemake)
labels = tables.read(snakemake.input.labels, pseudo_labels.LABELS, columns=["image_id"])["image_id"].to_pylist()
drawn = sorted(labels, key=lambda image_id: randomness.rank(snakemake.params.seed, image_id))
images = packed.load_images(snakemake.input.images, drawn[: quantization.CALIBRATION_IMAGES])
quantization.quantize(snakemake.input.model, images, snakemake.output[0])
