"""Class probabilities of images under the views of a teacher: the table that labels, votes and calibrations read."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pocketscope.errors import InputError

PROBABILITIES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("view", pa.string(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # in the order of the notes' `classes`
    ]
)


def table(image_ids: list[str], views: list[str], probabilities: np.ndarray) -> pa.Table:
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
            "probabilities": lists(flat.reshape(count, classes)),
        },
        schema=PROBABILITIES,
    )


def lists(probabilities: np.ndarray) -> pa.ListArray:
    """Return a column of lists, float32, of probabilities (rows, classes)."""
    rows, classes = probabilities.shape
    flat = np.ascontiguousarray(probabilities, dtype=np.float32).reshape(-1)
    return pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * classes, flat)


def array(predictions: pa.Table) -> np.ndarray:
    """Return the probabilities of a table as float32 (rows, classes)."""
    column = predictions["probabilities"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1) if len(column) else flat.reshape(0, 0)


def arrange(predictions: pa.Table, views: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
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
    pocketscope.errors.InputError
        A view is missing, or the table is not in the order of `table`.
    """
    image_ids = predictions["image_id"].to_numpy(zero_copy_only=False)
    seen = predictions["view"].to_numpy(zero_copy_only=False)
    if not len(seen):
        return image_ids, np.zeros((len(views), 0, 0), np.float32)
    stored = list(dict.fromkeys(seen[: int(np.argmax(image_ids != image_ids[0])) or len(seen)]))
    if missing := sorted(set(views) - set(stored)):
        raise InputError(f"predictions: the view '{missing[0]}' is not among them; delete them and run again")
    if not np.array_equal(seen, np.tile(stored, len(seen) // len(stored))):
        raise InputError("predictions: an image lacks a view; delete them and run again")
    cube = array(predictions).reshape(len(seen) // len(stored), len(stored), -1)
    return image_ids[:: len(stored)], np.stack([cube[:, stored.index(view)] for view in views])
