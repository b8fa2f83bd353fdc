"""Which of many differences are real, all tested at once, by exchanging what two groups scored within a unit.

Groups (candidates, methods, networks) are measured on the same units (test images, patients, data sets). If two groups
are equal, their scores on a unit might as well be exchanged, which turns the sign of their difference. The share of
exchanges that make a difference as large as the one that was seen is its p-value; it needs no assumption about how
scores are distributed. The signs of all pairs are turned together, so that the largest difference of many is compared
with the largest that such exchanges make: what agrees (networks that fail on the same images) is counted as little as
it is worth. Pairs that are shown make room for the others, step by step.

References
----------
.. [1] J. P. Romano, M. Wolf, "Exact and approximate stepdown methods for multiple hypothesis testing", Journal of the
       American Statistical Association 100, 2005, 94-108.
.. [2] P. H. Westfall, S. S. Young, "Resampling-Based Multiple Testing", Wiley, 1993, chapter 2.
.. [3] G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression", Statistical
       Applications in Genetics and Molecular Biology 3, 2004, article 3.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

SAMPLES = 2000  # exchanges that are drawn; all are made where they are no more
FIRST = 200  # exchanges that are enough where no difference comes near to being shown
FAR = 0.25  # smallest adjusted p-value from which on none does: at 0.05 it would take luck of 1 in 10^15
CAUTION = 3  # degrees of freedom
CHUNK_CELLS = 2**22  # exchanges x pairs held at once

Floats = NDArray[np.float64]


class Tested(NamedTuple):
    """Of each pair its statistic, its own p-value, and the p-value adjusted for all pairs, shape (pairs,)."""

    statistic: Floats
    p: Floats
    p_adjusted: Floats


class Trainings(NamedTuple):
    """How much groups differ from one training (seed) to the next.

    Attributes
    ----------
    total
        The variance of a group's score over seeds beyond what all groups share, shape (groups,): its own, moderated by
        the others' as far as they agree (empirical Bayes [3]_).
    images
        How much of that trainings alike in worth would show on these units; it is part of the units' variance already.
    freedom
        The degrees of freedom of that.
    weight
        Degrees of freedom that the others' variance counts; infinite where one variance does for all.
    seeds
        How many.
    """

    total: Floats
    images: Floats
    freedom: float
    weight: float
    seeds: int

    @property
    def variance(self) -> Floats:
        """What trainings differ by beyond that, shape (groups,)."""
        return np.maximum(self.total - self.images, 0)


def all_pairs(groups: int) -> NDArray[np.int64]:
    """Return all pairs of so many groups, shape (pairs, 2)."""
    return np.stack(np.triu_indices(groups, 1), axis=1)


def with_control(groups: int, control: int) -> NDArray[np.int64]:
    """Return the pairs of all others with a control, which comes second, shape (groups - 1, 2)."""
    others = np.delete(np.arange(groups), control)
    return np.stack([others, np.full_like(others, control)], axis=1)


def step_down(
    parts: ArrayLike,
    pairs: ArrayLike,
    trainings: Trainings | None = None,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Tested:
    """Test pairs of groups at once, by the step-down of the largest statistic ([1]_; [2]_, section 2.6).

    A pair's statistic is ``sum(d) / sqrt(sum(d^2))`` over the units' differences d, which orders as Student's t does.
    With `trainings`, ``sum(d)`` has a second source of chance: ``(v_i + v_j) / seeds`` is added to the sum of squares,
    and each exchange is joined by seeds drawn anew from the normal distribution, whose variances are estimated anew.

    Parameters
    ----------
    parts
        What each unit adds to the score of each group (or its score on the unit), shape (units, groups).
    pairs
        Shape (pairs, 2).
    trainings
        What `trainings` found; None where groups are what was measured (files), not how it came about (methods).
    samples
        Exchanges that are drawn; where there are no more than that, ``2^(units - 1)``, all are made once. The first
        `FIRST` are enough where their smallest adjusted p-value is beyond `FAR` (sequential testing by Besag and
        Clifford, Biometrika 78, 1991).
    seed
        Of the draws.

    Returns
    -------
    Tested
        The adjusted p-values bound the chance of any false difference, whichever groups are equal.
    """
    parts = np.asarray(parts, dtype=float)
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    if not len(pairs):
        return Tested(np.empty(0), np.empty(0), np.empty(0))
    if samples > FIRST and len(parts) - 1 > math.log2(FIRST):
        found = _step_down(parts, pairs, trainings, FIRST, seed)
        if found.p_adjusted.min() > FAR:
            return found
    return _step_down(parts, pairs, trainings, samples, seed)


def trainings(per_seed: ArrayLike, scatter: ArrayLike | None = None) -> Trainings:
    """Estimate how much groups' scores differ from training to training.

    What all groups share of a seed (its labelled images, say) is taken out. Few seeds tell little of one group: its
    variance is drawn towards the mean of all, the more the better they agree.

    Parameters
    ----------
    per_seed
        Scores, shape (groups, seeds).
    scatter
        How much of the variance over seeds is the units' (`predictions.contributions`), shape (groups,). The fewer
        degrees of freedom there are to tell the two apart, the less of it is taken off, and with three or fewer
        nothing: then a part of the units' variance counts twice, to be on the safe side.
    """
    per_seed = np.asarray(per_seed, dtype=float)
    groups, seeds = per_seed.shape
    own, freedom = _own_variances(per_seed[None])
    weight = _prior_weight(own[0], freedom)
    total = _moderated(own, freedom, weight)[0]
    known = min((groups - 1) * (seeds - 1), weight + freedom)
    images = np.zeros(groups) if scatter is None else max(0.0, 1 - CAUTION / known) * np.asarray(scatter, dtype=float)
    return Trainings(total, images, known, weight, seeds)


def smallest_p(units: int) -> float:
    """Return the smallest p-value that exchanges within so many units can reach."""
    return float(2.0 ** (1 - units))


def over_independent(p: ArrayLike, families: int) -> Floats:
    """Adjust p-values for so many independent families, as Šidák does: ``1 - (1 - p)^families``."""
    return -np.expm1(families * np.log1p(-np.minimum(np.asarray(p, dtype=float), 1 - 1e-15)))


def _step_down(parts: Floats, pairs: NDArray[np.int64], trainings: Trainings | None, samples: int, seed: int) -> Tested:
    parts = parts - parts.mean(axis=1, keepdims=True)
    first, second = pairs.T
    rng = np.random.default_rng([seed, len(parts)])
    signs, exact = _signs(rng, len(parts), samples, complete=trainings is None)
    variance = _pair_sums(parts, pairs)
    total, between, own = parts.sum(axis=0), 0.0, None
    sums = signs @ parts
    if trainings is not None:
        sums, own = _with_trainings(rng, sums, trainings)
        between = (trainings.variance[first] + trainings.variance[second]) / trainings.seeds
    scale = np.sqrt(variance + between)
    statistic = np.divide(total[first] - total[second], scale, out=np.zeros(len(pairs)), where=scale > 1e-12)
    size = np.abs(statistic) - 1e-9  # equal sums of other order differ in their last bits
    order = np.argsort(size, kind="stable")
    p, adjusted = np.empty(len(pairs)), np.empty(len(pairs))
    largest = np.zeros(len(sums))
    step = max(1, CHUNK_CELLS // len(sums))
    for start in range(0, len(order), step):
        some = order[start : start + step]
        one, other = pairs[some].T
        drawn = np.abs(sums[:, one] - sums[:, other])
        square = variance[some] if own is None else variance[some] + (own[:, one] + own[:, other]) / trainings.seeds
        np.divide(drawn, np.sqrt(square), out=drawn, where=square > 1e-24)
        p[some] = (drawn >= size[some]).sum(axis=0)
        drawn[:, 0] = np.maximum(drawn[:, 0], largest)
        np.maximum.accumulate(drawn, axis=1, out=drawn)
        adjusted[some] = (drawn >= size[some]).sum(axis=0)
        largest = drawn[:, -1]
    more = 0 if exact else 1  # what was seen is one of the exchanges
    p, adjusted = ((counts + more) / (len(sums) + more) for counts in (p, adjusted))
    adjusted[order] = np.maximum.accumulate(adjusted[order][::-1])[::-1]
    none = np.abs(statistic) <= 1e-9
    return Tested(statistic, np.where(none, 1.0, p), np.where(none, 1.0, adjusted))


def _signs(rng: np.random.Generator, units: int, samples: int, *, complete: bool) -> tuple[Floats, bool]:
    """Return signs for the units, shape (exchanges, units): all that differ in more than all signs, or some."""
    if complete and units <= 1 + math.log2(samples):
        bits = np.arange(2 ** (units - 1))[:, None] >> np.arange(units)[None] & 1
        return 1.0 - 2.0 * bits, True
    return 1.0 - 2.0 * rng.integers(0, 2, (samples, units), dtype=np.int8).astype(np.float64), False


def _pair_sums(parts: Floats, pairs: NDArray[np.int64]) -> Floats:
    """Return ``sum((a - b)^2)`` of each pair, without the loss of digits that ``a^2 - 2 ab + b^2`` has."""
    found = np.empty(len(pairs))
    step = max(1, CHUNK_CELLS // len(parts))
    for start in range(0, len(pairs), step):
        one, other = pairs[start : start + step].T
        found[start : start + step] = np.square(parts[:, one] - parts[:, other]).sum(axis=0)
    return found


def _with_trainings(rng: np.random.Generator, sums: Floats, found: Trainings) -> tuple[Floats, Floats]:
    """Add seeds that are drawn anew to sums, shape (samples, groups), and return the variances that they show too."""
    shape = (*sums.shape, found.seeds)
    drawn = rng.standard_normal(shape) * np.sqrt(found.total)[:, None]
    own, freedom = _own_variances(drawn)
    beyond = np.sqrt(np.divide(found.variance, found.total, out=np.zeros(len(found.total)), where=found.total > 0))
    own = np.maximum(_moderated(own, freedom, found.weight) - found.images, 0)
    return sums + drawn.mean(axis=2) * beyond, own


def _own_variances(per_seed: Floats) -> tuple[Floats, float]:
    """Return each group's variance about what a seed does to all, shape (samples, groups), and its freedom."""
    _, groups, seeds = per_seed.shape
    rest = per_seed - per_seed.mean(axis=1, keepdims=True)
    rest -= rest.mean(axis=2, keepdims=True)
    freedom = (seeds - 1) * (groups - 1) / groups
    return np.square(rest).sum(axis=2) / freedom, freedom


