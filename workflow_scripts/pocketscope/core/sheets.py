"""Tables that people give: CSV in any of the forms that spreadsheets write, or Parquet."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError

_PARQUET = (".parquet", ".pq")
_NOTHING = {"", "nan", "na", "n/a", "<na>", "null"}
# In the words of Excel's languages.
_NOT_FOUND = {"#n/a", "#n/a!", "#nv", "#n/b", "#n/d", "#n/d!", "#saknas!", "#i/t", "#н/д"}
_ERROR = r"#[¡¿]?[^\W\d_][\w/ ]*[!?]|Err:[0-9]{3}|#{3,}|#GETTING_DATA"
_SAVE = "save it as 'CSV UTF-8'"

# By their first bytes, files that are no table of text, and what to do.
_OTHERS = {
    b"PK\x03\x04": f"is a workbook, not a table of text; open it and {_SAVE}",
    b"\xd0\xcf\x11\xe0": f"is a workbook, not a table of text; open it and {_SAVE}",
    b"\x1f\x8b": "is compressed; unpack it",
    b"BZh": "is compressed; unpack it",
    b"\xfd7zXZ\0": "is compressed; unpack it",
    b"version https://git-lfs": "is a place holder of Git LFS; get the file itself with 'git lfs pull'",
    b"<!DOCTYPE html": "is a page of the web, as comes where one has to sign in; get the table again",
    b"<html": "is a page of the web, as comes where one has to sign in; get the table again",
    b"%PDF": f"is a PDF; write its table anew, and {_SAVE}",
    b"PAR1": "is a Parquet file; let its name end in '.parquet'",
    b"RDX": "is a file of R; write it by write.csv",
    b"SQLite format 3": f"is a database; export the table, and {_SAVE}",
}

# What tells other codes of a byte a letter from Windows-1252, where their letters come out as signs within words (Mac
# Roman: 'wei§', '€rzte'), as letters that few Western words have ('gržn'), or as words of nothing but accents
# (Cyrillic, Chinese). What they have in common, and Polish or Czech, cannot be told: a warning quotes it.
_LETTER = r"[^\W\d_]"
_OTHER_CODE = re.compile(
    rf"[ŠŽšžƒˆ˜]|[€…†‡‰‹›•™¢-©«-¯¶-¹»-¾](?={_LETTER})|(?<={_LETTER})([€†‡¡-©«-¯¶-¸¿Œ]|œ(?![ut]))|[À-ÖØ-öø-ÿ]{{3}}"
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as it was given.

    Attributes
    ----------
    columns
        The names in the header, blanks around them removed; columns without a name are left out. Of columns of one
        name the last one's cells are in the rows: see `check_names`.
    rows
        A dict each, from name to cell: text where the table is CSV. Rows without any text are left out.
    decimal
        How the table may write the point of a number: "." or, as in most of Europe, also ",".
    remarks
        What a person should know of how the table was read.
    """

    columns: list[str]
    rows: list[dict[str, Any]]
    decimal: str = "."
    remarks: list[str] = field(default_factory=list)


def read(table: Path, *, first: str | None = None) -> Sheet:
    """Read a table that a person gives; in CSV, `first` names a first column that has no name.

    CSV may be separated by commas, semicolons or tabs, begin with Excel's line `sep=;`, and be written in UTF-8,
    UTF-16 or Windows-1252. A row may be shorter than the header: Excel leaves empty cells at the end of rows out.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no such file; it is a workbook, damaged, or written in an unknown code; a row has too many cells.
    """
    if not table.is_file():
        raise InputError(f"{table}: there is no such file; correct the path")
    with table.open("rb") as file:
        head = file.read(40).lstrip(b"\xef\xbb\xbf\r\n ").lower()
    is_parquet = table.suffix.casefold() in _PARQUET
    for beginning, told in _OTHERS.items():
        if head.startswith(beginning.lower()) and not (is_parquet and beginning == b"PAR1"):
            raise InputError(f"{table}: {told}")
    return _read_parquet(table) if is_parquet else _read_csv(table, first)


def is_nothing(text: str) -> bool:
    """Say whether a text is empty, or a word that programs write into an empty cell (`NA`, `NaN`, `null`)."""
    return text.strip().casefold() in _NOTHING or is_missing(text)


def is_missing(cell: Any) -> bool:
    """Say whether a cell holds the error of a spreadsheet that looked something up and found nothing (`#N/A`)."""
    return isinstance(cell, str) and cell.strip().casefold() in _NOT_FOUND


def is_error(cell: Any) -> bool:
    """Say whether a cell holds another error of a spreadsheet (`#REF!`, `#NAME?`, `#WERT!`, `Err:502`, `#####`)."""
    return isinstance(cell, str) and re.fullmatch(_ERROR, cell.strip()) is not None and not is_missing(cell)


