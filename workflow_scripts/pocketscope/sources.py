"""Where images come from: one record an image, in an order that does not change, and a fingerprint of the content."""

import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pocketscope.errors import InputError
from pocketscope.pixels import Unreadable

log = logging.getLogger(__name__)

_ListRecords = Callable[[dict[str, Any], Path], Iterator["Record"]]
_ListFiles = Callable[[dict[str, Any], Path], dict[str, Path]]

MAX_BYTES = 2**30  # a file beyond 1 GiB is no image that a compact network could use, and would fill the memory
TEST = "test"  # the role of images that the source itself sets apart for testing

# What lies beside images and is meant to. Anything else that is no image is skipped with a reason.
_NO_IMAGES = {
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".xlsx", ".xls", ".ods", ".doc", ".docx", ".pdf", ".html", ".log"),
    *(".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".db", ".py", ".r", ".ipynb", ".parquet", ".npy", ".npz"),
}
_LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True, slots=True)
class Record:
    """One image as a source names it.

    Attributes
    ----------
    path
        Where it is, relative to the source's root, with `/`. The name under which answers are given.
    label
        Its class, or None where nobody labelled it.
    group
        Patient, slide, plate: what must not be parted; or None.
    role
        `TEST` where the source sets it apart for testing, else None.
    read
        Returns the bytes of the file; raises `Unreadable` or OSError. Can be sent to another process.
    """

    path: str
    label: str | None
    group: str | None
    role: str | None
    read: Callable[[], bytes]


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
    pocketscope.errors.InputError
        What the source names is not there, or holds no image.
    """
    yield from sorted(_KINDS[source["kind"]][0](source, root), key=lambda record: record.path)


def files(source: dict[str, Any], root: Path) -> dict[str, Path]:
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
    pocketscope.errors.InputError
        The source is not there and nothing is known of it.
    """
    remembered = _remembered(known)
    try:
        found = files(source, root)
    except InputError as error:
        if not remembered:
            raise
        log.warning("%s; going on with the images that were packed before", error)
        return _digest(source["kind"], {path: entry[2] for path, entry in remembered.items()})
    return _digest(source["kind"], {path: entry[2] for path, entry in survey(found, remembered).items()})


