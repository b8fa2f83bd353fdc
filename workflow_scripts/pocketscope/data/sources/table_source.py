"""Images that a table lists: CSV or Parquet with a path, a label or none, and optionally group and role, a row."""

import logging
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.messages import listing
from pocketscope.data.sources import annotation_exports
from pocketscope.data.sources.cells import as_label, is_cut_number, read_cells
from pocketscope.data.sources.near_paths import as_remark, beyond_doubt, near_misses
from pocketscope.data.sources.paths import TABLES, images_of, place_of, top_of
from pocketscope.data.sources.record import TEST, Gone, Record
from pocketscope.images.files import read_file, walk

log = logging.getLogger(__name__)

# Images to validate on are learnt from: how they are parted is the study's to say, as with MedMNIST's.
_ROLES = {"test": TEST, **dict.fromkeys(("train", "training", "val", "valid", "validation"))}
# Columns that say in many public tables which images belong together.
_GROUPS = (
    r"(patient|subject|participant|person|individual|donor|animal|mouse|lesion|specimen|biopsy|case|study|slide|plate"
    r"|well|field|video|volume|scan|exam|accession)s?([_ .-]?(id|no|nr|num|number|name|code))?"
)
_MOST_DECIMALS = 20  # different labels with decimals: beyond, they are measurements


@dataclass(frozen=True, slots=True)
class _Row:
    """What a table says of one image; `line` counts from 1, below the header, `written` is the path as it stands."""

    path: str
    place: Path
    label: str | None
    group: str | None
    role: str | None
    line: int
    written: str


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a `table` source; see `pocketscope.data.sources.kinds.records`."""
    rows, remarks = _rows(source, root)
    for remark in remarks:
        log.warning("%s", remark)
    labels = sorted({row.label for row in rows if row.label is not None})
    if labels and all(map(_is_number, labels)):
        log.warning(
            "%s: all labels are numbers, %d different ones such as %r. Each is taken for the name of a class; "
            "if they are measurements, replace them by names of ranges",
            place_of(source, root),
            len(labels),
            labels[0],
        )
    for row in rows:
        yield Record(row.path, row.label, row.group, row.role, partial(read_file, str(row.place)))


def files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the tables and the images of a `table` source; see `pocketscope.data.sources.kinds.files`."""
    return {row.path: row.place for row in _rows(source, root)[0]} | tables(source, root)


