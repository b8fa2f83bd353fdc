"""What a report page is made of: blocks that the template knows how to show, tables, and numbers in words."""

import base64
import hashlib
import html
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from pocketscope.report import drawing

TABLE_ROWS = 1000  # beyond, a page is slow on a phone; the CSV files hold all
FEW_COLUMNS = 3  # that a phone shows side by side; of a table with more, each row becomes a list there
NARROW = 380  # points: a figure no wider is shrunk to fit a phone, a wider one is scrolled, lest its letters vanish


def template() -> jinja2.Template:
    """Return the page's template."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html")


def section(name: str, title: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Describe a section; one of which all blocks are absent is shown in a list of what is not shown."""
    absent = all(block["kind"] == "absent" for block in blocks)
    return {"id": name, "title": title, "blocks": blocks, "absent": absent}


def text(text: str) -> dict[str, Any]:
    """Describe a paragraph."""
    return {"kind": "text", "text": text}


def absent(text: str) -> dict[str, Any]:
    """Say why something is not shown."""
    return {"kind": "absent", "text": text}


def details(summary: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Describe blocks that are folded away under a summary."""
    return {"kind": "details", "summary": summary, "blocks": blocks}


def figure(caption: str, drawn: Figure, alt: str, *, name: str | None = None, beside: bool = False) -> dict[str, Any]:
    """Describe a figure: the key of its caption, what is drawn, what that shows in words, and whether to set it
    beside.
    """
    name = name or caption.replace("_", "-")
    markup = drawing.svg(drawn, name)
    points = float(markup.split('width="', 1)[1].split("pt", 1)[0])
    fits = ' class="narrow"' if points <= NARROW else ""
    as_pdf = drawing.pdf(drawn)
    markup = markup.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt)}"{fits} ', 1)
    shown = {"svg": markup, "pdf": as_pdf, "caption": drawing.CAPTIONS[caption], "beside": beside}
    return {"kind": "figure", "id": name, **shown}


def walk(blocks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all blocks, those inside others too."""
    return [inner for block in blocks for inner in (block, *walk(block.get("blocks", ())))]


def table(
    name: str, caption: str, frame: pd.DataFrame, columns: Mapping[str, Any], *, folded: bool = False
) -> dict[str, Any]:
    """Describe a table for the template: `columns` maps a column to its heading, or to heading and format.

    The page shows the first `TABLE_ROWS` rows; `every` has the values of all, for files.
    """
    heads, body, every = [], [], []
    for told in columns.values():
        label, formatted = told if isinstance(told, tuple) else (told, None)
        heads.append({"label": label, "numeric": formatted is not None})
    for number, row in enumerate(frame[list(columns)].itertuples(index=False)):
        values = [_in_points(value, told) for value, told in zip(row, columns.values(), strict=True)]
        every.append(values)
        if number >= TABLE_ROWS:
            continue
        cells = []
        for value, told, raw in zip(row, columns.values(), values, strict=True):
            text = "–" if _is_missing(value) else told[1](value) if isinstance(told, tuple) else str(value)
            cells.append({"text": text, "raw": raw})
        body.append(cells)
    return {
        "kind": "table",
        "id": name,
        "caption": caption,
        "heads": heads,
        "rows": body,
        "every": every,
        "many": len(heads) > FEW_COLUMNS,
        "folded": folded,
        "left_out": max(0, len(frame) - TABLE_ROWS),
    }


def _in_points(value: Any, told: str | tuple) -> Any:
    """Return what a file has in a cell: the number with all digits, in the unit that the column's head says."""
    if _is_missing(value):
        return ""
    is_share = isinstance(told, tuple) and told[1] in (hundredfold, signed_hundredfold)
    return 100 * value if is_share else value


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def image_source(image: bytes | NDArray[np.uint8]) -> str:
    """Return what an `img` shows without loading anything: a PNG or JPEG as it is, pixels (H, W, 3) as JPEG."""
    if not isinstance(image, bytes):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=85)
        image = buffer.getvalue()
    kind = "jpeg" if image[:2] == b"\xff\xd8" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def slug(text: str) -> str:
    """Return `text` fit for an id and a file name; a digest keeps apart what odd characters alone tell apart."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")
    if all(c.isascii() and (c.isalnum() or c in " _-") for c in text):
        return plain
    return f"{plain}-{hashlib.blake2b(text.encode(), digest_size=3).hexdigest()}"


def count(number: int, what: str) -> str:
    """Count things: 1 row, 2,000 rows."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def p(value: float) -> str:
    """Write a p-value with its relation, to follow a p in a sentence."""
    return "<\u00a00.001" if value < 0.001 else f"=\u00a0{value:.3f}"


def p_cell(value: float) -> str:
    """Write a p-value for a table."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def short(value: float) -> str:
    """Write a number with three digits."""
    return "∞" if math.isinf(value) else f"{value:.3g}"


def hundredfold(value: float) -> str:
    """Write a score between 0 and 1 as points."""
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    """Write a difference in points."""
    return f"{value:+.1f}"


def signed_hundredfold(value: float) -> str:
    """Write a difference of scores between 0 and 1 as points."""
    return f"{100 * value:+.1f}"


def span(lower: float | None, upper: float | None) -> str:
    """Write the interval of a score between 0 and 1 as points."""
    return "no interval" if lower is None or upper is None else f"{hundredfold(lower)} to {hundredfold(upper)}"


def signed_span(lower: float | None, upper: float | None) -> str:
    """Write the interval of a difference of scores as points."""
    if lower is None or upper is None:
        return "no interval"
    return f"{signed_hundredfold(lower)} to {signed_hundredfold(upper)}"
