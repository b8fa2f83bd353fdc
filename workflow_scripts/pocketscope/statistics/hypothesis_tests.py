"""Tests for competitors measured on the same blocks: ranks, omnibus tests, comparisons in pairs, effect sizes.

Everywhere, `values` has the shape (blocks, groups): a block is a dataset, a group a competitor, and higher is better.
Rank 1 is the best; equal values share the mean of their ranks.

References
----------
.. [1] J. Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006, 1-30.
.. [2] S. García, F. Herrera, "An extension on 'Statistical comparisons of classifiers over multiple data sets' for
       all pairwise comparisons", JMLR 9, 2008, 2677-2694.
.. [3] R. L. Iman, J. M. Davenport, "Approximations of the critical region of the Friedman statistic",
       Communications in Statistics A9, 1980, 571-595.
.. [4] D. Quade, "Using weighted rankings in the analysis of complete blocks with additive block effects", Journal of
       the American Statistical Association 74, 1979, 680-683.
.. [5] W. J. Conover, "Practical Nonparametric Statistics", 3rd ed., Wiley, 1999, sections 5.7 and 5.8.
.. [6] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
.. [7] D. S. Kerby, "The simple difference formula", Comprehensive Psychology 3, 2014.
.. [8] M. G. Kendall, B. Babington Smith, "The problem of m rankings", Annals of Mathematical Statistics 10, 1939.
.. [9] J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd ed., 1988, section 2.2.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

# Differences of printed scores that are equal on paper differ in their last bits: 0.3 - 0.2 is not 0.2 - 0.1.
DECIMALS = 10
EXACT_UP_TO = 50  # pairs for which the signed-rank distribution is counted out; scipy draws the same line


class Omnibus(NamedTuple):
    """An omnibus test: its statistic, its degrees of freedom (numerator, denominator) and its p-value."""

    statistic: float
    degrees: tuple[int, int | None]
    p: float


class SignedRank(NamedTuple):
    """A Wilcoxon signed-rank test: the smaller of the two rank sums, p-value, smallest p-value it could reach."""

    statistic: float
    p: float
    smallest_p: float


def average_ranks(values: ArrayLike) -> Floats:
    """Return the mean rank of every group, rank 1 being the best, shape (groups,)."""
    return ranks_within(blocks(values)).mean(axis=0)


def friedman(values: ArrayLike, *, ties: bool = True) -> Omnibus:
    """Friedman's test: do the groups' average ranks differ more than chance lets them?

    With n blocks, k groups and average ranks R_j, ``chi2 = 12 n / (k (k + 1)) * (sum R_j^2 - k (k + 1)^2 / 4)`` ([1]_,
    section 3.2.2), chi-square with k - 1 degrees of freedom.

    Parameters
    ----------
    values
        Shape (blocks, groups), at least two of each.
    ties
        Divide by ``1 - sum(t^3 - t) / (n (k^3 - k))``, t being the sizes of the runs of equal values within blocks
        ([5]_, section 5.8). Printed comparisons often leave this out.

    Returns
    -------
    Omnibus
        A statistic of 0 and a p-value of 1 where every block holds equal values only.
    """
    ranks = ranks_within(blocks(values))
    chi2 = _chi_square(ranks, ties=ties)
    degrees = ranks.shape[1] - 1
    return Omnibus(chi2, (degrees, None), float(stats.chi2.sf(chi2, degrees)))


def iman_davenport(values: ArrayLike, *, ties: bool = True) -> Omnibus:
    """Iman and Davenport's F, less timid than Friedman's chi-square that it is made from.

    ``F = (n - 1) chi2 / (n (k - 1) - chi2)``, F-distributed with k - 1 and (k - 1)(n - 1) degrees of freedom ([3]_;
    [1]_, section 3.2.2). `values` and `ties` as in `friedman`. Infinite, with a p-value of 0, where all blocks agree
    fully.
    """
    ranks = ranks_within(blocks(values))
    n, k = ranks.shape
    return _f_test(n - 1, _chi_square(ranks, ties=ties), n * (k - 1), k - 1, (k - 1) * (n - 1))


def quade(values: ArrayLike) -> Omnibus:
    """Quade's omnibus test: Friedman's with the blocks weighted by the rank of their range.

    With Q_i the rank of block i's range (smallest 1) and r_ij the rank of group j in it, ``S_ij = Q_i (r_ij - (k + 1) /
    2)``, ``A = sum S_ij^2``, ``B = sum_j (sum_i S_ij)^2 / n`` and ``F = (n - 1) B / (A - B)``, F-distributed with k - 1
    and (k - 1)(n - 1) degrees of freedom ([4]_; [5]_, section 5.8, equation 10). It beats Friedman's below five groups.
    """
    values = blocks(values)
    n, k = values.shape
    weights = stats.rankdata(rounded(np.ptp(values, axis=1), like=values))
    scores = weights[:, None] * (ranks_within(values) - (k + 1) / 2)
    between = float(np.sum(scores.sum(axis=0) ** 2) / n)
    return _f_test(n - 1, between, float(np.sum(scores**2)), k - 1, (k - 1) * (n - 1))


def anova(values: ArrayLike) -> Omnibus:
    """One-way analysis of variance of independent groups of equal size (`scipy.stats.f_oneway`)."""
    values = blocks(values)
    n, k = values.shape
    if np.ptp(values) == 0:
        return Omnibus(0.0, (k - 1, k * (n - 1)), 1.0)
    statistic, p = stats.f_oneway(*values.T)
    return Omnibus(float(statistic), (k - 1, k * (n - 1)), float(p))


def control_z(values: ArrayLike, control: int) -> tuple[Floats, Floats]:
    """Compare every group's average rank with a control's.

    ``z_j = (R_j - R_control) / sqrt(k (k + 1) / (6 n))``, two-sided normal p-value ([1]_, section 3.2.2; [2]_, equation
    4).

    Returns
    -------
    tuple of numpy.ndarray
        z and p, each of shape (groups,); z is positive where the control is ranked better. The control's own are 0 and
        1.
    """
    values = blocks(values)
    n, k = values.shape
    ranks = average_ranks(values)
    z = (ranks - ranks[control]) / math.sqrt(k * (k + 1) / (6 * n))
    return z, 2 * stats.norm.sf(np.abs(z))


def bonferroni_dunn(values: ArrayLike, control: int) -> tuple[Floats, Floats]:
    """Compare every group's mean with a control's by t-tests that share the variance within groups.

    ``t_j = (mean_control - mean_j) / sqrt(2 s^2 / n)``, s^2 the mean square within groups, k (n - 1) degrees of
    freedom. The two-sided p-values are multiplied by the k - 1 comparisons and cut at 1.

    Returns
    -------
    tuple of numpy.ndarray
        t and the adjusted p, each of shape (groups,); the control's own are 0 and 1.
    """
    values = blocks(values)
    n, k = values.shape
    means = values.mean(axis=0)
    error = math.sqrt(2 * values.var(axis=0, ddof=1).mean() / n)
    differences = means[control] - means
    t = np.zeros_like(differences)
    changed = differences != 0
    t[changed] = differences[changed] / error if error > 0 else np.copysign(math.inf, differences[changed])
    return t, np.minimum(1.0, (k - 1) * 2 * stats.t.sf(np.abs(t), k * (n - 1)))


def holm(p: ArrayLike) -> Floats:
    """Adjust p-values for their number, so that alpha bounds the chance of any false discovery [6]_.

    The i-th smallest of m is multiplied by m - i + 1, then made no smaller than those before it and cut at 1.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    # Four lines of numpy: statsmodels' multipletests, which does the same, takes seconds to import.
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def wilcoxon(differences: ArrayLike, *, scale: float = 1.0) -> SignedRank:
    """Wilcoxon's signed-rank test that paired differences lie evenly about zero, two-sided.

    Differences of zero are left out (Wilcoxon's own rule); equal sizes share their mean rank. Up to 50 differences the
    distribution is counted out over all 2^n signs, ties included, where scipy falls back on a normal curve; beyond, it
    is scipy's normal approximation ([5]_, section 5.7).

    Parameters
    ----------
    differences
        Shape (pairs,).
    scale
        The size of the scores that they are differences of: what is smaller by ten digits is rounding.

    Returns
    -------
    SignedRank
        The smaller of the rank sums of either sign, the p-value, and the p-value if all of them had one sign.
    """
    differences = _differences(differences, scale)
    n = len(differences)
    if n == 0:
        return SignedRank(0.0, 1.0, 1.0)
    ranks = stats.rankdata(np.abs(differences))
    smaller = float(min(ranks[differences > 0].sum(), ranks[differences < 0].sum()))
    smallest = float(2.0 ** (1 - n))
    if n > EXACT_UP_TO:
        return SignedRank(smaller, float(stats.wilcoxon(differences, method="asymptotic").pvalue), smallest)
    # Ranks of ties end in .5: doubled, all sums are whole numbers.
    counts = np.ones(1)
    for doubled in np.rint(2 * ranks).astype(int):
        counts = np.pad(counts, (0, doubled)) + np.pad(counts, (doubled, 0))
    tail = round(2 * smaller)
    return SignedRank(smaller, min(1.0, float(2 * counts[: tail + 1].sum() / 2.0**n)), smallest)


