"""Images that a table lists: CSV or Parquet with a path, a label or none, and optionally group and role, a row."""

import csv
import io
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pocketscope.errors import InputError
from pocketscope.records import TEST, Gone, Record, as_label, did_you_mean, listing, place_of, read_file

log = logging.getLogger(__name__)

COLUMNS = ("path", "label", "group", "role")
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
    """List the images of a `table` source; see `pocketscope.sources.records`."""
    rows = _rows(source, root)
    labels = sorted({row.label for row in rows if row.label is not None})
    if labels and all(map(_is_number, labels)):
        log.warning(
            "%s: all labels are numbers, %d different ones such as %r: each is the name of a class; "
            "if they are measurements, put ranges of them into words",
            place_of(source, root),
            len(labels),
            labels[0],
        )
    for row in rows:
        yield Record(row.path, row.label, row.group, row.role, partial(read_file, str(row.place)))


def files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the table and the images of a `table` source; see `pocketscope.sources.files`."""
    table = place_of(source, root, "path")
    found = {row.path: row.place for row in _rows(source, root)}
    return found | {Path(os.path.relpath(table, top(source, root))).as_posix(): table}


def top(source: dict[str, Any], root: Path) -> Path:
    """Return what the paths in the table are relative to: `images`, or else the folder that the table is in."""
    return place_of(source, root, "images") if source.get("images") else place_of(source, root).parent


def cells(table: Path, columns: dict[str, str | None] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a CSV or Parquet file as dicts of those of `COLUMNS` that it has.

    Parameters
    ----------
    table
        The file.
    columns
        The table's own names of the columns, where they are others.

    Raises
    ------
    pocketscope.errors.InputError
        The file is damaged, or a column is missing: path, label, or one that `columns` names.
    """
    columns = columns or {}
    names = {column: columns.get(column) or column for column in COLUMNS}
    parquet = table.suffix.casefold() in (".parquet", ".pq")
    present, rows = (_read_parquet if parquet else _read_csv)(table, set(names.values()))
    if not present:
        raise InputError(f"{table}: is empty; begin with the columns' names, {' and '.join(list(names.values())[:2])}")
    for column, name in names.items():
        if name not in present and (column in ("path", "label") or columns.get(column)):
            raise InputError(
                f"{table}: there is no column {name!r} for the {column}{did_you_mean(name, present)} "
                f"The columns are {', '.join(map(repr, present))}; rename one, or name it with 'columns' of the source"
            )
    return [{column: row[name] for column, name in names.items() if name in row} for row in rows]


def _rows(source: dict[str, Any], root: Path) -> list[_Row]:
    """Read the table, one row an image, and refuse what nothing good can come of."""
    table = place_of(source, root, "path")
    folder = top(source, root)
    if not table.is_file():
        raise Gone(f"{table}: there is no such file ('path' of a table source); correct the path")
    merged: dict[str, _Row] = {}
    for line, of_row in enumerate(cells(table, source.get("columns")), 1):
        row = _row(of_row, line, folder, table)
        merged[row.path] = _merge(merged[row.path], row, table) if row.path in merged else row
    rows = list(merged.values())
    if not rows:
        raise InputError(f"{table}: has no row; give one row an image")
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
                f"{table}: rows {first.line} and {second.line} contradict one another in the {what} of {first.path}: "
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
            f"{table}: {len(beyond)} of {len(rows)} paths lead out of {folder}:\n{_listed(beyond)}"
            "Correct them, name the images' folder with 'images', or allow it with 'outside: true'"
        )
    if missing := [row for row in rows if not row.place.is_file()]:
        slashes = " (folders are parted by '/', not '\\')" if any("\\" in row.path for row in missing) else ""
        raise (Gone if len(missing) == len(rows) else InputError)(
            f"{table}: {len(missing)} of {len(rows)} files are not there:\n{_listed(missing)}"
            f"Paths are relative to {folder}; correct them{slashes}, or name the images' folder with 'images'"
        )


def _listed(rows: list[_Row]) -> str:
    return listing([f"row {row.line}: {row.path!r}" for row in rows])


def _check_decimals(rows: list[_Row], table: Path) -> None:
    measured = {row.label for row in rows if row.label and "." in row.label and _is_number(row.label)}
    if len(measured) > _MOST_DECIMALS:
        raise InputError(
            f"{table}: the labels are {len(measured)} different numbers such as {min(measured)}, which are "
            "measurements and not classes; name another column, or put ranges of them into words first"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ---- reading


def _read_csv(table: Path, _wanted: set[str]) -> tuple[list[str], list[dict[str, Any]]]:
    raw = table.read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{table}: is not UTF-8 text; save it as 'CSV UTF-8'") from error
    if told := re.match(r"sep=(.)\r?\n", text):  # a line for Excel alone
        separator, text = told[1], text[told.end() :]
    else:
        separator = max(",;\t", key=text.partition("\n")[0].count)  # spreadsheets of many countries write semicolons
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        present = [name.strip() for name in next(lines, [])]
        rows = [row for row in lines if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"{table}: line {lines.line_num}: {error}; mend the quotes there") from error
    for number, row in enumerate(rows, 1):
        if len(row) != len(present):
            raise InputError(
                f"{table}: row {number} has {len(row)} cells and the header {len(present)}; "
                "put quotes around cells that hold the separator"
            )
    return present, [dict(zip(present, row, strict=True)) for row in rows]


def _read_parquet(table: Path, wanted: set[str]) -> tuple[list[str], list[dict[str, Any]]]:
    import pyarrow as pa  # takes longer to import than a CSV to read
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(table) as file:
            present = file.schema_arrow.names
            return present, file.read(columns=[name for name in present if name in wanted]).to_pylist()
    except pa.ArrowInvalid as error:
        raise InputError(f"{table}: is no Parquet file, or damaged ({error}); write it anew") from error
