"""What a shipped model says of the files that nobody had labelled, and what a person said of them since."""

import os
from collections.abc import Sequence

import pyarrow as pa

from pocketscope.core import parquet

ANSWERS = pa.schema(  # a row a file: copies of one image have a row each
    [
        pa.field("path", pa.string(), nullable=False),  # as in the packed images: alike on any computer
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("class", pa.string(), nullable=False),
        pa.field("probability", pa.float32(), nullable=False),
        pa.field("second_class", pa.string()),  # the second most probable; null where the model knows one class
        pa.field("second_probability", pa.float32()),
        pa.field("reliable", pa.bool_(), nullable=False),
        pa.field("unlike", pa.float32()),  # above 1: unlike the images that were learnt; null where that is not known
        pa.field("said", pa.string()),  # the class that a person gave; null where nobody looked
    ]
)


def joined(paths: Sequence[str | os.PathLike]) -> pa.Table:
    """Return several tables of answers as one, in the order of doubt: what a person has labelled last."""
    rows = [row for path in paths for row in parquet.read(path, ANSWERS).to_pylist()]
    rows.sort(key=lambda row: (row["said"] is not None, row["probability"]))
    return pa.Table.from_pylist(rows, schema=ANSWERS)
