"""Intervals that hold for few test images too.

An interval from resampled images ends where the sample happens to end: eleven right answers of eleven give "100 to
100". Here one unit more than was tested is imagined, as bad as can be for the lower end and as good as can be for the
upper one, and all units get random weights. For a share of right answers that is Clopper and Pearson's interval [1]_,
exactly; for the mean of any bounded quantity it is Gaffke's bound [2]_, [3]_; the Bayesian bootstrap [4]_ is the same
without the unit more.

References
----------
.. [1] C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
       Biometrika 26, 1934, 404-413.
.. [2] N. Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
       variable", Mathematical Methods of Statistics 14, 2005, 451-467.
.. [3] E. Learned-Miller, P. S. Thomas, "A new confidence interval for the mean of a bounded random variable", 2019,
       arXiv:1905.06208.
.. [4] D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9, 1981, 130-134.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

ENOUGH = 0.09  # width of an interval of accuracy that prints as nine points, such as 91 to 100
SAMPLES = 4000  # weights that are drawn where no formula is known
TINY = 1e-300

Floats = NDArray[np.float64]


class Accuracy(NamedTuple):
    """What a test set says of the share of right answers.

    `right` answers (mean over seeds) of `tested` images; the interval `lower` to `upper`; and what `more` further
    images, of which as many are right, would make of it (None where it is narrow already).
    """

    right: float
    tested: int
    lower: float
    upper: float
    more: int | None
    more_lower: float | None
    more_upper: float | None


def clopper_pearson(right: float, tested: float, alpha: float = 0.05) -> tuple[float, float]:
    """Return the exact two-sided interval of a share; it holds at least ``1 - alpha`` of the time [1]_."""
    if not tested:
        return 0.0, 1.0
    # Quantiles of the beta distribution, without the checks of scipy.stats that take a hundred times as long.
    lower = float(special.betaincinv(right, tested - right + 1, alpha / 2)) if right > 0 else 0.0
    upper = float(special.betaincinv(right + 1, tested - right, 1 - alpha / 2)) if right < tested else 1.0
    return lower, upper


def accuracy(right: ArrayLike, sizes: ArrayLike | None = None, *, alpha: float = 0.05, seed: int = 0) -> Accuracy:
    """Say what right answers on test units tell of all images.

    Parameters
    ----------
    right
        Right answers of each unit, mean over seeds, shape (units,).
    sizes
        Images of each unit (group), shape (units,); one where None.
    alpha
        One minus the level of the interval.
    seed
        Of the weights, which are drawn where units are no single answers.

    Returns
    -------
    Accuracy
        Clopper and Pearson's interval where a unit is one image with one answer, else Gaffke's: a group's answers
        stand or fall together, so that it counts by how groups differ, not by how many images they have.
    """
    right = np.asarray(right, dtype=float)
    sizes = np.ones_like(right) if sizes is None else np.asarray(sizes, dtype=float)
    tested, hits = float(sizes.sum()), float(right.sum())
    if (sizes == 1).all() and np.isin(right, (0, 1)).all():
        lower, upper = clopper_pearson(hits, tested, alpha)
    else:
        rng = np.random.default_rng(seed)
        weights = rng.standard_exponential((SAMPLES, len(right)))
        extra = rng.standard_exponential(SAMPLES) * sizes.mean()
        of, whole = weights @ right, weights @ sizes + extra
        lower = float(np.quantile(of / whole, alpha / 2)) if hits > 0 else 0.0
        upper = float(np.quantile((of + extra) / whole, 1 - alpha / 2)) if hits < tested else 1.0
    more = _more(hits / tested, tested, (lower, upper), alpha)
    return Accuracy(hits, int(tested), lower, upper, *(more or (None, None, None)))


def in_words(found: Accuracy, alpha: float = 0.05, groups: int | None = None) -> str:
    """Say what is known of the accuracy, and how many more images (in so many groups) would change it."""
    among = "" if groups is None else f" (in {groups:,} group{'' if groups == 1 else 's'})"
    whole = abs(found.right - round(found.right)) < 1e-6
    right = f"{found.right:,.0f}" if whole else f"On average over seeds {found.right:,.1f}"
    plural = "" if found.tested == 1 else "s"
    text = (
        f"{right} of {found.tested:,} test image{plural}{among} {'is' if found.tested == 1 else 'are'} right: "
        f"accuracy between {_span(found.lower, found.upper)} ({100 * (1 - alpha):g} % confidence)."
    )
    if found.more is None:
        return text
    then = _span(found.more_lower, found.more_upper, "to")
    if found.right == found.tested:
        return f"{text} {found.more:,} more, all right, would make it {then}."
    return f"{text} About {found.more:,} more, of which as large a share is right, would make it {then}."


def worst_f1(hits: Floats, errors: Floats, extra: Floats) -> Floats:
    """Return the lowest mean of the classes' F1 that wrong answers of the total weight `extra` can make.

    A wrong answer counts as an error of two classes, the true and the named one. It does most harm where there are few
    hits; as ``2 h / (2 h + e + x)`` is convex in the errors x that are added, the worst is to fill the classes up to
    one level of ``(2 h + e + x) / sqrt(2 h)``.

    Parameters
    ----------
    hits, errors
        Weights of the hits and errors of each class, shape (..., classes).
    extra
        Shape (...).

    Returns
    -------
    numpy.ndarray
        Shape (...); a class without a hit has an F1 of 0.
    """
    root = np.sqrt(2 * hits)
    filled = _filled(root, 2 * hits + errors, 2 * extra, most=extra)
    return np.where(root > 0, 2 * hits / (filled + TINY), 0.0).mean(axis=-1)


def best_f1(hits: Floats, errors: Floats, extra: Floats) -> Floats:
    """Return the highest mean of the classes' F1 that right answers of the total weight `extra` can make.

    They do most good where there are errors and few hits: ``e / (2 h + e + 2 x)`` is convex in the hits x that are
    added. A class of which nothing was seen, neither hit nor error, has an F1 of 1. Shapes as in `worst_f1`.
    """
    root = np.sqrt(errors)
    filled = _filled(root, 2 * hits + errors, 2 * extra)
    return np.where(root > 0, 1 - errors / (filled + TINY), 1.0).mean(axis=-1)


def _filled(root: Floats, start: Floats, amount: Floats, most: Floats | None = None) -> Floats:
    """Pour `amount` over classes so that ``start / root`` is level; return the starts as they are then.

    Classes whose root is 0 get nothing. No class gets more than `most`; what one cannot take goes to the others.
    """
    shape = root.shape
    root, start, amount = root.reshape(-1, shape[-1]), start.reshape(-1, shape[-1]), amount.reshape(-1)
    added = _poured(root, start, amount)
    if most is not None:
        limit = most.reshape(-1, 1)
        full = added > limit
        added = np.minimum(added, limit)
        again = np.flatnonzero((full & (root > 0)).any(axis=1))
        if len(again):
            rest = amount[again] - (full[again] * limit[again]).sum(axis=1)
            poured = _poured(np.where(full[again], 0, root[again]), start[again], np.maximum(rest, 0))
            added[again] = np.where(full[again], added[again], np.minimum(poured, limit[again]))
    return (start + added).reshape(shape)


def _poured(root: Floats, start: Floats, amount: Floats) -> Floats:
    height = np.where(root > 0, start / np.where(root > 0, root, 1), np.inf)
    order = np.argsort(height, axis=-1)
    heights = np.take_along_axis(height, order, -1)
    roots = np.cumsum(np.take_along_axis(root, order, -1), -1)
    starts = np.cumsum(np.take_along_axis(np.where(root > 0, start, 0), order, -1), -1)
    levels = (amount[:, None] + starts) / np.maximum(roots, TINY)
    beyond = np.concatenate([heights[:, 1:], np.full_like(heights[:, :1], np.inf)], axis=-1)
    at = np.argmax(levels <= beyond, axis=-1)  # the first class that the level does not reach ends the pouring
    level = np.take_along_axis(levels, at[:, None], -1)
    return np.where(root > 0, np.maximum(0, root * np.minimum(level, 1e150) - start), 0.0)


def _more(share: float, tested: float, interval: tuple[float, float], alpha: float) -> tuple[int, float, float] | None:
    """Return how many more images make the interval `ENOUGH` wide if the share stays, and that interval."""
    width = interval[1] - interval[0]
    if width <= ENOUGH:
        return None

    def interval_of(n: float) -> tuple[float, float]:
        return clopper_pearson(share * n, n, alpha)

    def width_of(n: float) -> float:
        lower, upper = interval_of(n)
        return upper - lower

    alone = _first(lambda n: width_of(n) <= width, 1)  # as many single images say as much as these
    enough = _first(lambda n: width_of(n) <= ENOUGH, alone)
    ratio = tested / alone if alone < tested else 1.0  # images of one group say less than as many single ones
    more = math.ceil(enough * ratio - tested)
    return (more, *interval_of(enough)) if more > 0 else None


def _first(holds, low: int) -> int:
    """Return the first number from `low` on for which what holds ever after holds."""
    high = max(1, low)
    while not holds(high):
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high


def _span(lower: float, upper: float, joined: str = "and") -> str:
    digits = 0 if upper - lower >= 0.02 else 1
    return f"{100 * lower:.{digits}f} {joined} {100 * upper:.{digits}f} %"
