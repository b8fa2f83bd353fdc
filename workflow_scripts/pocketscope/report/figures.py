"""The report's figures, drawn as SVG: colours that colour-blind readers tell apart, units on every axis, text as text.

A function returns a `matplotlib.figure.Figure`; `drawing.svg` turns it into markup for a page or a file. Colour never
carries a meaning alone: it is doubled by shape, position or words.
"""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pocketscope.report.drawing import COLOURS, FAINT, INK, MARKERS, MIDDLE, MOST_NAMED, MUTED, NARROW, STYLE, WIDTH

MOST_NUMBERS = 600  # in a heat map


def heat_map(values: pd.DataFrame, *, label: str = "F1 × 100") -> Figure:
    """Draw scores (0 to 1), rows down and methods across: the best of each line has a dot, the best of all a frame.

    More than `MOST_NUMBERS` are colours alone.
    """
    array = 100 * values.to_numpy(dtype=float)
    rows, columns = array.shape
    width = max(4.2, min(WIDTH, 1.9 + 0.72 * columns))
    with mpl.rc_context(STYLE):
        figure, axes = _figure(width, 0.75 + 0.27 * (rows if values.size <= MOST_NUMBERS else min(rows, MOST_NAMED)))
        # Low outliers would press all else into one shade.
        low = float(np.nanpercentile(array, 5))
        image = axes.imshow(
            array, aspect="auto", cmap="cividis", vmin=min(low, np.nanmax(array) - 1), vmax=np.nanmax(array)
        )
        written = array.size <= MOST_NUMBERS
        for i in range(rows if written else 0):
            for j in range(columns):
                if np.isnan(array[i, j]):
                    continue
                dark = image.norm(array[i, j]) < 0.46
                mark = " ●" if array[i, j] >= np.nanmax(array[i]) - 1e-9 and columns > 1 else ""
                axes.text(
                    *(j, i, f"{array[i, j]:.1f}{mark}"),
                    color="white" if dark else "black",
                    ha="center",
                    va="center",
                    fontsize=8,
                )
        for row, column in np.argwhere(array >= np.nanmax(array) - 1e-9):  # all that score alike
            corner = (column - 0.47, row - 0.45)
            axes.add_patch(mpl.patches.Rectangle(corner, 0.94, 0.9, fill=False, edgecolor=COLOURS[1], lw=2))
        # Of more than there is room for, every second is named, or every third, and so on.
        across = range(0, columns, 1 if written else -(-columns // 8))
        down = range(0, rows, 1 if written else -(-rows // MOST_NAMED))
        axes.set_xticks(across, [_wrapped(str(values.columns[j])) for j in across])
        axes.set_yticks(down, values.index[list(down)])
        axes.tick_params(top=True, bottom=False, labeltop=True, labelbottom=False, length=0)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(
            image, ax=axes, fraction=0.035, pad=0.02, extend="min" if low > np.nanmin(array) else "neither"
        )
        bar.set_label(label)
        bar.outline.set_visible(False)
    return figure


def rank_diagram(
    groups: pd.DataFrame, pairs: pd.DataFrame, *, datasets: int, critical: tuple[str, float] | None = None
) -> Figure:
    """Draw a critical-difference diagram, turned so that names stand on lines of their own.

    A bar joins groups that the tests do not tell apart, all pairs of them. Where a control was declared, what is
    worse or better than it has a filled mark and the rest a hollow one, and there are no bars.

    Parameters
    ----------
    groups
        One question's rows of `comparison.GROUPS`.
    pairs
        Its rows of `comparison.PAIRS`.
    datasets
        How many datasets the ranks are means over.
    critical
        A test's name and its critical difference of mean ranks, drawn to scale above the groups.
    """
    groups = groups.sort_values(["rank", "group"]).reset_index(drop=True)
    names = groups["group"].tolist()
    different = {frozenset(pair) for pair in pairs.loc[pairs["better"].notna(), ["first", "second"]].to_numpy()}
    has_control = bool(groups["control"].any())
    control = groups.loc[groups["control"], "group"].iloc[0] if has_control else None
    bars = [] if has_control else _cliques(names, different)
    with mpl.rc_context(STYLE):
        figure, axes = _figure(NARROW, 0.6 + 0.23 * len(names))
        heights = np.arange(len(names))
        axes.hlines(heights, 1, groups["rank"], color=FAINT, lw=0.8, zorder=1)
        for height, (name, rank) in enumerate(zip(names, groups["rank"], strict=True)):
            filled = not has_control or name == control or frozenset((name, control)) in different
            axes.plot(
                *(rank, height, "D" if name == control else "o"),
                color=COLOURS[1] if name == control else COLOURS[0],
                markerfacecolor=None if filled else "white",
                ms=5.5,
                zorder=3,
            )
            axes.annotate(f"{rank:.1f}", (rank, height), (7, 0), textcoords="offset points", va="center", fontsize=8)
        end = len(names) + 0.35
        for i, (first, last) in enumerate(bars):
            x = end + 0.32 * (i + 1) * max(1, len(names) / 12)
            axes.plot([x, x], [first - 0.25, last + 0.25], color=INK, lw=3, solid_capstyle="round", clip_on=False)
        axes.set_yticks(heights, names)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(names) - 0.4, -0.6 if critical is None else -2.1)
        if critical is not None:
            axes.plot([1, 1 + critical[1]], [-1.1, -1.1], "|-", color=INK, lw=1.4, ms=7, clip_on=False)
            text = f"critical difference {critical[1]:.2f} ({critical[0]})"
            axes.annotate(text, (1, -1.1), (0, 5), textcoords="offset points", fontsize=8, annotation_clip=False)
        axes.set_xlim(0.85, end + 0.32 * (len(bars) + 1) * max(1, len(names) / 12))
        axes.set_xticks(_rank_ticks(len(names)))
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"mean rank over {datasets} data sets (1 is the best)")
    return figure


def trade_off(points: pd.DataFrame, column: str, label: str) -> Figure:
    """Draw F1 against a cost on a logarithmic axis, with the front of candidates that no other beats in both.

    Parameters
    ----------
    points
        Columns name, method, f1 (0 to 1) and `column`.
    column
        The cost's column.
    label
        Its axis label, with the unit.
    """
    methods = list(dict.fromkeys(points["method"]))  # before sorting: a method keeps its colour in every figure
    points = points.dropna(subset=[column]).sort_values(column)
    front = _front(points[column].to_numpy(), points["f1"].to_numpy())
    with mpl.rc_context(STYLE):
        figure, axes = _figure(MIDDLE, 3.7)
        best = points.iloc[front]
        axes.step(best[column], 100 * best["f1"], where="post", color=MUTED, lw=1, zorder=1)
        for i, method in enumerate(methods):
            part = points[points["method"] == method]
            axes.plot(
                *(part[column], 100 * part["f1"], MARKERS[i % len(MARKERS)]),
                color=COLOURS[i % len(COLOURS)],
                alpha=0.85,
                ms=5,
                label=method,
            )
        axes.set_xscale("log")
        low, high = points[column].min(), points[column].max()
        axes.set_xlim(low / 1.35, high * 1.35)
        _name_points(axes, [(row[column], 100 * row["f1"], row["name"]) for _, row in best.iterrows()])
        ticks = [value * 10.0**power for power in range(-3, 7) for value in (1, 2, 5)]
        axes.set_xticks([tick for tick in ticks if low / 1.35 <= tick <= high * 1.35])
        axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        _f1_axis(axes, 100 * points["f1"].to_numpy())
        axes.set_xlabel(label)
        axes.set_ylabel("F1 × 100")
        axes.grid(visible=True, axis="y")
        _legend_above(axes, methods)
    return figure


def gains(frame: pd.DataFrame, *, label: str) -> Figure:
    """Draw differences with their intervals about a line at zero: columns name, difference, lower, upper (points of
    F1).
    """
    frame = frame.reset_index(drop=True)
    with mpl.rc_context(STYLE):
        figure, axes = _figure(NARROW, 0.65 + 0.27 * len(frame))
        axes.axvline(0, color=MUTED, lw=1)
        for height, row in frame.iterrows():
            sure = row["lower"] > 0 or row["upper"] < 0
            axes.plot([row["lower"], row["upper"]], [height, height], color=COLOURS[0], lw=1.8)
            axes.plot(row["difference"], height, "o", color=COLOURS[0], markerfacecolor=None if sure else "white", ms=6)
            text = f"{row['difference']:+.1f}"
            axes.text(1.09, height, text, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=8)
        axes.set_yticks(range(len(frame)), frame["name"])
        axes.set_ylim(len(frame) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=True, axis="x")
        axes.set_xlabel(label)
    return figure


def confusion(counts: NDArray[np.float64], classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix, true classes down: the share of each true class, with the number of images.

    Of more than `MOST_NAMED` classes every second is named, or every third, and so on.
    """
    counts = np.asarray(counts, dtype=float)
    with np.errstate(invalid="ignore"):
        shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    n = len(classes)
    named = range(0, n, -(-n // MOST_NAMED))
    names = [_shortened(classes[i]) for i in named]
    with mpl.rc_context(STYLE):
        size = min(WIDTH - 1.5, 0.9 + 0.55 * n)
        figure, axes = _figure(size + 0.8, size)
        axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=130)
        for i in range(n):
            for j in range(n):
                if counts[i, j] and n <= 20:
                    text = f"{shares[i, j]:.0f} %\n{_number(counts[i, j])}" if n <= 10 else f"{shares[i, j]:.0f}"
                    colour = "white" if shares[i, j] > 92 else "black"
                    axes.text(j, i, text, ha="center", va="center", fontsize=7.5 if n <= 8 else 6.5, color=colour)
        axes.set_xticks(named, names, rotation=45 if n > 3 else 0, ha="right" if n > 3 else "center")
        axes.set_yticks(named, names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
    return figure


def reliability(confidence: NDArray[np.float64], correct: NDArray[np.bool_], *, bins: int = 10) -> Figure:
    """Draw how often the model is right at each stated confidence, and how many images have it."""
    edges = np.linspace(0, 1, bins + 1)
    at = np.clip(np.digitize(confidence, edges) - 1, 0, bins - 1)
    number = np.bincount(at, minlength=bins)
    there = number > 0
    stated = np.bincount(at, confidence, minlength=bins)[there] / number[there]
    right = np.bincount(at, correct, minlength=bins)[there] / number[there]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 4.3))
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
        axes.plot([0, 100], [0, 100], color=MUTED, lw=1, ls="--")
        # Wilson's interval: bins of few images say little.
        z, n = 1.96, number[there]
        middle = (right + z**2 / (2 * n)) / (1 + z**2 / n)
        reach = z / (1 + z**2 / n) * np.sqrt(right * (1 - right) / n + z**2 / (4 * n**2))
        axes.vlines(100 * stated, 100 * (middle - reach), 100 * (middle + reach), color=COLOURS[0], lw=1.4)
        axes.plot(100 * stated, 100 * right, "o", color=COLOURS[0], ms=5)
        axes.set_ylabel("correct answers (%)")
        axes.set_ylim(0, 103)
        axes.grid(visible=True)
        below.bar(100 * (edges[:-1] + edges[1:]) / 2, number, width=92 / bins, color=FAINT, edgecolor=MUTED, lw=0.6)
        below.set_ylabel("images")
        below.set_xlabel("confidence (%)")
        below.set_xlim(0, 100)
    return figure


def curves(frame: pd.DataFrame, *, x_label: str, y_label: str = "F1 × 100", percent: bool = True) -> Figure:
    """Draw lines with bands: columns name, x, y and, where known, lower and upper.

    The first seven names have colours; the others are a pale crowd behind them, which shows where all lines lie.
    """
    factor = 100 if percent else 1
    every = list(dict.fromkeys(frame["name"]))
    names, crowd = every[: len(COLOURS)], every[len(COLOURS) :]
    with mpl.rc_context(STYLE):
        figure, axes = _figure(MIDDLE, 3.2)
        for i, name in enumerate(names):
            part = frame[frame["name"] == name].sort_values("x")
            colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
            many = len(part) > 15
            axes.plot(
                *(part["x"], factor * part["y"]),
                color=colour,
                marker=None if many else marker,
                ms=5,
                lw=1.4,
                label=name,
            )
            if "lower" in part and part["lower"].notna().all():
                axes.fill_between(
                    part["x"], factor * part["lower"], factor * part["upper"], color=colour, alpha=0.12, lw=0
                )
        for i, name in enumerate(crowd):
            part = frame[frame["name"] == name].sort_values("x")
            label = f"{len(crowd)} others" if i == 0 else None
            axes.plot(part["x"], factor * part["y"], color=FAINT, lw=0.8, zorder=0, label=label)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(visible=True)
        _legend_above(axes, [*names, *(["others"] if crowd else [])])
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    return figure


def coverage(curves: pd.DataFrame, chosen: pd.DataFrame) -> Figure:
    """Draw the accuracy of pseudo-labels against their coverage (0 to 1), and a mark where each method stopped.

    Parameters
    ----------
    curves
        Columns method, coverage, accuracy: of the surest labels, at every threshold.
    chosen
        The same columns: of the labels that were accepted.
    """
    names = list(dict.fromkeys([*curves["method"], *chosen["method"]]))
    with mpl.rc_context(STYLE):
        figure, axes = _figure(MIDDLE, 3.2)
        for i, name in enumerate(names):
            line, mark = (frame[frame["method"] == name] for frame in (curves, chosen))
            style = {"color": COLOURS[i % len(COLOURS)]}
            axes.plot(100 * line["coverage"], 100 * line["accuracy"], "-", lw=1.1, **style)
            axes.plot(
                100 * mark["coverage"], 100 * mark["accuracy"], MARKERS[i % len(MARKERS)], ms=6, label=name, **style
            )
        axes.set_xlim(-2, 102)
        axes.set_xlabel("unlabelled images with a pseudo-label, the most confident first (%)")
        axes.set_ylabel("correct pseudo-labels (%)")
        axes.grid(visible=True)
        _legend_above(axes, names)
    return figure


def _figure(width: float, height: float) -> tuple[Figure, mpl.axes.Axes]:
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def _legend_above(axes: mpl.axes.Axes, names: Sequence[str]) -> None:
    """Put the legend over the axes, where it is seen first, and on a phone without scrolling."""
    columns = max(1, min(5, 62 // (max(map(len, names)) + 5)))
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, handletextpad=0.3, columnspacing=1.2)


def _cliques(names: Sequence[str], different: set[frozenset[str]]) -> list[tuple[int, int]]:
    """Return the longest runs of neighbours, first and last index, of which no two were told apart."""
    runs: list[tuple[int, int]] = []
    for first in range(len(names)):
        last = first
        while last + 1 < len(names) and all(
            frozenset((names[i], names[last + 1])) not in different for i in range(first, last + 1)
        ):
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _front(cost: NDArray, score: NDArray) -> list[int]:
    """Return the rows, cheapest first, that score more than every cheaper row; `cost` ascends."""
    order = np.lexsort((-score, cost))
    front: list[int] = []
    for i in order:
        if not front or score[i] > score[front[-1]]:
            front.append(int(i))
    return front


def _name_points(axes: mpl.axes.Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Name the points, turn by turn near and far above, so that neighbours' names do not meet.

    The axes have their scale and limits already: a name beside an edge is written away from it.
    """
    for i, (x, y, name) in enumerate(points):
        across = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[0]
        axes.annotate(
            *(name, (x, y), (0, 8 if i % 2 else 20)),
            textcoords="offset points",
            ha="left" if across < 0.2 else "right" if across > 0.8 else "center",
            fontsize=7.5,
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.5, "shrinkA": 0, "shrinkB": 3},
        )


def _f1_axis(axes: mpl.axes.Axes, values: NDArray) -> None:
    """Leave out the worst third where it would flatten the rest, and say how many rows that are."""
    high, low = float(values.max()), float(values.min())
    third = float(np.percentile(values, 33))
    if third - low > 1.5 * (high - third):
        low = third
        text = f"{int((values < low - 0.05 * (high - low)).sum())} candidates lie below"
        axes.annotate(text, (0.01, 0.02), xycoords="axes fraction", fontsize=7.5, color=MUTED)
    span = max(1.0, high - low)
    axes.set_ylim(low - 0.05 * span, high + 0.3 * span)


def _rank_ticks(groups: int) -> list[int]:
    step = max(1, round(groups / 12))
    return list(range(1, groups + 1, step))


def _number(count: float) -> str:
    return f"{count:.0f}" if count >= 10 else f"{count:.1f}".removesuffix(".0")


def _wrapped(name: str) -> str:
    return name.replace("_", "_\n") if len(name) > 9 else name


def _shortened(name: str, length: int = 16) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
