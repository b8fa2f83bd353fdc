"""What a pretrained network that was not trained further sees in each image."""

import numpy as np
import pyarrow as pa

FEATURES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("features", pa.list_(pa.float32()), nullable=False),  # pooled, before the head
    ]
)


def features_table(image_ids: list[str], features: np.ndarray) -> pa.Table:
    """Return a table of features (N, F), in the order of `image_ids`."""
    rows, width = features.shape
    flat = np.ascontiguousarray(features, dtype=np.float32).reshape(-1)
    lists = pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * width, flat)
    return pa.table({"image_id": image_ids, "features": lists}, schema=FEATURES)


def feature_array(table: pa.Table) -> np.ndarray:
    """Return the features of a table as float32 (N, F)."""
    column = table["features"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), -1) if len(column) else flat.reshape(0, 0)
