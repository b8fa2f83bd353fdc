"""What a pretrained network that was not trained further sees in each image."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pocketscope.core.files import whole
from pocketscope.tables.shards import open_shard

FEATURES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("features", pa.list_(pa.float32()), nullable=False),  # pooled, before the head
    ]
)
ROWS = 1024  # that are written at once


def features_table(image_ids: Sequence[str], features: np.ndarray) -> pa.Table:
    """Return a table of features (N, F), in the order of `image_ids`."""
    rows, width = features.shape
    flat = np.ascontiguousarray(features, dtype=np.float32).reshape(-1)
    lists = pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32) * width, flat)
    return pa.table({"image_id": image_ids, "features": lists}, schema=FEATURES)


def feature_array(table: pa.Table) -> np.ndarray:
    """Return the features of a table as float32 (N, F)."""
    rows = table.num_rows
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in table["features"].chunks]
    return np.concatenate(flat).reshape(rows, -1) if rows else np.zeros((0, 0), np.float32)


def write(path: str | os.PathLike, found: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write the identity and the features (F,) of each image as Parquet (schema FEATURES), few in memory at a time."""
    with whole(path) as temporary, pq.ParquetWriter(temporary, FEATURES) as writer:
        for table in _tables(found):
            writer.write_table(table)


def write_shard(path: str | os.PathLike, found: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write the features of a part of a data set as an Arrow file, which `Shards` maps into memory; as `write`."""
    with whole(path) as temporary, pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, FEATURES) as writer:
        for table in _tables(found):
            writer.write_table(table)


class Shards(Mapping[str, np.ndarray]):
    """The features (F,) that shards hold, by the identity of an image.

    Parameters
    ----------
    paths
        What `write_shard` wrote.

    Raises
    ------
    pocketscope.core.errors.InputError
        A shard is cut short.
    """

    def __init__(self, paths: Iterable[str | os.PathLike]) -> None:
        columns = pa.concat_tables([FEATURES.empty_table(), *(open_shard(path)[1] for path in paths)])
        self._features = columns["features"]
        self._rows = {identity: row for row, identity in enumerate(columns["image_id"].to_pylist())}

    def __getitem__(self, identity: str) -> np.ndarray:
        return self._features[self._rows[identity]].values.to_numpy()

    def __contains__(self, identity: object) -> bool:
        return identity in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _tables(found: Iterable[tuple[str, np.ndarray]]) -> Iterator[pa.Table]:
    remaining = iter(found)
    for rows in iter(lambda: list(islice(remaining, ROWS)), []):
        yield features_table([identity for identity, _ in rows], np.stack([features for _, features in rows]))
