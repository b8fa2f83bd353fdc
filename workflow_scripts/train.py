"""Train a network on a label set, and write the model, its ONNX form and its history."""

from pathlib import Path

from pocketscope import devices, examples, job, networks, pseudo_labels, splits, tables, training, training_outputs
from pocketscope import history as records
from pocketscope.resume import Resume, digest

root = job.begin(snakemake)
params, source, made = snakemake.params, snakemake.input, snakemake.output
device = devices.prepare(params.device, params.threads, snakemake.threads)
resume = Resume(Path(made.model).parent, digest([source.images, source.labels, source.split], dict(params.items())))
labels = tables.read(source.labels, pseudo_labels.LABELS)
classes = tables.notes(source.split)["classes"]
previous = source.get("previous_model")
if previous and labels.equals(tables.read(source.previous_labels, pseudo_labels.LABELS)):
    print("the labels are those of the round before: its model is passed on")
    trained = networks.load(previous)
    history, timings = records.HISTORY.empty_table(), records.TIMINGS.empty_table()
else:
    held_out = pseudo_labels.human(*splits.images_with(tables.read(source.split, splits.SPLIT), "validation"))
    classifier = networks.build(params.network, len(classes), root, seed=params.seed)
    history, timings = training.train(
        classifier,
        examples.load(source.images, labels, classes),
        examples.load(source.images, held_out, classes),
        pretrained=networks.is_pretrained(params.network),
        settings=params.training,
        symmetries=params.symmetries,
        seed=params.seed,
        device=device,
        arithmetic=devices.arithmetic(params.arithmetic, device),
        resume=resume,
    )
    trained = networks.Trained(classifier, classes, tables.notes(source.images)["image_size"])
about = {"network": params.network, "images": source.images, "labels": labels, "seed": params.seed, "device": device}
training_outputs.write(trained, history, timings, dict(made.items()), **about)
resume.remove()
