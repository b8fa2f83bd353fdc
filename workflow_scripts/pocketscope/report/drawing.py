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


def pdf(figure: Figure) -> bytes:
    """Return the figure as PDF, its letters as letters; equal figures are equal bytes."""
    with mpl.rc_context(STYLE | {"pdf.fonttype": 42}):
        content = io.BytesIO()
        nothing = {"CreationDate": None, "Creator": None, "Producer": None}
        figure.savefig(content, format="pdf", bbox_inches="tight", pad_inches=0.04, metadata=nothing)
    return content.getvalue()


CAPTIONS: Mapping[str, str] = {
    "heat_map": "F1 × 100, mean over data sets and splits. A dot marks the best method for each network, and the "
    "frame marks the best candidate. The colour scale begins at the fifth percentile.",
    "rank_diagram": "Mean ranks (1 is the best). A bar beside the names joins groups that the page's tests do not tell "
    "apart. Where there is a control (diamond), filled marks differ significantly from it and hollow marks do not. The "
    "bar above is as long as the critical difference of Nemenyi's test (Bonferroni-Dunn's, with a control): how far "
    "mean ranks alone would have to lie apart.",
    "matrix": "Each group (row) less each other (column), the best mean first: difference of the means in points of F1 "
    "× 100, data sets won / tied / lost, and p of Wilcoxon's signed-rank test, bold below the significance level. "
    "These p are not adjusted for their number: they are for reading, and no third group can change them.",
    "trade_off": "F1 against cost, lower cost to the left. The line joins the candidates that no smaller or "
    "faster candidate beats.",
    "gains": "Difference in F1 from supervised training on the labelled images alone, with intervals of the "
    "study's confidence level (95 % by default). Where the mark is hollow, the interval contains zero.",
    "resampled": "Difference in F1 of every candidate from the recommended one, on the same test images, with "
    "intervals of the study's confidence level. Where the mark is hollow, the interval contains zero. At most the "
    "forty best candidates are shown.",
    "confusion": "Share of the test images of each true class that were predicted as each class, and their "
    "number, mean over seeds.",
    "reliability": "Share of correct answers by confidence, with 95 % Wilson intervals. On the dashed line, the "
    "share equals the confidence. The lower part shows the number of images with each confidence.",
    "learning_curve": "F1 against the number of labelled images per class. Bands are one standard deviation over "
    "seeds.",
    "coverage": "Share of the unlabelled images that got a pseudo-label, and share of these pseudo-labels that "
    "are correct.",
    "history": "By epoch of training. At most seven training runs have colours, those of the recommended network "
    "first.",
}