def _moderated(own: Floats, freedom: float, weight: float) -> Floats:
    mean = own.mean(axis=1, keepdims=True)
    if math.isinf(weight):
        return np.broadcast_to(mean, own.shape)
    return (weight * mean + freedom * own) / (weight + freedom)


def _prior_weight(own: Floats, freedom: float) -> float:
    """Return for how many degrees of freedom the mean variance counts, from how much logarithms of variances vary [3]_.

    Chance alone spreads them by ``trigamma(freedom / 2)``; what is more is how much groups truly differ.
    """
    seen = own[own > 1e-5 * np.median(own)] if len(own) else own
    if len(seen) < 3:
        return math.inf
    beyond = float(np.log(seen).var(ddof=1) - special.polygamma(1, freedom / 2))
    if beyond <= 0:
        return math.inf
    low, high = 1e-3, 1e6  # trigamma falls: halve the bracket
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if special.polygamma(1, middle) > beyond else (low, middle)
    return 2 * low


def reach(found: Trainings, first: Sequence[int], second: Sequence[int], alpha: float) -> Floats:
    """Return how far the trainings alone let the difference of pairs lie from the truth, by Student's t."""
    spread = (found.variance[np.asarray(first)] + found.variance[np.asarray(second)]) / found.seeds
    return stats.t.ppf(1 - alpha / 2, found.freedom) * np.sqrt(spread)
