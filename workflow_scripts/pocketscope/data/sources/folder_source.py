"""Images in folders, one folder per class."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.group_rules import FOLDER, composed
from pocketscope.core.messages import LISTED
from pocketscope.data.sources.paths import place_of, top_of
from pocketscope.data.sources.record import TEST, Gone, Record, refuse
from pocketscope.images.files import is_left_by_systems, read_file, walk

_UNLABELLED = {"unlabelled", "unlabeled"}
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
_MANY = 4  # folders, from which on it is no chance that they hold the same few
_PARTED = "name the one to learn from by 'path' of the source, and the one to test on by 'test'"
_MEANT = "if the folders are classes indeed, name them with 'classes' of the data set"
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
    group: str | None = None


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a `folder` source; see `pocketscope.data.sources.kinds.records`."""
    listed = _listing(source, root)
    inside = source.get("group")
    # Whoever names the classes, or what the folders inside them are, knows what they are.
    if not source.get("classes") and not (inside == FOLDER or (isinstance(inside, str) and "/" in inside)):
        _check_depth(listed, top_of(source, root))
    if inside == FOLDER and not any(found.group for found in listed):
        raise InputError(
            f"{top_of(source, root)}: 'group: {FOLDER}' of the source: no class has a folder inside; move the images "
            "of each patient, slide or plate into a folder of their own, or name the groups by a pattern or a table"
        )
    for found in listed:
        read = partial(refuse, found.problem) if found.problem else partial(read_file, found.place)
        yield Record(found.path, found.label, found.group if inside == FOLDER else None, found.role, read)


def files(source: dict[str, Any], root: Path) -> dict[str, str]:
    """Return the files of a `folder` source; see `pocketscope.data.sources.kinds.files`."""
    return {found.path: found.place for found in _listing(source, root) if found.problem != _EMPTY}


def _listing(source: dict[str, Any], root: Path) -> list[_Found]:
    """List the files of a folder source.

    Sub-folders inside a class, and links to files and folders, are followed; a link that leads back into a folder
    that it lies in is not. Hidden files, what operating systems leave behind, and tables and texts are left out.
    """
    if not source.get("path"):
        top = _folder_at(source, root, "unlabelled")
        if found := _files(top, top, None, leave_out=set(), labelled=False):
            return found
        raise Gone(f"{top}: contains no images; put some into it")
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


def _check_depth(listed: list[_Found], top: Path) -> None:
    """Refuse parts of a data set, patients, or a folder too many, that would be learnt as classes.

    Where almost all "classes" hold the same folders, these are the classes, or parts such as train and test.
    """
    inside: dict[str, set[str]] = {}
    for file in listed:
        if file.label is not None and file.role != TEST:
            _, *folders = file.path.split("/")[:-1]
            inside.setdefault(file.label, set()).update(folders[:1])
    if len(inside) == 1:
        ((label, held),) = inside.items()
        if held:
            raise InputError(
                f"{top}: holds one folder, {label!r}, which would be the only class; {_one_down(label, listed)}"
            )
        return
    parts = sorted(label for label in inside if label.casefold() in _PARTS)
    if len(parts) > 1:
        raise InputError(
            f"{top}: the folders {' and '.join(map(repr, parts))} are parts of a data set by their names, not classes; "
            f"{_PARTED}; {_MEANT}"
        )
    holding = [label for label, held in inside.items() if held]
    most = max(2, len(inside) - 1)
    if len(holding) < most:
        return
    count = Counter(name for held in inside.values() for name in held)
    same = [name for name, times in count.items() if times >= most]
    few = len(holding) >= _MANY and 2 <= len(count) <= len(holding) / 2  # patients, each with some of the classes
    if len(same) < 2 and not few:
        return
    named = sorted(same if len(same) > 1 else count)
    if all(name.casefold() in _PARTS for name in named):
        remedy = f"images of all of these would be learnt from; put the parts above the classes, and {_PARTED}"
    else:
        remedy = (
            f"if those are the classes: {_PARTED}, where the folders above are parts of a data set; move the images "
            "into one folder per class, or list them in a table with the column 'group', where they are patients; if "
            f"they are patients, slides or plates inside the classes: set 'group: {FOLDER}' of the source"
        )
    raise InputError(
        f"{top}: the folders {_some(sorted(holding))} would be the classes, and hold folders of the same names, "
        f"{_some(named)}; {remedy}; {_MEANT}"
    )


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:LISTED])) + (" and more" if len(names) > LISTED else "")


def _one_down(label: str, listed: list[_Found]) -> str:
    """Say which folder to name instead of one that holds a single folder of folders."""
    paths = [file.path.split("/")[:-1] for file in listed if file.label == label]
    depth = 1
    while len(found := {tuple(path[: depth + 1]) for path in paths}) == 1 and len(next(iter(found))) > depth:
        depth += 1
    above = "/".join(paths[0][:depth])
    names = sorted({path[depth] for path in paths if len(path) > depth})
    if names and all(name.casefold() in _PARTS for name in names):
        learn = next((name for name in names if name.casefold().startswith("train")), names[0])
        test = next((name for name in names if name.casefold().startswith("test")), None)
        also = f", and '{above}/{test}' by 'test'" if test else ""
        return f"name '{above}/{learn}' by 'path' of the source{also}"
    return f"name {above!r} by 'path' of the source, if the classes are the folders inside"


def _folder_at(source: dict[str, Any], root: Path, key: str) -> Path:
    folder = place_of(source, root, key)
    if not folder.exists():
        raise (Gone if key == "path" else InputError)(
            f"{folder}: there is no such folder ('{key}' of a folder source); correct the path"
        )
    if not folder.is_dir():
        packed = folder.suffix.casefold() in (".zip", ".gz", ".tgz", ".tar", ".rar", ".7z")
        remedy = "unpack it, and name the folder" if packed else f"'{key}' of a folder source names a folder"
        raise InputError(f"{folder}: is a file, not a folder; {remedy}")
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
        label, slash, rest = inside.partition("/")
        group, deeper, _ = (rest if labelled else inside).partition("/")
        empty.discard(label)
        label = label if labelled and slash else None
        problem = None if slash or not labelled else _LOOSE
        path = prefix + inside
        if not path.isascii() and not _is_utf8(path):
            path = path.encode(errors="surrogateescape").decode(errors="backslashreplace")  # tables hold UTF-8 alone
            label, problem = None, "its name, or its folder's, is not valid UTF-8: rename it"
        found.append(_Found(path, place, label, role, problem, composed(group) if deeper else None))
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
