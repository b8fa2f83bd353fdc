"""How often reliable answers are less right than promised, and how many answers are reliable.

    python benchmarks/reliable.py --data DIR --work DIR [--draws 50] [--seconds 600] [--sets bccd cxr]

DIR has a folder each set, in it a folder a class. From each set 12 or 25 labels per class are drawn, 50 times; a linear
head on the features of a compact network learns them, and answers all other images, whose truth is known. What its
answers can claim is found as the workflow does it: by heads that learnt without a fold of the labels.

Heads stand in for networks, so that thousands of them can be trained. Their features are those of EfficientNet-Lite0
with its published weights (`pretrained`), or after it was trained on three tenths of the set's images, which no draw
touches (`trained`). `network` trains all layers on what was drawn, in 50 steps: five trainings a draw, for a GPU.

`labels` are as many of each class (`balanced`), or any images (`random`); `skewed` are balanced labels and a pool in
which each class is half as frequent as the one before, in an order that is drawn.

Call it until it says that nothing is left; the last line is the table of what is there, as JSON.
"""

import argparse
import functools
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import cells
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from pocketscope.core import parquet
from pocketscope.core.files import whole
from pocketscope.core.temperature import scale
from pocketscope.data import packing
from pocketscope.deploy import reliability
from pocketscope.distillation import folds as folding
from pocketscope.distillation.calibration import expected_calibration_error
from pocketscope.models import linear_head, networks, tensors
from pocketscope.statistics import reliable
from pocketscope.statistics.label_shift import class_shares
from pocketscope.tables.images import load_images
from pocketscope.tables.source_labels import SOURCE_LABELS
from pocketscope.training import supervised
from pocketscope.training.batches import Examples, one_hot

SIZES = {"bccd": 128, "beepollen": 64, "cellcycle": 64, "cxr": 64, "signdigits": 64}
SYMMETRIES = {"bccd": cells.FLIPS, "beepollen": cells.FLIPS, "cellcycle": cells.FLIPS}
APART = 0.3  # of each class, that the network is trained on
FOLDS = 4
SHARE = 0.9
SKEW = 0.5
STEPS = 50
LEARN = ["trained", "pretrained", "network"]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
NAMES = ("learns", "set", "labels_per_class", "labels", "draws")


class Draw(NamedTuple):
    """What heads say that were trained on one draw of labels."""

    folds: reliability.Folds
    pool: np.ndarray  # float (M, classes): the head that was trained on every label
    truth: np.ndarray  # int (M,)


def main() -> None:
    """Compute what is not there yet, as long as the time lasts, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the sets: a folder each, in it a folder a class")
    parser.add_argument("--work", type=Path, required=True, help="packed images, features and results")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600, help="begin no other cell after so long")
    parser.add_argument("--learns", nargs="+", default=LEARN, choices=LEARN)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--sets", nargs="+", default=list(SIZES), choices=list(SIZES))
    options = parser.parse_args()
    asked = [
        dict(zip(NAMES, [*cell, options.draws], strict=True))
        for cell in product(options.learns, options.sets, [25, 12], ["balanced", "skewed", "random"])
        if cell[0] != "network" or cell[3] == "balanced"
    ]
    cells.compute(
        options.work / "reliable.jsonl",
        asked,
        NAMES,
        lambda cell: measure(cell, options),
        options.seconds,
        lambda done: done,
    )


def measure(cell: cells.Cell, options: argparse.Namespace) -> dict[str, Any]:
    """Draw labels again and again, and compare what is claimed with the truth."""
    numbers = range(cell["draws"])
    of_set(cell, options)  # features are computed once, before several processes ask for them
    started = time.monotonic()
    parts = [
        processes(options.workers).submit(rows_of, cell, list(numbers[i :: options.workers]), options)
        for i in range(options.workers)
    ]
    rows = [row for part in parts for row in part.result()]
    found: dict[str, Any] = {"images": rows[0].pop("images"), "seconds": round(time.monotonic() - started, 1)}
    for name in (name for name in rows[0] if name not in RULES):
        found[name] = round(float(np.mean([row[name] for row in rows])), 3)
    for name in RULES:
        claims = [row[name] for row in rows]
        made = [right for _, right in claims if right is not None]
        found[name] = {
            "draws": len(made),
            "below": sum(right < SHARE for right in made),  # draws whose reliable answers are less right than promised
            "share": round(float(np.mean([share for share, _ in claims])), 3),
            "right": round(float(np.mean(made)), 3) if made else None,
        }
    return found


@functools.cache
def processes(workers: int) -> ProcessPoolExecutor:
    """Return processes that live as long as this one."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def rows_of(cell: cells.Cell, numbers: list[int], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each draw."""
    torch.set_num_threads(1)
    rows = []
    for number in numbers:
        draw = draw_labels(cell, number, options)
        learnt = reliability.measure(draw.folds, [str(c) for c in range(draw.pool.shape[1])], SHARE)
        ships = reliability.transfer(draw.folds, learnt, sample(draw.pool))
        after = scale(draw.pool, ships["temperature"])
        told = learnt["class_shares"].values()
        labelled = np.array([of["labelled"] for of in told])
        estimated = np.array([of["labelled"] if of["unlabelled"] is None else of["unlabelled"] for of in told])
        true = np.bincount(draw.truth, minlength=draw.pool.shape[1]) / len(draw.truth)
        rows.append(
            {
                "images": len(draw.folds.truth),
                "right": (draw.pool.argmax(axis=1) == draw.truth).mean(),
                "right_by_shares": (shifted(draw, learnt, ships)[0].argmax(axis=1) == draw.truth).mean(),
                "error_before": expected_calibration_error(draw.pool, draw.truth),
                "error_after": expected_calibration_error(after, draw.truth),
                "shares_labelled": abs(labelled - true).sum() / 2,
                "shares_estimated": abs(estimated - true).sum() / 2,
            }
            | {name: claim(draw, *rule(draw, learnt, ships)) for name, rule in RULES.items()}
        )
    return rows


