"""Images in folders, one folder per class."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.group_rules import FOLDER_ABOVE, FOLDERS, composed
from pocketscope.data.sources import folder_trees
from pocketscope.data.sources.folder_trees import ARCHIVES, LOOSE, PACKED, Found
from pocketscope.data.sources.paths import place_of, top_of
from pocketscope.data.sources.record import TEST, Gone, Record, refuse
from pocketscope.images.files import is_left_by_systems, read_file, walk

_EMPTY = "a folder without images: put images of the class into it, or remove it"
_REGION = re.compile(r" \[(d=[0-9.]+,)?x=-?[0-9]+,y=-?[0-9]+,w=[0-9]+,h=[0-9]+(,z=[0-9]+)?(,t=[0-9]+)?\]$")  # of a tile
# At the end of a name: what QuPath writes beside a tile, and public sets have beside an image.
_MASK = re.compile(r"(-labelled|[-_ ](masks?|segmentation|seg)([-_ ]?[0-9]+)?)$", re.IGNORECASE)


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a `folder` source; see `pocketscope.data.sources.kinds.records`."""
    listed = _listing(source, root)
    asked = source.get("group")
    folder_trees.check(listed, top_of(source, root), asked, named=bool(source.get("classes")))
    for found in listed:
        read = partial(refuse, found.problem) if found.problem else partial(read_file, found.place)
        yield Record(found.path, found.label, found.group if asked in FOLDERS else None, found.role, read)


def files(source: dict[str, Any], root: Path) -> dict[str, str]:
    """Return the files of a `folder` source; see `pocketscope.data.sources.kinds.files`."""
    return {found.path: found.place for found in _listing(source, root) if found.problem != _EMPTY}


def _listing(source: dict[str, Any], root: Path) -> list[Found]:
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
    above = source.get("group") == FOLDER_ABOVE
    parts = {"path": _files(top, top, None, leave_out=set(extra.values()), above=above)}
    folder_trees.check_names({file.label for file in parts["path"] if file.label}, top)
    if "test" in extra:
        parts["test"] = _files(extra["test"], top, TEST, leave_out={extra.get("unlabelled")}, above=above)
    if "unlabelled" in extra:
        leave_out = {extra.get("test")}
        parts["unlabelled"] = _files(extra["unlabelled"], top, None, leave_out=leave_out, labelled=False)
    if not any(parts.values()):
        raise Gone(f"{top}: contains no images; put one folder per class into it, with the class's images inside")
    for key, folder in extra.items():
        if not parts[key]:
            raise InputError(f"{folder}: contains no images ('{key}' of a folder source); correct it or leave it out")
    return [file for files_ in parts.values() for file in files_]


def _folder_at(source: dict[str, Any], root: Path, key: str) -> Path:
    folder = place_of(source, root, key)
    if not folder.exists():
        raise (Gone if key == "path" else InputError)(
            f"{folder}: there is no such folder ('{key}' of a folder source); correct the path"
        )
    if not folder.is_dir():
        packed = folder.suffix.casefold() in ARCHIVES
        remedy = "unpack it, and name the folder" if packed else f"'{key}' of a folder source names a folder"
        raise InputError(f"{folder}: is a file, not a folder; {remedy}")
    return folder


def _files(
    folder: Path,
    top: Path,
    role: str | None,
    *,
    leave_out: set[Path | None],
    labelled: bool = True,
    above: bool = False,
) -> list[Found]:
    """List the files under `folder` by their paths relative to `top`.

    They are labelled by the folder right below `folder`, and grouped by the one inside; `above`: the other way round.
    """
    prefix = Path(os.path.relpath(folder, top)).as_posix()
    prefix = "" if prefix == "." else f"{prefix}/"
    found = []
    empty = _folders(folder, leave_out) if labelled else set()
    for inside, place in walk(str(folder), "", {str(left_out) for left_out in leave_out}):
        first, *deeper = inside.split("/")[:-1] or [""]
        second = deeper[0] if deeper else ""
        empty.discard(first)
        label, group = (second, first) if above else (first, second)
        label, group = (label, group) if labelled else ("", first)
        problem = LOOSE if labelled and not label else None
        if problem and place.casefold().endswith(ARCHIVES):
            problem = PACKED
        path = prefix + inside
        if not path.isascii() and not _is_utf8(path):
            path = path.encode(errors="surrogateescape").decode(errors="backslashreplace")  # tables hold UTF-8 alone
            label, problem = "", "its name, or its folder's, is not valid UTF-8: rename it"
        found.append(Found(path, place, label or None, role, problem, composed(group) if group else None))
    if not found:
        return []
    empties = [Found(f"{prefix}{name}/", str(folder / name), problem=_EMPTY) for name in empty if _is_utf8(name)]
    return _without_masks(found) + empties


def _without_masks(found: list[Found]) -> list[Found]:
    """Mark masks that lie beside their image, as QuPath writes them and public sets have them: no images of a class."""
    by_stem: dict[str, list[int]] = {}
    for at, file in enumerate(found):
        by_stem.setdefault(os.path.splitext(file.path)[0], []).append(at)  # noqa: PTH122 (a hundred thousand paths)
    for stem, places in by_stem.items():
        if mask := _MASK.search(stem):
            image, masks = by_stem.get(stem[: mask.start()], [])[:1], places
        elif len(places) == 2 and _REGION.search(stem):
            masks = [at for at in places if _is_mask(found[at], found[sum(places) - at])]
            image = [at for at in places if at not in masks]
        else:
            continue
        for at in masks if image else ():
            reason = f"a mask of {found[image[0]].path!r} by its name, not an image: move it out of these folders"
            found[at] = replace(found[at], problem=reason)
    return found


def _is_mask(file: Found, other: Found) -> bool:
    """Say which of two files of a tile, whose names differ in the ending alone, is its mask: no JPEG, and not RGB."""
    endings = [os.path.splitext(path.path)[1].casefold() for path in (file, other)]  # noqa: PTH122
    jpeg = [ending in (".jpg", ".jpeg") for ending in endings]
    if any(jpeg):
        return jpeg[1] and not jpeg[0]
    if ".png" not in endings:
        return False
    png = file if endings[0] == ".png" else other
    with Path(png.place).open("rb") as opened:
        coloured = opened.read(26)[25:] in (b"\2", b"\6")
    return coloured != (png is file)


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
