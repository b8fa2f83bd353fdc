"""How sure one data set is: its test units are weighted at random, with all candidates' and seeds' predictions of a
unit together.

References
----------
.. [1] G. Y. Zou, A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics
       in Medicine 27, 2008, 1693-1702.
.. [2] A. Gelman, J. B. Carlin, H. S. Stern, D. B. Rubin, "Bayesian Data Analysis", 2nd ed., Chapman & Hall, 2004,
       section 3.6.
.. [3] R. Beran, "Balanced simultaneous confidence sets", Journal of the American Statistical Association 83, 1988,
       679-686.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pocketscope.statistics import intervals, nested, predictions
from pocketscope.statistics.predictions import Evidence, Predicted, align

__all__ = ["Bootstrap", "Evidence", "Predicted", "align", "bootstrap", "over_datasets"]

FEWEST_DATASETS = 3  # of which Student's t says anything; with 2 its interval is 18 times as wide as the deviation
CHUNK = 256  # samples whose counts are held at once
BLOCK_CELLS = 2**25  # samples x counts held at once: 128 MiB

Floats = NDArray[np.float64]


class Bootstrap(NamedTuple):
    """Scores of every row: as measured, and as they may be in the population.

    Attributes
    ----------
    rows
        The names of the rows.
    point
        Mean-over-seeds score, shape (rows,).
    per_seed
        Shape (rows, seeds).
    low, high
        The score with random weights of the units and one unit more, which every row answers wrongly (`low`) or rightly
        (`high`), shape (samples, rows). Row i may score as little as a low quantile of ``low[:, i]``, and lose as much
        against row j as a low quantile of ``low[:, i] - high[:, j]`` says.
    bias
        How much lower than the measured score a row scores with random weights of the units, shape (rows,): F1 of few
        images is too low, and so it is once more.
    parts
        What each unit adds to the score, shape (units, rows): `predictions.contributions`, or the data sets' scores.
    scatter
        The variance over seeds that is the images', shape (rows,): likewise.
    units
        How many units there are.
    unit
        What they are: image, group or dataset.
    unseen
        Classes of the score without a test image.
    right, sizes
        Right answers of each row in each unit, mean over seeds, shape (rows, units), and the images of each unit; empty
        where units are data sets.
    choice
        To apply a rule of choice to a part of the units, and score what it chose on the rest.
    """

    rows: list[str]
    point: Floats
    per_seed: Floats
    low: Floats
    high: Floats
    bias: Floats
    parts: Floats
    scatter: Floats
    units: int
    unit: str
    unseen: list[str]
    right: Floats
    sizes: Floats
    choice: nested.Choice


def bootstrap(data: Predicted, *, positive: int | None = None, samples: int = 2000, seed: int = 0) -> Bootstrap:
    """Weight the test units at random, and score every row.

    Parameters
    ----------
    data
        Predictions side by side.
    positive
        The class whose F1 is the score; None for the mean of all classes' F1 (macro).
    samples
        How many draws of weights.
    seed
        Of the weights.

    Returns
    -------
    Bootstrap
        The score of a row is its mean over seeds: a seed is trained anew and measures another variance, it is no
        further test image. A class without a test image is left out of `point`; it is part of what is to be known, and
        may have any F1, so that `low` counts 0 and `high` 1 for it.
    """
    hits, errors = predictions.counts_per_unit(data)
    units, rows, seeds, count = hits.shape
    actual = np.bincount(data.truth, minlength=count) > 0
    scored = np.arange(count) if positive is None else np.array([positive])
    hits, errors = hits[..., scored], errors[..., scored]
    known = actual[scored] if positive is None else np.ones(1, dtype=bool)
    per_seed = f1(hits.sum(axis=0), errors.sum(axis=0), known)
    low, high, middle = (np.empty((samples, rows)) for _ in range(3))
    block = max(1, BLOCK_CELLS // (CHUNK * seeds * len(scored)))
    for start in range(0, samples, CHUNK):
        rng = np.random.default_rng([seed, start])
        size = min(CHUNK, samples - start)
        weights = rng.standard_exponential((size, units), dtype=np.float32)
        # One unit more, of as many images as the others have on average.
        extra = rng.standard_exponential(size) * len(data.images) / units
        for first in range(0, rows, block):
            part = slice(first, first + block)
            shape = (size, -1, seeds, len(scored))
            h = (weights @ hits[:, part].reshape(units, -1)).astype(float).reshape(shape)
            e = (weights @ errors[:, part].reshape(units, -1)).astype(float).reshape(shape)
            more = np.broadcast_to(extra[:, None, None], h.shape[:-1])
            here = slice(start, start + size), part
            low[here] = intervals.worst_f1(h, e, more).mean(axis=2)
            high[here] = intervals.best_f1(h, e, more).mean(axis=2)
            middle[here] = f1(h, e, known).mean(axis=2)
    point = per_seed.mean(axis=1)
    parts, scatter = predictions.contributions(data, positive)
    return Bootstrap(
        rows=data.rows,
        point=point,
        per_seed=per_seed,
        low=low,
        high=high,
        bias=middle.mean(axis=0) - point,
        parts=parts,
        scatter=scatter,
        units=units,
        unit="image" if units == len(data.images) else "group",
        unseen=[data.classes[c] for c in scored if not actual[c]],
        right=np.stack([np.bincount(data.units, weights=row) for row in (data.predicted == data.truth).mean(axis=1)]),
        sizes=np.bincount(data.units).astype(float),
        choice=nested.of_images(hits, errors, known, seed),
    )


def over_datasets(values: pd.DataFrame, *, samples: int = 10_000, seed: int = 0) -> Bootstrap:
    """Tell from scores on some data sets how rows score on data sets like these, by Student's t.

    `values` has one data set a line and one row of the study a column. The mean of a row, and the difference of any
    two, lies about what was measured as Student's t with ``n - 1`` degrees of freedom does ([2]_, the multivariate
    normal model): scores on data sets are no proportions whose ends a sample could miss. Below three data sets nothing
    is drawn.
    """
    values = values[sorted(values.columns)].sort_index()
    array = values.to_numpy(dtype=float)
    n, rows = array.shape
    point = array.mean(axis=0)
    draws = np.full((samples, rows), np.nan)
    if n >= FEWEST_DATASETS:
        rng = np.random.default_rng(seed)
        normal = rng.standard_normal((samples, n)) @ (array - point) / np.sqrt(n * (n - 1))
        draws = point + normal / np.sqrt(rng.chisquare(n - 1, (samples, 1)) / (n - 1))
    names = [str(column) for column in values.columns]
    none = np.empty((rows, 0))
    return Bootstrap(
        rows=names,
        point=point,
        per_seed=point[:, None],
        low=draws,
        high=draws,
        bias=np.zeros(rows),
        parts=array,
        scatter=np.zeros(rows),
        units=n,
        unit="dataset",
        unseen=[],
        right=none,
        sizes=none[0],
        choice=nested.of_datasets(array, seed),
    )


def enough_samples(rows: int) -> int:
    """Return how many draws let bounds hold for so many candidates at once: the smallest tail is alpha / 2 / rows."""
    return min(20_000, max(2_000, 100 * rows))


def interval(result: Bootstrap, alpha: float = 0.05) -> Floats:
    """Return the interval of every row's score, shape (rows, 2)."""
    lower = np.quantile(result.low, alpha / 2, axis=0)
    upper = np.quantile(result.high, 1 - alpha / 2, axis=0) - 2 * np.minimum(result.bias, 0)
    return np.stack([lower, np.minimum(upper, 1) if result.unit != "dataset" else upper], axis=1)


