"""One image as a source names it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pocketscope.core.errors import InputError
from pocketscope.images.pixels import Unreadable

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


def refuse(reason: str) -> bytes:
    """Raise `Unreadable`: what `read` is where a file is known to be unusable before it is opened."""
    raise Unreadable(reason)


def is_refused(record: Record) -> bool:
    """Say whether a record is known to be unusable, whatever is in its file."""
    return isinstance(record.read, partial) and record.read.func is refuse
