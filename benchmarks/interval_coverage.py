"""How often the bootstrap's 95 % interval holds the truth, and what the recommended row truly loses.

Simulated classifiers with known worth judge images of differing difficulty, rows and seeds agreeing as real ones do;
every test set is drawn anew. Run: ``python benchmarks/interval_coverage.py [--repetitions N]``. Prints one JSON object.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from pocketscope.statistics import bootstrap, recommendation

CLASSES = 4
SEEDS = 3
# Ability on a latent scale; the last rows are cheaper and, by their order, nearly as good, worse, and much worse.
ABILITY = np.array([1.60, 1.58, 1.50, 1.20, 0.60])
SEED_SPREAD = 0.05  # of a training's ability around its row's
MARGIN = 2.0
ROWS = [f"plain/n{i}" for i in range(len(ABILITY))]
COSTS = pd.DataFrame({"size_mb": [40, 20, 12, 8, 4], "latency_ms": [40, 20, 12, 8, 4]}, index=ROWS, dtype=float)


def draw(rng: np.random.Generator, per_class: int, abilities: np.ndarray) -> bootstrap.Predicted:
    """Draw a test set and the predictions of trainings with the given abilities, shape (rows, seeds)."""
    truth = np.repeat(np.arange(CLASSES), per_class)
    ease = rng.normal(0, 1, len(truth))  # shared by all rows and seeds: they fail on the same images
    noise = rng.normal(0, 0.7, (*abilities.shape, len(truth)))
    wrong = (truth + rng.integers(1, CLASSES, (*abilities.shape, len(truth)))) % CLASSES
    predicted = np.where(abilities[..., None] + ease + noise > 0, truth, wrong)
    names = [str(i) for i in range(len(truth))]
    classes = [str(c) for c in range(CLASSES)]
    return bootstrap.Predicted(
        ROWS, [f"s{i}" for i in range(SEEDS)], classes, names, predicted, truth, np.arange(len(truth))
    )


def true_f1(rng: np.random.Generator, abilities: np.ndarray) -> np.ndarray:
    """Return each row's mean-over-seeds F1 on a very large test set, shape (rows,)."""
    return bootstrap.bootstrap(draw(rng, 40_000, abilities), samples=1).point


def run(per_class: int, repetitions: int, seed: int) -> dict[str, float]:
    """Repeat the experiment with one size of test set, and summarise."""
    rng = np.random.default_rng([seed, per_class])
    # F1 depends on ability alone: a table of it serves all repetitions.
    grid = np.linspace(ABILITY.min() - 0.4, ABILITY.max() + 0.4, 61)
    curve = np.array([true_f1(rng, np.full((len(ROWS), SEEDS), a)).mean() for a in grid[::6]])
    f1_of = lambda ability: np.interp(ability, grid[::6], curve)  # noqa: E731
    held, held_new, held_with_seeds, width, loss, beyond, bias_raw, bias_corrected = ([] for _ in range(8))
    for repetition in range(repetitions):
        abilities = ABILITY[:, None] + rng.normal(0, SEED_SPREAD, (len(ROWS), SEEDS))
        worth, expected = f1_of(abilities).mean(axis=1), f1_of(ABILITY)
        result = bootstrap.bootstrap(draw(rng, per_class, abilities), samples=600, seed=repetition)
        lines = bootstrap.differences(result, [(ROWS[0], row) for row in ROWS[1:]])
        for j, line in enumerate(lines.itertuples(), start=1):
            held.append(line.lower <= worth[0] - worth[j] <= line.upper)
            held_new.append(line.lower <= expected[0] - expected[j] <= line.upper)
            held_with_seeds.append(line.lower_with_seeds <= expected[0] - expected[j] <= line.upper_with_seeds)
            width.append(line.upper - line.lower)
        found = recommendation.recommend(result, COSTS, margin=MARGIN)
        row = ROWS.index(found["candidate"])
        loss.append(100 * (worth.max() - worth[row]))
        beyond.append(loss[-1] > MARGIN)
        bias_raw.append(100 * (found["f1"] - worth[row]))
        bias_corrected.append(100 * (found["f1_corrected"] - worth[row]))
    figures = {
        "coverage_these_models": np.mean(held),
        "coverage_new_trainings_images_only": np.mean(held_new),
        "coverage_new_trainings_with_seeds": np.mean(held_with_seeds),
        "interval_width_points": 100 * np.mean(width),
        "recommended_mean_true_loss_points": np.mean(loss),
        "recommended_loses_more_than_margin": np.mean(beyond),
        "bias_of_f1_points": np.mean(bias_raw),
        "bias_of_corrected_f1_points": np.mean(bias_corrected),
    }
    return {name: round(float(value), 3) for name, value in figures.items()}


def main() -> None:
    """Print the figures of every size of test set as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=300)
    parser.add_argument("--per-class", type=int, nargs="+", default=[8, 15, 30, 100, 400])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    sizes = {str(size): run(size, args.repetitions, args.seed) for size in args.per_class}
    figures = {"repetitions": args.repetitions, "nominal_coverage": 0.95, "margin_points": MARGIN}
    figures |= {"by_test_images_per_class": sizes, "seconds": round(time.perf_counter() - start, 1)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
