"""How often a page of equal methods claims a difference, and how often it finds a true one.

Simulated candidates judge images of differing difficulty: they fail on the same images, as real ones do, and trainings
(seeds) scatter about what their method is worth. No page is drawn: the verdicts come from the functions that the page's
do, `differences.judge_all` for one data set and `protocols.pairs_at_once` over several.

Run: ``python benchmarks/false_claims.py [--cells NAME ...] [--repetitions N] [--out FILE]``; with --out, cells that the
file holds already are kept, so that the whole can be made in parts. Prints one JSON object as its last line.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from pocketscope.statistics import (
    bootstrap,
    differences,
    hypothesis_tests,
    predictions,
    protocols,
    questions,
    simultaneous,
)

ALPHA = 0.05
ABILITY = 1.2  # on a latent scale, whose images' ease has deviation 1: about 84 % right
NOISE = 0.7  # of an answer, beside the image's ease: two trainings of one network agree on 88 % of the images
TRAININGS = 0.08  # deviation of a training's ability about its method's: 1.5 points of F1
DATASETS = 0.1  # deviation of a method's ability on a data set about its mean over data sets: 2 points
POINTS = (3, 10)


class Cell(NamedTuple):
    """One kind of page: methods x networks on so many seeds and data sets, with so many test images of each class."""

    methods: int
    networks: int
    seeds: int
    datasets: int
    per_class: int
    classes: int
    files: bool = True  # whether the claim about files is counted too


CELLS = {
    "2 candidates, 1 seed, 1 set, 2 x 8 images": Cell(2, 1, 1, 1, 8, 2),
    "2 candidates, 3 seeds, 1 set, 7 x 25 images": Cell(2, 1, 3, 1, 25, 7),
    "12 candidates, 1 seed, 1 set, 2 x 8 images": Cell(3, 4, 1, 1, 8, 2),
    "12 candidates, 3 seeds, 1 set, 4 x 25 images": Cell(3, 4, 3, 1, 25, 4),
    "12 candidates, 5 seeds, 1 set, 2 x 100 images": Cell(3, 4, 5, 1, 100, 2),
    "12 candidates, 3 seeds, 3 sets, 2 x 25 images": Cell(3, 4, 3, 3, 25, 2),
    "12 candidates, 1 seed, 10 sets, 2 x 25 images": Cell(3, 4, 1, 10, 25, 2),
    "40 candidates, 1 seed, 1 set, 2 x 25 images": Cell(4, 10, 1, 1, 25, 2),
    "40 candidates, 3 seeds, 1 set, 2 x 8 images": Cell(4, 10, 3, 1, 8, 2),
    "84 candidates, 1 seed, 1 set, 2 x 100 images": Cell(7, 12, 1, 1, 100, 2),
    "84 candidates, 3 seeds, 1 set, 2 x 25 images": Cell(7, 12, 3, 1, 25, 2),
    "84 candidates, 1 seed, 10 sets, 2 x 100 images": Cell(7, 12, 1, 10, 100, 2, files=False),
}


def draw(rng: np.random.Generator, cell: Cell, abilities: np.ndarray) -> bootstrap.Predicted:
    """Draw a test set and the answers of trainings with the given abilities, shape (candidates, seeds)."""
    truth = np.repeat(np.arange(cell.classes), cell.per_class)
    ease = rng.standard_normal(len(truth), dtype=np.float32)
    noise = NOISE * rng.standard_normal((*abilities.shape, len(truth)), dtype=np.float32)
    wrong = (truth + rng.integers(1, cell.classes, noise.shape)) % cell.classes
    predicted = np.where(abilities[..., None] + ease + noise > 0, truth, wrong)
    names = [str(i) for i in range(len(truth))]
    rows, seeds = ([f"{kind}{i:02d}" for i in range(n)] for kind, n in zip("cs", abilities.shape, strict=True))
    classes = [str(c) for c in range(cell.classes)]
    return bootstrap.Predicted(rows, seeds, classes, names, predicted, truth, np.arange(len(truth)))


def ability_of(points: float) -> float:
    """Return the ability that answers so many points more images rightly, which is as many points of F1."""
    spread = math.hypot(1, NOISE)
    return spread * float(stats.norm.ppf(stats.norm.cdf(ABILITY / spread) + points / 100))


def page(rng: np.random.Generator, cell: Cell, better: np.ndarray, *, scatter: bool) -> dict[str, dict]:
    """Draw one page and return by claim whether it finds any pair, the first pair, and this by a textbook test.

    The textbook's test, of that pair alone, is multiplied by the pairs of the page (Bonferroni): McNemar's exact one of
    one seed's files, the paired t-test on images of several seeds', that on seeds of methods, and Wilcoxon's over data
    sets.

    `better` holds each candidate's ability, shape (candidates,). Where trainings do not `scatter`, all files are worth
    what their methods are.
    """
    count = cell.methods * cell.networks
    enough = simultaneous.smallest_p(cell.datasets) <= ALPHA
    results = []
    for _ in range(cell.datasets):
        ability = np.repeat(better[:, None], cell.seeds, axis=1).astype(float)
        if scatter:
            ability += rng.normal(0, TRAININGS, ability.shape)
            if enough:
                ability += rng.normal(0, DATASETS, (count, 1))
        data = draw(rng, cell, ability)
        hits, errors = predictions.counts_per_unit(data)
        per_seed = bootstrap.f1(hits.sum(axis=0), errors.sum(axis=0), np.ones(cell.classes, dtype=bool))
        results.append((data, *predictions.contributions(data), per_seed))
    found: dict[str, dict] = {}
    if (not scatter and cell.files) or (scatter and not enough and cell.seeds >= differences.FEWEST_SEEDS):
        pairs, plain = [], []
        for data, parts, images, per_seed in results:
            both = differences.judge_all(
                parts, per_seed, images, files=not scatter, methods=scatter, families=cell.datasets
            )
            pairs.append({pair: adjusted for pair, (_, adjusted) in both[scatter].items()})
            plain.append(_paired_t(per_seed[0] - per_seed[1]) if scatter else _on_images(data))
        shown = [_shown(data, p, scatter) for (data, *_), p in zip(results, pairs, strict=True)]
        found["methods" if scatter else "files"] = {
            "any": any(shown),
            "pair": any(frozenset((0, 1)) in one for one in shown),
            "plain": len(pairs[0]) * cell.datasets * min(plain) < ALPHA,
        }
    elif scatter and enough:
        values = np.array([scores.mean(axis=1) for *_, scores in results])
        main = main_questions(values.reshape(cell.datasets, cell.methods, cell.networks))
        tested = protocols.pairs_at_once(main, [None] * len(main))
        every = np.concatenate([of.p_adjusted for _, of in tested])
        methods = main[0].scores.to_numpy()
        plain = hypothesis_tests.wilcoxon(methods[:, 0] - methods[:, 1]).p * len(every)
        found["methods"] = {
            "any": bool((every < ALPHA).any()), "pair": tested[0][1].p_adjusted[0] < ALPHA, "plain": plain < ALPHA
        }  # fmt: skip
    return found


def main_questions(values: np.ndarray) -> list[questions.Question]:
    """Return the page's main questions: methods over the mean of networks, and networks over that of methods."""
    found = []
    for name, axis in (("methods", 2), ("networks", 1)):
        frame = pd.DataFrame(values.mean(axis=axis), index=[f"d{i}" for i in range(len(values))])
        found.append(questions.Question(name, "mean", frame, main=True))
    return found