# ---- rules: probabilities of the pool, and from which one on its answers are reliable

Claim = tuple[np.ndarray, float | None]


def taken(draw: Draw, learnt: dict[str, Any], ships: dict[str, Any]) -> Claim:
    """Return what the workflow does."""
    return scale(draw.pool, ships["temperature"]), ships["probability"]


def by_labels(draw: Draw, learnt: dict[str, Any], ships: dict[str, Any]) -> Claim:
    """Return what it would do if classes were as frequent in the pool as among the labels."""
    seen, right = draw.folds.seen.max(axis=1), draw.folds.seen.argmax(axis=1) == draw.folds.truth
    learnt = learnt | {"reliable": reliable.least_reliable(seen, right, SHARE)._asdict()}
    found = reliability.transfer(draw.folds, learnt, sample(draw.pool))
    return scale(draw.pool, found["temperature"]), found["probability"]


def as_it_is(draw: Draw, learnt: dict[str, Any], ships: dict[str, Any]) -> Claim:
    """Return the folds' probability as it is, though the model that learnt from all labels is surer."""
    return draw.pool, learnt["reliable"]["probability"]


def best(draw: Draw, learnt: dict[str, Any], ships: dict[str, Any]) -> Claim:
    """Return the folds' lowest probability that passes the bound, searched among all: what was done before."""
    seen, right = draw.folds.seen.max(axis=1), draw.folds.seen.argmax(axis=1) == draw.folds.truth
    return draw.pool, _lowest(seen, right)


def test_set(draw: Draw, learnt: dict[str, Any], ships: dict[str, Any]) -> Claim:
    """Return the same of a single fold, a quarter of the labels: a test set, as it was before."""
    first = folding.assign(draw.folds.truth.tolist(), list(map(str, range(len(draw.folds.truth)))), FOLDS, 0) == 0
    seen, truth = draw.folds.seen[first], draw.folds.truth[first]
    return draw.pool, _lowest(seen.max(axis=1), seen.argmax(axis=1) == truth)


def shifted(draw: Draw, learnt: dict[str, Any], ships: dict[str, Any]) -> Claim:
    """Return answers by the estimated shares of the classes, not only the bound."""
    among = np.bincount(draw.folds.truth, minlength=draw.pool.shape[1]) / len(draw.folds.truth)
    unlabelled = scale(draw.folds.unlabelled, learnt["temperature"])
    shares = class_shares(unlabelled.reshape(-1, len(among)), among)
    seen, every, pool = (
        _by_shares(of, shares, among)
        for of in (scale(draw.folds.seen, learnt["temperature"]), unlabelled, scale(draw.pool, ships["temperature"]))
    )
    weights = (shares / np.maximum(among, 1e-12))[draw.folds.truth]
    found = reliable.least_reliable(seen.max(axis=1), seen.argmax(axis=1) == draw.folds.truth, SHARE, weights)
    if found.probability is None:
        return pool, None
    count = int((every.max(axis=-1) >= found.probability).mean() * len(pool))
    return pool, np.sort(pool.max(axis=1))[::-1][count - 1] if count else None


