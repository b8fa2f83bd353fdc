"""How often 95 % intervals hold the truth, how wide they are, and what the recommended candidate truly loses.

Simulated classifiers of known worth answer test images that are drawn anew each time, two classifiers the same images
and agreeing as real ones do. What a population holds counts: classes that the test images lack, too.

Run: ``python benchmarks/interval_coverage.py [--part intervals|margin] [--cells TEXT ...] [--repetitions N] [--out
FILE]``; with --out, cells that the file holds already are kept, so that the whole can be made in parts. Prints one JSON
object as its last line.
"""

import argparse
import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from pocketscope.statistics import bootstrap, intervals, recommendation

IMAGES = (10, 20, 50, 200)
CLASSES = (2, 7)
RATIOS = (1, 10)  # of the most frequent class to the rarest
ACCURACIES = (0.6, 0.8, 0.9, 0.95, 0.99)
ERRORS = ("alike", "rare")  # equal recall of all classes, or errors as many in each class: the rare ones are missed
WORSE = 0.05  # accuracy that the second classifier lacks
SHARED = 0.6  # correlation of what two classifiers find hard
SAMPLES = 1000
MARGIN = 2.0


def shares_of(classes: int, ratio: float) -> np.ndarray:
    """Return shares of classes from the most frequent to the rarest, in geometric steps."""
    shares = float(ratio) ** (-np.arange(classes) / (classes - 1))
    return shares / shares.sum()


def recalls_of(shares: np.ndarray, accuracy: float, errors: str) -> np.ndarray:
    """Return each class's recall; their mean, weighted by shares, is the accuracy."""
    if errors == "alike":
        return np.full(len(shares), accuracy)
    missed = np.minimum(0.95, (1 - accuracy) / len(shares) / shares)
    free = missed < 0.95
    missed[free] *= (1 - accuracy - (shares * missed)[~free].sum()) / (shares * missed)[free].sum()
    return 1 - missed


def true_f1(shares: np.ndarray, recalls: np.ndarray) -> float:
    """Return macro F1 of the population; wrong answers fall on all other classes alike."""
    wrong = shares * (1 - recalls) / (len(shares) - 1)
    hits = shares * recalls
    return float(np.mean(2 * hits / (shares + hits + wrong.sum() - wrong)))


def draw(rng: np.random.Generator, shares: np.ndarray, recalls: np.ndarray, images: int) -> bootstrap.Predicted:
    """Draw test images and the answers of classifiers with the given recalls, shape (classifiers, classes)."""
    count = len(shares)
    truth = rng.choice(count, images, p=shares)
    shared, own = rng.standard_normal(images), rng.standard_normal((len(recalls), images))
    latent = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
    wrong = (truth + rng.integers(1, count, latent.shape)) % count
    predicted = np.where(latent < stats.norm.ppf(recalls[:, truth]), truth, wrong)[:, None]
    names = [str(i) for i in range(images)]
    rows = [f"c{i}" for i in range(len(recalls))]
    return bootstrap.Predicted(rows, ["s0"], [str(c) for c in range(count)], names, predicted, truth, np.arange(images))


def cover(
    images: int, classes: int, ratio: float, accuracy: float, errors: str, repetitions: int, seed: int
) -> dict[str, float]:
    """Return coverages and median widths of the intervals of accuracy, F1, and the difference in F1 of two."""
    rng = np.random.default_rng([seed, images, classes, ratio, round(100 * accuracy), ERRORS.index(errors)])
    shares = shares_of(classes, ratio)
    recalls = np.stack([recalls_of(shares, one, errors) for one in (accuracy, accuracy - WORSE)])
    truth = [true_f1(shares, one) for one in recalls]
    held = {"accuracy": [], "f1": [], "difference": []}
    widths = {"accuracy": [], "exact": [], "f1": [], "difference": []}
    for repetition in range(repetitions):
        result = bootstrap.bootstrap(draw(rng, shares, recalls, images), samples=SAMPLES, seed=repetition)
        share = bootstrap.accuracy(result, 0)
        line = bootstrap.difference(result, [0], [1])
        found = {
            "accuracy": (share.lower, share.upper, accuracy),
            "f1": (*bootstrap.interval(result)[0], truth[0]),
            "difference": (line["lower"], line["upper"], truth[0] - truth[1]),
        }
        for key, (lower, upper, true) in found.items():
            held[key].append(lower - 1e-9 <= true <= upper + 1e-9)
            widths[key].append(upper - lower)
        exact = intervals.clopper_pearson(share.right, share.tested)
        widths["exact"].append(exact[1] - exact[0])
    wide = {f"width_{key}": round(float(np.median(values)), 4) for key, values in widths.items()}
    return {key: round(float(np.mean(values)), 4) for key, values in held.items()} | wide


