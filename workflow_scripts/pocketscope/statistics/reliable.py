"""From which probability on an answer can be relied on."""

from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95  # of the bound that says which answers are reliable


class Reliable(NamedTuple):
    """From which probability on an answer is reliable, and what that rests on.

    `probability` is None where no answer is. `right` of `answered` test answers of at least that probability were
    right; where there is none, of all.
    """

    probability: float | None
    answered: int
    right: int


def least_reliable(probabilities: np.ndarray, right: np.ndarray, share: float) -> Reliable:
    """Find the lowest probability from which on answers can be relied on.

    That is the lowest for which the test set shows that at least `share` of the answers with this probability or a
    higher one are right: the lower bound of Clopper and Pearson, one-sided, at the level `LEVEL`. It is looked for
    among all probabilities that occur, so that it is slightly optimistic; and it holds for images taken as the test
    images were.

    Parameters
    ----------
    probabilities
        float (N,): of the answer to each test image.
    right
        bool (N,): whether the answer is right.
    share
        Between 0 and 1.

    Returns
    -------
    Reliable
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], np.cumsum(right[order])
    answered = np.arange(1, len(order) + 1)
    with np.errstate(invalid="ignore"):
        bound = np.nan_to_num(stats.beta.ppf(1 - LEVEL, hits, answered - hits + 1))  # none right: 0
    last_of_equals = np.append(ranked[1:] < ranked[:-1], True)[: len(ranked)]
    good = np.flatnonzero((bound >= share) & last_of_equals)
    if not len(good):
        return Reliable(None, len(order), int(right.sum()))
    return Reliable(float(ranked[good[-1]]), int(answered[good[-1]]), int(hits[good[-1]]))
