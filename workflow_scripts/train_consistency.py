"""Train a network on labelled and unlabelled images; write the model, its ONNX form, its history and its guesses."""

from pathlib import Path

from pocketscope.core import parquet
from pocketscope.core.own_functions import loaded
from pocketscope.models import networks
from pocketscope.runtime import devices, job
from pocketscope.runtime.resume import Resume, digest_of_inputs
from pocketscope.tables.label_set import LABEL_SET, human_labels
from pocketscope.tables.online_pseudo_labels import ONLINE_PSEUDO_LABELS
from pocketscope.tables.split import SPLIT, images_with
from pocketscope.training import consistency, outputs
from pocketscope.training.batches import load_examples

root = job.begin(snakemake)
params, source, made = snakemake.params, snakemake.input, snakemake.output
device = devices.prepare(params.device, params.threads, snakemake.threads)
warm = source.get("warm_start")
read = [source.images, source.labels, source.split, *([warm] if warm else [])]
resume = Resume(Path(made.model).parent, digest_of_inputs(read, dict(params.items())))
split, labels = parquet.read(source.split, SPLIT), parquet.read(source.labels, LABEL_SET)
classes = parquet.notes(source.split)["classes"]
started = networks.load(warm, root).classifier if warm else None
classifier = started or networks.build(params.network, len(classes), root, seed=params.seed)
history, timings, guesses = consistency.train(
    classifier,
    load_examples(source.images, labels, classes),
    consistency.load(source.images, split),
    load_examples(source.images, human_labels(*images_with(split, "validation")), classes),
    classes=classes,
    pretrained=networks.is_pretrained(params.network),
    settings=loaded(params.training, root),
    device=device,
    train_dtype=devices.train_dtype(params.train_dtype, device),
    resume=resume,
    **{key: params[key] for key in ("method", "symmetries", "seed")},
)
trained = networks.Trained(classifier, classes, parquet.notes(source.images)["image_size"])
about = {"network": params.network, "images": source.images, "labels": labels, "seed": params.seed, "device": device}
outputs.write(trained, history, timings, dict(made.items()), **about)
parquet.write(guesses, made.online_pseudo_labels, ONLINE_PSEUDO_LABELS)
resume.remove()
