"""Sections: the course of training, and the labels that teachers gave."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pocketscope.report import figures, page
from pocketscope.statistics import score_table


def training_section(study: dict[str, Any], histories: pd.DataFrame | None) -> dict[str, Any]:
    """Show F1 against the number of labelled images, and the course of training."""
    blocks = []
    frame = study["all_scores"]
    frame = frame.assign(labelled=frame["split"].map(score_table.labelled_per_class).astype(float))
    frame = frame[np.isfinite(frame["labelled"])]
    if len(frame["labelled"].unique()) > 1:
        by_seed = frame.assign(seed=frame["split"].str.replace(r"^k\w+?_", "", regex=True))
        means = by_seed.groupby(["method", "labelled", "seed"], sort=False)["value"].mean()
        summary = means.groupby(["method", "labelled"], sort=False).agg(["mean", "std"]).reset_index()
        lines = summary.rename(columns={"method": "name", "labelled": "x", "mean": "y"})
        lines = lines.assign(lower=lines["y"] - lines["std"], upper=lines["y"] + lines["std"])
        figure = figures.curves(lines, x_label="labelled images per class")
        blocks.append(
            page.figure("learning_curve", figure, "F1 against the number of labelled images, one line per method.")
        )
    else:
        blocks.append(
            page.absent(
                "A curve over the number of labelled images needs splits with different numbers of them (k10_…, k25_…)."
            )
        )
    if histories is None or histories.empty:
        blocks.append(page.absent("No training histories were given."))
    else:
        blocks += _history_blocks(histories, study["found"]["datasets"])
    return page.section("learning", "Learning curves", blocks)


def _history_blocks(histories: pd.DataFrame, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Draw a figure a data set and quantity; the trainings of the recommended network have the colours."""
    parts = histories["name"].str.split("/", n=1)
    frame = histories.assign(dataset=parts.str[0].where(parts.str.len() > 1, ""), name=parts.str[-1])
    blocks = []
    frame = frame.sort_values("dataset", key=lambda names: names.map({n: i for i, n in enumerate(names.unique())}))
    for (dataset, quantity), lines in frame.groupby(["dataset", "quantity"], sort=False):
        if dataset and dataset not in [block.get("text") for block in blocks]:
            blocks.append({"kind": "heading", "text": dataset})
        recommended = found.get(dataset, {}).get("network")
        others = lines["name"].str.rpartition("/")[2] != recommended
        lines = lines.assign(others=others).sort_values("others", kind="stable")
        lines = lines.rename(columns={"epoch": "x", "value": "y"})
        figure = figures.curves(lines, x_label="epoch", y_label=str(quantity), percent=False)
        about = f"{dataset}: {quantity}" if dataset else str(quantity)
        blocks.append(page.figure("history", figure, f"{about} by epoch.", name=f"history-{page.slug(about)}"))
    return blocks


def pseudo_labels_section(frame: pd.DataFrame | None, curves: pd.DataFrame | None) -> dict[str, Any]:
    """Show how many images were labelled automatically, and how many of these rightly, at every threshold."""
    title = "Pseudo-labels"
    if frame is None or frame.empty:
        return page.section(
            "pseudo-labels", title, [page.absent("No pseudo-labels were given, or no method makes any.")]
        )
    blocks = []
    if frame["accuracy"].isna().all():
        blocks.append(
            page.absent("The accuracy of the pseudo-labels is not known: the unlabelled images have no true labels.")
        )
    elif curves is not None and not curves.empty:
        rounds = frame[frame["method"].isin(curves["method"])]
        last = rounds.sort_values("round").drop_duplicates(["dataset", "method"], keep="last")
        by_dataset = curves.groupby("dataset", sort=False)
        for dataset, lines in by_dataset:
            if len(by_dataset) > 1:
                blocks.append({"kind": "heading", "text": dataset})
            figure = figures.coverage(lines, last[last["dataset"] == dataset].dropna(subset=["accuracy"]))
            alt = f"{dataset}: accuracy of the most confident pseudo-labels against the share of images that get one. "
            alt += "A mark shows what each method accepted."
            blocks.append(page.figure("coverage", figure, alt, name=f"coverage-{page.slug(str(dataset))}"))
    columns = {
        "dataset": "Data set",
        "method": "Method",
        "round": "Round",
        "epoch": "Epoch",
        "coverage": ("Accepted, %", page.hundredfold),
        "accuracy": ("Accepted labels correct, %", page.hundredfold),
        "accuracy_of_given": ("Correct if all were accepted, %", page.hundredfold),
        "remark": "Remark",
    }
    columns = {name: shown for name, shown in columns.items() if name in frame and frame[name].notna().any()}
    blocks.append(page.table("pseudo-label-table", "Pseudo-labels by method and round or epoch", frame, columns))
    return page.section("pseudo-labels", title, blocks)
