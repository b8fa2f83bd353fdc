"""Score tables, the workflow's or anyone's: read, checked, and laid out as datasets x (method, row)."""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean
from pocketscope.statistics import given_table

KEYS = ["dataset", "split", "method", "network", "precision"]
COLUMNS = [*KEYS, "value"]
DEFAULTS = {"split": "all", "precision": "fp32"}
SCORE_NAMES = ("score", "f1", "value")
BOUNDS = ("full",)  # methods with every true label: a bound to compare with, no competitor
# Means over splits that are equal on paper must be equal in the ranks: their last bits are not.
DECIMALS = 12


def read(
    path: str | os.PathLike,
    *,
    metric: str = "f1",
    bounds: Sequence[str] = BOUNDS,
    full_score: float | None = None,
    remarks: list[str] | None = None,
) -> pd.DataFrame:
    """Read a score table from CSV or Parquet.

    Parameters
    ----------
    path
        Long: one row a score, with the columns dataset, method, network (one of the two may be absent) and one of
        score, f1 or value; split and precision may be absent. A table with a column `metric` holds several: the overall
        rows (class empty) of `metric` are taken. Wide: one row a data set, one column a method, as
        `given_table.lengthened` says.
    metric
        The metric to take from such a table.
    bounds
        Methods that know every true label.
    full_score
        What a perfect answer scores, where it is neither 1 nor, in percent, 100: scores are divided by it.
    remarks
        A list to which is added what a reader of the results should know of how the table was read.

    Returns
    -------
    pandas.DataFrame
        The columns `COLUMNS`, checked as `check_scores` does, the value a fraction of the full score.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is no such table; a column is missing, a cell empty, no number, given twice or missing; the scores are
        neither fractions nor percent.
    """
    used, numbers = [*KEYS, *SCORE_NAMES, "metric", "class"], [*SCORE_NAMES, "precision"]
    found = given_table.lengthened(
        given_table.frame(Path(path), used, numbers, first="dataset"), SCORE_NAMES, str(path)
    )
    frame = check_scores(overall(found, metric, str(path)), str(path), bounds)
    full = given_table.full_score(frame["value"], full_score, str(path))
    if full == 1:
        return frame
    if full_score is None and remarks is not None:
        remarks.append(f"The scores are read as percent and divided by 100: the largest is {frame['value'].max():g}.")
    return frame.assign(value=frame["value"] / full)


def overall(frame: pd.DataFrame, metric: str = "f1", name: str = "scores") -> pd.DataFrame:
    """Take the overall scores of one metric, and name the columns as `COLUMNS` does; nothing is checked yet."""
    columns = ", ".join(map(str, frame.columns))  # as the file has them, for errors
    if "metric" in frame:
        found = sorted(frame["metric"].dropna().unique())
        frame = frame[frame["metric"] == metric]
        if frame.empty:
            raise InputError(f"{name}: there is no row with the metric '{metric}'; the metrics are {', '.join(found)}")
        if "class" in frame:
            frame = frame[frame["class"].isna()]
    present = [column for column in SCORE_NAMES if column in frame]
    if not present:
        raise InputError(
            f"{name}: a column named {' or '.join(SCORE_NAMES)} is missing; the columns are {columns}. A wide table "
            "has a column of data sets, and one of numbers for each method"
        )
    frame = frame.rename(columns={present[0]: "value"})
    if "precision" in frame and pd.to_numeric(frame["precision"].dropna(), errors="coerce").notna().all():
        frame = frame.drop(columns="precision")  # the metric of that name, beside recall: no number format
    alone = [column for column in ("method", "network") if column not in frame]
    for column in KEYS:
        if column not in frame:
            default = given_table.ONE if alone == [column] else DEFAULTS.get(column)
            near = did_you_mean(column, set(frame.columns) - set(COLUMNS), "")
            if default is None or (column not in DEFAULTS and near):
                raise InputError(f"{name}: the column '{column}' is missing{near or f'; the columns are {columns}'}")
            frame = frame.assign(**{column: default})
    return frame[COLUMNS].reset_index(drop=True)


