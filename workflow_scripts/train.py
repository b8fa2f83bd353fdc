"""Train a network on a label set, and write the model, its ONNX form and its history."""

from pocketscope import devices, export, job, networks, pseudo_labels, splits, tables, training

root = job.begin(snakemake)
params, source, made = snakemake.params, snakemake.input, snakemake.output
device = devices.prepare(params.device, params.threads, snakemake.threads)
labels = tables.read(source.labels, pseudo_labels.LABELS)
classes = tables.notes(source.split)["classes"]
previous = source.get("previous_model")
if previous and labels.equals(tables.read(source.previous_labels, pseudo_labels.LABELS)):
    print("the labels are those of the round before: its model is passed on")
    trained = networks.load(previous)
    history, timings = training.HISTORY.empty_table(), training.TIMINGS.empty_table()
else:
    split = tables.read(source.split, splits.SPLIT)
    examples = training.examples(source.images, labels, classes)
    validation = training.examples(
        source.images, pseudo_labels.human(*splits.images_with(split, "validation")), classes
    )
    classifier = networks.build(params.network, len(classes), root, seed=params.seed)
    history, timings = training.train(
        classifier,
        examples,
        validation if len(validation.targets) else None,
        pretrained=networks.is_pretrained(params.network),
        settings=params.training,
        augmentation=params.augmentation,
        symmetries=params.symmetries,
        seed=params.seed,
        device=device,
    )
    trained = networks.Trained(classifier, classes, tables.notes(source.images)["image_size"])
networks.save(trained, params.network, made.model)
export.to_onnx(trained, made.onnx)
tables.write(history, made.history, training.HISTORY, notes=devices.versions(device) | {"seed": params.seed})
tables.write(timings, made.timings, training.TIMINGS, notes=devices.versions(device))
