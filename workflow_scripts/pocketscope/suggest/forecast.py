"""Have I labelled enough? A learning curve from the labels there are, and what more of them would bring.

The curve is of the frozen head: it is trained on nested parts of the labels and tested on the others, again and again.
F1 grows about with the logarithm of the number of labels; the forecast prolongs that line. How far it may be off was
measured on five data sets (`benchmarks/label_order.py --forecast`): of 112 intervals 100 held.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from pocketscope.suggest import head

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the labels that a repetition learns from
HELD_OUT = 0.3  # of the labels, in each repetition
REPETITIONS = 20
FEWEST = 3  # labels of each of two classes, from which on there is a curve
WIDTH = 1.6  # times the standard deviation that repetitions show; see benchmarks/label_order.md
FLOOR = 2.0  # points of F1: no forecast is closer than that


class Curve(NamedTuple):
    """F1 by number of labels.

    Attributes
    ----------
    labels
        int (sizes,): how many labels were learnt from, all classes together.
    f1
        float (sizes,), points: mean over repetitions.
    deviation
        float (sizes,), points: over repetitions.
    slope
        Points of F1 for twice as many labels.
    slope_deviation
        Over repetitions.
    """

    labels: NDArray[np.int64]
    f1: NDArray[np.float64]
    deviation: NDArray[np.float64]
    slope: float
    slope_deviation: float


class Forecast(NamedTuple):
    """What more labels would bring, in points of F1."""

    gain: float
    lower: float
    upper: float


def curve(points: NDArray[np.floating], labels: list[str], *, seed: int = 0) -> Curve | None:
    """Return the learning curve of the frozen head; None with too few labels.

    Parameters
    ----------
    points
        float (n, D): rows of `head.Features.wide`.
    labels
        Their classes. Those with fewer than `FEWEST` labels are left out.
    seed
        Of the repetitions.
    """
    names, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if (counts >= FEWEST).sum() < 2:
        return None
    kept = np.flatnonzero(counts[numbers] >= FEWEST)
    points, numbers = points[kept], numbers[kept]
    known = np.unique(names[numbers])
    rng = np.random.default_rng(seed)
    scores = np.full((REPETITIONS, len(SHARES)), np.nan)
    sizes = np.zeros((REPETITIONS, len(SHARES)))
    for repetition in range(REPETITIONS):
        learnt, tested = _parted(numbers, rng)
        truth = names[numbers[tested]]
        for column, share in enumerate(SHARES):
            part = _nested(numbers, learnt, share)
            fitted = head.fit(points[part], list(names[numbers[part]]))
            if fitted is not None:
                answers = fitted.predict(points[tested])
                scores[repetition, column] = 100 * f1_score(truth, answers, labels=known, average="macro")
                sizes[repetition, column] = len(part)
    at = np.log2(sizes.mean(axis=0))
    slopes = [_slope(at, row) for row in scores]
    return Curve(
        np.round(sizes.mean(axis=0)).astype(int),
        np.nanmean(scores, axis=0),
        np.nanstd(scores, axis=0, ddof=1),
        float(np.mean(slopes)),
        float(np.std(slopes, ddof=1)),
    )


def forecast(found: Curve, now: int, more: int) -> Forecast:
    """Return what `more` labels beside the `now` that there are would bring, in points of F1.

    A curve that falls by chance is prolonged as one that stays: more labels do no harm on the mean.
    """
    steps = np.log2((now + more) / now)
    room = max(0.0, 100 - float(found.f1[-1]))
    gain = float(np.clip(found.slope * steps, 0, room))
    reach = max(FLOOR, WIDTH * found.slope_deviation * steps)
    return Forecast(gain, max(gain - reach, -FLOOR), min(gain + reach, max(room, FLOOR)))


def _parted(numbers: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Part the labels, class by class, in a random order that nested parts keep."""
    learnt, tested = [], []
    for number in np.unique(numbers):
        mine = rng.permutation(np.flatnonzero(numbers == number))
        held = max(1, round(HELD_OUT * len(mine)))
        tested.append(mine[:held])
        learnt.append(mine[held:])
    return np.concatenate(learnt), np.concatenate(tested)


def _nested(numbers: NDArray, learnt: NDArray, share: float) -> NDArray:
    parts = [learnt[numbers[learnt] == number] for number in np.unique(numbers[learnt])]
    return np.concatenate([part[: max(1, round(share * len(part)))] for part in parts])


def _slope(at: NDArray, scores: NDArray) -> float:
    there = ~np.isnan(scores)
    return float(np.polyfit(at[there], scores[there], 1)[0]) if there.sum() > 1 else 0.0
