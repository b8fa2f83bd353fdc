"""Tables that list images, and what a cell of them means."""

import re
import unicodedata
from decimal import Decimal
from pathlib import Path
from typing import Any

from pocketscope.core import sheets
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


def is_cut_number(text: str) -> bool:
    """Say whether a spreadsheet has cut a long number short (`1.23457E+11`): two different ones may look alike."""
    return re.fullmatch(r"-?[0-9][.,][0-9]+[eE][+][0-9]+", text.strip()) is not None


def is_altered(label: str) -> bool:
    """Say whether a label looks like what a spreadsheet makes of another one: a date, or a long number cut short.

    `1-2` and `MARCH1` become dates in the words of the spreadsheet's language; what they were cannot be told.
    """
    return is_cut_number(label) or re.fullmatch(_DATE, label.strip()) is not None


_DATE = (
    r"[0-9]{1,2}(\. ?|[-/ ])[^\W\d_]{3,4}\.?([-/ ][0-9]{2,4})?|[^\W\d_]{3,4}\.?[- ][0-9]{2,4}"  # 2-Jan, 02. Jan, Jan-02
    r"|[0-9]{1,2}([-/.])[0-9]{1,2}\3([0-9]{2}|[0-9]{4})|[0-9]{4}([-/.])[0-9]{1,2}\5[0-9]{1,2}"
)

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
        The file is damaged, or a column is named twice, or missing: path, label, or one that `columns` names.
    """
    columns = columns or {}
    names = {column: columns.get(column) or column for column in COLUMNS}
    sheet = sheets.read(table)
    present, rows = sheet.columns, sheet.rows
    if not present:
        raise InputError(f"{table}: is empty; begin with the columns' names, {' and '.join(list(names.values())[:2])}")
    for column, name in names.items():
        if name not in present and (column in ("path", "label") or columns.get(column)):
            raise InputError(
                f"{table}: there is no column {name!r} for the {column}{did_you_mean(name, present)} "
                f"The columns are {', '.join(map(repr, present))}; rename one, or name it with 'columns' of the source"
            )
    sheets.check_names(table, present, names.values())
    return [{column: row[name] for column, name in names.items() if name in row} for row in rows]
