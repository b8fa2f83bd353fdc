"""Decode a part of a data set, and hand out what was decoded: what joins the parts decodes nothing again."""

import logging
import mmap
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from pocketscope.core.files import whole
from pocketscope.data import preparing
from pocketscope.data.preparing import FACTS, Prepared
from pocketscope.data.sources.record import Record, is_refused
from pocketscope.images.files import read_file
from pocketscope.tables.shards import SHARD, open_shard

log = logging.getLogger(__name__)

_BATCH = 256  # images that wait in memory to be written
_FORGOTTEN = 4096  # images; after so many, what was mapped of the shards leaves the memory


def write(path: str | os.PathLike, top: str, members: Sequence[str], prepare: partial, processes: int) -> None:
    """Decode files, and write what becomes of them as an Arrow file (schema SHARD).

    Files that cannot be used have no row: whoever joins the shards finds out why.

    Parameters
    ----------
    path
        The file to write. Its bytes depend on the members' content and on `prepare` alone.
    top, members
        The folder that the members' paths start from, and their paths, sorted.
    prepare
        `pocketscope.data.preparing.prepare` with its arguments.
    processes
        How many processes decode.
    """
    records = [Record(name, None, None, None, partial(read_file, _place(top, name))) for name in members]
    # Arrow's own format, not Parquet: what joins the shards takes single images out of the mapped file.
    with whole(path) as temporary, pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, SHARD) as writer:
        rows = []
        told = time.monotonic()
        for done, (record, result) in enumerate(preparing.prepared(records, prepare, processes), 1):
            if isinstance(result, Prepared):
                rows.append(_row(record, result))
            if len(rows) == _BATCH or done == len(records):
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SHARD))
                rows = []
            if time.monotonic() - told > 10 or done == len(records):
                told = time.monotonic()
                log.info("%d of %d images", done, len(records))


class Shards:
    """What shards hold, by the path of a file.

    Parameters
    ----------
    paths
        What `write` wrote.
    wanted
        The SHA-256 of each file that there is now, by its path: a shard that was made of another one is not asked.

    Raises
    ------
    pocketscope.core.errors.InputError
        A shard is cut short.
    """

    def __init__(self, paths: Sequence[str | os.PathLike], wanted: Mapping[str, str]) -> None:
        opened = [open_shard(path) for path in paths]
        self._maps = [mapped for mapped, _ in opened]
        tables = [table for _, table in opened]
        self._columns = dict(zip(SHARD.names, pa.concat_tables([SHARD.empty_table(), *tables]).columns, strict=True))
        self._asked = 0
        named = zip(self._columns["path"].to_pylist(), self._columns["sha256"].to_pylist(), strict=True)
        self._rows = {path: row for row, (path, sha256) in enumerate(named) if wanted.get(path) == sha256}

    def __contains__(self, record: Record) -> bool:
        return record.path in self._rows and not is_refused(record)

    def __getitem__(self, record: Record) -> Prepared:
        self._asked += 1
        if self._asked % _FORGOTTEN == 0 and hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)
        row = self._rows[record.path]
        cells = {name: column[row].as_py() for name, column in self._columns.items()}
        facts = tuple(cells[name] for name in FACTS)
        return Prepared(cells["image_id"], facts, cells["image"], cells["sha256"], cells["patient"], cells["group"])


def results(
    records: Sequence[Record], shards: Shards, prepare: partial, processes: int
) -> Iterator[tuple[Record, Prepared | str]]:
    """Yield each record with what became of it, in order: as a shard has it, else decoded now."""
    others = preparing.prepared([record for record in records if record not in shards], prepare, processes)
    try:
        for record in records:
            yield (record, shards[record]) if record in shards else next(others)
    finally:
        others.close()


def _place(top: str, path: str) -> str:
    return os.path.normpath(Path(top) / path)


def _row(record: Record, result: Prepared) -> dict[str, object]:
    names = {"path": record.path, "sha256": result.sha256, "image_id": result.image_id}
    about = dict(zip(FACTS, result.facts, strict=True))
    return names | about | {"patient": result.patient, "group": result.group, "image": result.data}