RULES: dict[str, Callable[[Draw, dict[str, Any], dict[str, Any]], Claim]] = {
    rule.__name__: rule for rule in (taken, by_labels, as_it_is, best, test_set, shifted)
}


def claim(draw: Draw, pool: np.ndarray, least: float | None) -> tuple[float, float | None]:
    """Return the share of the answers that are called reliable, and how many of these are right; None without any."""
    sure = pool.max(axis=1) >= (2.0 if least is None else least)
    right = pool.argmax(axis=1) == draw.truth
    return float(sure.mean()), float(right[sure].mean()) if sure.any() else None


def sample(pool: np.ndarray) -> np.ndarray:
    """Return those of the pool on which models are compared: it is in no order."""
    return pool[: reliability.COMPARED]


def _lowest(seen: np.ndarray, right: np.ndarray) -> float | None:
    order = np.argsort(-seen, kind="stable")
    hits = np.cumsum(right[order])
    passed = [i for i, hit in enumerate(hits) if reliable.lower_bound(int(hit), i + 1) >= SHARE]
    return float(seen[order][passed[-1]]) if passed else None


def _by_shares(probabilities: np.ndarray, shares: np.ndarray, among: np.ndarray) -> np.ndarray:
    each = probabilities * (shares / np.maximum(among, 1e-12))
    return each / each.sum(axis=-1, keepdims=True)


# ---- draws


def draw_labels(cell: cells.Cell, number: int, options: argparse.Namespace) -> Draw:
    """Draw labels, and return what those say that learnt from them: from all, and from all but each fold."""
    truth, learn = of_set(cell, options)
    random, classes = np.random.default_rng([number, cell["labels_per_class"]]), int(truth.max()) + 1
    chosen = drawn(truth, cell, random)
    pool = random.permutation(np.setdiff1d(np.arange(len(truth)), chosen))
    if cell["labels"] == "skewed":
        pool = skewed(pool, truth, random)
    fold = folding.assign(truth[chosen].tolist(), list(map(str, chosen)), FOLDS, number)
    seen, unlabelled = np.zeros((len(chosen), classes), np.float32), []
    for part in range(FOLDS):
        seen[fold == part], other = learn(chosen[fold != part], [chosen[fold == part], sample(pool)], number)
        unlabelled.append(other)
    (answers,) = learn(chosen, [pool], number)
    return Draw(reliability.Folds(seen, truth[chosen], np.stack(unlabelled)), answers, truth[pool])


Learn = Callable[[np.ndarray, list[np.ndarray], int], list[np.ndarray]]  # what is learnt from, and asked; a seed


@functools.cache
def _of_set(name: str, kind: str, labels: int, data: Path, work: Path) -> tuple[np.ndarray, Learn]:
    if kind == "network":
        images, truth, names = pixels(name, data, work)
        return truth, lambda known, asked, seed: train(name, images, truth, len(names), known, asked, seed)
    path = work / f"{name}.npz"
    if not path.is_file():
        compute_features(name, path, data, work)
    stored = np.load(path)
    drawn_from = ~stored["apart"]
    features, truth = stored[kind][drawn_from].astype(np.float64), stored["classes"][drawn_from]
    known = drawn(truth, {"labels_per_class": labels, "labels": "balanced"}, np.random.default_rng(0))
    first = features[known]
    strength = linear_head.strength((first - first.mean(axis=0)) / first.std(), truth[known])  # once, by one draw
    return truth, lambda known, asked, seed: head(features, truth, known, asked, strength)


def of_set(cell: cells.Cell, options: argparse.Namespace) -> tuple[np.ndarray, Learn]:
    """Return the classes of the images that are drawn from, and what learns from some of them."""
    return _of_set(cell["set"], cell["learns"], cell["labels_per_class"], options.data, options.work)


def drawn(truth: np.ndarray, cell: cells.Cell, random: np.random.Generator) -> np.ndarray:
    """Return the images that are labelled: at most six tenths of a class."""
    members = [random.permutation(np.flatnonzero(truth == c)) for c in range(int(truth.max()) + 1)]
    counts = [min(cell["labels_per_class"], max(1, int(0.6 * len(of_class)))) for of_class in members]
    if cell["labels"] != "random":
        return np.concatenate([of_class[:count] for of_class, count in zip(members, counts, strict=True)])
    some = random.permutation(len(truth))[: sum(counts)]
    return np.concatenate([some, [m[0] for m in members if not np.isin(m, some).any()]]).astype(int)


