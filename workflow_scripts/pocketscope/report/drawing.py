"""How every figure of the page looks, its form as SVG, and the captions."""

import io
import re
from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe and Ito's palette, without its yellow, which is too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, MUTED, FAINT = "#1c2430", "#5a6472", "#d5dae0"
WIDTH = 7.0  # inches at 72 points: at the page's width a letter of 9 points is about 12 pixels high
NARROW = 4.6  # as wide as a phone shows without scrolling, when shrunk a little
MIDDLE = 5.8
MOST_NAMED = 30  # classes along an axis
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Liberation Sans", "Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "pocketscope",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def svg(figure: Figure, name: str) -> str:
    """Return the figure as SVG markup without XML head; ids begin with `name`, so that several fit on one page."""
    with mpl.rc_context(STYLE):
        text = io.StringIO()
        # No date: equal figures are equal bytes.
        figure.savefig(
            text, format="svg", bbox_inches="tight", pad_inches=0.04, metadata={"Date": None, "Creator": None}
        )
    markup = text.getvalue()
    markup = markup[markup.index("<svg") :]
    markup = re.sub(r"<metadata>.*?</metadata>", "", markup, flags=re.DOTALL)
    markup = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', markup)
    markup = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", markup)
    return re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', markup)


CAPTIONS: Mapping[str, str] = {
    "heat_map": "F1 × 100, mean over datasets and splits. A dot marks the best method of each line, the frame the "
    "best of all. The scale begins at the fifth percentile.",
    "rank_diagram": "Mean ranks (1 is the best). A bar joins groups that the tests do not tell apart; with a control "
    "(diamond), filled marks differ from it and hollow ones do not.",
    "trade_off": "F1 against cost, lower cost to the left. The line joins the candidates that no smaller or faster one "
    "beats.",
    "gains": "Difference in F1 from supervised training on the labelled images alone, with intervals of the study's "
    "level (95 % where nothing else was asked for). A hollow mark's interval holds zero.",
    "resampled": "Difference in F1 of every candidate from the recommended one, on the same test images, with "
    "intervals of the study's level. A hollow mark's interval holds zero. The forty best are drawn where there are "
    "more.",
    "confusion": "Share of each true class that was given each answer, and the number of test images, mean over seeds.",
    "reliability": "How often answers of a stated confidence are right, with 95 % Wilson intervals; on the dashed "
    "line, as often as stated. Below, how many images have that confidence.",
    "learning_curve": "F1 against the number of labelled images per class; bands are one standard deviation over "
    "seeds.",
    "coverage": "Automatic labels: how many of the unlabelled images got one, and how many of these are right.",
    "history": "By epoch of training. At most seven trainings have colours, those of the recommended network first.",
}