def rank_biserial(differences: ArrayLike, *, scale: float = 1.0) -> float:
    """Matched-pairs rank-biserial correlation: the share of favourable less that of unfavourable rank sums, -1 to 1
    [7]_.

    Differences of zero are left out; 0 where there is no other. `scale` as in `wilcoxon`.
    """
    differences = _differences(differences, scale)
    if len(differences) == 0:
        return 0.0
    ranks = stats.rankdata(np.abs(differences))
    return float((ranks * np.sign(differences)).sum() / ranks.sum())


def rank_biserials(values: ArrayLike, pairs: ArrayLike) -> Floats:
    """Return `rank_biserial` of the differences of many pairs of groups, shape (pairs,); `pairs` as (pairs, 2)."""
    values = np.asarray(values, dtype=float)
    first, second = np.asarray(pairs, dtype=int).reshape(-1, 2).T
    differences = np.round(values[:, first] - values[:, second], DECIMALS)
    # Zeros are left out: their ranks, the lowest, are taken off the others'.
    zeros = (differences == 0).sum(axis=0)
    ranks = np.where(differences == 0, 0.0, stats.rankdata(np.abs(differences), axis=0) - zeros)
    total = ranks.sum(axis=0)
    return np.divide((ranks * np.sign(differences)).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)


