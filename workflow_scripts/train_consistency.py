"""Train a network on labelled and unlabelled images; write the model, its ONNX form, its history and its guesses."""

from pathlib import Path

from pocketscope import consistency, devices, examples, job, networks, pseudo_labels, splits, tables, training_outputs
from pocketscope.resume import Resume, digest

root = job.begin(snakemake)
params, source, made = snakemake.params, snakemake.input, snakemake.output
device = devices.prepare(params.device, params.threads, snakemake.threads)
warm = source.get("warm_start")
read = [source.images, source.labels, source.split, *([warm] if warm else [])]
resume = Resume(Path(made.model).parent, digest(read, dict(params.items())))
split, labels = tables.read(source.split, splits.SPLIT), tables.read(source.labels, pseudo_labels.LABELS)
classes = tables.notes(source.split)["classes"]
started = networks.load(warm).classifier if warm else None
classifier = started or networks.build(params.network, len(classes), root, seed=params.seed)
history, timings, guesses = consistency.train(
    classifier,
    examples.load(source.images, labels, classes),
    consistency.load(source.images, split),
    examples.load(source.images, pseudo_labels.human(*splits.images_with(split, "validation")), classes),
    classes=classes,
    pretrained=networks.is_pretrained(params.network),
    settings=params.training,
    device=device,
    arithmetic=devices.arithmetic(params.arithmetic, device),
    resume=resume,
    **{key: params[key] for key in ("method", "symmetries", "seed")},
)
trained = networks.Trained(classifier, classes, tables.notes(source.images)["image_size"])
about = {"network": params.network, "images": source.images, "labels": labels, "seed": params.seed, "device": device}
training_outputs.write(trained, history, timings, dict(made.items()), **about)
tables.write(guesses, made.guesses, pseudo_labels.GUESSES)
resume.remove()
