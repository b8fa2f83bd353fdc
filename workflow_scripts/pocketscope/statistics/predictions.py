"""Test predictions of one data set side by side, and what each test unit adds to a candidate's F1."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pocketscope.core.errors import InputError


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
    """What is known of one dataset's test set beyond scores; the arguments of `align` and `bootstrap.bootstrap`.

    `predictions` by (candidate, seed), a candidate named as `score_table.candidate_name` does; `positive` the number of
    the class whose F1 is the score, None for macro F1.
    """

    predictions: Mapping[tuple[str, str], pd.DataFrame]
    truth: pd.DataFrame
    classes: Sequence[str]
    groups: Mapping[str, str] | None = None
    positive: int | None = None


def align(
    predictions: Mapping[tuple[str, str], pd.DataFrame],
    truth: pd.DataFrame,
    classes: Sequence[str],
    groups: Mapping[str, str] | None = None,
) -> Predicted:
    """Put predictions side by side; rows, seeds and images are sorted, so that no result depends on their order.

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
    rows = sorted({row for row, _ in predictions})
    seeds = sorted({seed for _, seed in predictions})
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


def counts_per_unit(data: Predicted) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what F1 is made of, a line a unit: hits, shape (units, rows, seeds, classes), and errors, alike.

    A wrong answer is an error of two classes: of the true one, which was missed, and of the one that was named. F1 of a
    class is ``2 hits / (2 hits + errors)``.
    """
    rows, seeds, images = data.predicted.shape
    units, count = int(data.units.max()) + 1, len(data.classes)
    flat = data.predicted.reshape(rows * seeds, images)
    hit = flat == data.truth
    start = (data.units[None, :] * (rows * seeds) + np.arange(rows * seeds)[:, None]) * count
    length = units * rows * seeds * count
    truth = np.broadcast_to(data.truth, flat.shape)
    hits = np.bincount((start + flat)[hit], minlength=length)
    errors = np.bincount((start + flat)[~hit], minlength=length) + np.bincount((start + truth)[~hit], minlength=length)
    shape = (units, rows, seeds, count)
    return hits.astype(np.float32).reshape(shape), errors.astype(np.float32).reshape(shape)


def contributions(data: Predicted, positive: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what each test unit adds to the F1 of each row, and how much of the seeds' scatter images make.

    F1 is made linear about what all rows and seeds have in common: with the pooled F1 ``F_c`` and denominator ``D_c``
    of class c, an image that is rightly named c adds ``(2 - F_c) / D_c``, and one that is wrongly named c adds ``-F_c /
    D_c``; what all rows share is left out. Sums over units differ by the difference in F1 (macro: over the classes with
    images), up to terms of second order. Exchanging rows within a unit exchanges their contributions, and changes
    nothing else.

    Returns
    -------
    tuple of numpy.ndarray
        The contributions, mean over seeds, shape (units, rows); and the variance over seeds of a row's score, beyond
        what a seed does to all rows, that trainings alike in worth would have, because they err on other images: shape
        (rows,), 0 with one seed or row.
    """
    rows, seeds, images = data.predicted.shape
    count, units = len(data.classes), int(data.units.max()) + 1
    actual = np.bincount(data.truth, minlength=count).astype(float)
    flat = data.predicted.reshape(rows * seeds, images)
    hit = flat == data.truth
    answers = np.bincount(flat.ravel(), minlength=count) / (rows * seeds)
    hits = np.bincount(np.broadcast_to(data.truth, flat.shape)[hit], minlength=count) / (rows * seeds)
    whole = actual + answers
    counts = (actual > 0) if positive is None else np.arange(count) == positive
    weight = np.divide(counts, whole * max(1, counts.sum()), out=np.zeros(count), where=whole > 0)
    common = np.divide(2 * hits, whole, out=np.zeros(count), where=whole > 0)
    value = np.where(hit, 2 * weight[data.truth], 0.0) - (common * weight)[flat]
    found = np.zeros((units, rows * seeds))
    if units == images:
        found[data.units] = value.T
    else:
        np.add.at(found, data.units, value.T)
    found = found.reshape(units, rows, seeds)
    if seeds < 2 or rows < 2:
        return found.mean(axis=2), np.zeros(rows)
    rest = found - found.mean(axis=1, keepdims=True)
    return found.mean(axis=2), rest.var(axis=2, ddof=1).sum(axis=0) * rows / (rows - 1)
