"""One image as a source names it, and what the kinds of sources share."""

import difflib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pocketscope.errors import InputError
from pocketscope.pixels import Unreadable

MAX_BYTES = 2**30  # a file beyond 1 GiB is no image that a compact network could use, and would fill the memory
LISTED = 5  # how many of many things an error names
TEST = "test"  # the role of images that the source itself sets apart for testing


class Gone(InputError):
    """Nothing of a source is there; what was packed of it before can still be used."""


@dataclass(frozen=True, slots=True)
class Record:
    """One image as a source names it.

    Attributes
    ----------
    path
        Where it is, relative to the source's root, with `/`. The name under which answers are given.
    label
        Its class, or None where nobody labelled it.
    group
        Patient, slide, plate: what must not be parted; or None.
    role
        `TEST` where the source sets it apart for testing, else None.
    read
        Returns the bytes of the file; raises `Unreadable` or OSError. Can be sent to another process.
    """

    path: str
    label: str | None
    group: str | None
    role: str | None
    read: Callable[[], bytes]


def read_file(path: str) -> bytes:
    """Return the content of a file of at most `MAX_BYTES`."""
    place = Path(path)
    if place.stat().st_size > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES >> 30} GiB")
    return place.read_bytes()


def refuse(reason: str) -> bytes:
    """Raise `Unreadable`: what `read` is where a file is known to be unusable before it is opened."""
    raise Unreadable(reason)


def place_of(source: dict[str, Any], root: Path, key: str = "path") -> Path:
    """Return the absolute path that `source[key]` names."""
    return Path(os.path.abspath(root / Path(source[key]).expanduser()))  # noqa: PTH100 (resolve would follow links)


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


def listing(lines: Sequence[str]) -> str:
    """Return the first of many lines, indented, as a part of a message, and how many more there are."""
    shown = "".join(f"  {line}\n" for line in lines[:LISTED])
    return shown + (f"  and {len(lines) - LISTED} more\n" if len(lines) > LISTED else "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End a sentence that says that there is no `name`: with the nearest that there is, or with a full stop."""
    folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else "."


_EMPTY = {"", "nan", "na", "n/a", "<na>", "null"}
