"""Tables of scores and costs as people give them: long or wide, fractions or percent, before anything is checked."""

import logging
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pocketscope.core import sheets
from pocketscope.core.errors import InputError

log = logging.getLogger(__name__)

ONE = "all"  # the method, network or split of a table that has one alone, and does not name it
FEW = 0.001  # scores that are all below it are no fractions that anyone measured


def frame(path: Path, used: Sequence[str], numbers: Sequence[str] = (), *, first: str | None = None) -> pd.DataFrame:
    """Read a table that a person gives.

    Parameters
    ----------
    path
        CSV or Parquet.
    used
        The columns that matter: there once each, errors of spreadsheets refused, empty cells emptied.
    numbers
        Columns that may have decimal commas.
    first
        What a first column without a name is called, as pandas and R write their index.
    """
    sheet = sheets.read(path, first=first)
    for remark in sheet.remarks + sheets.check_names(path, sheet.columns, used):
        log.warning("%s", remark)
    found = pd.DataFrame(sheet.rows, columns=list(dict.fromkeys(sheet.columns)))
    for column in set(used) & set(found.columns):
        if (wrong := _by_value(found[column], sheets.is_error)).any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"{path}: row {row + 1}: the {column} is {found[column].iloc[row]!r}, an error of the spreadsheet that "
                "wrote the table; mend its formula or the cell's width, or empty the cell"
            )
        found[column] = _without_nothing(found[column], words=column != "class")
    if sheet.decimal == ",":
        # A wide table's numbers stand in columns that nobody can name before.
        named = [column for column in numbers if column in found]
        for column in named or (found.columns[1:] if first else []):
            found[column] = _with_points(found[column])
    return found


def lengthened(found: pd.DataFrame, score_names: Sequence[str], name: str) -> pd.DataFrame:
    """Return a wide table as a long one with the column `score`; a long table as it is.

    A wide table has no column of scores. Its first columns are `dataset` (by whatever name) and, if there, `split`,
    `method` or `network`; each column behind them is a network where there is a method, else a method.
    """
    if any(column in found for column in score_names) or "metric" in found:
        return found
    known = {"split", "method", "network", "precision"}
    if {"method", "network"} <= set(found.columns) or len(found.columns) < 3:
        return found
    keys = [column for column in found.columns if column in known or column == "dataset"]
    if "dataset" not in keys:
        label = found.columns[0]
        if label in known or pd.to_numeric(found[label], errors="coerce").notna().all():
            return found
        keys = [label, *(column for column in keys if column != label)]
    groups = [column for column in found.columns if column not in keys]
    numeric = found[groups].apply(pd.to_numeric, errors="coerce").notna()
    if len(groups) < 2 or not numeric.any(axis=None):
        return found
    if texts := [group for group in groups if not numeric[group].any()]:
        raise InputError(
            f"{name}: the column '{texts[0]}' holds no numbers; in a wide table each column behind the data set is a "
            "method's or a network's scores: remove it, or give a long table with a column 'score'"
        )
    across = "network" if "method" in keys else "method"
    # No column is called as one that melt makes, whatever it was called.
    long = found.melt(keys, groups, var_name=across, value_name="score", ignore_index=False).sort_index(kind="stable")
    return long.rename(columns={keys[0]: "dataset"} if "dataset" not in keys else {}).reset_index(drop=True)


def full_score(values: pd.Series, asked: float | None, name: str) -> float:
    """Return what a perfect answer scores: 1, or 100 in percent; refuse what is neither.

    Parameters
    ----------
    values
        Finite scores.
    asked
        What a person says that it is; then nothing is guessed.
    name
        How an error calls the table.

    Raises
    ------
    pocketscope.core.errors.InputError
        Most scores lie beyond 100 or below 0, or all are next to nothing.
    """
    if asked is not None:
        if not (math.isfinite(asked) and asked > 0):
            raise InputError(f"the full score is {asked:g}; it must be a positive number")
        return asked
    say = "say with --full-score what a perfect answer scores (1 takes the scores as they are)"
    largest = float(values.abs().max())
    if 0 < largest < FEW:
        raise InputError(f"{name}: the largest score is {largest:.3g}: neither fractions nor percent; {say}")
    if ((values >= 0) & (values <= 1)).mean() > 0.5:
        return 1.0
    if ((values >= 0) & (values <= 100)).mean() > 0.5:
        return 100.0
    low, high = float(values.min()), float(values.max())
    raise InputError(
        f"{name}: the scores lie between {low:.3g} and {high:.3g}: neither fractions (0 to 1) nor percent (0 to 100); "
        f"{say}"
    )


def _without_nothing(cells: pd.Series, *, words: bool) -> pd.Series:
    """Empty cells that hold nothing, and, unless a class may be called so, the words `NA`, `NaN` and the like."""
    empty = _by_value(cells, lambda cell: isinstance(cell, str) and not cell.strip())
    if words or not (empty | cells.isna()).any():  # R writes NA into each empty cell, so also where there is no class
        empty |= _by_value(cells, lambda cell: isinstance(cell, str) and sheets.is_nothing(cell))
    return cells.mask(empty, None) if empty.any() else cells


def _with_points(cells: pd.Series) -> pd.Series:
    """Write decimal commas as points, unless points occur too: which of them part thousands is not known."""
    texts = [cell for cell in cells.unique() if isinstance(cell, str)]
    if any("." in text for text in texts):
        return cells
    number = r"\s*[-+]?[0-9]*,[0-9]+([eE][-+]?[0-9]+)?\s*"
    return cells.map(
        lambda cell: cell.replace(",", ".") if isinstance(cell, str) and re.fullmatch(number, cell) else cell
    )


def _by_value(cells: pd.Series, holds: Callable[[Any], bool]) -> pd.Series:
    """Ask of each cell, but once of equal ones: 100,000 rows have few names, and scores of four digits."""
    codes, values = pd.factorize(cells, use_na_sentinel=False)
    asked = np.array([bool(holds(value)) for value in values], dtype=bool)
    return pd.Series(asked[codes] if len(values) else np.zeros(0, dtype=bool), index=cells.index)
