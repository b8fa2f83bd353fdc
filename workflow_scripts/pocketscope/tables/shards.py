"""Shards of a large data set: which files each one has, and what was made of them."""

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.images import codec
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


def open_shard(path: str | os.PathLike) -> tuple[mmap.mmap, pa.Table]:
    """Map an Arrow file into memory, and return the mapping and the table that lies in it.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is cut short.
    """
    try:
        with Path(path).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return mapped, pa.ipc.open_file(pa.py_buffer(mapped)).read_all()
    except (ValueError, OSError) as error:  # what mmap and Arrow raise for files that are empty or cut short
        raise InputError(f"{path}: cut short or damaged ({error}); delete it and run again to make it anew") from error


def images_of(path: str | os.PathLike) -> tuple[int, Iterator[tuple[str, np.ndarray]]]:
    """Return how many different images a shard has, and identity and pixels, uint8 (size, size, 3), of each."""
    _, table = open_shard(path)
    rows = {identity: row for row, identity in enumerate(table["image_id"].to_pylist())}
    return len(rows), ((identity, codec.decode_packed(table["image"][row].as_py())) for identity, row in rows.items())