def check_scores(frame: pd.DataFrame, name: str = "scores", bounds: Sequence[str] = BOUNDS) -> pd.DataFrame:
    """Return `frame` with text keys and numbers, every cell there exactly once.

    Cells are datasets x splits x methods x networks; `bounds`, the methods that do not compete, may lack networks that
    the others have.

    Raises
    ------
    pocketscope.core.errors.InputError
        It is empty, or a cell is empty, infinite, no number, given twice or missing: the message names the cell.
    """
    if frame.empty:
        raise InputError(f"{name}: the table contains no scores")
    for column in KEYS:
        if frame[column].isna().any():
            row = int(np.flatnonzero(frame[column].isna())[0]) + 1
            raise InputError(f"{name}: row {row} has no {column}")
    frame = frame.assign(**{column: frame[column].astype(str) for column in KEYS})
    values = pd.to_numeric(frame["value"], errors="coerce").astype(float)
    if (bad := ~np.isfinite(values.to_numpy())).any():
        first = frame[bad].iloc[0]
        raise InputError(
            f"{name}: the score of {_cell(first[KEYS])} is '{first['value']}', not a number{_and_more(int(bad.sum()))}"
            "; measure it, or leave its dataset, method or network out of the table"
        )
    if (twice := frame.duplicated(KEYS)).any():
        raise InputError(
            f"{name}: the score of {_cell(frame.loc[twice, KEYS].iloc[0])} is given twice{_and_more(int(twice.sum()))}"
        )
    _check_names(frame, name)
    frame = frame.assign(value=values)
    for _, part in frame.groupby(frame["method"].isin(bounds)):
        _check_complete(part, name)
    return frame


def score_remarks(frame: pd.DataFrame) -> list[str]:
    """Say what is odd about a checked table, though it can be used."""
    said = []
    values = frame["value"]
    share = ((values >= 0) & (values <= 1)).mean()
    if share > 0.5 and share < 1:
        first = frame[(values < 0) | (values > 1)].iloc[0]
        said.append(
            f"Most scores lie between 0 and 1, but {int((1 - share) * len(frame) + 0.5)} do not. The first is "
            f"{first['value']:g} ({_cell(first[KEYS])}). Check the input."
        )
    if (zeros := values == 0).any() and not zeros.all():
        first = frame[zeros].iloc[0]
        said.append(
            f"{int(zeros.sum())} of {len(frame)} scores are exactly 0. The first is that of {_cell(first[KEYS])}. "
            "An F1 of 0 is often an undefined value (a class that was never predicted), and it lowers every mean that "
            "includes it."
        )
    return said


def row_name(network: str, precision: str) -> str:
    """Name the row of a network at a precision: the network, and the precision unless it is full."""
    return network if precision == "fp32" else f"{network} {precision}"


def candidate_name(method: str, network: str, precision: str) -> str:
    """Name what can be shipped: a method, a network and its precision; of two, one that the table does not name is
    left out.
    """
    row = row_name(network, precision)
    return method if row == given_table.ONE else row if method == given_table.ONE else f"{method}/{row}"


