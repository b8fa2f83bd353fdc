"""Where images come from: one record an image, in an order that does not change, and a fingerprint of the content."""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pocketscope.data.sources import digits_source, folder_source, medmnist_source, parquet_source, table_source
from pocketscope.data.sources.record import Gone, Record

log = logging.getLogger(__name__)


# By kind: what lists the images, and what lists the files that their content depends on.
_KINDS = {
    "folder": (folder_source.records, folder_source.files),
    "table": (table_source.records, table_source.files),
    "digits": (digits_source.records, digits_source.files),
    "parquet": (parquet_source.records, parquet_source.files),
    "medmnist": (medmnist_source.records, medmnist_source.files),
}


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a source, sorted by path.

    Parameters
    ----------
    source
        A source as the configuration gives it: `kind` and the keys of that kind.
    root
        The folder that relative paths in `source` are relative to.

    Yields
    ------
    Record
        Files that are there but cannot be used are listed too: their `read` raises the reason.

    Raises
    ------
    pocketscope.core.errors.InputError
        What the source names is not there, or holds no image.
    """
    yield from sorted(_KINDS[source["kind"]][0](source, root), key=lambda record: record.path)


def files(source: dict[str, Any], root: Path) -> dict[str, str | Path]:
    """Return every file that the content of a source depends on, by the path under which it is listed, sorted."""
    return dict(sorted(_KINDS[source["kind"]][1](source, root).items()))


def fingerprint(source: dict[str, Any], root: Path, known: Path | None = None) -> str:
    """Return a digest of the content of a source: it changes when, and only when, a file's path or bytes do.

    Parameters
    ----------
    source, root
        See `records`.
    known
        A table of path, size, mtime_ns and sha256 from an earlier run, used as Git uses its index: a file of equal
        size and time is not read again.

    Returns
    -------
    str
        64 hexadecimal digits. Where the source's files are gone but `known` exists, the digest of what they were.

    Raises
    ------
    pocketscope.core.errors.InputError
        The source is not there and nothing is known of it, or it is there and something is wrong with it.
    """
    remembered = _remembered(known)
    try:
        found = files(source, root)
    except Gone as error:
        if not remembered:
            raise
        log.warning("%s; going on with the images that were packed before", error)
        return _digest(source, {path: entry[2] for path, entry in remembered.items()})
    return _digest(source, {path: entry[2] for path, entry in survey(found, remembered).items()})


def survey(
    found: Mapping[str, str | Path], remembered: Mapping[str, tuple[int, int, str]] | None = None
) -> dict[str, tuple[int, int, str]]:
    """Return size in bytes, time of change in nanoseconds and SHA-256 of files, by path.

    Parameters
    ----------
    found
        See `files`.
    remembered
        What an earlier survey returned: files of equal size and time keep their hash.
    """
    remembered = remembered or {}
    surveyed, changed = {}, {}
    for path, place in found.items():
        try:
            status = os.stat(place)  # noqa: PTH116 (a hundred thousand times)
        except OSError as error:  # once it can be read, the content is another
            surveyed[path] = -1, -1, f"unreadable: {error.strerror}"
            continue
        surveyed[path] = status.st_size, status.st_mtime_ns, ""
        if path in remembered and remembered[path][:2] == surveyed[path][:2]:
            surveyed[path] = remembered[path]
        else:
            changed[path] = place
    with ThreadPoolExecutor(2) as pool:  # hashing lets go of the interpreter's lock
        for path, sha256 in zip(changed, pool.map(_sha256, changed.values()), strict=True):
            surveyed[path] = *surveyed[path][:2], sha256
    return surveyed


def _sha256(place: str | Path) -> str:
    try:
        with Path(place).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _digest(source: dict[str, Any], hashes: dict[str, str]) -> str:
    # What a published set is called stands for its content: it need not be downloaded to be told from others.
    digest = hashlib.sha256(f"{source['kind']} {source.get('name', '')} {source.get('size', '')}".encode())
    for path in sorted(hashes):
        # Neither a path nor a hash can hold the byte 0.
        digest.update(f"\0{path}\0{hashes[path]}".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _remembered(known: Path | None) -> dict[str, tuple[int, int, str]]:
    if known is None or not known.exists():
        return {}
    import pyarrow.parquet as pq  # takes longer to import than most sources to list

    try:
        columns = pq.read_table(known, columns=["path", "size", "mtime_ns", "sha256"], partitioning=None).to_pydict()
    except (ValueError, OSError) as error:  # what Arrow raises for files cut short
        log.warning("%s cannot be read (%s); reading all images again", known, error)
        return {}
    entries = zip(columns["size"], columns["mtime_ns"], columns["sha256"], strict=True)
    return dict(zip(columns["path"], entries, strict=True))