def survey(
    found: dict[str, Path], remembered: dict[str, tuple[int, int, str]] | None = None
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

    def look(item: tuple[str, Path]) -> tuple[str, tuple[int, int, str]]:
        path, place = item
        try:
            status = place.stat()
            before = remembered.get(path)
            if before and before[:2] == (status.st_size, status.st_mtime_ns):
                return path, before
            with place.open("rb") as file:
                return path, (status.st_size, status.st_mtime_ns, hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:  # it cannot be read now; once it can, the content is another
            return path, (-1, -1, f"unreadable: {error.strerror}")

    with ThreadPoolExecutor(2) as pool:  # hashing lets go of the interpreter's lock
        return dict(pool.map(look, found.items()))


def _digest(kind: str, hashes: dict[str, str]) -> str:
    digest = hashlib.sha256(kind.encode())
    for path in sorted(hashes):
        # Neither a path nor a hash can hold the byte 0.
        digest.update(f"\0{path}\0{hashes[path]}".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _remembered(known: Path | None) -> dict[str, tuple[int, int, str]]:
    if known is None or not known.exists():
        return {}
    import pyarrow.parquet as pq  # takes longer to import than most sources to list

    columns = pq.read_table(known, columns=["path", "size", "mtime_ns", "sha256"], partitioning=None).to_pydict()
    return {
        path: (size, mtime, sha256)
        for path, size, mtime, sha256 in zip(
            columns["path"], columns["size"], columns["mtime_ns"], columns["sha256"], strict=True
        )
    }


def _read_file(path: str) -> bytes:
    place = Path(path)
    if place.stat().st_size > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES >> 30} GiB")
    return place.read_bytes()


def _refuse(reason: str) -> bytes:
    raise Unreadable(reason)


def place_of(source: dict[str, Any], root: Path, key: str = "path") -> Path:
    """Return the absolute path that `source[key]` names."""
    return Path(os.path.abspath(root / Path(source[key]).expanduser()))  # noqa: PTH100 (resolve would follow links)


# ---- folder: one folder a class


@dataclass(frozen=True)
class _Found:
    """One file of a folder source."""

    path: str
    place: Path
    label: str | None = None
    role: str | None = None
    problem: str | None = None


def _folder_records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    for found in _folder_walk(source, root):
        read = partial(_refuse, found.problem) if found.problem else partial(_read_file, str(found.place))
        yield Record(found.path, found.label, None, found.role, read)


def _folder_files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    return {found.path: found.place for found in _folder_walk(source, root)}


def _folder_walk(source: dict[str, Any], root: Path) -> list[_Found]:
    """List the files of a folder source.

    Sub-folders inside a class, and links to files and folders, are followed; a link that leads back into a folder
    that it lies in is not. Hidden files, what operating systems leave behind, and tables and texts are left out.
    """
    top = _folder_at(source, root, "path")
    extra = {key: _folder_at(source, root, key) for key in ("unlabelled", "test") if source.get(key)}
    if extra.get("test") == top or extra.get("unlabelled") == top:
        raise InputError(f"{top}: the same folder is named twice in one source; name another, or leave the key out")
    found = _classes(top, top, None, leave_out=set(extra.values()))
    if "test" in extra:
        found += _classes(extra["test"], top, TEST, leave_out={extra.get("unlabelled")})
    if "unlabelled" in extra:
        found += [_found(place, top) for place in _walk(extra["unlabelled"], {extra.get("test")})]
    if not found:
        raise InputError(f"{top}: holds no image; put one folder a class into it, with the class's images inside")
    return found


def _folder_at(source: dict[str, Any], root: Path, key: str) -> Path:
    folder = place_of(source, root, key)
    if not folder.exists():
        raise InputError(f"{folder}: there is no such folder ('{key}' of a folder source); correct the path")
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file, not a folder; '{key}' of a folder source names a folder")
    return folder


def _classes(folder: Path, top: Path, role: str | None, *, leave_out: set[Path | None]) -> list[_Found]:
    found = []
    for place in _walk(folder, leave_out):
        inside = place.relative_to(folder).parts
        if len(inside) > 1:
            found.append(_found(place, top, inside[0], role))
        else:
            problem = "lies beside the class folders: move it into one of them, or into a folder named by 'unlabelled'"
            found.append(_found(place, top, None, role, problem))
    return found


def _found(
    place: Path, top: Path, label: str | None = None, role: str | None = None, problem: str | None = None
) -> _Found:
    path = Path(os.path.relpath(place, top)).as_posix()
    try:
        path.encode()
    except UnicodeEncodeError:  # a name in another encoding than UTF-8, which tables cannot hold
        path = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
        return _Found(path, place, None, role, "its name, or its folder's, is not valid UTF-8: rename it")
    return _Found(path, place, label, role, problem)


def _walk(folder: Path, leave_out: set[Path | None], above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield the files under `folder` that may be images, links followed."""
    above = (*above, os.path.realpath(folder))
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.name.startswith(".") or entry.name.casefold() in _LEFT_BY_SYSTEMS:
            continue
        place = Path(entry.path)
        if entry.is_dir():
            if place not in leave_out and os.path.realpath(place) not in above:
                yield from _walk(place, leave_out, above)
        elif place.suffix.casefold() not in _NO_IMAGES:
            yield place


# ---- digits: 1,797 handwritten digits that come with scikit-learn


def _digits_records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    import numpy as np
    from sklearn.datasets import load_digits

    from pocketscope.pixels import encode

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # they come as 0 .. 16
    for index, (image, label) in enumerate(zip(images, digits.target, strict=True)):
        data = encode(np.repeat(image[..., None], 3, axis=-1))
        yield Record(f"{label}/{index:04d}", str(label), None, None, partial(bytes, data))


def _digits_files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    # Found without importing scikit-learn, which takes a second, each time the workflow is planned.
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.origin:
        raise InputError("the source 'digits' needs scikit-learn, which is not installed; install it")
    return {"digits.csv.gz": Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"}


# ---- the kinds


# By kind: what lists the images, and what lists the files.
_KINDS: dict[str, tuple[_ListRecords, _ListFiles]] = {
    "folder": (_folder_records, _folder_files),
    "digits": (_digits_records, _digits_files),
}
