"""Which files of a large data set are decoded together: members of a shard stay, and files that come are added."""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.data.sources import kinds
from pocketscope.data.sources.kinds import Entry
from pocketscope.data.sources.record import Gone
from pocketscope.tables.shards import MANIFEST

log = logging.getLogger(__name__)

_FILLED = 8  # a shard takes files that come later until it has this part of its size: beyond, too much is decoded anew
_ROWS = 16_384  # of a row group: whoever asks for one shard's files passes over the others'


def assign(members: Iterable[str], before: Mapping[str, int], size: int) -> dict[str, int]:
    """Return the shard of each file, in the order of arrival; none where all together are no more than a shard.

    A file stays in its shard. Those that came join the last shard where that has few files yet, and begin new shards
    otherwise.

    Parameters
    ----------
    members
        The files that there are, by path.
    before
        What this function returned last; empty the first time.
    size
        Files of a shard, at most.

    Examples
    --------
    >>> assign("abc", {}, size=2)
    {'a': 0, 'b': 0, 'c': 1}
    >>> assign("abcd", {"b": 0, "c": 0, "x": 1}, size=2)
    {'b': 0, 'c': 0, 'a': 2, 'd': 2}
    """
    there = sorted(members)
    if len(there) <= size:
        return {}
    present = set(there)
    found = {path: shard for path, shard in before.items() if path in present}
    last = max(before.values(), default=-1)
    filled = Counter(found.values())[last]
    room = size - filled if 0 < filled < max(size // _FILLED, 1) else 0
    for path in there:
        if path not in found:
            if not room:
                last, room = last + 1, size
            found[path] = last
            room -= 1
    return found


def members(
    source: dict[str, Any],
    root: Path,
    entries: Mapping[str, Entry],
    classes: Sequence[str] | None,
    before: Collection[str],
) -> list[str]:
    """Return the paths of the files that shards decode.

    Parameters
    ----------
    source, root
        See `pocketscope.data.sources.kinds.records`.
    entries
        What the files are like, see `pocketscope.data.sources.kinds.state`.
    classes
        The classes to keep; all where None.
    before
        Paths in the manifest: they stand for the classes' where the files themselves are gone.
    """
    paths = kinds.image_files(source, root, entries)
    if not classes:
        return paths
    try:
        listed = kinds.records(source, root, classes)
        wanted = {record.path for record in listed if record.label is None or record.label in classes}
    except Gone:
        wanted = set(before)
    return [path for path in paths if path in wanted]


def read(path: Path) -> dict[str, int]:
    """Return the shard of each file, in the order of arrival; empty where there is no manifest."""
    if not path.is_file():
        return {}
    try:
        rows = parquet.read(path, MANIFEST, columns=["path", "shard"])
    except InputError as error:
        log.warning("%s; the files are given to shards anew", error)
        return {}
    pairs = zip(rows["path"].to_pylist(), rows["shard"].to_pylist(), strict=True)
    return {name: shard for name, shard in pairs if shard is not None}


def write(path: Path, shards: Mapping[str, int], entries: Mapping[str, Entry]) -> None:
    """Write the manifest, where it says something else than the one that is there."""
    order = [*shards, *(name for name in entries if name not in shards)]
    rows = [(name, *entries[name], shards.get(name)) for name in order]
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), MANIFEST, strict=True)]
    table = pa.table(columns, schema=MANIFEST)
    try:
        if path.is_file() and parquet.read(path, MANIFEST).equals(table):
            return
    except InputError as error:
        log.warning("%s; it is written anew", error)
    parquet.write(table, path, MANIFEST, row_group_size=_ROWS)