def run(name: str, repetitions: int, powers: int, seed: int) -> dict[str, float]:
    """Repeat one cell: the share of pages that claim anything, and of pages that find the pair that differs."""
    cell = CELLS[name]
    start = time.process_time()
    rng = np.random.default_rng([seed, list(CELLS).index(name)])
    count = cell.methods * cell.networks
    false, claims = {}, {}
    equal = np.full(count, ABILITY)
    for _ in range(repetitions):
        for scatter in (False, True):
            for claim, told in page(rng, cell, equal, scatter=scatter).items():
                false.setdefault(claim, []).append(told["any"])
    for points in POINTS:
        better = equal.copy()
        # Over data sets a method is better with all its networks; else one candidate is.
        better[: cell.networks if simultaneous.smallest_p(cell.datasets) <= ALPHA else 1] = ability_of(points)
        for _ in range(powers):
            for scatter in (False, True):
                for claim, told in page(rng, cell, better, scatter=scatter).items():
                    hits = claims.setdefault((claim, points), [[], []])
                    hits[0].append(told["pair"])
                    hits[1].append(told["plain"])
    found: dict[str, float] = {f"false_{claim}": float(np.mean(hits)) for claim, hits in false.items()}
    for (claim, points), (ours, plain) in claims.items():
        found |= {f"power_{claim}_{points}": float(np.mean(ours)), f"textbook_{claim}_{points}": float(np.mean(plain))}
    return found | {"repetitions": repetitions, "power_repetitions": powers, "seconds": time.process_time() - start}


