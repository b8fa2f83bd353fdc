"""Tables that people write: CSV in any of its forms, Parquet, and what a cell means."""

import csv
import io
import re
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean


def as_label(value: Any) -> str | None:
    """Return a cell of a label column as the name of a class, None where it is empty.

    Whole numbers are written without decimals, because a column of whole numbers with one empty cell comes out of
    many programs as 1.0, 2.0 and nothing.
    """
    if value is None or value != value:  # NaN is the only value that is not itself
        return None
    text = str(value)
    if text.strip().casefold() in _EMPTY:
        return None
    whole, point, decimals = text.partition(".")
    if point and decimals.strip("0") == "" and whole.removeprefix("-").isdecimal():
        return whole
    return text


def spelling(label: str) -> str:
    """Return what names of classes share that differ only in case, spaces or the way of writing a number."""
    folded = "".join(unicodedata.normalize("NFKC", label).casefold().split())
    if re.fullmatch(r"-?[0-9]+([.,][0-9]+)?", folded):
        return str(Decimal(folded.replace(",", ".")).normalize())
    return folded


_EMPTY = {"", "nan", "na", "n/a", "<na>", "null"}

COLUMNS = ("path", "label", "group", "role")


def read_cells(table: Path, columns: dict[str, str | None] | None = None) -> list[dict[str, Any]]:
    """Return the rows of a CSV or Parquet file as dicts of those of `COLUMNS` that it has.

    Parameters
    ----------
    table
        The file.
    columns
        The table's own names of the columns, where they are others.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is damaged, or a column is missing: path, label, or one that `columns` names.
    """
    columns = columns or {}
    names = {column: columns.get(column) or column for column in COLUMNS}
    parquet = table.suffix.casefold() in (".parquet", ".pq")
    present, rows = (_read_parquet if parquet else _read_csv)(table, set(names.values()))
    if not present:
        raise InputError(f"{table}: is empty; begin with the column names, {' and '.join(list(names.values())[:2])}")
    for column, name in names.items():
        if name not in present and (column in ("path", "label") or columns.get(column)):
            raise InputError(
                f"{table}: there is no column {name!r} for the {column}{did_you_mean(name, present)} "
                f"The columns are {', '.join(map(repr, present))}; rename one, or name it with 'columns' of the source"
            )
    return [{column: row[name] for column, name in names.items() if name in row} for row in rows]


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
        raise InputError(f"{table}: line {lines.line_num}: {error}; repair the quotes there") from error
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
        raise InputError(f"{table}: is not a Parquet file, or is damaged ({error}); write it again") from error
