"""After an omnibus test: which groups differ, by the ranks that the test is made from, and by how much they must.

`values` has the shape (blocks, groups), higher is better, rank 1 is the best, as in `hypothesis_tests`.

References
----------
.. [1] J. Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006, 1-30.
.. [2] S. García, A. Fernández, J. Luengo, F. Herrera, "Advanced nonparametric tests for multiple comparisons in the
       design of experiments in computational intelligence and data mining: experimental analysis of power",
       Information Sciences 180, 2010, 2044-2064.
.. [3] J. L. Hodges, E. L. Lehmann, "Rank methods for combination of independent experiments in analysis of variance",
       Annals of Mathematical Statistics 33, 1962, 482-497.
.. [4] D. Quade, "Using weighted rankings in the analysis of complete blocks with additive block effects", Journal of
       the American Statistical Association 74, 1979, 680-683.
.. [5] J. W. Mauchly, "Significance test for sphericity of a normal n-variate distribution", Annals of Mathematical
       Statistics 11, 1940, 204-209.
.. [6] S. W. Greenhouse, S. Geisser, "On methods in the analysis of profile data", Psychometrika 24, 1959, 95-112.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pocketscope.statistics.hypothesis_tests import Omnibus, blocks, ranks_within, rounded

Floats = NDArray[np.float64]


class Ranked(NamedTuple):
    """Where groups stand: their mean ranks, shape (groups,), and the standard error of a difference of two."""

    ranks: Floats
    error: float

    def z(self, first: int, second: int) -> float:
        """Return the normal statistic of two groups, positive where the first is ranked better."""
        return float(self.ranks[second] - self.ranks[first]) / self.error


class RepeatedMeasures(NamedTuple):
    """A repeated-measures analysis of variance.

    Attributes
    ----------
    statistic, degrees, p
        F, its degrees of freedom, and p if sphericity holds.
    mauchly_w, mauchly_p
        Mauchly's test of sphericity; NaN where there are too few blocks for it, 1 for two groups.
    epsilon
        Greenhouse and Geisser's, between 1 / (groups - 1) and 1.
    corrected_p
        p with both degrees of freedom multiplied by epsilon: it holds without sphericity.
    shapiro_p
        Shapiro and Wilk's test of the residuals.
    """

    statistic: float
    degrees: tuple[int, int]
    p: float
    mauchly_w: float
    mauchly_p: float
    epsilon: float
    corrected_p: float
    shapiro_p: float


def critical_difference(groups: int, blocks: int, alpha: float = 0.05, test: str = "nemenyi") -> float:
    """Return how far two mean ranks must lie apart to differ significantly ([1]_, section 3.2.2).

    ``CD = q sqrt(k (k + 1) / (6 n))`` with k groups and n blocks.

    Parameters
    ----------
    groups, blocks
        Two or more of each.
    alpha
        The level of significance.
    test
        `nemenyi`, all pairs: q is the studentised range's quantile with infinite degrees of freedom, over sqrt(2).
        `bonferroni-dunn`, all against one control: q is the normal quantile at ``alpha / (2 (k - 1))``.
    """
    if groups < 2 or blocks < 2:
        raise ValueError(f"two or more groups and blocks are needed, not {groups} and {blocks}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}; it must lie between 0 and 1")
    if test == "nemenyi":
        q = float(stats.studentized_range.ppf(1 - alpha, groups, math.inf)) / math.sqrt(2)
    elif test == "bonferroni-dunn":
        q = float(stats.norm.isf(alpha / (2 * (groups - 1))))
    else:
        raise ValueError(f"'{test}' has no critical difference; nemenyi and bonferroni-dunn have one")
    return q * _friedman_error(groups, blocks)


def nemenyi_p(z: ArrayLike, groups: int) -> Floats:
    """Return p of differences of mean ranks adjusted for all pairs, from their z, by the studentised range ([1]_)."""
    z = np.abs(np.asarray(z, dtype=float))
    return np.clip(stats.studentized_range.sf(math.sqrt(2) * z, groups, math.inf), 0.0, 1.0)


def friedman_ranks(values: ArrayLike) -> Ranked:
    """Return Friedman's mean ranks; error ``sqrt(k (k + 1) / (6 n))`` ([1]_)."""
    ranks = ranks_within(blocks(values))
    return Ranked(ranks.mean(axis=0), _friedman_error(ranks.shape[1], len(ranks)))


def quade_ranks(values: ArrayLike) -> Ranked:
    """Return Quade's mean ranks, blocks weighted by the rank of their range.

    ``W_j / (n (n + 1) / 2)`` with W_j the sum of weight times rank; error
    ``sqrt(k (k + 1) (2 n + 1) (k - 1) / (18 n (n + 1)))`` ([4]_; [2]_, section 3.3).
    """
    values = blocks(values)
    n, k = values.shape
    weights = stats.rankdata(rounded(np.ptp(values, axis=1)))
    ranks = weights @ ranks_within(values) / (n * (n + 1) / 2)
    return Ranked(ranks, math.sqrt(k * (k + 1) * (2 * n + 1) * (k - 1) / (18 * n * (n + 1))))


