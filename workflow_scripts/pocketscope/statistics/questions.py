"""The questions that a score table can answer, and why some do not apply."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from pocketscope.statistics import score_table

NOUNS = {
    "methods": "method",
    "networks": "network",
    "families": "family",
    "precisions": "precision",
    "rows": "candidate",
    "gains": "network",
}


class Question(NamedTuple):
    """What is compared (`name`), where (`subject`), and the scores, index dataset, columns groups.

    A `main` question is about all networks or methods at once, and belongs to the family over which false differences
    are counted; the others are details of one method or network.
    """

    name: str
    subject: str
    scores: pd.DataFrame
    main: bool = False


def questions(
    scores: pd.DataFrame, families: Mapping[str, str], *, rows: bool = False, gains_over: str | None = None
) -> Iterator[Question]:
    """Yield the questions of a score table: networks, families, methods, precisions and, where `rows`, all rows at
    once.

    With `gains_over`, a method, also which network gains most over it: by each other method, and over their mean.

    A question whose frame has fewer than two groups or datasets is yielded too: to be skipped with the reason.
    """
    cells = score_table.cells(scores)
    methods = list(dict.fromkeys(cells.columns.get_level_values("method")))
    names = list(dict.fromkeys(cells.columns.get_level_values("row")))
    family_of = score_table.row_families(scores, families)
    for method in methods:
        yield Question("networks", method, cells[method])
    by_row = {name: cells.xs(name, axis=1, level="row") for name in names}
    over_methods = _means(by_row)
    yield Question("networks", "mean over methods", over_methods, main=True)
    for method in methods:
        yield Question("families", method, _family_means(cells[method], family_of))
    yield Question("families", "mean over methods", _family_means(over_methods, family_of), main=True)
    yield Question("methods", "mean over networks", _means({method: cells[method] for method in methods}), main=True)
    for name in names:
        yield Question("methods", name, by_row[name])
    yield from _precision_questions(scores, methods)
    if gains_over is not None:
        gained = {method: _gained(cells, method, gains_over) for method in methods if method != gains_over}
        for method, gains in gained.items():
            yield Question("gains", method, gains, main=len(gained) == 1)
        if len(gained) > 1:
            yield Question("gains", "mean over methods", sum(gained.values()) / len(gained), main=True)
    if rows:
        yield Question("rows", "all", cells.set_axis(score_table.candidates(scores).index, axis=1), main=True)


def reason_to_skip(question: Question) -> str | None:
    n, k = question.scores.shape
    if question.name == "families" and k < 2:
        return (
            "no network families are declared"
            if k == 0
            else f"all networks with a family belong to '{question.scores.columns[0]}'"
        )
    if k < 2:
        what = NOUNS[question.name]
        found = f"only '{question.scores.columns[0]}'" if k else "none has two"
        return f"there is one {what} and nothing to compare it with: {found}"
    if n < 2:
        return (
            "rank tests need more than one data set; where the predictions are given, the test images are resampled "
            "instead"
        )
    return None


def _gained(cells: pd.DataFrame, method: str, baseline: str) -> pd.DataFrame:
    return (cells[method] - cells[baseline]).round(score_table.DECIMALS)


def _precision_questions(scores: pd.DataFrame, methods: list[str]) -> Iterator[Question]:
    """Yield fp32 against the reduced precisions, over the networks that have them all."""
    per_network = scores.groupby("network", sort=False)["precision"].nunique()
    precisions = list(scores["precision"].unique())
    both = per_network[per_network == len(precisions)].index
    scores = scores[scores["network"].isin(both)]
    for method in [*methods, "mean over methods"]:
        part = scores[scores["method"] == method] if method in methods else scores
        grouped = part.groupby(["dataset", "precision"], sort=False)["value"].mean().round(score_table.DECIMALS)
        wide = grouped.unstack("precision")  # noqa: PD010 - nothing is aggregated
        columns = [precision for precision in precisions if precision in wide]
        yield Question(
            "precisions", method, wide[columns] if len(part) else pd.DataFrame(), main=method == "mean over methods"
        )


def _family_means(values: pd.DataFrame, family_of: Mapping[str, str]) -> pd.DataFrame:
    members: dict[str, list[str]] = {}
    for row in values.columns:
        if row in family_of:
            members.setdefault(family_of[row], []).append(row)
    return _means({family: values[rows] for family, rows in members.items()}, values.index)


def _means(parts: Mapping[str, pd.DataFrame], index: pd.Index | None = None) -> pd.DataFrame:
    means = {name: part.mean(axis=1).round(score_table.DECIMALS) for name, part in parts.items()}
    return pd.DataFrame(means, index=index)
