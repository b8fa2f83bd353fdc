"""Tables and figures of the page as files: CSV and LaTeX, SVG and PDF."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketscope.core import files

LONG = 40  # rows, beyond which a table runs over pages
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
    """Return a table as LaTeX, as the page shows it; it needs the package booktabs, and longtable where it is long."""
    long = len(block["rows"]) > LONG
    form = "".join("r" if head["numeric"] else "l" for head in block["heads"])
    heads = _line(head["label"] for head in block["heads"])
    caption = rf"\caption{{{latex(block['caption'])}}}\label{{tab:{block['id']}}}"
    rows = [_line(cell["text"] for cell in row) for row in block["rows"]]
    body = [r"\toprule", heads, r"\midrule", *([r"\endhead"] if long else []), *rows, r"\bottomrule"]
    if long:
        lines = [rf"\begin{{longtable}}{{{form}}}", caption + r"\\", *body, r"\end{longtable}"]
        needed = r"\usepackage{booktabs,longtable}"
    else:
        table = [rf"\begin{{tabular}}{{{form}}}", *body, r"\end{tabular}"]
        lines = [r"\begin{table}", r"\centering", caption, *table, r"\end{table}"]
        needed = r"\usepackage{booktabs}"
    left_out = [f"% {block['left_out']} more rows are in the CSV file."] if block["left_out"] else []
    return "\n".join([f"% {needed}", *left_out, *lines]) + "\n"


def latex(text: str) -> str:
    """Return text as LaTeX writes it."""
    return "".join(_LATEX.get(character, character) for character in re.sub(r"\s*\n\s*", " ", text))


def _line(cells: Any) -> str:
    return " & ".join(map(latex, cells)) + r" \\"
