"""Section: what the unlabelled images brought."""

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pocketscope.report import figures, page
from pocketscope.statistics import bootstrap, score_table


def gain_section(study: dict[str, Any]) -> dict[str, Any]:
    """Show what every method gained over training on the labelled images alone."""
    title = "What the unlabelled images brought"
    cells = score_table.cells(study["competing"])
    methods = list(dict.fromkeys(cells.columns.get_level_values("method")))
    baseline = study["baseline"]
    if baseline not in methods or len(methods) < 2:
        reason = (
            f"no row was trained on the labelled images alone (method '{baseline}')"
            if baseline not in methods
            else "no other method was run"
        )
        return page.section(
            "gain", title, [page.absent(f"The gain over supervised training does not apply: {reason}.")]
        )
    blocks = []
    if len(cells) > 2:
        lines = pd.DataFrame(
            [_gain_over_datasets(cells, method, baseline, study["alpha"]) for method in methods if method != baseline]
        )
        blocks += _gain_blocks(
            lines, "over-datasets", f"Mean over networks, t interval over {len(cells)} datasets", study
        )
    elif len(cells) == 2:
        blocks.append(page.absent("Two datasets are too few for an interval over datasets."))
    for dataset, result in study["resamples"].items():
        if dataset != "overall":
            lines = pd.DataFrame(
                [_gain_on_units(result, m, baseline, study["alpha"]) for m in methods if m != baseline]
            )
            label = f"{dataset}: mean over networks, {result.units:,} test {result.unit}s resampled"
            blocks += _gain_blocks(lines, page.slug(dataset), label, study)
    if not blocks:
        blocks.append(page.absent("One dataset without its test predictions gives no interval."))
    return page.section("gain", title, blocks)


def _gain_over_datasets(cells: pd.DataFrame, method: str, baseline: str, alpha: float) -> dict[str, Any]:
    difference = 100 * (cells[method].mean(axis=1) - cells[baseline].mean(axis=1))
    n = len(difference)
    reach = stats.t.ppf(1 - alpha / 2, n - 1) * difference.std(ddof=1) / math.sqrt(n)
    mean = float(difference.mean())
    return {"name": method, "difference": mean, "lower": mean - reach, "upper": mean + reach}


def _gain_on_units(result: bootstrap.Bootstrap, method: str, baseline: str, alpha: float) -> dict[str, Any]:
    of = {name: [i for i, row in enumerate(result.rows) if row.startswith(f"{name}/")] for name in (method, baseline)}
    resampled = 100 * (result.inside[:, of[method]].mean(axis=1) - result.inside[:, of[baseline]].mean(axis=1))
    cut = bootstrap.tail(result.units, alpha)
    lower, upper = np.nanquantile(resampled, [cut, 1 - cut])
    point = 100 * float(result.point[of[method]].mean() - result.point[of[baseline]].mean())
    return {"name": method, "difference": point, "lower": float(lower), "upper": float(upper)}


def _gain_blocks(lines: pd.DataFrame, name: str, label: str, study: dict[str, Any]) -> list[dict[str, Any]]:
    level = f"{100 * (1 - study['alpha']):g} %"
    said = "; ".join(
        f"{row.name_} {row.difference:+.1f}" for row in lines.rename(columns={"name": "name_"}).itertuples()
    )
    figure = figures.gains(lines, label=f"points of F1 × 100 gained over {study['baseline']} ({level} interval)")
    columns = {
        "name": "Method",
        "difference": ("Gain, points", page.signed),
        "lower": ("from", page.signed),
        "upper": ("to", page.signed),
    }
    return [
        page.text(f"{label}."),
        page.figure("gains", figure, f"Gain in F1 over supervised training: {said}.", name=f"gain-{name}"),
        page.table(f"gain-{name}-table", f"Gain over {study['baseline']}: {label}", lines, columns, folded=True),
    ]
