"""Class probabilities of images under the views of a teacher: the table that labels, votes and calibrations read."""

import numpy as np
import pyarrow as pa

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
    flat = np.ascontiguousarray(probabilities.transpose(1, 0, 2), dtype=np.float32).reshape(-1)
    return pa.table(
        {
            "image_id": np.repeat(np.asarray(image_ids, dtype=object), len(views)),
            "view": np.tile(np.asarray(views, dtype=object), len(image_ids)),
            "probabilities": pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32) * classes, flat),
        },
        schema=PROBABILITIES,
    )


def array(predictions: pa.Table) -> np.ndarray:
    """Return the probabilities of a table as float32 (rows, classes)."""
    column = predictions["probabilities"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1) if len(column) else flat.reshape(0, 0)
