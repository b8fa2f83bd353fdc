"""How well a cheap test tells images that are unlike what a model has learnt, with thresholds from training images.

    python benchmarks/unlike_images.py FOLDER... [--each 60] [--image-size 96] [--labelled 12 25] [--seeds 2]

Each FOLDER is a labelled set, one sub-folder a class. In turn each is what a model has learnt: of its images k a class
are labelled, and as many others at most are test images. What is unlike are the images of all other sets, masks of its
own images (Otsu's threshold, black and white), its own images with inverted colours, noise, and, where it has three
classes or more, a class that was not labelled. A test gives each image a number. Its threshold is fixed on labelled
images alone: 1 in 100 of them lies beyond, each judged by the others (left out, or out of fold). `shipped` is what
model files hold: the distance of pixels, with 1.5 times that threshold. No test image, and nothing unlike, has a part
in any threshold.
"""

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
import torch
import yaml
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from pocketscope.images import decode, familiarity
from pocketscope.images.files import read_file
from pocketscope.models import learnt_images, networks
from pocketscope.models.tensors import to_pixels

ROOT = Path(__file__).parents[1]
LEVEL = 0.01  # share of labelled images that may lie beyond the threshold
FEWEST = 10  # images of a class that takes part
COMPONENTS = 32  # of features, in which distances are measured: there are too few images for a covariance of 1280
NETWORK = "efficientnet_lite0"
OWN_KINDS = ("masks", "inverted", "noise", "hidden class")
Pair = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--each", type=int, default=60, help="images of a class at most")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--labelled", type=int, nargs="+", default=[12, 25])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="folder that keeps features from run to run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    extract = cached(extractor(), options.cache)
    sets = {folder.name: load(folder, options.each, options.image_size) for folder in options.folders}
    known = {name: described(images, extract) for name, (images, _) in sets.items()}
    unlike = {
        name: {kind: described(made, extract) for kind, made in altered(images).items()}
        for name, (images, _) in sets.items()
    }
    rows = []
    for name, (_, labels) in sets.items():
        others = {other: known[other] for other in sets if other != name} | unlike[name]
        for labelled in options.labelled:
            for seed in range(options.seeds):
                about = {"set": name, "labelled": labelled, "seed": seed}
                rows += measured(known[name], labels, others, about)
                rows += with_a_hidden_class(known[name], labels, about)
        show(name, rows)
    print(json.dumps({"network": NETWORK, "image_size": options.image_size, "level": LEVEL, "tests": summary(rows)}))


