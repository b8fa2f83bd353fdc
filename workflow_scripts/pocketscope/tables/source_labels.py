"""What packing says of a source beside its images: labels, files that could not be used, and all files."""

import pyarrow as pa

SOURCE_LABELS = pa.schema([pa.field("image_id", pa.string(), nullable=False), pa.field("label", pa.string())])

SKIPPED = pa.schema([pa.field("path", pa.string(), nullable=False), pa.field("reason", pa.string(), nullable=False)])
SOURCE_FILES = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("format", pa.string(), nullable=False),  # that decides on the decoder: see images/formats.py
    ]
)
