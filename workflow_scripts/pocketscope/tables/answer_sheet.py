"""The one layout of answers for people: what `ship` and `classify` write, and what comes back with labels.

It is CSV for spreadsheets. It needs no library, because a model file is used where only numpy and onnxruntime are.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pocketscope.core.errors import InputError
from pocketscope.core.files import named, whole

# `label` is empty until a person fills it in, and never the last column: Excel leaves empty cells at the end of rows
# out. `said` is what a person said before, so that a table that is given back later repeats nothing by itself.
COLUMNS = (
    "path",
    "class",
    "probability",
    "second_class",
    "second_probability",
    "reliable",
    "unlike",
    "said",
    "label",
    "image_id",
)


@contextmanager
def sheet(path: str | os.PathLike, more: Sequence[str] = ()) -> Iterator[csv.DictWriter]:
    """Give a writer of rows, whose header is written; the file appears when the block ends without an error.

    Parameters
    ----------
    path
        The CSV file: UTF-8 with the mark by which spreadsheets know it.
    more
        Columns that stand behind `COLUMNS`.

    Yields
    ------
    csv.DictWriter
        It takes the rows that `row` returns; cells that a row lacks are empty.
    """
    # A file's name may be no valid UTF-8: its bytes are written as they are.
    options = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    with whole(path) as temporary, temporary.open("w", **options) as file:
        writer = csv.DictWriter(file, [*COLUMNS, *more], restval="", lineterminator="\n")
        writer.writeheader()
        yield writer


@contextmanager
def growing_sheet(path: str | os.PathLike, more: Sequence[str] = ()) -> Iterator[tuple[csv.DictWriter, set[str]]]:
    """Give a writer that appends rows to a table, each of them on disk at once, and the paths that are there already.

    Parameters
    ----------
    path, more
        See `sheet`. Where the file is there, its rows stay; a last row that was not written to its end is removed.

    Yields
    ------
    tuple
        The writer, as `sheet` gives it; and the column `path` of the rows that have no `problem`.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is another table, or that of a model with other classes.
    """
    header = [*COLUMNS, *more]
    options = {"errors": "surrogateescape", "newline": ""}
    place, rows = Path(path), []
    if place.is_file() and place.stat().st_size:
        with place.open(encoding="utf-8-sig", **options) as file:
            rows = list(csv.reader(file))
        if not rows or rows[0] != header:
            raise InputError(
                f"{path}: is there, and is no table of this model's answers with commas; name another file to append to"
            )
        if len(rows[-1]) < len(header):
            with sheet(place, more) as writer:
                writer.writer.writerows(rows := rows[1:-1])
        else:
            rows = rows[1:]
    else:
        with sheet(place, more):
            pass
    known = {row[0] for row in rows if not row[header.index("problem")]} if "problem" in header else set()
    with named(place), place.open("a", encoding="utf-8", buffering=1, **options) as file:
        if rows and not place.read_bytes().endswith(b"\n"):
            file.write("\n")
        yield csv.DictWriter(file, header, restval="", lineterminator="\n"), known


def row(
    path: str,
    answers: Sequence[tuple[str, float]],
    *,
    reliable: bool | None,
    unlike: float | None = None,
    said: str | None = None,
    image_id: str = "",
) -> dict[str, Any]:
    """Return the row of one file.

    Parameters
    ----------
    path
        Of the file: absolute, so that it opens from wherever the table is.
    answers
        The most probable class and its probability, and the second; fewer where there are fewer.
    reliable
        Whether the answer is; None where the model file does not say which answers are.
    unlike
        How far the image is from those that the model has learnt, above 1: unlike them; None where that is not known.
    said
        The class that a person gave it.
    image_id
        The image's identity.
    """
    cells = {"path": path, "reliable": "" if reliable is None else "yes" if reliable else "no"}
    for prefix, (name, probability) in zip(("", "second_"), answers, strict=False):
        cells |= {f"{prefix}class": name, f"{prefix}probability": f"{probability:.4f}"}
    cells["unlike"] = "" if unlike is None else f"{unlike:.2f}"
    return cells | {"said": said or "", "image_id": image_id}


def two_most_probable(probabilities: np.ndarray, classes: Sequence[str]) -> list[tuple[str, float]]:
    """Return the two most probable classes of one image, the most probable first, each with its probability.

    Parameters
    ----------
    probabilities
        float (classes,), in the order of `classes`.
    classes
        Names; where there is one, it alone is returned. Of equals the first comes first.
    """
    best = np.argsort(-probabilities, kind="stable")[:2]
    return [(classes[index], float(probabilities[index])) for index in best]
