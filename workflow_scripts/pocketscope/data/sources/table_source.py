"""Images that a table lists: CSV or Parquet with a path, a label or none, and optionally group and role, a row."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.messages import listing
from pocketscope.data.sources.cells import as_label, read_cells
from pocketscope.data.sources.paths import place_of, top_of
from pocketscope.data.sources.record import TEST, Gone, Record
from pocketscope.images.files import read_file

log = logging.getLogger(__name__)

_ROLES = {"test": TEST, "train": None, "training": None}
_MOST_DECIMALS = 20  # different labels with decimals: beyond, they are measurements


@dataclass(frozen=True, slots=True)
class _Row:
    """What a table says of one image; `line` counts from 1, below the header."""

    path: str
    place: Path
    label: str | None
    group: str | None
    role: str | None
    line: int


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a `table` source; see `pocketscope.data.sources.kinds.records`."""
    rows = _rows(source, root)
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
    """Return the table and the images of a `table` source; see `pocketscope.data.sources.kinds.files`."""
    table = place_of(source, root, "path")
    found = {row.path: row.place for row in _rows(source, root)}
    return found | {Path(os.path.relpath(table, top_of(source, root))).as_posix(): table}


def _rows(source: dict[str, Any], root: Path) -> list[_Row]:
    """Read the table, one row per image, and refuse what nothing good can come of."""
    table = place_of(source, root, "path")
    folder = top_of(source, root)
    if not table.is_file():
        raise Gone(f"{table}: there is no such file ('path' of a table source); correct the path")
    merged: dict[str, _Row] = {}
    for line, of_row in enumerate(read_cells(table, source.get("columns")), 1):
        row = _row(of_row, line, folder, table)
        merged[row.path] = _merge(merged[row.path], row, table) if row.path in merged else row
    rows = list(merged.values())
    if not rows:
        raise InputError(f"{table}: has no rows; give one row per image")
    _check_places(rows, folder, table, bool(source.get("outside")))
    _check_decimals(rows, table)
    return rows


def _row(cells: dict[str, Any], line: int, folder: Path, table: Path) -> _Row:
    path = cells["path"]
    if path is None or not str(path).strip():
        raise InputError(f"{table}: row {line} has no path; fill it in or remove the row")
    place = Path(os.path.normpath(folder / str(path)))
    role = (as_label(cells.get("role")) or "train").strip().casefold()
    if role not in _ROLES:
        raise InputError(
            f"{table}: row {line} has the role {cells['role']!r}; the roles are 'test', and 'train' or nothing"
        )
    relative = Path(os.path.relpath(place, folder)).as_posix()
    return _Row(relative, place, as_label(cells["label"]), as_label(cells.get("group")), _ROLES[role], line)


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
    )


def _check_places(rows: list[_Row], folder: Path, table: Path, outside: bool) -> None:
    if not outside and (beyond := [row for row in rows if not row.place.is_relative_to(folder)]):
        raise InputError(
            f"{table}: {len(beyond)} of {len(rows)} paths point outside {folder}:\n{_listed(beyond)}"
            "Correct them, name the images' folder with 'images', or allow it with 'outside: true'"
        )
    if missing := [row for row in rows if not row.place.is_file()]:
        slashes = " (folders are separated by '/', not '\\')" if any("\\" in row.path for row in missing) else ""
        raise (Gone if len(missing) == len(rows) else InputError)(
            f"{table}: {len(missing)} of {len(rows)} files do not exist:\n{_listed(missing)}"
            f"Paths are relative to {folder}; correct them{slashes}, or name the images' folder with 'images'"
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
