"""Where images come from: one record an image, in an order that does not change, and a fingerprint of the content."""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

from pocketscope.core.group_rules import DICOM_KEYS, FOLDERS
from pocketscope.data.sources.record import Gone, Record
from pocketscope.images.formats import DECODERS, HEAD, format_of

log = logging.getLogger(__name__)

KINDS = ("folder", "table", "digits", "parquet", "medmnist")
_GROUPED = ("folder", "table")  # the others have a column for it, or no groups
_ARCHIVES = ("parquet",)  # their files do not show which images are inside

# Of a file: size in bytes, time of change in nanoseconds, SHA-256, format.
Entry = tuple[int, int, str, str]
_TOGETHER = 256  # files that a thread reads as one task: a million tasks would take two gigabytes
_AT_ONCE = 2**20  # bytes that are read of a file
_REMEMBERED = ("size", "mtime_ns", "sha256", "format")


def _module(kind: str) -> ModuleType:
    """Return what lists the images of a kind of source, and the files that their content depends on.

    No other kind is imported: a change in one packs no data set of another again.
    """
    match kind:
        case "folder":
            from pocketscope.data.sources import folder_source as module
        case "table":
            from pocketscope.data.sources import table_source as module
        case "digits":
            from pocketscope.data.sources import digits_source as module
        case "parquet":
            from pocketscope.data.sources import parquet_source as module
        case "medmnist":
            from pocketscope.data.sources import medmnist_source as module
    return module


def records(source: dict[str, Any], root: Path, classes: Sequence[str] | None = None) -> Iterator[Record]:
    """List the images of a source, sorted by path.

    Parameters
    ----------
    source
        A source as the configuration gives it: `kind` and the keys of that kind.
    root
        The folder that relative paths in `source` are relative to.
    classes
        The classes that the configuration names: `NA` is one of them then, and not the lack of a label. Images of
        other classes are listed too.

    Yields
    ------
    Record
        Files that are there but cannot be used are listed too: their `read` raises the reason.

    Raises
    ------
    pocketscope.core.errors.InputError
        What the source names is not there, or holds no image.
    """
    source = source | {"classes": classes or ()}
    listed = sorted(_module(source["kind"]).records(source, root), key=lambda record: record.path)
    if _is_grouped(source):
        from pocketscope.data.sources import groups

        listed = groups.grouped(listed, source, root)
    yield from listed


def brings_labels(source: dict[str, Any]) -> bool:
    """Say whether a source says itself what its images show; otherwise people do, in a journal."""
    return source["kind"] != "folder" or bool(source.get("path"))


def files(source: dict[str, Any], root: Path) -> dict[str, str | Path]:
    """Return every file that the content of a source depends on, by the path under which it is listed, sorted."""
    found = _module(source["kind"]).files(source, root)
    if _is_grouped(source):
        from pocketscope.data.sources import groups

        found = found | groups.files(source, root)
    return dict(sorted(found.items()))


def hints(source: dict[str, Any], root: Path) -> list[str]:
    """Return what a person should know of a source that has to do with no single image."""
    module = _module(source["kind"])
    return module.hints(source, root) if hasattr(module, "hints") else []


def header_of_groups(source: dict[str, Any]) -> str | None:
    """Return the DICOM attribute whose value is the group of an image, None where the source's groups are others."""
    group = source.get("group")
    return group if source["kind"] in _GROUPED and isinstance(group, str) and group in DICOM_KEYS else None


def _is_grouped(source: dict[str, Any]) -> bool:
    """Say whether groups come from names or a table, and not from the source itself or the files' headers."""
    group = source.get("group")
    return source["kind"] in _GROUPED and group is not None and group not in (*FOLDERS, *DICOM_KEYS)


def state(source: dict[str, Any], root: Path, *known: Path | None) -> dict[str, Entry]:
    """Return what the files of a source are like now, by path.

    Parameters
    ----------
    source, root
        See `records`.
    known
        Tables of earlier runs (schema source_labels.SOURCE_FILES), used as Git uses its index: a file of equal size
        and time is not read again.

    Returns
    -------
    dict
        See `survey`. Where the source's files are gone but the first of `known` exists, what they were.

    Raises
    ------
    pocketscope.core.errors.InputError
        The source is not there and nothing is known of it, or it is there and something is wrong with it.
    """
    remembered = [recorded(path) for path in known]
    try:
        found = files(source, root)
    except Gone as error:
        if not remembered or not remembered[0]:
            raise
        log.warning("%s; the images that were packed before are used", error)
        return remembered[0]
    return survey(found, {path: entry for entries in reversed(remembered) for path, entry in entries.items()})


