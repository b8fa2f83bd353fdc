"""The classes of a data set, counted."""

import pyarrow as pa

CLASSES = pa.schema(
    [
        pa.field("label", pa.string(), nullable=False),
        pa.field("images", pa.int64(), nullable=False),  # different ones, corrections counted in
        pa.field("files", pa.int64(), nullable=False),  # copies too, as the source says
    ]
)
