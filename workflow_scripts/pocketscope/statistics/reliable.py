"""From which probability on an answer can be relied on."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from sklearn.metrics import f1_score

LEVEL = 0.95  # of the bound that says which answers are reliable


class Reliable(NamedTuple):
    """From which probability on an answer is reliable, and what that rests on.

    `probability` is None where no answer is. `right` of `answered` test answers of at least that probability were
    right; where there is none, of all.
    """

    probability: float | None
    answered: int
    right: int


def measured(
    probabilities: np.ndarray, truth: Sequence[str], classes: Sequence[str], positive: str | None, share: float
) -> dict[str, Any]:
    """Return what the test set says of a candidate: `f1`, `positive`, `tested` (images), `share` and `reliable`.

    Parameters
    ----------
    probabilities, truth, classes
        float (N, classes), N true labels, and the classes in the order of the probabilities.
    positive
        The class whose F1 is meant; None for the mean over the classes that occur in `truth`.
    share
        See `least_reliable`.
    """
    answers = np.asarray(classes, dtype=object)[probabilities.argmax(axis=1)]
    right = answers == np.asarray(truth, dtype=object)
    asked = sorted(set(truth)) if positive is None else [positive]
    return {
        "f1": float(f1_score(list(truth), list(answers), labels=asked, average="macro", zero_division=0)),
        "positive": positive,
        "tested": len(truth),
        "share": share,
        "reliable": least_reliable(probabilities.max(axis=1), right, share),
    }


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
