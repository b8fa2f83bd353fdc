"""Folds of the labelled images: what a network says of a fold that it was trained without, it says unseen."""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from pocketscope.core.errors import InputError
from pocketscope.tables.predictions import PREDICTIONS


def assign(labels: Sequence[str], groups: Sequence[str], count: int, seed: int) -> np.ndarray:
    """Return each image's fold, int64 (N,), 0 to count - 1: classes are spread evenly, groups stay together.

    Parameters
    ----------
    labels, groups
        Of N images; an image without a group is a group of its own.
    count, seed
        How many folds, at most, and what draws them.

    Raises
    ------
    pocketscope.core.errors.InputError
        All images are of one group.
    """
    largest, count = Counter(labels).most_common(1)[0][1], min(count, len(set(groups)))
    if count < 2:
        raise InputError("all labelled images are one group, or one image; no image can be held out; label more")
    if largest > 1:
        splitter = StratifiedGroupKFold(min(count, largest), shuffle=True, random_state=seed)
    else:  # nothing to spread
        splitter = GroupKFold(count, shuffle=True, random_state=seed)
    fold = np.zeros(len(labels), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer images than folds is missing in some of them
        for number, (_, members) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups)):
            fold[members] = number
    return fold


def units(image_ids: Sequence[str], split: pa.Table) -> list[str]:
    """Return of each image its group, or itself where it has none."""
    group_of = dict(zip(split["image_id"].to_pylist(), split["group"].to_pylist(), strict=True))
    return [image_id if group_of[image_id] is None else f"group {group_of[image_id]}" for image_id in image_ids]


def join(predictions: Sequence[pa.Table], kept: Sequence[Sequence[str]]) -> pa.Table:
    """Return out-of-fold predictions from those of fold teachers.

    Parameters
    ----------
    predictions
        Of each fold teacher (schema predictions.PREDICTIONS).
    kept
        Of each the images that it was trained on; of two teachers that did not see an image the first one speaks.
    """
    everything = set().union(*map(set, kept))
    parts, done = [], set()
    for table, known in zip(predictions, kept, strict=True):
        unseen = everything - set(known) - done
        done |= unseen
        parts.append(table.filter(np.isin(table["image_id"].to_numpy(zero_copy_only=False).astype(str), list(unseen))))
    return pa.concat_tables(parts).cast(PREDICTIONS)