def tables(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the tables themselves, by the path under which each is listed among the files."""
    top = top_of(source, root)
    places = [place_of(source, root, key) for key in TABLES if source.get(key)]
    return {Path(os.path.relpath(place, top)).as_posix(): place for place in places}


def hints(source: dict[str, Any], root: Path) -> list[str]:
    """Return which columns look like groups, and are not used; see `pocketscope.data.sources.kinds.hints`."""
    asked = source.get("columns") or {}
    if source.get("group") or asked.get("group"):
        return []
    table = place_of(source, root)
    sheet = annotation_exports.read(table)
    if "group" in sheet.columns:
        return []
    found = []
    for name in sheet.columns:
        different = len({row[name] for row in sheet.rows} - {None, ""})
        if name not in asked.values() and re.fullmatch(_GROUPS, name.casefold()) and 1 < different < len(sheet.rows):
            found.append(
                f"the table {table.name} has a column {name!r} of {different} different values, which is not used; if "
                f"it says which images belong together, set 'columns: {{group: {name}}}' of the source"
            )
    return found


def _rows(source: dict[str, Any], root: Path) -> tuple[list[_Row], list[str]]:
    """Read the tables, one row per image, and remarks; refuse what nothing good can come of."""
    rows, remarks = _rows_of(source, root, "path")
    if not source.get("test"):
        return rows, remarks
    tested, more = _rows_of(source, root, "test")
    top = top_of(source, root)
    rows = [replace(row, path=Path(os.path.relpath(row.place, top)).as_posix()) for row in rows]
    tested = [replace(row, path=Path(os.path.relpath(row.place, top)).as_posix(), role=TEST) for row in tested]
    if both := sorted({row.path for row in rows} & {row.path for row in tested}):
        raise InputError(
            f"{place_of(source, root, 'test')}: lists images that {place_of(source, root).name} lists too:\n"
            + listing([repr(path) for path in both])
            + "An image is either learnt from or tested on; take it out of one of the tables"
        )
    _check_decimals([*rows, *tested], place_of(source, root))
    return rows + tested, remarks + more


def _rows_of(source: dict[str, Any], root: Path, key: str) -> tuple[list[_Row], list[str]]:
    """Read one table; paths start from its own folder of images."""
    table = place_of(source, root, key)
    folder = images_of(source, root, key)
    if not table.is_file():
        raise (Gone if key == "path" else InputError)(
            f"{table}: there is no such file ('{key}' of a table source); correct the path"
        )
    classes = source.get("classes") or ()
    cells, remarks = read_cells(table, source.get("columns") or {}, classes, annotation_exports.read)
    written = [_row(of_row, line, folder, table, classes) for line, of_row in enumerate(cells, 1)]
    placed, missing, said = _placed(written, folder, table)
    merged: dict[str, _Row] = {}
    for row in placed:
        merged[row.path] = _merge(merged[row.path], row, table) if row.path in merged else row
    rows = list(merged.values())
    if not rows:
        raise InputError(f"{table}: has no rows; give one row per image")
    _check_places(rows, missing, folder, table, bool(source.get("outside")))
    _check_decimals(rows, table)
    return rows, remarks + said


def _row(cells: dict[str, Any], line: int, folder: Path, table: Path, classes: Collection[str]) -> _Row:
    path = cells["path"]
    if path is None or not str(path).strip():
        raise InputError(f"{table}: row {line} has no path; fill it in or remove the row")
    place = Path(os.path.normpath(folder / str(path)))
    role = (as_label(cells.get("role")) or "train").strip().casefold()
    if role not in _ROLES:
        raise InputError(
            f"{table}: row {line} has the role {cells['role']!r}; the roles are 'test', and 'train' or nothing"
        )
    label, group = as_label(cells["label"], classes), as_label(cells.get("group"))
    for what, text in (("label", label), ("group", group)):
        if text is not None and is_cut_number(text):
            raise InputError(
                f"{table}: row {line}: the {what} {text!r} is a long number that a program cut short, so that "
                "different ones may look alike; write the table anew from where they are whole, as text"
            )
    return _Row(Path(os.path.relpath(place, folder)).as_posix(), place, label, group, _ROLES[role], line, str(path))


def _merge(first: _Row, second: _Row, table: Path) -> _Row:
    """Make one row of two about the same image; what one leaves empty the other fills."""
    for what in ("label", "group"):
        one, other = getattr(first, what), getattr(second, what)
        if None not in (one, other) and one != other:
            raise InputError(
                f"{table}: rows {first.line} and {second.line} contradict each other in the {what} of {first.path}: "
                f"{one!r} and {other!r}; keep the right one"
            )
    return _Row(
        first.path,
        first.place,
        first.label or second.label,
        first.group or second.group,
        first.role or second.role,
        first.line,
        first.written,
    )


def _placed(rows: list[_Row], folder: Path, table: Path) -> tuple[list[_Row], dict[Path, str], list[str]]:
    """Give the rows whose paths are nearly those of files these files.

    Returns
    -------
    tuple of list, dict and list
        The rows; the places where there is no file, with what is near; remarks.
    """
    missing = [row for row in rows if not row.place.is_file()]
    if not missing:
        return rows, {}, []
    there = [inside for inside, _ in walk(str(folder), "", set())] if folder.is_dir() else []
    asked = [row.written for row in missing]
    near = near_misses(asked, there)
    listed = {row.path for row in rows} - {row.path for row in missing}
    if not (taken := beyond_doubt(near, asked, listed)):
        return rows, {row.place: str(near.get(row.written, "")) for row in missing}, []
    lost = {row.line for row in missing}
    moved = [
        replace(row, path=taken[row.written], place=folder / taken[row.written]) if row.line in lost else row
        for row in rows
    ]
    return moved, {}, [f"{table}: {as_remark(taken, near)}"]


def _check_places(rows: list[_Row], missing: dict[Path, str], folder: Path, table: Path, outside: bool) -> None:
    lost = [row for row in rows if row.place in missing]
    # The folders of another computer lead out of this one's too.
    if not outside and (
        beyond := [row for row in rows if not row.place.is_relative_to(folder) and not missing.get(row.place)]
    ):
        raise InputError(
            f"{table}: {len(beyond)} of {len(rows)} paths point outside {folder}:\n{_listed(beyond)}"
            "Correct them, name the images' folder with 'images', or allow it with 'outside: true'"
        )
    if lost:
        slashes = " (folders are separated by '/', not '\\')" if any("\\" in row.path for row in lost) else ""
        gone = len(lost) == len(rows) and not any(missing.values())
        raise (Gone if gone else InputError)(
            f"{table}: {len(lost)} of {len(rows)} files do not exist:\n"
            + listing([f"row {row.line}: {row.path!r}{missing[row.place]}" for row in lost])
            + f"Paths are relative to {folder}; correct them{slashes}, or name the images' folder with 'images'"
        )


def _listed(rows: list[_Row]) -> str:
    return listing([f"row {row.line}: {row.path!r}" for row in rows])


def _check_decimals(rows: list[_Row], table: Path) -> None:
    measured = {row.label for row in rows if row.label and "." in row.label and _is_number(row.label)}
    if len(measured) > _MOST_DECIMALS:
        raise InputError(
            f"{table}: the labels are {len(measured)} different numbers such as {min(measured)}, which are "
            "measurements, not classes; name another column, or replace them by names of ranges first"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
