"""The multi-comparison matrix, drawn."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pocketscope.report.drawing import INK, STYLE, WIDTH

MOST_GROUPS = 12  # beyond, the letters are too small to read


def comparison_matrix(pairs: pd.DataFrame, *, alpha: float) -> Figure:
    """Draw what `statistics.matrix.multi_comparison` returns: rows against columns, the best group first.

    A cell has the mean difference in points, wins, ties and losses, and p; bold where p is below `alpha`. The colour
    doubles the sign of the difference.
    """
    names = list(dict.fromkeys(pairs["first"]))
    k = len(names)
    shades = np.full((k, k), np.nan)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(min(WIDTH, 1.6 + 0.9 * k), 0.7 + 0.52 * k))
        axes = figure.subplots()
        at = {name: i for i, name in enumerate(names)}
        largest = max(1e-9, float(pairs["difference"].abs().max()))
        for row in pairs.itertuples():
            i, j = at[row.first], at[row.second]
            shades[i, j] = row.difference / largest
            text = f"{100 * row.difference:+.1f}\n{row.wins}/{row.ties}/{row.losses}\n"
            text += "p < 0.001" if row.p < 0.001 else f"p {row.p:.3f}"
            weight = "bold" if row.p < alpha else "normal"
            axes.text(j, i, text, ha="center", va="center", fontsize=6.5, fontweight=weight, color=INK)
        axes.imshow(shades, cmap="PuOr", vmin=-2.2, vmax=2.2, aspect="auto")
        many = k > 7
        axes.set_xticks(range(k), names, rotation=45 if many else 0, ha="left" if many else "center")
        axes.set_yticks(range(k), names)
        axes.tick_params(top=True, bottom=False, labeltop=True, labelbottom=False, length=0)
        axes.spines[:].set_visible(False)
    return figure
