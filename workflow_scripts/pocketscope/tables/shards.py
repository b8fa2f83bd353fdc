"""Shards of a large data set: which files each one has, and what was made of them."""

from pathlib import Path

import pyarrow as pa

from pocketscope.core import parquet
from pocketscope.tables.source_labels import SOURCE_FILES

# In the order in which files came; `shard` is null for files that are no image, such as a table.
MANIFEST = pa.schema([*SOURCE_FILES, pa.field("shard", pa.int32())])

SHARD = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),  # of the file that was decoded
        pa.field("image_id", pa.string(), nullable=False),  # of its pixels; the same for all copies
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("single_colour", pa.bool_(), nullable=False),
        pa.field("further_pages", pa.bool_(), nullable=False),
        pa.field("damage", pa.string()),
        pa.field("patient", pa.string()),
        pa.field("group", pa.string()),
        pa.field("image", pa.binary(), nullable=False),
    ]
)


def files_of(manifest: Path, shard: int) -> dict[str, tuple[int, int, str, str]]:
    """Return size, time, SHA-256 and format of a shard's files by path, as the manifest has them."""
    names = SOURCE_FILES.names
    rows = parquet.read(manifest, MANIFEST, columns=names, filters=[("shard", "=", shard)])
    return {path: tuple(entry) for path, *entry in zip(*(rows[name].to_pylist() for name in names), strict=True)}
