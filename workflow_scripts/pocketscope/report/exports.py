"""Tables and figures of the page as files: CSV and LaTeX, SVG and PDF."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketscope.core import files

LONG = 40  # rows, beyond which a table runs over pages
NARROW = 3  # columns
_NO_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", "\u00a0": "~",
    "×": r"$\times$", "−": "$-$", "–": "--", "±": r"$\pm$", "∞": r"$\infty$", "⁶": "$^6$", "→": r"$\to$",
    "…": r"\ldots{}", '"': "''",
}  # fmt: skip


def write(blocks: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write each figure among blocks to `folder`/figures, and each table to `folder`/tables.

    Parameters
    ----------
    blocks
        Those of the page, blocks inside others too: see `page.walk`.
    folder
        The report's folder.
    """
    for block in blocks:
        place = folder / {"figure": "figures", "table": "tables"}.get(block["kind"], "")
        if block["kind"] == "figure":
            files.write_text(place / f"{block['id']}.svg", block["svg"])
            with files.whole(place / f"{block['id']}.pdf") as temporary:
                temporary.write_bytes(block["pdf"])
        elif block["kind"] == "table":
            files.write_text(place / f"{block['id']}.csv", as_csv(block))
            files.write_text(place / f"{block['id']}.tex", as_latex(block))


def as_csv(block: Mapping[str, Any]) -> str:
    """Return a table as CSV, its numbers with all digits."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([head["label"] for head in block["heads"]])
    rows.writerows(block["every"])
    return text.getvalue()


def as_latex(block: Mapping[str, Any]) -> str:
    """Return a table as LaTeX, as the page shows it, and no wider than a line.

    It needs the packages booktabs and graphicx, or longtable where it is long and narrow.
    """
    form = "".join("r" if head["numeric"] else "l" for head in block["heads"])
    heads = _line(head["label"] for head in block["heads"])
    rows = [_line(cell["text"] for cell in row) for row in block["rows"]]
    # A table over pages cannot be made smaller: where it has many columns it is cut into several that can.
    over_pages = len(rows) > LONG and len(form) <= NARROW
    per_part = len(rows) if over_pages or not rows else LONG
    lines: list[str] = []
    for start in range(0, max(1, len(rows)), max(1, per_part)):
        label = rf"\label{{tab:{block['id']}}}" if not start else ""
        caption = rf"\caption{{{latex(block['caption'])}{', continued' if start else ''}}}{label}"
        body = [r"\toprule", heads, r"\midrule", *([r"\endhead"] if over_pages else [])]
        body += [*rows[start : start + per_part], r"\bottomrule"]
        if over_pages:
            words = form[:-1] + r"p{0.5\linewidth}" if form.endswith("l") else form  # which are broken
            begun = [r"{\footnotesize", rf"\begin{{longtable}}{{{words}}}", caption + r"\\"]
            lines += [*begun, *body, r"\end{longtable}}"]
        else:
            table = [_NO_WIDER, rf"\begin{{tabular}}{{{form}}}", *body, r"\end{tabular}}"]
            lines += [r"\begin{table}", r"\centering", caption, *table, r"\end{table}"]
    needed = r"\usepackage{booktabs,longtable}" if over_pages else r"\usepackage{booktabs,graphicx}"
    left_out = [f"% {block['left_out']} more rows are in the CSV file."] if block["left_out"] else []
    return "\n".join([f"% {needed}", *left_out, *lines]) + "\n"


def latex(text: str) -> str:
    """Return text as LaTeX writes it."""
    return "".join(_LATEX.get(character, character) for character in re.sub(r"\s*\n\s*", " ", text))


def _line(cells: Any) -> str:
    return " & ".join(map(latex, cells)) + r" \\"
