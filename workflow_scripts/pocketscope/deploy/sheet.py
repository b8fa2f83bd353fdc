"""Answers as the table that people open."""

import os
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pocketscope.tables import answer_sheet


def write_sheet(answers: pa.Table, path: str | os.PathLike, top: str | None) -> None:
    """Write answers (schema ANSWERS) as the table that people open: see `answer_sheet`.

    Parameters
    ----------
    answers, path
        The answers, and the CSV file.
    top
        The folder that the paths start from, absolute; None where they name no files.
    """
    with answer_sheet.sheet(path) as writer:
        writer.writerows(sheet_row(row, top) for row in answers.to_pylist())


def sheet_row(row: Mapping[str, Any], top: str | None) -> dict[str, Any]:
    """Return a row of answers (schema ANSWERS) in the layout for people; see `write_sheet`."""
    two = [(row["class"], row["probability"]), (row["second_class"], row["second_probability"])]
    return answer_sheet.row(
        place(row["path"], top),
        [pair for pair in two if pair[0] is not None],
        **{name: row[name] for name in ("reliable", "unlike", "said", "image_id")},
    )


def place(path: str, top: str | None) -> str:
    """Return the absolute path of a file of a source whose paths start at `top`; as it is where it names no file."""
    return path if top is None else os.path.abspath(os.path.join(top, path))  # noqa: PTH100, PTH118 (links stay)