def check_names(table: Path, columns: Sequence[str], used: Iterable[str]) -> list[str]:
    """Refuse two columns of one name among those that are used; return remarks on names that are nearly one.

    Raises
    ------
    pocketscope.core.errors.InputError
        The message names the column.
    """
    remarks = []
    for name in used:
        if columns.count(name) > 1:
            raise InputError(
                f"{table}: {columns.count(name)} columns are called {name!r}; rename or remove all but one of them"
            )
        # pandas writes `label.1` for the second column called `label`.
        alike = [other for other in columns if other != name and _folded(other) == _folded(name)]
        if alike and name in columns:
            remarks.append(f"{table}: the column {name!r} is used, and {' or '.join(map(repr, alike))} is not")
    return remarks


def _folded(name: str) -> str:
    return "".join(re.sub(r"[.][0-9]+$", "", name).casefold().split())


def _read_csv(table: Path, first: str | None) -> Sheet:
    text, remarks = _text(table)
    if told := _annotations(text):
        raise InputError(f"{table}: {told}")
    if told := re.match(r"sep=(.)\r?(\n|$)", text):  # a line for Excel alone
        separator, text = told[1], text[told.end() :]
    else:
        separator = _separator(text)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        rows = [row for row in lines if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"{table}: line {lines.line_num}: {error}; repair the quotes there") from error
    header = [name.strip() for name in rows[0]] if rows else []
    if first and header and not header[0] and first not in header:
        header[0] = first
    rows = [_fitted(row, len(header), f"{table}: row {number}") for number, row in enumerate(rows[1:], 1)]
    kept = [index for index, name in enumerate(header) if name]
    return Sheet(
        [header[index] for index in kept],
        [{header[index]: row[index] for index in kept} for row in rows],
        "." if separator == "," else ",",
        remarks,
    )


def _text(table: Path) -> tuple[str, list[str]]:
    """Decode a file, and say what is doubtful of that; line ends of old Macs become those of today."""
    raw = table.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        coding = "utf-16"
    elif b"\0" in raw[:2]:  # UTF-16 that does not say so: of the header's first letter one half is 0
        coding = "utf-16-le" if raw[1:2] == b"\0" else "utf-16-be"
    else:
        coding = "utf-8-sig"
    remarks = []
    try:
        text = raw.decode(coding)
    except UnicodeDecodeError as error:
        text = _windows(table, raw, error)
        example = re.search(r"[^,;\t\r\n\"]*[^\x00-\x7f][^,;\t\r\n\"]*", text)
        remarks.append(
            f"{table}: is not UTF-8 text and is read as Windows-1252, such as {example[0] if example else ''!r}; if "
            f"that is not what it says, {_SAVE}"
        )
    return text if "\n" in text else text.replace("\r", "\n"), remarks


def _annotations(text: str) -> str | None:
    """Say what to do with an export of a program for annotations, None for other texts."""
    head = text[:2000].lstrip()
    if head.startswith(("{", "[{", "[[")):
        return (
            "is JSON, not a table; export the labels as CSV (Label Studio: CSV; CVAT: 'ImageNet', which is one folder "
            "per class), or write a table with the columns path and label. (As the 'path' of a source, Label Studio's "
            "JSON is read in a file that ends in '.json'.)"
        )
    if head.startswith("<?xml") or head.startswith("<annotations"):
        return "is XML, not a table; export the labels as CSV, or as one folder per class (CVAT: 'ImageNet')"
    return None


def _windows(table: Path, raw: bytes, error: UnicodeDecodeError) -> str:
    """Decode what Excel writes as 'CSV' on Windows, unless it looks like something else."""
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text or _OTHER_CODE.search(text):
        raise InputError(
            f"{table}: is not UTF-8 text, and looks like no Windows-1252 (Excel on a Mac, and in countries with other "
            f"letters, writes other codes under the name 'CSV'); {_SAVE}"
        ) from error
    return text


def _separator(text: str) -> str:
    """Return what parts the cells of the first line that has any: spreadsheets of many countries write semicolons."""
    header = next((line for line in text.splitlines() if line.strip(' ,;\t"')), "")
    return max(",;\t|", key=re.sub(r'"[^"]*"', "", header).count)


def _fitted(row: list[str], width: int, name: str) -> list[str]:
    """Fill a row up to the header's width, and cut empty cells off beyond."""
    if any(cell.strip() for cell in row[width:]):
        raise InputError(
            f"{name} has {len(row)} cells and the header {width}; "
            + (
                "put quotes around cells that hold the separator"
                if width > 1
                else "the first row should name the columns: remove what stands above"
            )
        )
    return row[:width] + [""] * (width - len(row))


def _read_parquet(table: Path) -> Sheet:
    import pyarrow as pa  # takes longer to import than a CSV to read
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(table) as file:
            # Images and lists that lie in the table too are no cells that anyone wrote, and may fill the memory.
            flat = [f.name for f in file.schema_arrow if not (pa.types.is_nested(f.type) or _is_bytes(f.type))]
            return Sheet(flat, file.read(columns=list(dict.fromkeys(flat))).to_pylist())
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{table}: is not a Parquet file, or is damaged ({error}); write it again") from error


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
