"""How sure one dataset is: its test units are resampled, with all rows' and all seeds' predictions of a unit together.

References
----------
.. [1] B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall, 1993, chapters 13 and 16.
.. [2] I. Tsamardinos, E. Greasidou, G. Borboudakis, "Bootstrapping the out-of-sample predictions for efficient and
       accurate cross-validation", Machine Learning 107, 2018, 1895-1922.
.. [3] G. Y. Zou, A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics
       in Medicine 27, 2008, 1693-1702.
.. [4] T. C. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69, 2015, 371-386.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pocketscope.core.errors import InputError
from pocketscope.statistics import hypothesis_tests
from pocketscope.tables.comparison import NOT_SHOWN
from pocketscope.tables.decision import DIFFERENCES

FEWEST_UNITS = 6  # with fewer, not even a difference of one sign in all units reaches 0.05 (two-sided, 2^(1-n))
RELIABLE_FROM = 15  # test images of the rarest class, below which intervals are known to be too short
CHUNK = 256  # samples whose counts are held at once
BLOCK_CELLS = 2**25  # units x counts held at once: 128 MiB


class Predicted(NamedTuple):
    """Predictions side by side: all rows and seeds on the same images.

    `predicted` holds class numbers, shape (rows, seeds, images); `truth` and `units` have the shape (images,).
    """

    rows: list[str]
    seeds: list[str]
    classes: list[str]
    images: list[str]
    predicted: NDArray[np.int64]
    truth: NDArray[np.int64]
    units: NDArray[np.int64]


class Evidence(NamedTuple):
    """What is known of one dataset's test set beyond scores; the arguments of `align` and `bootstrap`.

    `predictions` by (candidate, seed), a candidate named as `score_table.candidate_name` does; `positive` the number of
    the class whose F1 is the score, None for macro F1.
    """

    predictions: Mapping[tuple[str, str], pd.DataFrame]
    truth: pd.DataFrame
    classes: Sequence[str]
    groups: Mapping[str, str] | None = None
    positive: int | None = None


class Bootstrap(NamedTuple):
    """Scores of every row: as measured, and on every resample, in it and out of it.

    Attributes
    ----------
    rows
        The names of the rows.
    point
        Mean-over-seeds score, shape (rows,).
    per_seed
        Shape (rows, seeds).
    inside, outside
        The score on each resample, and on what it left out, shape (samples, rows); NaN where it is undefined.
    units
        How many units were resampled.
    unit
        What they are: image, group or dataset.
    rarest
        Test images of the rarest class; None where datasets were resampled.
    """

    rows: list[str]
    point: NDArray[np.float64]
    per_seed: NDArray[np.float64]
    inside: NDArray[np.float64]
    outside: NDArray[np.float64]
    units: int
    unit: str
    rarest: int | None


def align(
    predictions: Mapping[tuple[str, str], pd.DataFrame],
    truth: pd.DataFrame,
    classes: Sequence[str],
    groups: Mapping[str, str] | None = None,
) -> Predicted:
    """Put predictions side by side.

    Parameters
    ----------
    predictions
        By (row, seed), a frame with image_id and probabilities (a list of one number per class, in the order of
        `classes`). The folds of one cross-validation are one seed: concatenate them.
    truth
        Columns image_id and label.
    classes
        The class names.
    groups
        The group of an image, where it has one.

    Raises
    ------
    pocketscope.core.errors.InputError
        A row lacks a seed, an image lacks a prediction or is predicted twice, or a label is no class.
    """
    rows = list(dict.fromkeys(row for row, _ in predictions))
    seeds = list(dict.fromkeys(seed for _, seed in predictions))
    number = {name: i for i, name in enumerate(classes)}
    label_of = dict(zip(truth["image_id"].astype(str), truth["label"], strict=True))
    images = sorted(set(next(iter(predictions.values()))["image_id"].astype(str)) & set(label_of))
    if unknown := sorted({str(label_of[image]) for image in images} - set(number)):
        raise InputError(f"the true label '{unknown[0]}' is not among the predicted classes: {', '.join(classes)}")
    predicted = np.empty((len(rows), len(seeds), len(images)), dtype=np.int64)
    for i, row in enumerate(rows):
        for j, seed in enumerate(seeds):
            if (row, seed) not in predictions:
                raise InputError(f"'{row}' has no predictions for the split '{seed}'")
            frame = predictions[row, seed]
            index = frame["image_id"].astype(str)
            if index.duplicated().any():
                raise InputError(f"'{row}', split '{seed}': {index[index.duplicated()].iloc[0]} is predicted twice")
            best = pd.Series(np.argmax(np.stack(frame["probabilities"].to_numpy()), axis=1), index=index)
            if missing := set(images) - set(index):
                raise InputError(
                    f"'{row}', split '{seed}': no prediction of {min(missing)} and {len(missing) - 1} more images"
                )
            predicted[i, j] = best.reindex(images)
    truth_numbers = np.array([number[label_of[image]] for image in images])
    names = [str((groups or {}).get(image) or f"image {image}") for image in images]
    units = np.unique(names, return_inverse=True)[1]
    return Predicted(rows, seeds, list(classes), images, predicted, truth_numbers, units)


def bootstrap(data: Predicted, *, positive: int | None = None, samples: int = 2000, seed: int = 0) -> Bootstrap:
    """Resample the test units with replacement, and score every row on each resample and on what it left out.

    Parameters
    ----------
    data
        Predictions side by side.
    positive
        The class whose F1 is the score; None for the mean of all classes' F1 (macro).
    samples
        How many resamples.
    seed
        Of the resampling.

    Returns
    -------
    Bootstrap
        The score of a row is its mean over seeds: a seed is trained anew and measures another variance, it is no
        further test image. A class without an image in a resample is left out of that resample's mean.
    """
    rows, seeds, images = data.predicted.shape
    count = len(data.classes)
    units = int(data.units.max()) + 1
    block = max(1, BLOCK_CELLS // (units * seeds * 2 * count))
    parts = [
        _resample(data._replace(predicted=data.predicted[start : start + block]), units, positive, samples, seed)
        for start in range(0, rows, block)
    ]
    per_seed = np.concatenate([part[0] for part in parts])
    inside = np.concatenate([part[1] for part in parts], axis=1)
    outside = np.concatenate([part[2] for part in parts], axis=1)
    return Bootstrap(
        rows=data.rows,
        point=per_seed.mean(axis=1),
        per_seed=per_seed,
        inside=inside,
        outside=outside,
        units=units,
        unit="image" if units == images else "group",
        rarest=int(min(n for n in np.bincount(data.truth, minlength=count) if n)),
    )


def enough_samples(rows: int) -> int:
    """Return how many resamples let Holm's adjustment over so many comparisons reach 0.05: a p-value has steps of 1
    / n.
    """
    return min(20_000, max(2_000, 100 * rows))


def over_datasets(values: pd.DataFrame, *, samples: int = 2000, seed: int = 0) -> Bootstrap:
    """Resample datasets: `values` has one dataset a line and one row of the study a column."""
    array = values.to_numpy(dtype=float)
    n = len(array)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=samples)
    left_out = (weights == 0).astype(float)
    with np.errstate(invalid="ignore"):
        outside = left_out @ array / left_out.sum(axis=1, keepdims=True)
    point = array.mean(axis=0)
    names = [str(column) for column in values.columns]
    return Bootstrap(names, point, point[:, None], weights @ array / n, outside, n, "dataset", None)


def differences(result: Bootstrap, pairs: Sequence[tuple[str, str]], *, alpha: float = 0.05) -> pd.DataFrame:
    """Compare declared pairs of rows by the resampled difference of their scores.

    The interval is the bootstrap's percentile interval ([1]_, section 13.3), expanded as `tail` says. The p-value is
    the smallest alpha whose interval leaves out zero: ``2 min(#(d <= 0) + 1, #(d >= 0) + 1) / (samples + 1)``, expanded
    likewise. Holm's adjustment goes over the pairs.

    That interval is about these trained models on new images. Where two seeds or more were run, a second one is about
    new trainings too: the seeds' t interval is added by the squares of the distances from the point [3]_.

    Returns
    -------
    pandas.DataFrame
        The columns of `tables.decision.DIFFERENCES` but the first, one line a pair: `candidate` and `reference`.
    """
    at = {name: i for i, name in enumerate(result.rows)}
    rows = []
    for first, second in pairs:
        i, j = at[first], at[second]
        resampled = result.inside[:, i] - result.inside[:, j]
        resampled = resampled[~np.isnan(resampled)]
        point = float(result.point[i] - result.point[j])
        cut = tail(result.units, alpha)
        lower, upper = np.quantile(resampled, [cut, 1 - cut])
        deviation, reach = _seed_reach(result.per_seed[i] - result.per_seed[j], alpha)
        fewer = min((resampled <= 1e-12).sum(), (resampled >= -1e-12).sum())
        rows.append(
            {
                "candidate": first,
                "reference": second,
                "difference": point,
                "lower": float(lower),
                "upper": float(upper),
                "lower_with_seeds": point - float(np.hypot(point - lower, reach)),
                "upper_with_seeds": point + float(np.hypot(upper - point, reach)),
                "seed_deviation": deviation,
                "p": _expanded_p(min(1.0, float(2 * (fewer + 1) / (len(resampled) + 1))), result.units),
            }
        )
    frame = pd.DataFrame(rows, columns=DIFFERENCES.names[1:-2])  # without any pair there are columns all the same
    frame["p_adjusted"] = hypothesis_tests.holm(frame["p"])
    better = np.where(frame["difference"] > 0, frame["candidate"], frame["reference"])
    shown = frame["p_adjusted"] < alpha
    frame["verdict"] = [f"{name} is better" if s else NOT_SHOWN for name, s in zip(better, shown, strict=True)]
    return frame[DIFFERENCES.names[1:]]


def interval(result: Bootstrap, alpha: float = 0.05) -> NDArray[np.float64]:
    """Return the expanded percentile interval of every row's score, shape (rows, 2)."""
    cut = tail(result.units, alpha)
    return np.nanquantile(result.inside, [cut, 1 - cut], axis=0).T


def tail(units: int, alpha: float) -> float:
    """Return the share of resamples that an interval leaves out at either end.

    Percentile intervals of few units are too short, as the normal instead of Student's curve, and n instead of n - 1,
    stand behind them. The expanded percentile interval takes ``Phi(-sqrt(n / (n - 1)) t)`` in place of alpha / 2, t
    being Student's quantile with n - 1 degrees of freedom ([4]_, section 5.3): 0.8 % instead of 2.5 % for 10 units,
    2.4 % for 200.
    """
    return float(stats.norm.cdf(-_expansion(units) * stats.t.ppf(1 - alpha / 2, max(1, units - 1))))


def corrected_for_choice(result: Bootstrap, chosen: ArrayLike) -> float:
    """Return the score of what a rule chooses, freed of the choice's luck.

    The rule is applied on each resample (`chosen`: the row's number, shape (samples,)), and what it chose is scored
    on the units that the resample left out; the mean over resamples is what a chosen row is worth on new units [2]_.
    """
    chosen = np.asarray(chosen)
    return float(np.nanmean(result.outside[np.arange(len(chosen)), chosen]))


def reliability_remark(result: Bootstrap) -> str | None:
    """Say why the intervals cannot be relied on, where they cannot."""
    if result.rarest is not None and result.rarest < RELIABLE_FROM:
        return (
            f"The rarest class has {result.rarest} test image{'s' if result.rarest > 1 else ''}: with fewer than "
            f"{RELIABLE_FROM}, intervals are unreliable and usually too narrow."
        )
    if result.units < FEWEST_UNITS:
        unit = result.unit.replace("dataset", "data set")
        return f"{result.units} {unit}s are too few for an interval: {FEWEST_UNITS} are the minimum."
    return None


def _resample(
    data: Predicted, units: int, positive: int | None, samples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Score a block of rows: as measured by seed, and mean over seeds in and out of the resamples, equal for all
    blocks.
    """
    count = len(data.classes)
    counts = _counts_per_unit(data, count, units)

    def scores(weights: NDArray) -> NDArray[np.float64]:
        return _f1(weights.astype(np.float32) @ counts, data.predicted.shape[:2], count, positive)

    inside, outside = [], []
    for start in range(0, samples, CHUNK):
        rng = np.random.default_rng([seed, start])
        weights = rng.multinomial(units, np.full(units, 1 / units), size=min(CHUNK, samples - start))
        inside.append(scores(weights).mean(axis=2))
        outside.append(scores(weights == 0).mean(axis=2))
    return scores(np.ones((1, units)))[0], np.concatenate(inside), np.concatenate(outside)


def _counts_per_unit(data: Predicted, count: int, units: int) -> NDArray[np.float32]:
    """Return, a line a unit: per row, seed and class the hits and the predictions; then per class the images."""
    rows, seeds, images = data.predicted.shape
    columns = np.zeros((units, rows * seeds * 2 * count + count), dtype=np.float32)
    flat = data.predicted.reshape(rows * seeds, images)
    start = 2 * count * np.arange(rows * seeds)[:, None]
    units_of = np.broadcast_to(data.units, flat.shape)
    hit = flat == data.truth
    np.add.at(columns, (units_of[hit], (start + flat)[hit]), 1)
    np.add.at(columns, (units_of, start + count + flat), 1)
    np.add.at(columns, (data.units, rows * seeds * 2 * count + data.truth), 1)
    return columns


def _f1(counts: NDArray[np.float32], shape: tuple[int, int], classes: int, positive: int | None) -> NDArray[np.float64]:
    """Return F1 from counts, shape (samples, rows, seeds); NaN where it has no image of the class."""
    actual = counts[:, None, None, -classes:].astype(float)
    both = counts[:, :-classes].reshape(len(counts), *shape, 2, classes).astype(float)
    with np.errstate(invalid="ignore"):
        f1 = np.where(actual > 0, 2 * both[..., 0, :] / (both[..., 1, :] + actual), np.nan)
        if positive is not None:
            return f1[..., positive]
        there = actual > 0
        return np.where(there, f1, 0).sum(axis=-1) / there.sum(axis=-1)


def _expansion(units: int) -> float:
    return math.sqrt(units / max(1, units - 1))


def _expanded_p(p: float, units: int) -> float:
    """Return the alpha at which `tail` gives p / 2."""
    return float(2 * stats.t.sf(stats.norm.isf(p / 2) / _expansion(units), max(1, units - 1)))


def _seed_reach(per_seed: NDArray[np.float64], alpha: float) -> tuple[float, float]:
    """Return the deviation over seeds and the half-width of the mean's t interval; NaN with a single seed."""
    n = len(per_seed)
    if n < 2:
        return np.nan, np.nan
    deviation = float(per_seed.std(ddof=1))
    return deviation, float(stats.t.ppf(1 - alpha / 2, n - 1) * deviation / np.sqrt(n))
