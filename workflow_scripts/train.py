"""Train a network on a label set, and write the model, its ONNX form and its history."""

from pathlib import Path

from pocketscope.core import parquet
from pocketscope.core.own_functions import loaded
from pocketscope.models import networks
from pocketscope.runtime import devices, job
from pocketscope.runtime.resume import Resume, digest_of_inputs
from pocketscope.tables.history import HISTORY, TIMINGS
from pocketscope.tables.label_set import LABEL_SET, human_labels
from pocketscope.tables.split import SPLIT, images_with
from pocketscope.training import outputs, supervised
from pocketscope.training.batches import load_examples

root = job.begin(snakemake)
params, source, made = snakemake.params, snakemake.input, snakemake.output
device = devices.prepare(params.device, params.threads, snakemake.threads)
inputs = digest_of_inputs([source.images, source.labels, source.split], dict(params.items()))
resume = Resume(Path(made.model).parent, inputs)
labels = parquet.read(source.labels, LABEL_SET)
classes = parquet.notes(source.split)["classes"]
if (previous := source.get("previous_model")) and labels.equals(parquet.read(source.previous_labels, LABEL_SET)):
    print("the labels are the same as in the round before: its model is used again")
    trained = networks.load(previous, root)
    history, timings = HISTORY.empty_table(), TIMINGS.empty_table()
else:
    held_out = human_labels(*images_with(parquet.read(source.split, SPLIT), "validation"))
    classifier = networks.build(params.network, len(classes), root, seed=params.seed)
    history, timings = supervised.train(
        classifier,
        load_examples(source.images, labels, classes),
        load_examples(source.images, held_out, classes),
        pretrained=networks.is_pretrained(params.network),
        settings=loaded(params.training, root),
        symmetries=params.symmetries,
        seed=params.seed,
        device=device,
        train_dtype=devices.train_dtype(params.train_dtype, device),
        resume=resume,
    )
    trained = networks.Trained(classifier, classes, parquet.notes(source.images)["image_size"])
about = {"images": source.images, "labels": labels, "seed": params.seed, "device": device}
outputs.write(trained, history, timings, dict(made.items()), network=params.network, **about)
resume.remove()