def pass_margin(kind: str, candidates: int, repetitions: int, seed: int) -> dict[str, float]:
    """Let all cheaper candidates lose exactly the margin against the best: how often is one of them recommended?

    `kind` is the number of test images (two classes) or, with a d, of data sets. Beside it: how far F1 of what is
    recommended is from its true worth, as measured and corrected for the choice, and how often the interval holds it.
    """
    rng = np.random.default_rng([seed, len(kind), int(kind.strip("d")), candidates])
    names = [f"c{i:02d}" for i in range(candidates)]
    sizes = np.linspace(40, 4, candidates)
    costs = pd.DataFrame({"size_mb": sizes, "latency_ms": sizes}, index=names)
    worth = np.full(candidates, 0.85 - MARGIN / 100)
    worth[0] = 0.85
    passed, bias, corrected, held = [], [], [], []
    for repetition in range(repetitions):
        if kind.endswith("d"):
            count = int(kind[:-1])
            values = worth + rng.normal(0, 0.05, (count, 1)) + rng.normal(0, 0.01, (count, candidates))
            result = bootstrap.over_datasets(pd.DataFrame(values, columns=names), seed=repetition)
        else:
            recalls = np.repeat(worth[:, None], 2, axis=1)
            data = draw(rng, shares_of(2, 1), recalls, int(kind))._replace(rows=names)
            samples = bootstrap.enough_samples(candidates)
            result = bootstrap.bootstrap(data, samples=samples, seed=repetition)
        found = recommendation.recommend(result, costs, margin=MARGIN)
        # Of which candidate would it be said that it loses less than the margin against every other one?
        passed.append(any(name != names[0] and name != found["best_candidate"] for name in found["passing"]))
        true = worth[names.index(found["candidate"])]
        bias.append(found["f1"] - true)
        corrected.append(found["f1_corrected"] - true)
        held.append(found["f1_lower"] <= true <= found["f1_upper"])
    return {
        "passed": round(float(np.mean(passed)), 4),
        "bias_points": round(100 * float(np.mean(bias)), 2),
        "bias_corrected_points": round(100 * float(np.mean(corrected)), 2),
        "interval_of_recommended": round(float(np.mean(held)), 4),
    }


MARGINS = [
    ("100", 2), ("100", 12), ("400", 2), ("400", 12), ("2000", 12), ("200", 84), ("6d", 2), ("6d", 12), ("10d", 84)
]  # fmt: skip


def main() -> None:
    """Run the cells that are asked for and print all that are known as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("intervals", "margin"), default=None)
    parser.add_argument("--cells", nargs="+", default=[""], help="parts of cells' names")
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file that holds what was run, and gets what is run now")
    args = parser.parse_args()
    done = json.loads(args.out.read_text()) if args.out and args.out.exists() else {}
    cells = {}
    if args.part != "margin":
        for one in itertools.product(IMAGES, CLASSES, RATIOS, ACCURACIES, ERRORS):
            if one[-1] == "alike" or one[2] > 1:  # of equally frequent classes none is rare
                images, classes, ratio, accuracy, errors = one
                cells[f"{images} images, {classes} classes {ratio}:1, accuracy {accuracy}, errors {errors}"] = one
    if args.part != "intervals":
        cells |= {f"margin: {candidates} candidates, {kind}": (kind, candidates) for kind, candidates in MARGINS}
    for name, one in cells.items():
        if name in done or not any(part in name for part in args.cells):
            continue
        start = time.process_time()
        done[name] = (pass_margin if name.startswith("margin") else cover)(*one, args.repetitions, args.seed)
        done[name] |= {"repetitions": args.repetitions, "seconds": round(time.process_time() - start, 1)}
        if args.out:
            args.out.write_text(json.dumps(done, indent=1))
    told = {}
    kinds = ("accuracy", "f1", "difference")
    covered = {(name, key): of[key] for name, of in done.items() for key in kinds if key in of}
    if covered:
        worst = min(covered, key=covered.get)
        told |= {"coverage_min": covered[worst], "cell": worst[0], "interval": worst[1]}
        for kind in kinds:
            told[f"coverage_min_{kind}"] = min(of[kind] for of in done.values() if kind in of)
        wide = [of["width_accuracy"] / of["width_exact"] for of in done.values() if "width_exact" in of]
        told["accuracy_width_over_exact_max"] = round(max(wide), 3)
    passed = {name: of["passed"] for name, of in done.items() if "passed" in of}
    if passed:
        worst = max(passed, key=passed.get)
        told |= {"margin_passed_max": passed[worst], "margin_cell": worst}
    print(json.dumps(told | {"cells": len(done), "by_cell": done}))


if __name__ == "__main__":
    main()
