"""How probable it is that one of two competitors is better, or that they are equal for all practical purposes.

References
----------
.. [1] A. Benavoli, G. Corani, J. Demšar, M. Zaffalon, "Time for a change: a tutorial for comparing multiple classifiers
       through Bayesian analysis", JMLR 18, 2017, 1-36.
.. [2] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52, 2003, 239-281.
.. [3] G. Corani, A. Benavoli, "A Bayesian approach for comparing cross-validated algorithms on multiple data sets",
       Machine Learning 100, 2015, 285-304.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

PRIOR = 0.5  # weight of the one pseudo-difference of zero, against 1 of each data set
CHUNK = 2**22  # numbers held at once


class Posterior(NamedTuple):
    """Probabilities, which add up to 1: the first is better, practically equal, the second is better."""

    first: float
    equal: float
    second: float


class CorrectedT(NamedTuple):
    """A corrected resampled t-test: statistic, degrees of freedom, two-sided p."""

    statistic: float
    degrees: int
    p: float


def signed_rank(
    differences: ArrayLike, rope: float, *, samples: int = 50_000, seed: int = 0, prior: float = PRIOR
) -> Posterior:
    """Return the posterior of a Bayesian signed-rank test over data sets ([1]_, section 4.2).

    A Dirichlet process with one pseudo-difference of zero: weights of the differences are drawn, and a sample goes to
    where most of the weighted pairwise sums (Walsh averages) lie, below, inside or above the region.

    Parameters
    ----------
    differences
        First less second, one per data set, shape (data sets,).
    rope
        Half the width of the region of practical equivalence, in the unit of the differences; 0 for none.
    samples, seed
        How many samples are drawn, and from which random numbers.
    prior
        The weight of the pseudo-difference.

    Returns
    -------
    Posterior
        Without a region `equal` is 0. Samples in which two regions hold as much are shared among them.
    """
    differences = np.concatenate([[0.0], np.asarray(differences, dtype=float)])
    n = len(differences)
    sums = differences[:, None] + differences[None, :]
    above, below = (_beyond(sign * sums, 2 * rope) for sign in (1, -1))
    rng = np.random.default_rng(seed)
    strength = np.r_[prior, np.ones(n - 1)]
    won = np.zeros(3)
    step = max(1, CHUNK // n)
    for start in range(0, samples, step):
        weights = rng.dirichlet(strength, min(step, samples - start))
        first, second = (np.einsum("si,si->s", weights @ side, weights) for side in (above, below))
        shares = np.column_stack([first, 1 - first - second if rope > 0 else np.full(len(first), -1.0), second])
        best = shares >= shares.max(axis=1, keepdims=True) - 1e-12
        won += (best / best.sum(axis=1, keepdims=True)).sum(axis=0)
    return Posterior(*(float(x) for x in won / samples))


def corrected_t(differences: ArrayLike, test_share: float) -> CorrectedT:
    """Test paired differences of repeated trainings on one data set, whose images overlap ([2]_).

    The variance of the mean is ``(1 / n + test / train) s^2`` where independent runs would have ``s^2 / n``: plain
    t-tests of repeated splits find differences that are not there.

    Parameters
    ----------
    differences
        One per seed, shape (seeds,), two or more.
    test_share
        The share of the images that the test set is, between 0 and 1.
    """
    mean, scale, degrees = _overlapping(differences, test_share)
    if scale == 0:
        return CorrectedT(math.copysign(math.inf, mean) if mean else 0.0, degrees, 0.0 if mean else 1.0)
    statistic = mean / scale
    return CorrectedT(statistic, degrees, float(2 * stats.t.sf(abs(statistic), degrees)))


def correlated_t(differences: ArrayLike, rope: float, test_share: float) -> Posterior:
    """Return the posterior of the mean difference of repeated trainings on one data set ([3]_; [1]_, section 3).

    Student's t about the mean, scaled as in `corrected_t`. Parameters as there and in `signed_rank`.
    """
    mean, scale, degrees = _overlapping(differences, test_share)
    if scale == 0:
        return Posterior(float(mean > rope), float(abs(mean) <= rope), float(mean < -rope))
    first = float(stats.t.sf(rope, degrees, loc=mean, scale=scale))
    second = float(stats.t.cdf(-rope, degrees, loc=mean, scale=scale))
    return Posterior(first, max(0.0, 1 - first - second), second)


def _beyond(sums: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    return (sums > limit) + 0.5 * (sums == limit)


def _overlapping(differences: ArrayLike, test_share: float) -> tuple[float, float, int]:
    differences = np.asarray(differences, dtype=float)
    n = len(differences)
    if n < 2:
        raise ValueError("two or more seeds are needed for a variance between them")
    if not 0 < test_share < 1:
        raise ValueError(f"the test set's share is {test_share}; it must lie between 0 and 1")
    variance = float(differences.var(ddof=1))
    return float(differences.mean()), math.sqrt((1 / n + test_share / (1 - test_share)) * variance), n - 1