def candidates(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the keys of every candidate by its name, in the order of `cells`.

    Names are for people, and are never taken apart: a method may hold a slash, a network a blank.

    Returns
    -------
    pandas.DataFrame
        Index the names, as `candidate_name` makes them; columns method, network, precision.
    """
    keys = frame[["method", "network", "precision"]].drop_duplicates().reset_index(drop=True)
    return keys.set_axis([candidate_name(*key) for key in keys.itertuples(index=False)])


def with_row(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the column `row`, the network and its precision in one name."""
    forms = pd.MultiIndex.from_frame(frame[["network", "precision"]])
    codes, unique = forms.factorize()
    return frame.assign(row=np.array([row_name(*form) for form in unique], dtype=object)[codes])


def competitors(frame: pd.DataFrame, bounds: Sequence[str] = BOUNDS) -> pd.DataFrame:
    """Return the rows that compete, which all do but the upper bounds', unless there are no others."""
    rest = frame[~frame["method"].isin(bounds)]
    return rest if len(rest) else frame


def cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Lay a checked table out: index dataset, columns (method, row), each cell the mean over splits, order as met."""
    frame = with_row(frame)
    means = frame.groupby(["dataset", "method", "row"], sort=False)["value"].mean().round(DECIMALS)
    columns = pd.MultiIndex.from_frame(frame[["method", "row"]].drop_duplicates())
    wide = means.unstack(["method", "row"])  # noqa: PD010 - nothing is aggregated, and pivot_table sorts
    return wide.reindex(index=pd.Index(frame["dataset"].unique(), name="dataset"), columns=columns)


def labelled_per_class(split: str) -> float | None:
    """Return how many images of a class are labelled in a split named as `k25_s0` (`kall`: infinite), None in
    others.
    """
    found = re.match(r"k(\d+|all)(?:_|$)", split)
    if not found:
        return None
    return math.inf if found[1] == "all" else float(found[1])


def most_labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the splits with the most labelled images per class: to average over others would mix unlike tasks."""
    by_split = {split: labelled_per_class(split) for split in frame["split"].unique()}
    if None in by_split.values() or len(set(by_split.values())) < 2:
        return frame
    counts = frame["split"].map(by_split)
    return frame[counts == counts.max()].reset_index(drop=True)


def row_families(frame: pd.DataFrame, families: Mapping[str, str]) -> dict[str, str]:
    """Give every row its family: by the row's name, else `quantised` for reduced precision, else by the name."""
    keys = frame[["network", "precision"]].drop_duplicates()
    found = {}
    for network, precision in keys.itertuples(index=False):
        row = row_name(network, precision)
        family = families.get(row) or ("quantised" if precision != "fp32" else families.get(network))
        if family:
            found[row] = family
    return found


def read_families(path: str | os.PathLike) -> dict[str, str]:
    """Read which family every network belongs to: CSV or Parquet with the columns network and family.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file or one of its columns is missing.
    """
    frame = given_table.frame(Path(path), ["network", "family"])
    for column in ("network", "family"):
        if column not in frame:
            raise InputError(f"{path}: the column '{column}' is missing; the columns are {', '.join(frame.columns)}")
    frame = frame.dropna(subset=["network", "family"])
    return dict(zip(frame["network"].astype(str), frame["family"].astype(str), strict=True))


def read_costs(path: str | os.PathLike) -> pd.DataFrame:
    """Read what networks cost: CSV or Parquet with network, and where known precision, size_mb and latency_ms.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file or its column network is missing, there is no cost, or a cost is no positive number.
    """
    costs = ["size_mb", "latency_ms"]
    frame = given_table.frame(Path(path), ["network", "precision", *costs], numbers=costs)
    given = [column for column in ("size_mb", "latency_ms") if column in frame]
    if "network" not in frame or not given:
        wanted = "network and one of size_mb and latency_ms"
        raise InputError(f"{path}: the columns {wanted} are needed; the columns are {', '.join(frame.columns)}")
    for column in given:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        if (wrong := frame[column].notna() & ~(numbers > 0)).any():
            first = frame[wrong].iloc[0]
            raise InputError(f"{path}: {column} of '{first['network']}' is '{first[column]}', not a positive number")
        frame[column] = numbers
    return frame


def _check_names(frame: pd.DataFrame, name: str) -> None:
    """Refuse keys that differ where their names for people do not: a page could not tell them apart."""
    keys = frame[["method", "network", "precision"]].drop_duplicates()
    for columns, named in ((["network", "precision"], row_name), (list(keys), candidate_name)):
        forms = keys[columns].drop_duplicates()
        names = pd.Series([named(*form) for form in forms.itertuples(index=False)], index=forms.index)
        if (twice := names.duplicated(keep=False)).any():
            first, second = (forms[names == names[twice].iloc[0]].iloc[i] for i in range(2))
            raise InputError(
                f"{name}: {_cell_of(first)} and {_cell_of(second)} are both called '{names[twice].iloc[0]}'; rename one"
            )


def _check_complete(frame: pd.DataFrame, name: str) -> None:
    # A network's precisions may differ from another's, and a dataset's splits from another's; all else is crossed.
    places = frame[["dataset", "split"]].drop_duplicates()
    rows = frame[["network", "precision"]].drop_duplicates()
    methods = frame[["method"]].drop_duplicates()
    wanted = places.merge(methods, how="cross").merge(rows, how="cross")[KEYS]
    if len(wanted) == len(frame):
        return
    missing = wanted.merge(frame[KEYS], how="left", indicator=True)
    missing = missing[missing["_merge"] == "left_only"]
    raise InputError(
        f"{name}: the score of {_cell(missing[KEYS].iloc[0])} is missing{_and_more(len(missing))}; measure it, or "
        "leave its dataset, method or network out of the table"
    )


def _cell(keys: Iterable[str]) -> str:
    given = zip(KEYS, keys, strict=True)
    return ", ".join(f"{key} '{value}'" for key, value in given if DEFAULTS.get(key) != value)


def _cell_of(keys: pd.Series) -> str:
    return ", ".join(f"{key} '{value}'" for key, value in keys.items())


def _and_more(count: int) -> str:
    return f", and {count - 1} more" if count > 1 else ""
