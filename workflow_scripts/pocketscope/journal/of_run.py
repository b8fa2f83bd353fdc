"""The labels that a run reads: taken out of the journals once, when it begins, and the same until it ends."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pocketscope.core import files
from pocketscope.core.errors import InputError
from pocketscope.journal import export
from pocketscope.journal.place import JOURNAL, labels_of
from pocketscope.journal.store import Journal


@dataclass(frozen=True)
class Taken:
    """The labels of one data set.

    Attributes
    ----------
    ending
        Of the table's name.
    digest
        Stands for what a run learns of them.
    write
        Writes the table to a path, where it differs from what is there.
    """

    ending: str
    digest: str
    write: Callable[[Path], object]


def take(dataset: str, asked: str | None, root: Path) -> Taken | None:
    """Return the labels that people gave of a data set until now; None where nobody gave any.

    Parameters
    ----------
    dataset, asked, root
        See `place.labels_of`.

    Raises
    ------
    pocketscope.core.errors.InputError
        The table that the configuration names is not there, or its journal is none.
    """
    place = labels_of(dataset, asked, root)
    if not place.is_file():
        if asked is None or place.suffix == JOURNAL:  # nobody has labelled yet
            return None
        raise InputError(f"labels: {place}: there is no such file; correct the path")
    if place.suffix == JOURNAL:
        with Journal(place) as journal:
            rows, renamed = export.rows(journal)
        if not rows and not renamed:
            return None
        return Taken(".parquet", export.digest(rows, renamed), lambda path: export.write(path, rows, renamed))
    content = place.read_bytes()

    def write(path: Path) -> None:
        if not path.is_file() or path.read_bytes() != content:
            with files.whole(path) as temporary:
                temporary.write_bytes(content)

    return Taken(place.suffix, hashlib.sha256(content).hexdigest()[:16], write)
