"""A column of class probabilities, and the array that it holds."""

import numpy as np
import pyarrow as pa


def probability_lists(probabilities: np.ndarray) -> pa.ListArray:
    """Return a column of lists, float32, of probabilities (rows, classes)."""
    rows, classes = probabilities.shape
    flat = np.ascontiguousarray(probabilities, dtype=np.float32).reshape(-1)
    return pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * classes, flat)


def probability_array(predictions: pa.Table) -> np.ndarray:
    """Return the probabilities of a table as float32 (rows, classes)."""
    column = predictions["probabilities"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1) if len(column) else flat.reshape(0, 0)