def _shown(data: bootstrap.Predicted, adjusted: dict, scatter: bool) -> set:
    """Return the pairs that get a verdict: an adjusted p below alpha, and an interval that leaves out zero."""
    near = [pair for pair, p in adjusted.items() if p < ALPHA]
    if not near:
        return set()
    result = bootstrap.bootstrap(data, samples=500)
    trainings = simultaneous.trainings(result.per_seed, result.scatter) if scatter else None
    shown = set()
    for pair in near:
        i, j = sorted(pair)
        line = bootstrap.difference(result, [i], [j])
        reach = float(simultaneous.reach(trainings, [i], [j], ALPHA)[0]) if scatter else 0.0
        point = line["difference"]
        inner = point - line["lower"] if point > 0 else line["upper"] - point
        if math.hypot(inner, reach) < abs(point):
            shown.add(pair)
    return shown


def _on_images(data: bootstrap.Predicted) -> float:
    """Compare the right answers of the first two candidates, image by image."""
    one, other = (data.predicted[i] == data.truth for i in (0, 1))
    if len(one) > 1:
        return _paired_t(one.mean(axis=0) - other.mean(axis=0))
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    return float(stats.binomtest(first, first + second).pvalue) if first + second else 1.0


def _paired_t(values: np.ndarray) -> float:
    return float(stats.ttest_1samp(values, 0).pvalue) if values.std() > 0 else 1.0


def main() -> None:
    """Run the cells that are asked for and print all that are known as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), help="parts of cells' names")
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--power-repetitions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file that holds what was run, and gets what is run now")
    args = parser.parse_args()
    done = json.loads(args.out.read_text()) if args.out and args.out.exists() else {}
    for name in CELLS:
        if name in done or not any(part in name for part in args.cells):
            continue
        done[name] = run(name, args.repetitions, args.power_repetitions, args.seed)
        print(f"{name}: {json.dumps(done[name])}", flush=True)
        if args.out:
            args.out.write_text(json.dumps(done, indent=1))
    false = {(name, key): of[key] for name, of in done.items() for key in of if key.startswith("false_")}
    worst = max(false, key=false.get)
    power = {
        name: {key: of[key] for key in of if key.startswith(("power_f", "power_m", "text"))}
        for name, of in done.items()
    }
    told = {"false_claims_max": false[worst], "cell": worst[0], "claim": worst[1].removeprefix("false_")}
    print(json.dumps(told | {"cells": len(done), "by_cell": done, "power": power}))


if __name__ == "__main__":
    main()
