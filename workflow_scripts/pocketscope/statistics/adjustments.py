"""P-values adjusted for their number, so that alpha bounds the chance of any false discovery among them.

Holm's, which all else here goes by, is `hypothesis_tests.holm`.

References
----------
.. [1] J. P. Shaffer, "Modified sequentially rejective multiple test procedures", Journal of the American Statistical
       Association 81, 1986, 826-831.
.. [2] G. Bergmann, G. Hommel, "Improvements of general multiple test procedures for redundant systems of hypotheses",
       in: Multiple Hypotheses Testing, Springer, 1988, 100-115.
.. [3] H. Finner, "On a monotonicity problem in step-down multiple test procedures", Journal of the American Statistical
       Association 88, 1993, 920-923.
.. [4] J. Li, "A two-step rejection procedure for testing multiple hypotheses", Journal of Statistical Planning and
       Inference 138, 2008, 1521-1527.
.. [5] S. García, F. Herrera, "An extension on 'Statistical comparisons of classifiers over multiple data sets' for
       all pairwise comparisons", JMLR 9, 2008, 2677-2694.
"""

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MOST_GROUPS = 9  # of Bergmann and Hommel: 21,147 partitions; with ten there are five times as many


def bonferroni(p: ArrayLike) -> Floats:
    """Multiply each p-value by their number, and cut at 1."""
    p = np.asarray(p, dtype=float)
    return np.minimum(1.0, len(p) * p)


def shaffer(p: ArrayLike, groups: int) -> Floats:
    """Multiply by how many hypotheses can be true at most, as some cannot be alone (static procedure, [1]_; [5]_).

    Of three groups, if the first differs from the second, one of the other two pairs differs too.

    Parameters
    ----------
    p
        Of all pairs of `groups`, in any order.
    groups
        How many groups there are.
    """
    p = _all_pairs(p, groups)
    possible = np.array(sorted(_possible_truths(groups)))
    left = np.arange(len(p), 0, -1)
    return _step_down(p, possible[np.searchsorted(possible, left, side="right") - 1])


def bergmann_hommel(p: ArrayLike, groups: int) -> Floats:
    """Adjust by looking at every set of hypotheses that can be true together ([2]_; [5]_, section 2.2).

    The adjusted p-value of a pair is the largest ``|I| min(p in I)`` over the exhaustive sets I that hold it: the pairs
    inside the parts of a partition of the groups.

    Parameters
    ----------
    p
        Of all pairs of `groups`, in the order of `itertools.combinations`.
    groups
        At most `MOST_GROUPS`.
    """
    p = _all_pairs(p, groups)
    if groups > MOST_GROUPS:
        raise ValueError(
            f"{groups} groups have too many partitions: at most {MOST_GROUPS}, or take Shaffer's procedure"
        )
    together = _exhaustive_sets(groups)
    smallest = np.where(together, p, np.inf).min(axis=1)
    bound = together.sum(axis=1) * smallest
    return np.minimum(1.0, np.where(together, bound[:, None], 0.0).max(axis=0))


def finner(p: ArrayLike) -> Floats:
    """Adjust the i-th smallest of m p-values to ``1 - (1 - p)^(m / i)`` [3]_; for comparisons with a control."""
    p = np.asarray(p, dtype=float)
    m = len(p)
    order = np.argsort(p, kind="stable")
    # By logarithms: 1 - p is 1 for the smallest.
    with np.errstate(divide="ignore"):
        adjusted = -np.expm1(m / np.arange(1, m + 1) * np.log1p(-p[order]))
    found = np.empty_like(p)
    found[order] = np.minimum(1.0, np.maximum.accumulate(adjusted))
    return found


def li(p: ArrayLike) -> Floats:
    """Adjust to ``p / (p + 1 - largest p)`` [4]_: powerful where the largest is small, and of little use where not."""
    p = np.asarray(p, dtype=float)
    if not len(p):
        return p
    # In this order: 1 less a number first, lest a p-value below 1e-16 vanish in the sum.
    return np.where(p == 0, 0.0, p / np.maximum(p + (1 - p.max()), np.finfo(float).tiny))


def _step_down(p: Floats, factors: NDArray[np.int64]) -> Floats:
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def _all_pairs(p: ArrayLike, groups: int) -> Floats:
    p = np.asarray(p, dtype=float)
    if len(p) != math.comb(groups, 2):
        raise ValueError(f"{groups} groups have {math.comb(groups, 2)} pairs, not {len(p)}: all pairs must be given")
    return p


@functools.cache
def _possible_truths(groups: int) -> frozenset[int]:
    """Return how many hypotheses of all pairs can be true at once ([5]_, section 2.1)."""
    if groups < 2:
        return frozenset({0})
    return frozenset(
        math.comb(alike, 2) + rest for alike in range(1, groups + 1) for rest in _possible_truths(groups - alike)
    )


@functools.lru_cache(maxsize=2)
def _exhaustive_sets(groups: int) -> NDArray[np.bool_]:
    """Return which pairs are inside a part, a line per partition that has any, shape (sets, pairs)."""
    pairs = np.array(list(itertools.combinations(range(groups), 2)))
    labels = np.array(list(_partitions(groups)), dtype=np.int8)
    together = labels[:, pairs[:, 0]] == labels[:, pairs[:, 1]]
    return together[together.any(axis=1)]


def _partitions(groups: int) -> Iterator[list[int]]:
    """Yield every partition, as the number of each group's part: a new part has the next number."""
    if groups == 0:
        yield []
        return
    for rest in _partitions(groups - 1):
        for part in range(max(rest, default=-1) + 2):
            yield [*rest, part]
