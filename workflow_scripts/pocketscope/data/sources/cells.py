"""Tables that list images, and what a cell of them means."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from decimal import Decimal
from pathlib import Path
from typing import Any

from pocketscope.core import sheets
from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean


def as_label(value: Any, classes: Collection[str] = ()) -> str | None:
    """Return a cell of a label column as the name of a class, None where it is empty.

    What is in `classes` is the name of a class as it stands, be it `NA` or `1.0`.

    Whole numbers are written without decimals, because a column of whole numbers with one empty cell comes out of
    many programs as 1.0, 2.0 and nothing.
    """
    if value is None or value != value:  # NaN is the only value that is not itself
        return None
    text = str(value)
    if text in classes:
        return text
    if sheets.is_nothing(text):
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
    """Say whether a label looks like what a spreadsheet makes of another one: a date, a time, a number cut short.

    `1-2` and `MARCH1` become dates in the words of the spreadsheet's language, `1:2` a time; what they were cannot be
    told.
    """
    return is_cut_number(label) or re.fullmatch(_DATE, label.strip()) is not None


_DATE = (  # 2-Jan, 02. Jan, Jan-02; 1/2/2026, 2026-02-01; 1:02
    r"[0-9]{1,2}(\. ?|[-/ ])[^\W\d_]{3,4}\.?([-/ ][0-9]{2,4})?|[^\W\d_]{3,4}\.?[- ][0-9]{2,4}"
    r"|[0-9]{1,2}([-/.])[0-9]{1,2}\3([0-9]{2}|[0-9]{4})|[0-9]{4}([-/.])[0-9]{1,2}\5[0-9]{1,2}|[0-9]{1,2}月[0-9]{1,2}日"
    r"|[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?( [AP]M)?"
)

COLUMNS = ("path", "label", "group", "role")
# What programs call these columns: Roboflow, Hugging Face, ISIC, Label Studio and others.
_USUAL = {
    "path": {
        "path",
        "filename",
        "file_name",
        "file",
        "filepath",
        "file_path",
        "image",
        "image_path",
        "image_name",
        "image_id",
    },
    "label": {"label", "choice"},
}
_LABELS = ("class", "class_name", "category", "diagnosis", "dx", "target", "species", "type")  # asked about, not taken


def read_cells(
    table: Path,
    columns: dict[str, str | None] | None = None,
    classes: Collection[str] = (),
    read: Callable[[Path], sheets.Sheet] = sheets.read,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of a CSV or Parquet file as dicts of those of `COLUMNS` that it has, and remarks.

    Where there is no column of labels, but one of 0 and 1 for each class, these are the labels. Where there is no
    column `path`, one that programs call `filename`, `image` or the like is, and Label Studio's `choice` is `label`.

    Parameters
    ----------
    table
        The file.
    columns
        The table's own names of the columns, where they are others. None: nobody can say so, and errors advise another
        name in the table.
    classes
        Names of classes, even where they usually mean that there is no label.
    read
        What reads the file.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is damaged, or a column is named twice, or missing: path, label, or one that `columns` names. A cell
        of these columns holds an error of a spreadsheet.
    """
    to_name = columns is not None
    columns = columns or {}
    names = {column: columns.get(column) or column for column in COLUMNS}
    sheet = read(table)
    present = sheet.columns
    if not present:
        raise InputError(f"{table}: is empty; begin with the column names, {' and '.join(list(names.values())[:2])}")
    taken = {}
    for column, usual in _USUAL.items():
        found = [name for name in present if name.casefold() in usual]
        if names[column] not in present and not columns.get(column) and len(found) == 1:
            taken[column] = names[column] = found[0]
    one_hot = None
    if names["path"] in present and names["label"] not in present and not columns.get("label"):
        one_hot = _one_hot(table, sheet, set(names.values()), to_name)
    for column, name in names.items():
        if column == "label" and one_hot:
            continue
        if name not in present and (column in ("path", "label") or columns.get(column)):
            likely = [other for other in present if column == "label" and other.casefold() in _LABELS]
            meant = f"; did you mean {likely[0]!r}?" if likely else did_you_mean(name, present)
            as_in = f" (columns: {{{column}: {likely[0]}}})" if likely else ""
            raise InputError(
                f"{table}: there is no column {name!r} for the {column}{meant} The columns are "
                f"{', '.join(map(repr, present))}; "
                + (
                    f"rename one, or name it with 'columns' of the source{as_in}"
                    if to_name
                    else "the first row should name the columns 'path' and 'label'"
                )
            )
    remarks = sheet.remarks + sheets.check_names(table, present, names.values())
    remarks += [f"{table}: there is no column {key!r}; {name!r} is taken for it" for key, name in taken.items()]
    rows = [{column: row[name] for column, name in names.items() if name in row} for row in sheet.rows]
    if names["label"] not in present:
        found, labels = one_hot
        rows = [row | {"label": label} for row, label in zip(rows, labels, strict=True)]
        remarks.append(
            f"{table}: there is no column 'label'; {len(found)} columns hold 0 and 1, and are taken for the classes: "
            + ", ".join(map(repr, found))
        )
    _check_errors(table, rows, classes)
    for line, row in enumerate(rows, 1):
        if str(row["label"]).startswith('{"choices"'):  # Label Studio's cell for several
            raise InputError(
                f"{table}: row {line}: the label is {row['label']!r}: an image has one class; keep the right one"
            )
    return rows, remarks + [
        f"{table}: {count} cells {text!r} in the column {names[column]!r} are taken for "
        + (
            "no label; if that is a class, name all classes with 'classes' of the data set"
            if column == "label"
            else "none"
        )
        for (column, text), count in sorted(_meaning_nothing(rows, classes).items())
    ]


