"""Section: what the unlabelled images brought."""

from typing import Any

import pandas as pd

from pocketscope.report import figures, page


def gain_section(study: dict[str, Any]) -> dict[str, Any]:
    """Show what every method gained over training on the labelled images alone."""
    title = "Gain from the unlabelled images"
    competing, baseline = study["competing"], study["found"]["baseline"]
    methods = set(competing["method"])
    if baseline not in methods or len(methods) < 2:
        reason = (
            f"no candidate was trained on the labelled images alone (method '{baseline}')"
            if baseline not in methods
            else "no other method was run"
        )
        return page.section("gain", title, [page.absent(f"The gain over supervised training is not known: {reason}.")])
    blocks, gains = [], study["decision"].gains
    over = gains[gains["dataset"].isna()]
    if len(over):
        label = f"Mean over networks, t interval over {over['units'].iloc[0]} data sets"
        blocks += _gain_blocks(over, "over-datasets", label, study)
    elif competing["dataset"].nunique() == 2:
        blocks.append(page.absent("Two data sets are too few for an interval over data sets."))
    for dataset, lines in gains.dropna(subset="dataset").groupby("dataset", sort=False):
        first = lines.iloc[0]
        label = f"{dataset}: mean over networks, interval from {first['units']:,} test {first['unit']}s"
        blocks += _gain_blocks(lines, page.slug(str(dataset)), label, study)
    if not blocks:
        blocks.append(page.absent("One data set without its test predictions gives no interval."))
    return page.section("gain", title, blocks)


def _gain_blocks(lines: pd.DataFrame, name: str, label: str, study: dict[str, Any]) -> list[dict[str, Any]]:
    baseline, level = study["found"]["baseline"], f"{100 * (1 - study['found']['alpha']):g} %"
    said = "; ".join(f"{line.method} {100 * line.difference:+.1f}" for line in lines.itertuples())
    points = 100 * lines[["difference", "lower", "upper"]]
    label_of_axis = f"gain over {baseline} in points of F1 × 100 ({level} interval)"
    figure = figures.gains(points.assign(name=lines["method"]), label=label_of_axis)
    columns = {
        "method": "Method",
        "difference": ("Gain, points", page.signed_hundredfold),
        "lower": ("Lower bound", page.signed_hundredfold),
        "upper": ("Upper bound", page.signed_hundredfold),
    }
    return [
        page.text(f"{label}. Each interval is for reading; it is not adjusted for the number of methods."),
        page.figure("gains", figure, f"Gain in F1 over supervised training: {said}.", name=f"gain-{name}"),
        page.table(f"gain-{name}-table", f"Gain over {baseline}: {label}", lines, columns, folded=True),
    ]
