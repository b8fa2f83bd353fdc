"""Images in folders, one folder a class."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pocketscope.errors import InputError
from pocketscope.records import TEST, Record, place_of, read_file, refuse

# What lies beside images and is meant to. Anything else that is no image is skipped with a reason.
_NO_IMAGES = {
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".xlsx", ".xls", ".ods", ".doc", ".docx", ".pdf", ".html", ".log"),
    *(".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".db", ".py", ".r", ".ipynb", ".parquet", ".npy", ".npz"),
}
_LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True)
class _Found:
    """One file of a folder source."""

    path: str
    place: Path
    label: str | None = None
    role: str | None = None
    problem: str | None = None


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a `folder` source; see `pocketscope.sources.records`."""
    for found in _listing(source, root):
        read = partial(refuse, found.problem) if found.problem else partial(read_file, str(found.place))
        yield Record(found.path, found.label, None, found.role, read)


def files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the files of a `folder` source; see `pocketscope.sources.files`."""
    return {found.path: found.place for found in _listing(source, root)}


def _listing(source: dict[str, Any], root: Path) -> list[_Found]:
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