def _one_hot(
    table: Path, sheet: sheets.Sheet, others: set[str], to_name: bool
) -> tuple[list[str], list[str | None]] | None:
    """Return the classes and each row's label of a table with a column of 0 and 1 per class, None where it is no such.

    The ground truth of HAM10000 and of ISIC's challenges comes so. A row of zeros has no label.
    """
    values = {"0": False, "0.0": False, "1": True, "1.0": True, "False": False, "True": True}
    values |= {"0,0": False, "1,0": True} if sheet.decimal == "," else {}
    classes = [
        name
        for name in sheet.columns
        if name not in others and sheet.rows and all(str(row[name]).strip() in values for row in sheet.rows)
    ]
    if len(classes) < 2:
        return None
    sheets.check_names(table, sheet.columns, classes)
    labels: list[str | None] = []
    for line, row in enumerate(sheet.rows, 1):
        ones = [name for name in classes if values[str(row[name]).strip()]]
        if len(ones) > 1:
            raise InputError(
                f"{table}: there is no column 'label', and row {line} has 1 in {' and '.join(map(repr, ones))}: an "
                "image has one class; name the labels' column "
                + ("with 'columns' of the source" if to_name else "'label'")
                + ", or remove what is no class"
            )
        labels.append(ones[0] if ones else None)
    return classes, labels


def _check_errors(table: Path, rows: list[dict[str, Any]], classes: Collection[str]) -> None:
    """Refuse errors of spreadsheets, but for labels and groups that were looked up and not found: these have none."""
    for column in rows[0] if rows else ():
        missing = column in ("path", "role")
        for line, row in enumerate(rows, 1):
            cell = row[column]
            if not isinstance(cell, str) or not cell.lstrip().startswith(("#", "Err:")):  # of a hundred thousand rows
                continue
            if ((missing and sheets.is_missing(cell)) or sheets.is_error(cell)) and cell not in classes:
                raise InputError(
                    f"{table}: row {line}: the {column} is {cell!r}, an error of the spreadsheet that wrote the table; "
                    "mend its formula or the cell's width, or empty the cell"
                )


def _meaning_nothing(rows: list[dict[str, Any]], classes: Collection[str]) -> Counter[tuple[str, str]]:
    """Count the labels and groups that are written and mean that there is none."""
    written = Counter((column, row[column]) for column in ("label", "group") for row in rows if row.get(column))
    return Counter(
        {
            (column, cell): count
            for (column, cell), count in written.items()
            if isinstance(cell, str) and cell.strip()
            if as_label(cell, classes if column == "label" else ()) is None
        }
    )