def aligned_ranks(values: ArrayLike) -> Ranked:
    """Return the mean ranks of all values together, each less its block's mean ([3]_).

    The error is ``sqrt(k (n k + 1) / 6)``, that of [2]_'s printed p-values.
    """
    ranks = _aligned(values)
    n, k = ranks.shape
    return Ranked(ranks.mean(axis=0), math.sqrt(k * (n * k + 1) / 6))


def aligned_friedman(values: ArrayLike) -> Omnibus:
    """Friedman's test of aligned ranks, chi-square with k - 1 degrees of freedom ([3]_; [2]_, section 3.2).

    Where groups are few, blocks are compared with one another too, which Friedman's own ranks leave out.
    """
    ranks = _aligned(values)
    n, k = ranks.shape
    total = n * k
    groups, of_blocks = ranks.sum(axis=0), ranks.sum(axis=1)
    below = total * (total + 1) * (2 * total + 1) / 6 - np.sum(of_blocks**2) / k
    above = (k - 1) * (np.sum(groups**2) - k * n**2 / 4 * (total + 1) ** 2)
    statistic = max(0.0, float(above / below)) if below > 1e-9 and np.ptp(groups) > 1e-9 else 0.0
    return Omnibus(statistic, (k - 1, None), float(stats.chi2.sf(statistic, k - 1)))


def repeated_measures(values: ArrayLike) -> RepeatedMeasures:
    """Analyse the variance of groups measured on the same blocks, and test what it takes for granted.

    It asks for normal residuals, and for sphericity: that differences of any two groups vary alike ([5]_). Without the
    latter, Greenhouse and Geisser's `corrected_p` holds ([6]_).
    """
    values = blocks(values)
    n, k = values.shape
    grand = values.mean()
    residuals = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + grand
    between, within = n * float(np.sum((values.mean(axis=0) - grand) ** 2)), float(np.sum(residuals**2))
    degrees = (k - 1, (k - 1) * (n - 1))
    scale = max(float(np.sum((values - grand) ** 2)), np.finfo(float).tiny)
    if within <= 1e-18 * scale:
        alike = between <= 1e-18 * scale
        p = 1.0 if alike else 0.0
        return RepeatedMeasures(0.0 if alike else math.inf, degrees, p, math.nan, math.nan, 1.0, p, math.nan)
    statistic = between / degrees[0] / (within / degrees[1])
    contrasts = _contrasts(k)
    covariance = contrasts @ np.atleast_2d(np.cov(values, rowvar=False)) @ contrasts.T
    trace = float(np.trace(covariance))
    epsilon = trace**2 / ((k - 1) * float(np.sum(covariance**2)))
    w, mauchly_p = _mauchly(covariance, trace, n, k)
    return RepeatedMeasures(
        statistic,
        degrees,
        float(stats.f.sf(statistic, *degrees)),
        w,
        mauchly_p,
        epsilon,
        float(stats.f.sf(statistic, epsilon * degrees[0], epsilon * degrees[1])),
        float(stats.shapiro(residuals.ravel()).pvalue),
    )


def _friedman_error(groups: int, blocks: int) -> float:
    return math.sqrt(groups * (groups + 1) / (6 * blocks))


def _aligned(values: ArrayLike) -> Floats:
    values = blocks(values)
    aligned = rounded(values - values.mean(axis=1, keepdims=True), like=values)
    return stats.rankdata(-aligned).reshape(values.shape)


def _contrasts(groups: int) -> Floats:
    """Return orthonormal contrasts (Helmert's), shape (groups - 1, groups)."""
    lines = np.tril(np.ones((groups - 1, groups)))
    lines[np.arange(groups - 1), np.arange(1, groups)] = -np.arange(1, groups)
    return lines / np.linalg.norm(lines, axis=1, keepdims=True)


def _mauchly(covariance: Floats, trace: float, n: int, k: int) -> tuple[float, float]:
    if k == 2:
        return 1.0, 1.0
    if n <= k - 1:  # the covariance is singular whatever the truth
        return math.nan, math.nan
    w = float(np.linalg.det(covariance)) / (trace / (k - 1)) ** (k - 1)
    if w <= 0:
        return 0.0, 0.0
    # Box's series to its second term, as R's mauchly.test and SPSS have it: the first alone is off for few blocks.
    size, free = k - 1, n - 1
    rho = 1 - (2 * size**2 + size + 2) / (6 * free * size)
    polynomial = 2 * size**3 + 6 * size**2 + 3 * size + 2
    second = (size + 2) * (size - 1) * (size - 2) * polynomial / (288 * (free * size * rho) ** 2)
    freedom = size * (size + 1) / 2 - 1
    chi2 = -free * rho * math.log(w)
    tail, next_tail = (float(stats.chi2.sf(chi2, freedom + more)) for more in (0, 4))
    return w, min(1.0, tail + second * (next_tail - tail))