def load(folder: Path, each: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a set's images, uint8 (N, size, size, 3), and their classes."""
    images, labels = [], []
    for number, place in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        paths = sorted(path for path in place.rglob("*") if path.is_file())
        if len(paths) < FEWEST:
            continue
        chosen = np.random.default_rng(0).permutation(len(paths))[:each]
        images += [decode.load(read_file(str(paths[i])), size, "stretch", 0) for i in chosen]
        labels += [number] * len(chosen)
    return np.stack(images), np.array(labels)


def altered(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is made of a set's own images: masks, inverted images and noise."""
    some = images[np.random.default_rng(1).permutation(len(images))[:300]]
    grey = some.mean(axis=3)
    masks = np.stack([255 * (image > otsu(image)) for image in grey]).astype(np.uint8)
    noise = np.random.default_rng(2).integers(0, 256, some[:100].shape, np.uint8)
    return {"masks": np.repeat(masks[..., None], 3, axis=3), "inverted": 255 - some, "noise": noise}


def otsu(image: np.ndarray) -> float:
    """Return the threshold that parts an image's grey values into two groups with the least variance in each."""
    counts, edges = np.histogram(image, 64)
    middle = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * middle)
    above = below[-1] - below
    means = total / np.maximum(below, 1), (total[-1] - total) / np.maximum(above, 1)
    return float(middle[np.argmax(below * above * (means[0] - means[1]) ** 2)])


def extractor() -> Any:
    """Return what gives a pretrained network's pooled features, float (N, F), of uint8 images."""
    entry = yaml.safe_load((ROOT / "config/networks.yaml").read_text())[NETWORK]
    classifier = networks.build(entry, 2, ROOT, seed=0).eval()

    def extract(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            parts = [
                to_pixels(torch.from_numpy(images[i : i + 32]), torch.device("cpu")) for i in range(0, len(images), 32)
            ]
            return np.concatenate([classifier.features(part).numpy() for part in parts])

    return extract


def cached(extract: Any, folder: Path | None) -> Any:
    """Return `extract`, which looks into a folder first."""

    def look(images: np.ndarray) -> np.ndarray:
        path = folder and folder / f"{hashlib.sha256(images.tobytes()).hexdigest()[:16]}.npy"
        if path and path.is_file():
            return np.load(path)
        found = extract(images)
        if path:
            folder.mkdir(parents=True, exist_ok=True)
            np.save(path, found)
        return found

    return look


def described(images: np.ndarray, extract: Any) -> dict[str, np.ndarray]:
    """Return an image set's features and its statistics of pixels."""
    return {"features": extract(images), "pixels": familiarity.statistics(images)}


# ---- tests: each has numbers of the labelled images, judged by the others, a function for all others, and a margin


def measured(
    known: dict[str, np.ndarray], labels: np.ndarray, others: dict[str, dict[str, np.ndarray]], about: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return a row for each test and each kind of unlike images."""
    order = np.random.default_rng(about["seed"]).permutation(len(labels))
    train, test = [], []
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        half = min(about["labelled"], len(of_class) // 2)
        train += list(of_class[:half])
        test += list(of_class[half : 2 * half])
    train, rows = np.random.default_rng(0).permutation(train), []
    for name, (own, score, margin) in tests(known, labels, train).items():
        threshold = margin * np.quantile(own, 1 - LEVEL)
        inside = score({key: value[test] for key, value in known.items()})
        row = about | {"test": name, "false_alarms": float((inside > threshold).mean())}
        for kind, images in others.items():
            outside = score(images)
            auroc = roc_auc_score(np.r_[np.zeros(len(inside)), np.ones(len(outside))], np.r_[inside, outside])
            rows.append(row | {"kind": kind, "auroc": float(auroc), "found": float((outside > threshold).mean())})
    return rows


def with_a_hidden_class(
    known: dict[str, np.ndarray], labels: np.ndarray, about: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return rows of a set of which one class, another one with each seed, is not labelled but met."""
    names = np.unique(labels)
    if len(names) < 3:
        return []
    hidden = labels == names[about["seed"] % len(names)]
    left = {key: value[~hidden] for key, value in known.items()}
    met = {key: value[hidden] for key, value in known.items()}
    return measured(left, labels[~hidden], {"hidden class": met}, about)


def tests(known: dict[str, np.ndarray], labels: np.ndarray, train: np.ndarray) -> dict[str, Any]:
    """Return by name of a test its numbers of the labelled images, the function that numbers others, and its margin."""
    features, pixels = known["features"][train], known["pixels"][train]
    # One scale for all features, as in a study's own head: one each would blow up what hardly varies. A penalty on
    # squares does not see a rotation, and the labelled images span few dimensions: there the regression is quick.
    mean, scale = features.mean(axis=0), features.std()
    axes = np.linalg.svd(features - mean, full_matrices=False)[2]
    head = make_pipeline(FunctionTransformer(lambda values: (values - mean) @ axes.T / scale), LogisticRegression())
    folds = StratifiedKFold(min(5, np.unique(labels[train], return_counts=True)[1].min()), shuffle=True, random_state=0)
    logits = cross_val_predict(head, features, labels[train], cv=folds, method="decision_function")
    head.fit(features, labels[train])
    familiar = learnt_images.fit(pixels)
    own = distance(pixels, "pixels")[0]
    return {
        "probability": (-top(logits), lambda images: -top(head.decision_function(images["features"])), 1),
        "energy": (-energy(logits), lambda images: -energy(head.decision_function(images["features"])), 1),
        "neighbour of features": (*neighbours(features, "features"), 1),
        "distance of features": (*distance(features, "features"), 1),
        "neighbour of pixels": (*neighbours(pixels, "pixels"), 1),
        "distance of pixels": (*distance(pixels, "pixels"), 1),
        "shipped": (own, lambda images: familiar.distances_of(images["pixels"]), learnt_images.MARGIN),
    }


def top(logits: np.ndarray) -> np.ndarray:
    """Return the largest probability, as log odds against all others."""
    logits = two_sided(logits)
    best = logits.argmax(axis=1)
    rest = np.where(np.arange(logits.shape[1]) == best[:, None], -np.inf, logits)
    return logits.max(axis=1) - np.logaddexp.reduce(rest, axis=1)


def energy(logits: np.ndarray) -> np.ndarray:
    """Return the log of the sum of exponentials of the logits (Liu et al. 2020)."""
    return np.logaddexp.reduce(two_sided(logits), axis=1)


def two_sided(logits: np.ndarray) -> np.ndarray:
    """Return logits (N, classes) where two classes have one."""
    return np.column_stack([-logits / 2, logits / 2]) if logits.ndim == 1 else logits


def neighbours(reference: np.ndarray, key: str, k: int = 3) -> Pair:
    """Return distances to the k-th nearest image (Sun et al. 2022): of the reference, each left out, and of others.

    Features are scaled to length 1, statistics of pixels by their deviations.
    """
    scale = reference.std(axis=0) + 1e-3 if key == "pixels" else None

    def prepared(values: np.ndarray) -> np.ndarray:
        return values / scale if scale is not None else values / np.linalg.norm(values, axis=1, keepdims=True)

    base = prepared(reference)

    def far(values: np.ndarray, skip: int) -> np.ndarray:
        squared = (values**2).sum(axis=1)[:, None] + (base**2).sum(axis=1) - 2 * values @ base.T
        return np.sqrt(np.maximum(np.partition(squared, k - 1 + skip, axis=1)[:, k - 1 + skip], 0))

    return far(base, 1), lambda images: far(prepared(images[key]), 0)


def distance(reference: np.ndarray, key: str) -> Pair:
    """Return Mahalanobis distances by a shrunk covariance (Ledoit and Wolf 2004); out of five folds for the reference.

    Of features, the first principal components and the length of what these leave out.
    """
    folds = np.arange(len(reference)) % 5
    own = np.empty(len(reference))
    for fold in range(5):
        own[folds == fold] = fitted_distance(reference[folds != fold])(reference[folds == fold])
    whole = fitted_distance(reference)
    return own, lambda images: whole(images[key])


def fitted_distance(reference: np.ndarray) -> Any:
    """Return a function from images to distances from the reference."""
    mean, scale = reference.mean(axis=0), reference.std(axis=0) + 1e-3
    if reference.shape[1] <= COMPONENTS:
        covariance = LedoitWolf().fit((reference - mean) / scale)
        return lambda values: covariance.mahalanobis((values - mean) / scale)
    count = min(COMPONENTS, len(reference) // 3)
    axes = np.linalg.svd(reference - mean, full_matrices=False)[2][:count]

    def project(values: np.ndarray) -> np.ndarray:
        centred = values - mean
        inside = centred @ axes.T
        rest = np.sqrt(np.maximum((centred**2).sum(axis=1) - (inside**2).sum(axis=1), 0))
        return np.column_stack([inside, rest])

    covariance = LedoitWolf().fit(project(reference))
    return lambda values: covariance.mahalanobis(project(values))


# ---- figures


def show(name: str, rows: list[dict[str, Any]]) -> None:
    """Print what was found for a set."""
    print(name, flush=True)
    for test, figures in summary([row for row in rows if row["set"] == name]).items():
        print(f"  {test:24}", "  ".join(f"{key} {value}" for key, value in figures.items()), flush=True)


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return by test and group of kinds the mean AUROC, the lowest of a set and kind, and the mean share found.

    And false alarms: the mean over sets, and the highest of a set and number of labels.
    """
    alarms, found = defaultdict(lambda: defaultdict(list)), defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        kind = row["kind"] if row["kind"] in OWN_KINDS else "other sets"
        if kind != "hidden class":
            alarms[row["test"]][row["set"], row["labelled"]].append(row["false_alarms"])
        found[row["test"]][kind][row["set"], row["kind"]].append((row["auroc"], row["found"]))
    told = {}
    for test, kinds in found.items():
        own = [float(np.mean(of)) for of in alarms[test].values()]
        told[test] = {"false_alarms": [round(float(np.mean(own)), 3), round(max(own), 3)]}
        for kind, pairs in kinds.items():
            means = np.array([np.mean(of, axis=0) for of in pairs.values()])
            told[test][kind] = [round(float(v), 3) for v in (means[:, 0].mean(), means[:, 0].min(), means[:, 1].mean())]
    return told


if __name__ == "__main__":
    main()