def accuracy(result: Bootstrap, row: int, alpha: float = 0.05) -> intervals.Accuracy | None:
    """Return what the test set says of a row's share of right answers; None where units are data sets."""
    if result.unit == "dataset":
        return None
    return intervals.accuracy(result.right[row], result.sizes, alpha=alpha)


def difference(
    result: Bootstrap, first: Sequence[int], second: Sequence[int], *, alpha: float = 0.05
) -> dict[str, float]:
    """Compare the mean score of some rows with that of others: `difference`, and its interval `lower` to `upper`."""
    first, second = list(first), list(second)
    point = float(result.point[first].mean() - result.point[second].mean())
    low = result.low[:, first].mean(axis=1) - result.high[:, second].mean(axis=1)
    high = result.high[:, first].mean(axis=1) - result.low[:, second].mean(axis=1)
    return {
        "difference": point,
        "lower": float(np.quantile(low, alpha / 2)),
        "upper": float(np.quantile(high, 1 - alpha / 2)),
    }


def simultaneous_tail(draws: Floats, alpha: float) -> float:
    """Return the tail at which the lower quantiles of all columns of `draws` hold at once, all but `alpha` of the time.

    It is the same for all columns (balanced [3]_), and lies between alpha / columns and alpha: the more the columns go
    up and down together, the higher.
    """
    samples, columns = draws.shape
    if not columns:
        return alpha
    lowest = np.full(samples, samples)
    for column in draws.T:
        order = np.argsort(column, kind="stable")
        rank = np.empty(samples, dtype=np.int64)
        rank[order] = np.arange(samples)
        np.minimum(lowest, rank, out=lowest)
    return float((np.quantile(lowest, alpha, method="lower") + 1) / samples)


def f1(hits: Floats, errors: Floats, known: NDArray[np.bool_]) -> Floats:
    """Return the mean F1 of the classes that are `known`, from counts of shape (..., classes)."""
    whole = 2 * hits + errors
    return np.divide(2 * hits, whole, out=np.zeros(whole.shape), where=whole > 0)[..., known].mean(axis=-1)


def remark(result: Bootstrap) -> str | None:
    """Say why intervals are as wide as they are, or missing, where a reader may wonder."""
    if result.unit == "dataset" and result.units < FEWEST_DATASETS:
        return f"{result.units} data sets are too few for an interval over data sets."
    if result.unseen:
        named = ", ".join(f"'{name}'" for name in result.unseen[:5]) + (", …" if len(result.unseen) > 5 else "")
        what = "this class" if len(result.unseen) == 1 else "each of these classes"
        return f"No test image shows {named}. F1 of {what} may be anything, and the interval of F1 allows for that."
    return None
