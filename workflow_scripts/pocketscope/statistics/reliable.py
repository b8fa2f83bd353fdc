"""From which probability on an answer can be relied on."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from pocketscope.statistics import intervals

LEVEL = 0.95  # of the bound that says which answers are reliable
FIRST = 1 / 3  # of the images, the most probable: the first answers that are looked at
MOST = 2000  # labels, beyond which their number is not what is missing


class Reliable(NamedTuple):
    """From which probability on an answer is reliable, and what that rests on.

    `probability` is None where no answer is. `right` of `answered` test answers of at least that probability were
    right; where there is none, of all.
    """

    probability: float | None
    answered: int
    right: int


def least_reliable(
    probabilities: np.ndarray, right: np.ndarray, share: float, weights: np.ndarray | None = None
) -> Reliable:
    """Find the probability from which on answers can be relied on.

    The most probable answers are looked at first, then more and more of them, and it ends where the images no longer
    show that at least `share` of the answers are right: by the lower bound of Clopper and Pearson, one-sided, at the
    level `LEVEL`. How many are looked at is fixed beforehand by the number of images: a third of them, and from there
    on the sizes at which one more wrong answer is allowed. So all bounds hold together at that level (testing in a
    fixed sequence: Bauer 1991; Angelopoulos et al. 2021, "Learn then Test"), which the best of many bounds does not.
    They hold for images taken as these were; with weights also for images among which classes have other shares, as far
    as the weights are right: both bounds must hold, that of the images as they are, and that of as many images of which
    the weighted share was answered rightly.

    Parameters
    ----------
    probabilities
        float (N,): of the answer to each image.
    right
        bool (N,): whether the answer is right.
    share
        Between 0 and 1.
    weights
        float (N,): how much more frequent images like each are where the answers will be given than they are here.

    Returns
    -------
    Reliable
    """
    weights = np.ones(len(right)) if weights is None else weights
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], np.cumsum(right[order])
    weighted = np.cumsum((weights * right)[order]) / np.maximum(np.cumsum(weights[order]), 1e-12)
    found = Reliable(None, len(order), int(right.sum()))
    for size in _sizes(len(order), share):
        last = int(np.searchsorted(-ranked, -ranked[size - 1], side="right"))  # equals are reliable together
        if lower_bound(min(hits[last - 1], weighted[last - 1] * last + 1e-9), last) < share:
            break
        found = Reliable(float(ranked[last - 1]), last, int(hits[last - 1]))
    return found


def lower_bound(right: float, answered: int) -> float:
    """Return the one-sided lower bound of Clopper and Pearson (1934) on a share, at the level `LEVEL`."""
    return intervals.clopper_pearson(right, answered, 2 * (1 - LEVEL))[0]


def fewest(share: float) -> int:
    """Return how many images, all answered rightly, show that at least `share` of the answers are right: 29 for 0.9."""
    return math.ceil(math.log(1 - LEVEL) / math.log(share))


def more_needed(probabilities: np.ndarray, right: np.ndarray, share: float) -> int:
    """Return how many more labels it takes at least until half of the answers can be reliable, where none are.

    That is if all further images were answered rightly; wrong answers keep their rank, relative to the others.

    Parameters
    ----------
    probabilities, right, share
        See `least_reliable`.
    """
    images = len(probabilities)
    wrong = np.cumsum(~right[np.argsort(-probabilities, kind="stable")]) if images else np.zeros(1)
    ranks = np.arange(1, len(wrong) + 1) / len(wrong)
    allowed = _allowed(images + MOST, share)
    steps = _steps(allowed)
    for total in range(max(images + 1, fewest(share)), images + MOST):
        half = max(math.ceil(total / 2), fewest(share))
        sizes = np.append(steps[(steps >= FIRST * total) & (steps < half)], half)
        if (np.interp(sizes / total, ranks, wrong) <= allowed[sizes - 1]).all():
            return total - images
    return MOST


def _sizes(images: int, share: float) -> list[int]:
    """Return how many of the most probable answers are looked at, one after the other."""
    steps = _steps(_allowed(images, share))
    sizes = steps[steps >= FIRST * images].tolist()
    return sizes if not sizes or sizes[-1] == images else [*sizes, images]


def _steps(allowed: np.ndarray) -> np.ndarray:
    """Return the numbers of answers at which one more may be wrong: 29, 46, 61 and so on for a share of 0.9."""
    return np.flatnonzero(np.diff(allowed, prepend=-1)) + 1


def _allowed(images: int, share: float) -> np.ndarray:
    """Return of how many answers, 1 to `images`, how many may be wrong: int (images,), -1 where none."""
    return stats.binom.ppf(1 - LEVEL, np.arange(1, images + 1), 1 - share).astype(int) - 1
