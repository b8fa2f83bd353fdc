"""Images in folders, one folder per class."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.data.sources.paths import place_of
from pocketscope.data.sources.record import TEST, Gone, Record, refuse
from pocketscope.images.files import is_left_by_systems, read_file, walk

_UNLABELLED = {"unlabelled", "unlabeled"}
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
_EMPTY = "a folder without images: put images of the class into it, or remove it"
_LOOSE = "lies beside the class folders: move it into one of them, or into a folder named by 'unlabelled'"


@dataclass(frozen=True, slots=True)
class _Found:
    """One file of a folder source: under which path it is listed, and where it is."""

    path: str
    place: str
    label: str | None = None
    role: str | None = None
    problem: str | None = None


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a `folder` source; see `pocketscope.data.sources.kinds.records`."""
    for found in _listing(source, root):
        read = partial(refuse, found.problem) if found.problem else partial(read_file, found.place)
        yield Record(found.path, found.label, None, found.role, read)


def files(source: dict[str, Any], root: Path) -> dict[str, str]:
    """Return the files of a `folder` source; see `pocketscope.data.sources.kinds.files`."""
    return {found.path: found.place for found in _listing(source, root) if found.problem != _EMPTY}


def _listing(source: dict[str, Any], root: Path) -> list[_Found]:
    """List the files of a folder source.

    Sub-folders inside a class, and links to files and folders, are followed; a link that leads back into a folder
    that it lies in is not. Hidden files, what operating systems leave behind, and tables and texts are left out.
    """
    top = _folder_at(source, root, "path")
    extra = {key: _folder_at(source, root, key) for key in ("unlabelled", "test") if source.get(key)}
    if extra.get("test") == top or extra.get("unlabelled") == top:
        raise InputError(
            f"{top}: the same folder is named twice in one source; name another folder, or leave the key out"
        )
    parts = {"path": _files(top, top, None, leave_out=set(extra.values()))}
    _check_names({file.label for file in parts["path"] if file.label}, top)
    if "test" in extra:
        parts["test"] = _files(extra["test"], top, TEST, leave_out={extra.get("unlabelled")})
    if "unlabelled" in extra:
        leave_out = {extra.get("test")}
        parts["unlabelled"] = _files(extra["unlabelled"], top, None, leave_out=leave_out, labelled=False)
    if not any(parts.values()):
        raise Gone(f"{top}: contains no images; put one folder per class into it, with the class's images inside")
    for key, folder in extra.items():
        if not parts[key]:
            raise InputError(f"{folder}: contains no images ('{key}' of a folder source); correct it or leave it out")
    return [file for files_ in parts.values() for file in files_]


def _check_names(labels: set[str], top: Path) -> None:
    """Refuse what are parts of a data set, by their names, and would be learnt as classes."""
    if nobodys := sorted(label for label in labels if label.casefold() in _UNLABELLED):
        raise InputError(
            f"{top}: the folder {nobodys[0]!r} is taken for a class with that name; if its images have no labels, name "
            "it by 'unlabelled' of the source; otherwise rename it"
        )
    if labels and all(label.casefold() in _PARTS for label in labels):
        raise InputError(
            f"{top}: the folders {' and '.join(map(repr, sorted(labels)))} are parts of a data set, not classes; "
            "name the one to learn from by 'path' of the source, and the one to test on by 'test'"
        )


def _folder_at(source: dict[str, Any], root: Path, key: str) -> Path:
    folder = place_of(source, root, key)
    if not folder.exists():
        raise (Gone if key == "path" else InputError)(
            f"{folder}: there is no such folder ('{key}' of a folder source); correct the path"
        )
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file, not a folder; '{key}' of a folder source names a folder")
    return folder


def _files(
    folder: Path, top: Path, role: str | None, *, leave_out: set[Path | None], labelled: bool = True
) -> list[_Found]:
    """List the files under `folder` by their paths relative to `top`, labelled by the folder right below `folder`."""
    prefix = Path(os.path.relpath(folder, top)).as_posix()
    prefix = "" if prefix == "." else f"{prefix}/"
    found = []
    empty = _folders(folder, leave_out) if labelled else set()
    for inside, place in walk(str(folder), "", {str(left_out) for left_out in leave_out}):
        label, slash, _ = inside.partition("/")
        empty.discard(label)
        label = label if labelled and slash else None
        problem = None if slash or not labelled else _LOOSE
        path = prefix + inside
        if not path.isascii() and not _is_utf8(path):
            path = path.encode(errors="surrogateescape").decode(errors="backslashreplace")  # tables hold UTF-8 alone
            label, problem = None, "its name, or its folder's, is not valid UTF-8: rename it"
        found.append(_Found(path, place, label, role, problem))
    if not found:
        return []
    return found + [_Found(f"{prefix}{name}/", str(folder / name), problem=_EMPTY) for name in empty if _is_utf8(name)]


def _folders(folder: Path, leave_out: set[Path | None]) -> set[str]:
    """Return the names of the folders that should be classes: right inside, and without a part that is listed apart."""
    apart = [path for path in leave_out if path is not None]
    with os.scandir(folder) as entries:
        return {
            entry.name
            for entry in entries
            if entry.is_dir()
            and not is_left_by_systems(entry.name)
            and not any(p.is_relative_to(entry.path) for p in apart)
        }


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