def skewed(pool: np.ndarray, truth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a part of the pool in which each class is half as frequent as the one before."""
    counts = np.bincount(truth[pool])
    wanted = SKEW ** random.permutation(len(counts)).astype(float)
    wanted *= max(60 / wanted.sum(), (counts[counts > 0] / wanted[counts > 0]).min())
    return random.permutation(
        np.concatenate([pool[truth[pool] == c][: int(np.ceil(most))] for c, most in enumerate(wanted)])
    )


def head(
    features: np.ndarray, truth: np.ndarray, known: np.ndarray, asked: list[np.ndarray], strength: float
) -> list[np.ndarray]:
    """Fit a linear head as the workflow does, and return its probabilities, float32 (N, classes), of several lists."""
    mean, spread = features[known].mean(axis=0), features[known].std() or 1.0
    # The penalty does not change under a rotation.
    left, values, axes = np.linalg.svd((features[known] - mean) / spread, full_matrices=False)
    fitted = LogisticRegression(C=strength, tol=1e-3, max_iter=500).fit(left * values, truth[known])
    found = []
    for some in asked:
        probabilities = np.zeros((len(some), int(truth.max()) + 1), np.float32)
        probabilities[:, fitted.classes_] = fitted.predict_proba(((features[some] - mean) / spread) @ axes.T)
        found.append(probabilities)
    return found


def train(
    name: str,
    images: np.ndarray,
    truth: np.ndarray,
    classes: int,
    known: np.ndarray,
    asked: list[np.ndarray],
    seed: int,
) -> list[np.ndarray]:
    """Train a network, all its layers, as the workflow does by default but for fewer steps."""
    network = networks.build(cells.NETWORKS["efficientnet_lite0"], classes, cells.ROOT, seed=seed)
    fit(name, network, images[known], one_hot(truth[known], classes), {"steps": STEPS}, seed)
    network.to(DEVICE)
    found = []
    with torch.inference_mode():
        for some in asked:
            parts = tensors.batches(tensors.to_tensor(images[some], DEVICE), DEVICE)
            found.append(torch.cat([network(part).softmax(dim=1).float().cpu() for part in parts]).numpy())
    return found


def fit(
    name: str, network: networks.Classifier, images: np.ndarray, targets: np.ndarray, asked: dict[str, Any], seed: int
) -> None:
    """Train a network in place."""
    supervised.train(
        network,
        Examples(images, targets, np.ones(len(images), bool)),
        None,
        pretrained=True,
        settings=cells.settings(asked),
        symmetries=SYMMETRIES.get(name, []),
        seed=seed,
        device=DEVICE,
    )


def pixels(name: str, data: Path, work: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return a set's packed images, their classes and the classes' names."""
    folder = work / f"{name}-{SIZES[name]}"
    paths = {table: folder / f"{table}.parquet" for table in ("images", "labels", "skipped", "files")}
    if not paths["files"].is_file():
        source = {"kind": "folder", "path": str((data / name).resolve()), "unlabelled": None, "test": None}
        packing.pack(source, folder, **paths, image_size=SIZES[name], resize="stretch", classes=None)
    label_of = parquet.mapping(paths["labels"], SOURCE_LABELS, "image_id", "label")
    names, ids = sorted(set(label_of.values())), sorted(label_of)
    return load_images(paths["images"], ids), np.array([names.index(label_of[identity]) for identity in ids]), names


def compute_features(name: str, path: Path, data: Path, work: Path) -> None:
    """Train a network on a part of a set, and store the features of all images before and after."""
    images, classes, names = pixels(name, data, work)
    random, apart = np.random.default_rng(0), np.zeros(len(images), bool)
    for c in range(len(names)):
        members = random.permutation(np.flatnonzero(classes == c))
        apart[members[: int(APART * len(members))]] = True
    network = networks.build(cells.NETWORKS["efficientnet_lite0"], len(names), cells.ROOT, seed=0)
    before = linear_head.features(network.to(DEVICE), images, DEVICE)
    fit(name, network, images[apart], one_hot(classes[apart], len(names)), {"steps": 120, "steps_exponent": 0.0}, 0)
    after = linear_head.features(network.to(DEVICE), images, DEVICE)
    found = {"pretrained": before.astype(np.float32), "trained": after.astype(np.float32)}
    with whole(path) as temporary, temporary.open("wb") as file:
        np.savez(file, classes=classes, apart=apart, **found)


if __name__ == "__main__":
    main()
