"""Class probabilities of images under the views of a network."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pocketscope.core.errors import InputError
from pocketscope.tables.probabilities import probability_array, probability_lists

PREDICTIONS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("view", pa.string(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # in the order of the notes' `classes`
    ]
)


def predictions_table(image_ids: list[str], views: list[str], probabilities: np.ndarray) -> pa.Table:
    """Return a table of schema PROBABILITIES: all views of one image stand together.

    Parameters
    ----------
    image_ids, views
        N and V names.
    probabilities
        float32 (V, N, classes).
    """
    count, classes = len(image_ids) * len(views), probabilities.shape[-1]
    flat = probabilities.transpose(1, 0, 2)
    return pa.table(
        {
            "image_id": np.repeat(np.asarray(image_ids, dtype=object), len(views)),
            "view": np.tile(np.asarray(views, dtype=object), len(image_ids)),
            "probabilities": probability_lists(flat.reshape(count, classes)),
        },
        schema=PREDICTIONS,
    )


def arrange_views(predictions: pa.Table, views: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a table as `table` made it, and what is said of them under some views.

    Parameters
    ----------
    predictions
        Schema PROBABILITIES.
    views
        Which views, in the order wanted.

    Returns
    -------
    tuple of numpy.ndarray
        Identities (N,), and float32 (views, N, classes).

    Raises
    ------
    pocketscope.core.errors.InputError
        A view is missing, or the table is not in the order of `table`.
    """
    image_ids = predictions["image_id"].to_numpy(zero_copy_only=False)
    seen = predictions["view"].to_numpy(zero_copy_only=False)
    if not len(seen):
        return image_ids, np.zeros((len(views), 0, 0), np.float32)
    stored = list(dict.fromkeys(seen[: int(np.argmax(image_ids != image_ids[0])) or len(seen)]))
    if missing := sorted(set(views) - set(stored)):
        raise InputError(f"predictions: the view '{missing[0]}' is missing; delete the predictions and run again")
    if not np.array_equal(seen, np.tile(stored, len(seen) // len(stored))):
        raise InputError("predictions: an image lacks a view; delete the predictions and run again")
    cube = probability_array(predictions).reshape(len(seen) // len(stored), len(stored), -1)
    return image_ids[:: len(stored)], np.stack([cube[:, stored.index(view)] for view in views])