def cohens_d(first: ArrayLike, second: ArrayLike) -> float:
    """Cohen's d: the difference of two groups' means over their pooled standard deviation (ddof 1) [9]_.

    ``d = (mean_1 - mean_2) / sqrt((s_1^2 + s_2^2) / 2)``, the groups being of equal size. NaN with fewer than two
    values, infinite where the groups differ and do not vary.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if len(first) < 2:
        return math.nan
    difference = float(first.mean() - second.mean())
    pooled = math.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    if difference == 0:
        return 0.0
    return difference / pooled if pooled > 0 else math.copysign(math.inf, difference)


def kendalls_w(values: ArrayLike) -> float:
    """Kendall's coefficient of concordance: 0 where blocks rank the groups at random, 1 where all rank them alike.

    ``W = chi2 / (n (k - 1))`` with Friedman's chi2 corrected for ties ([8]_; [5]_, section 5.8).
    """
    ranks = ranks_within(blocks(values))
    n, k = ranks.shape
    return _chi_square(ranks, ties=True) / (n * (k - 1))


def smallest_omnibus_p(blocks: int, groups: int) -> float:
    """Return the smallest p-value that a rank test over so many blocks and groups can reach.

    If chance alone ordered the groups, all blocks would agree on one order with probability ``(k!)^-(n - 1)``: no
    evidence from ranks is stronger. Approximations by chi-square or F can print less, which is why this bound is looked
    at first.
    """
    return math.exp(-(blocks - 1) * math.lgamma(groups + 1))


def smallest_wilcoxon_p(blocks: int, comparisons: int = 1) -> float:
    """Return the smallest p-value of `comparisons` signed-rank tests over so many blocks, after Holm's adjustment."""
    return min(1.0, comparisons * 2.0 ** (1 - blocks))


def blocks(values: ArrayLike) -> Floats:
    """Return `values` as an array of blocks and groups, or say what in it is no number."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"two or more blocks and two or more groups are needed, not the shape {values.shape}")
    if not np.isfinite(values).all():
        block, group = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"block {block}, group {group} is {values[block, group]}: every cell must hold a number")
    return values


def ranks_within(values: Floats) -> Floats:
    """Return the rank of every value in its block, 1 the highest, shape (blocks, groups)."""
    return stats.rankdata(-rounded(values), axis=1)


def rounded(values: Floats, like: ArrayLike | None = None) -> Floats:
    """Round to ten digits behind the leading one of the largest value (of `like`, if given), whatever the scale."""
    largest = float(np.max(np.abs(values if like is None else like), initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return np.asarray(values, dtype=float)
    # Scores between 0.1 and 1 keep ten decimals, the same as percent keep eight.
    power = 10.0 ** min(300, max(-300, math.floor(math.log10(largest)) + 1))
    return np.round(np.asarray(values, dtype=float) / power, DECIMALS)


def _differences(differences: ArrayLike, scale: float) -> Floats:
    differences = np.round(np.asarray(differences, dtype=float) / scale, DECIMALS)
    if np.isnan(differences).any():
        raise ValueError(f"difference {int(np.argmax(np.isnan(differences)))} is not a number")
    return differences[differences != 0]


def _chi_square(ranks: Floats, *, ties: bool) -> float:
    n, k = ranks.shape
    chi2 = 12 * n / (k * (k + 1)) * (np.sum(ranks.mean(axis=0) ** 2) - k * (k + 1) ** 2 / 4)
    if ties:
        runs = sum(float(np.sum(counts**3 - counts)) for counts in (np.unique(r, return_counts=True)[1] for r in ranks))
        correction = 1 - runs / (n * (k**3 - k))
        chi2 = chi2 / correction if correction > 1e-12 else 0.0
    return max(0.0, float(chi2))


def _f_test(factor: float, between: float, total: float, numerator: int, denominator: int) -> Omnibus:
    """Return ``F = factor * between / (total - between)``, with the cases that leave nothing to divide by."""
    if between <= 1e-12:
        return Omnibus(0.0, (numerator, denominator), 1.0)
    rest = total - between
    statistic = factor * between / rest if rest > 1e-9 * total else math.inf
    return Omnibus(statistic, (numerator, denominator), float(stats.f.sf(statistic, numerator, denominator)))
