"""Whether a training after ten corrections may start from the model of before: cold and warm, in pairs.

    python benchmarks/warm_start.py --data FOLDER [--sets NAME ...] [--seeds 0 1 2] [--image-size 40] [--steps 60]

Each sub-folder of `--data` is a set with one sub-folder a class. Of each class 12 images are labelled (of small ones
half), and EfficientNet-Lite0 is trained on them. The ten least probable answers to 130 of the other images are given
their labels, and the network is trained again: from its usual start (cold), and from its own weights, head included,
in a third of the steps, at the study's learning rate (warm), half of it, and a tenth. What is compared is the
share of right answers to the 120 images that were not corrected and to 500 more. Seconds are of processor time.
"""

import argparse
import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

import cells
import numpy as np
import torch
from scipy import stats

from pocketscope.config.base import plain
from pocketscope.config.training import Training
from pocketscope.images import decode
from pocketscope.models import networks
from pocketscope.training import history, supervised
from pocketscope.training.batches import Examples, one_hot

NETWORK = "efficientnet_lite0"
LABELLED, POOL, MORE, CORRECTED = 12, 130, 500, 10
SHORTER = 3  # times as few steps
WAYS = {"cold": None, "warm": 1.0, "warm_half": 0.5, "warm_tenth": 0.1}  # share of the learning rate


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["cxr", "cellcycle", "bccd", "signdigits", "beepollen"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--image-size", type=int, default=40)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no other cell after so long")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    rows, started = [], time.monotonic()
    for seed in options.seeds:
        for name in options.sets:
            if time.monotonic() - started < options.seconds:
                rows.append({"set": name, "seed": seed} | measure(options.data / name, seed, options))
                print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"image_size": options.image_size, "steps": options.steps, "rows": rows, **summary(rows)}))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, for each way but the first, the mean difference from it in points, with its 95 % interval (t)."""
    found = {}
    for way in list(WAYS)[1:]:
        gains = np.array([row[way]["right"] - row["cold"]["right"] for row in rows])
        width = stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else None
        seconds = [sum(row[name]["seconds"] for row in rows) for name in (way, "cold")]
        found[way] = {
            "gain": round(float(gains.mean()), 2),
            "interval": None if width is None else [round(float(gains.mean() + side * width), 2) for side in (-1, 1)],
            "seconds_of_cold": round(seconds[0] / seconds[1], 2),
        }
    return found


def measure(folder: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train, correct, and train again in each way; return shares of right answers, in percent, and seconds."""
    images, labels, classes = load(folder, options.image_size)
    known, others = draw(labels, seed)
    symmetries = cells.DATASETS.get(folder.name, {"symmetries": cells.FLIPS})["symmetries"]

    def fit(chosen: np.ndarray, start: networks.Classifier | None, rate: float) -> tuple[networks.Classifier, float]:
        steps = options.steps if start is None else max(1, round(options.steps / SHORTER))
        settings = plain(Training(steps=steps, learning_rate=rate * Training().learning_rate))
        human = np.ones(len(chosen), bool)
        examples = Examples(images[chosen], one_hot(labels[chosen], len(classes)), human)
        classifier = copy.deepcopy(start) or networks.build(
            cells.NETWORKS[NETWORK], len(classes), cells.ROOT, seed=seed
        )
        began = time.process_time()
        supervised.learn(
            classifier,
            examples,
            supervised.supervised_objective(examples, settings, symmetries, seed, cells.CPU),
            history.History(None, settings["monitor"], cells.CPU),
            pretrained=True,
            settings=settings,
            symmetries=symmetries,
            seed=seed,
            trained=start is not None,
        )
        return classifier, time.process_time() - began

    def answers(classifier: networks.Classifier) -> np.ndarray:
        return history.logits(classifier, torch.from_numpy(images[others]), cells.CPU).softmax(1).numpy()

    first, seconds = fit(known, None, 1.0)
    said = answers(first)
    doubtful = np.argsort(said[:POOL].max(axis=1))[:CORRECTED]
    kept = np.setdiff1d(np.arange(len(others)), doubtful)
    corrected = np.concatenate([known, others[doubtful]])
    found = {"images": len(kept), "first": judged(said, labels[others], kept, seconds)}
    for way, rate in WAYS.items():
        trained, seconds = fit(corrected, first if rate else None, rate or 1.0)
        found[way] = judged(answers(trained), labels[others], kept, seconds)
    return found


def judged(said: np.ndarray, truth: np.ndarray, kept: np.ndarray, seconds: float) -> dict[str, float]:
    """Return the share of right answers to the images that were not corrected, in percent, and the seconds."""
    right = said.argmax(axis=1)[kept] == truth[kept]
    return {"right": round(100 * float(right.mean()), 2), "seconds": round(seconds, 1)}


def load(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return images, uint8 (N, size, size, 3), their classes (N,), and the classes' names."""
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files = [(file, place) for place, name in enumerate(classes) for file in sorted((folder / name).iterdir())]
    return (
        np.stack([decode.load(file.read_bytes(), size, "stretch") for file, _ in files]),
        np.array([place for _, place in files]),
        classes,
    )


def draw(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the labelled images and the others that are answered, as indices."""
    order = np.random.default_rng(seed).permutation(len(labels))
    of_class = [order[labels[order] == place] for place in np.unique(labels)]
    known = np.concatenate([some[: min(LABELLED, (len(some) + 1) // 2)] for some in of_class])
    return known, order[~np.isin(order, known)][: POOL + MORE]


if __name__ == "__main__":
    sys.exit(main())
