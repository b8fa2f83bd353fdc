"""Section: F1 by method and network."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pocketscope.report import figures, page
from pocketscope.statistics import score_table
from pocketscope.statistics.recommendation import ALIKE


def scores_section(study: dict[str, Any]) -> dict[str, Any]:
    """Show F1 by method and network."""
    frame = study["scores"]
    cells = score_table.cells(study["competing"])
    means = cells.mean()
    grid = means.unstack("method")  # noqa: PD010 - nothing is aggregated
    grid = grid.reindex(
        index=list(dict.fromkeys(cells.columns.get_level_values("row"))),
        columns=list(dict.fromkeys(cells.columns.get_level_values("method"))),
    )
    n, found = len(cells), study["found"]
    named, points = _in_words(found["best_mean"]), f"{100 * found['best_mean']['f1']:.1f}"
    alike = int((means > means.max() - ALIKE).sum())
    best = (
        f"The best mean is {points}: {named}." if alike == 1 else f"{alike} candidates share the best mean, {points}."
    )
    blocks = [
        page.text(best if means.size > 1 else f"There is one candidate: {named}, with F1 × 100 of {points}."),
        page.figure("heat_map", figures.heat_map(grid), f"Heat map of F1 by network and training method. {best}"),
    ]
    if positive := _positive_classes(found["datasets"]):
        blocks.append(page.text(positive))
    summary = pd.DataFrame(
        {
            "network": [name for _, name in cells.columns],
            "method": [name for name, _ in cells.columns],
            "mean": means.to_numpy(),
            "deviation": cells.std(ddof=1).to_numpy() if n > 1 else math.nan,
            "lowest": cells.min().to_numpy(),
            "highest": cells.max().to_numpy(),
        }
    ).sort_values("mean", ascending=False)
    columns = {"network": "Network", "method": "Method", "mean": ("F1 × 100", page.hundredfold)}
    if n > 1:
        columns |= {
            "deviation": ("Standard deviation over data sets", page.hundredfold),
            "lowest": ("Lowest data set", page.hundredfold),
            "highest": ("Highest data set", page.hundredfold),
        }
    blocks.append(
        page.table("f1-by-candidate", "F1 of every candidate, mean over data sets and splits", summary, columns)
    )
    long = score_table.with_row(frame)[["dataset", "split", "method", "row", "value"]]
    every = {
        "dataset": "Data set",
        "split": "Split",
        "method": "Method",
        "row": "Network",
        "value": ("F1 × 100", page.hundredfold),
    }
    blocks.append(page.details("Every score", [page.table("every-score", "Every score", long, every)]))
    if len(frame["split"].unique()) < len(study["all_scores"]["split"].unique()):
        kept = ", ".join(sorted(frame["split"].unique()))
        blocks.insert(0, page.text(f"This page shows and compares the splits with the most labelled images: {kept}."))
    bound = study["bounds"]
    if 0 < len(bound) < len(frame):
        blocks.append(
            page.text(
                f"Trained on all true labels, the same networks reach a mean of {100 * bound['value'].mean():.1f}. "
                "This is an upper bound, not a candidate."
            )
        )
    return page.section("scores", "F1 by method and network", blocks)


def _in_words(candidate: Mapping[str, Any]) -> str:
    form = score_table.row_name(candidate["network"], candidate["precision"])
    return f"{form} with method {candidate['method']}"


def _positive_classes(found: Mapping[str, Any]) -> str:
    """Say of which classes F1 is, where it is not the mean over all."""
    named = [f"'{one['positive']}' ({name})" for name, one in found.items() if one["positive"] is not None]
    others = ". For the other data sets, it is the mean over the classes" if len(named) < len(found) else ""
    return f"F1 is that of one of two classes: {', '.join(named)}{others}." if named else ""