def arrived(
    source: dict[str, Any], root: Path, now: Mapping[str, Entry], before: Mapping[str, Entry]
) -> dict[str, Entry]:
    """Return those image files of a source that were not there, or were others, `before`; by path.

    Both are a `state` of its files. Of sources whose files hold many images, none: these are packed as a whole.
    """
    images = image_files(source, root, now)
    return {path: now[path] for path in images if path not in before or before[path][2] != now[path][2]}


def image_files(source: dict[str, Any], root: Path, entries: Mapping[str, Entry]) -> list[str]:
    """Return the paths of those files of a source that are an image each, given the `state` of its files.

    None where files hold many images.
    """
    if source["kind"] not in _GROUPED:
        return []
    aside = set()
    if _is_grouped(source):
        from pocketscope.data.sources import groups

        aside |= set(groups.files(source, root))
    if source["kind"] == "table":
        aside |= set(_module("table").tables(source, root))
    return [path for path in entries if path not in aside]


def fingerprint(source: dict[str, Any], entries: Mapping[str, Entry]) -> str:
    """Return a digest of the content of a source, 64 hexadecimal digits, given the `state` of its files."""
    # What a published set is called stands for its content: it need not be downloaded to be told from others.
    digest = hashlib.sha256(f"{source['kind']} {source.get('name', '')} {source.get('size', '')}".encode())
    for path in sorted(entries):
        # Neither a path nor a hash can hold the byte 0.
        digest.update(f"\0{path}\0{entries[path][2]}".encode(errors="surrogateescape"))
    return digest.hexdigest()


def not_needed(source: dict[str, Any], entries: Mapping[str, Entry]) -> list[str]:
    """Return the package's modules that the packing of a source never runs, given the `state` of its files.

    They are what lists other kinds of sources or finds groups, and the decoders of formats that do not occur.
    """
    others = [f"pocketscope.data.sources.{kind}_source" for kind in KINDS if kind != source["kind"]]
    if not _is_grouped(source):
        others.append("pocketscope.data.sources.groups")
    if source["kind"] in _ARCHIVES:
        return others
    formats = {entry[3] for entry in entries.values()}
    return others + [module for name, module in DECODERS.items() if name not in formats]


def survey(found: Mapping[str, str | Path], remembered: Mapping[str, Entry] | None = None) -> dict[str, Entry]:
    """Return size in bytes, time of change in nanoseconds, SHA-256 and format of files, by path.

    Parameters
    ----------
    found
        See `files`.
    remembered
        What an earlier survey returned: files of equal size and time keep their hash and format.
    """
    remembered = remembered or {}
    surveyed, changed = {}, {}
    for path, place in found.items():
        try:
            status = os.stat(place)  # noqa: PTH116 (a hundred thousand times)
        except OSError as error:  # once it can be read, the content is another
            surveyed[path] = -1, -1, f"unreadable: {error.strerror}", "other"
            continue
        surveyed[path] = status.st_size, status.st_mtime_ns, "", ""
        if path in remembered and remembered[path][:2] == surveyed[path][:2]:
            surveyed[path] = remembered[path]
        else:
            changed[path] = place
    places = list(changed.values())
    together = [places[start : start + _TOGETHER] for start in range(0, len(places), _TOGETHER)]
    with ThreadPoolExecutor(2) as pool:  # hashing lets go of the interpreter's lock
        reads = chain.from_iterable(pool.map(lambda some: [_read(place) for place in some], together))
        for path, read in zip(changed, reads, strict=True):
            surveyed[path] = *surveyed[path][:2], *read
    return surveyed


def _read(place: str | Path) -> tuple[str, str]:
    """Return SHA-256 and format of a file."""
    try:
        with Path(place).open("rb") as file:
            begins = file.read(_AT_ONCE)
            digest = hashlib.sha256(begins)
            while more := file.read(_AT_ONCE):
                digest.update(more)
            return digest.hexdigest(), format_of(begins[:HEAD])
    except OSError as error:
        return f"unreadable: {error.strerror}", "other"


def recorded(known: Path | None) -> dict[str, Entry]:
    """Return the `state` that a table holds (schema source_labels.SOURCE_FILES); empty where there is none."""
    if known is None or not known.exists():
        return {}
    import pyarrow.parquet as pq  # takes longer to import than most sources to list

    try:
        table = pq.read_table(known, columns=["path", *_REMEMBERED], partitioning=None)
        entries = zip(*(table[name].to_pylist() for name in _REMEMBERED), strict=True)
    except (ValueError, KeyError, OSError) as error:  # what Arrow raises for files cut short, or without a column
        log.warning("%s cannot be read (%s); reading all images again", known, error)
        return {}
    return dict(zip(table["path"].to_pylist(), entries, strict=True))
