"""What a choice among candidates is worth: it is made on nine tenths of the units, and scored on the last tenth.

The best of many looks better than it is. Within one test set the choice is cross-validated as a training would be: the
parts that were left out are put together, and what was chosen without each of them is scored on all.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FOLDS = 10
REPEATS = 20  # of the division into folds

Floats = NDArray[np.float64]


class Choice(NamedTuple):
    """What a rule of choice sees, and how its choice is scored.

    `inside` holds the scores without each fold, shape (repeats x folds, rows); `score` takes the row that was chosen
    without each, shape (repeats x folds,), and returns what such a choice scores on units that it has not seen; `share`
    is the share of units that is inside.
    """

    inside: Floats
    score: Callable[[NDArray[np.int64]], float]
    share: float


def of_images(hits: NDArray, errors: NDArray, known: NDArray[np.bool_], seed: int = 0) -> Choice:
    """Divide test units, given their hits and errors, shape (units, rows, seeds, classes); `known` classes count."""
    units, rows, seeds, count = hits.shape
    member = _folds(units, seed)
    outside = [(member @ part.reshape(units, -1)).reshape(len(member), rows, seeds, count) for part in (hits, errors)]
    inside = _f1(*(part.sum(axis=0) - left for part, left in zip((hits, errors), outside, strict=True)), known)

    def score(chosen: NDArray[np.int64]) -> float:
        picked = [part[np.arange(len(chosen)), chosen].reshape(REPEATS, -1, seeds, count).sum(1) for part in outside]
        return float(_f1(*picked, known).mean())

    return Choice(inside.mean(axis=2), score, 1 - 1 / min(FOLDS, units) if units > 1 else 1.0)


def of_datasets(values: Floats, seed: int = 0) -> Choice:
    """Divide data sets: `values` has one data set a line."""
    n = len(values)
    member = _folds(n, seed)
    left = member @ values
    inside = (values.sum(axis=0) - left) / np.maximum(1, n - member.sum(axis=1, keepdims=True))

    def score(chosen: NDArray[np.int64]) -> float:
        return float(left[np.arange(len(chosen)), chosen].sum() / REPEATS / n)

    return Choice(inside, score, 1 - 1 / min(FOLDS, n))


def _folds(units: int, seed: int) -> NDArray[np.float32]:
    """Return which units are left out each time, shape (repeats x folds, units)."""
    rng = np.random.default_rng([seed, units])
    folds = min(FOLDS, units)
    parts = []
    for _ in range(REPEATS):
        fold = rng.permutation(units) % folds
        parts.append(fold == np.arange(folds)[:, None])
    return np.concatenate(parts).astype(np.float32)


def _f1(hits: NDArray, errors: NDArray, known: NDArray[np.bool_]) -> Floats:
    whole = 2 * hits.astype(float) + errors
    return np.divide(2 * hits, whole, out=np.zeros(whole.shape), where=whole > 0)[..., known].mean(axis=-1)
