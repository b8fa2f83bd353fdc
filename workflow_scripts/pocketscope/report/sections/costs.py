"""Section: F1 against latency and size."""

from typing import Any

import pandas as pd

from pocketscope.report import figures, page
from pocketscope.statistics import score_table

COST_LABELS = {"latency_ms": "latency (ms per image, CPU)", "size_mb": "file size (MB)"}


def costs_section(study: dict[str, Any]) -> dict[str, Any]:
    """Show F1 against latency and file size, what int8 costs, and all that was timed."""
    title = "F1 against latency and size"
    lost = _lost_by_quantising(study)
    costs = study["decision"].costs
    if costs[list(COST_LABELS)].isna().all(axis=None):
        return page.section(
            "trade-off",
            title,
            [page.absent("No timing table was given. File sizes and latencies of the networks are not known."), *lost],
        )
    forms = [score_table.row_name(*form) for form in zip(costs["network"], costs["precision"], strict=True)]
    points = costs.assign(network=forms, name=forms)
    blocks = []
    for column, label in COST_LABELS.items():
        if points[column].isna().all():
            blocks.append(page.absent(f"The {label} is not known."))
            continue
        if unknown := int(points[column].isna().sum()):
            missing = ", ".join(dict.fromkeys(points.loc[points[column].isna(), "network"]))
            left_out = page.count(unknown, "candidate")
            blocks.append(page.text(f"Not shown: {left_out} without a known {label} ({missing})."))
        figure = figures.trade_off(points, column, label)
        alt = f"F1 against {label}, one mark per candidate. A line joins the candidates that no cheaper one beats."
        blocks.append(page.figure("trade_off", figure, alt, name=f"trade-off-{column.replace('_', '-')}"))
    table = points.sort_values("f1", ascending=False)
    columns = {
        "network": "Network",
        "method": "Method",
        "f1": ("F1 × 100", page.hundredfold),
        "size_mb": ("File size, MB", page.short),
        "latency_ms": ("Latency, ms", page.short),
    }
    blocks.append(page.table("costs", "F1, file size and latency of every candidate", table, columns, folded=True))
    blocks += lost
    if study["timings"] is not None:
        blocks += _timing_blocks(study["timings"])
    return page.section("trade-off", title, blocks)


def _lost_by_quantising(study: dict[str, Any]) -> list[dict[str, Any]]:
    """Tell by network how many points of F1 the int8 files lose against the fp32 files."""
    keys = ["dataset", "split", "method", "network"]
    wide = study["competing"].pivot_table(index=keys, columns="precision", values="value", observed=True)
    if not {"fp32", "int8"} <= set(wide) or (both := wide.dropna()).empty:
        return []
    lines = []
    for network, part in both.groupby("network", sort=False):
        lost = 100 * (part["fp32"] - part["int8"])
        lines.append(
            {"network": network, "fp32": part["fp32"].mean(), "int8": part["int8"].mean(), "lost": lost.mean(),
             "most": lost.max(), "pairs": len(part)}
        )  # fmt: skip
    columns = {
        "network": "Network",
        "fp32": ("F1 × 100, fp32", page.hundredfold),
        "int8": ("F1 × 100, int8", page.hundredfold),
        "lost": ("Loss, points", page.signed),
        "most": ("Largest loss", page.signed),
        "pairs": ("Pairs of files", page.short),
    }
    caption = "Loss of F1 by quantisation, mean over data sets, splits and methods"
    return [page.table("quantising", caption, pd.DataFrame(lines), columns)]


def _timing_blocks(timings: pd.DataFrame) -> list[dict[str, Any]]:
    """Show all that was timed, a line per form of a network."""
    shown = timings.assign(
        form=timings["runtime"].map({"pytorch": "PyTorch, eager", "onnxruntime": "ONNX Runtime"})
        + ", "
        + timings["precision"],
        parameters=timings["parameters"] / 1e6,
        flops=timings["flops"] / 1e9,
    )
    columns = {
        "network": "Network",
        "form": "Form",
        "image_size": ("Image side, px", page.short),
        "threads": ("Threads", page.short),
        "latency_ms": ("Latency, ms", page.short),
        "latency_p5_ms": ("5th percentile", page.short),
        "latency_p95_ms": ("95th percentile", page.short),
        "images_per_second": ("Images/s in batches of 32", page.short),
        "memory_mb": ("Memory, MB", page.short),
        "file_mb": ("File size, MB", page.short),
        "parameters": ("Parameters, 10⁶", page.short),
        "flops": ("GFLOP per image", page.short),
        "training_step_ms": ("Training step, ms", page.short),
    }
    said = (
        "Latency is the median time for one image. The forms of a network were timed in turns, together with a "
        "reference model that is always the same. Times of different networks are corrected by the reference model's. "
        "Memory is the peak memory of a process that classifies one image, libraries included."
    )
    return [page.text(said), page.table("timings", "Timings of every network", shown, columns, folded=True)]
