"""Answers as a page of thumbnails: one file, no server, nothing loaded from elsewhere.

It needs Pillow and no template library: `classify` writes it too, where only a model file's needs are installed.
"""

import base64
import html
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pocketscope.core import files
from pocketscope.version import VERSION

SIDE = 128  # pixels of a thumbnail's longer side
QUALITY = 65  # of WebP: a photograph of 128 pixels takes about one kilobyte
MOST_IMAGES = 10_000
MOST_BYTES = 29_000_000  # of what the images are written as: the page stays below 30 MB
TEMPLATE = Path(__file__).parent / "templates" / "answers.html"


@dataclass(frozen=True, slots=True)
class Shown:
    """One image of the page.

    path
        Of its file, as it is shown.
    link
        The URI that opens the file; None where the image is in no file of its own.
    answers
        The most probable class and its probability, and the second; none where the image could not be read.
    reliable
        None where that is not known.
    said
        The class that a person gave it.
    thumbnail
        What `thumbnail` returns.
    """

    path: str
    link: str | None
    answers: list[tuple[str, float]]
    reliable: bool | None
    said: str | None
    thumbnail: bytes


def thumbnail(image: np.ndarray, shape: tuple[int, int] | None = None) -> bytes:
    """Return a small WebP of an image.

    Parameters
    ----------
    image
        uint8, (height, width, 3).
    shape
        Height and width of the original, where `image` was stretched: the thumbnail has its proportions again.
    """
    height, width = shape or image.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    buffer = io.BytesIO()
    small = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    small.save(buffer, "WEBP", quality=QUALITY, method=4)
    return buffer.getvalue()


def write_page(path: str | os.PathLike, shown: Iterable[Shown], classes: list[str], *, title: str, total: int) -> int:
    """Write the page, and return how many images it shows.

    It shows the first of `shown`, up to `MOST_IMAGES` or `MOST_BYTES`, and says how many it leaves out.

    Parameters
    ----------
    path
        The HTML file.
    shown
        The images, in the order of the table of answers: the most doubtful first. They are taken as they are needed.
    classes
        The classes in the order of the page's sections.
    title
        What was answered.
    total
        Number of images that there are.
    """
    cards: dict[str, list[str]] = {name: [] for name in classes}
    count = taken = 0
    for image in shown:
        card = _card(image)
        taken += len(card.encode())
        if count == MOST_IMAGES or taken > MOST_BYTES:
            break
        count += 1
        cards.setdefault(image.answers[0][0], []).append(card)
    filled = [name for name in cards if cards[name]]
    parts = {
        "title": _text(title),
        "version": _text(VERSION),
        "count": f"{total:,} image{'' if total == 1 else 's'}",
        "left_out": _left_out(total - count),
        "options": "".join(
            f'<option value="{place}">{_text(name)} ({len(cards[name]):,})</option>'
            for place, name in enumerate(filled)
        ),
        "sections": "\n".join(_section(place, name, cards[name]) for place, name in enumerate(filled)),
    }
    files.write_text(path, _filled(TEMPLATE.read_text(encoding="utf-8"), parts))
    return count


def _filled(template: str, parts: dict[str, str]) -> str:
    """Put each part in the place of `[[name]]`; a part that holds such a mark itself is left as it is."""
    pieces = template.split("[[")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("]]")
        filled += [parts[name], rest]
    return "".join(filled)


def _left_out(number: int) -> str:
    if not number:
        return ""
    return f"The page shows the most doubtful ones; {number:,} more are in the table beside it. "


def _section(place: int, name: str, cards: list[str]) -> str:
    return (
        f'<section data-class="{place}" aria-labelledby="class-{place}"><h2 id="class-{place}">{_text(name)} '
        f'<span class="count">{len(cards):,}</span></h2>\n<ul class="cards">\n' + "\n".join(cards) + "\n</ul></section>"
    )


def _card(image: Shown) -> str:
    """Return an image as markup: names of files and classes are text, whatever they hold."""
    (name, probability), *second = image.answers
    shown = [f"{100 * probability:.1f} %" + (", reliable" if image.reliable else "")]
    shown += [f"else {other} {100 * chance:.1f} %" for other, chance in second]
    shown += [f"a person: {image.said}"] if image.said is not None else []
    words = f"{name} {'; '.join(shown)}"
    attributes = {
        "data-reliable": {None: "", True: "yes", False: "no"}[image.reliable],
        "data-path": image.path,
        "data-answer": name,
        "data-words": words,
        **({"data-said": image.said} if image.said is not None else {}),
    }
    written = "".join(f' {key}="{_text(value)}"' for key, value in attributes.items())
    source = f"data:image/webp;base64,{base64.b64encode(image.thumbnail).decode()}"
    picture = f'<img src="{source}" alt="" loading="lazy" decoding="async">'
    label = _text(f"{words}. {os.path.basename(image.path)}")  # noqa: PTH119
    target = f'href="{_text(image.link)}"' if image.link else 'tabindex="0" role="button"'
    first = f"<b>{_text(name)} {100 * probability:.1f}&nbsp;%</b>{' <i>reliable</i>' if image.reliable else ''}"
    lines = [first, *(_text(f"{other} {100 * chance:.1f}\u00a0%") for other, chance in second)]
    lines += [f"<em>a person: {_text(image.said)}</em>"] if image.said is not None else []
    return f'<li{written}><a {target} aria-label="{label}">{picture}</a><p>{"<br>".join(lines)}</p></li>'


def _text(text: str) -> str:
    """Return text as it is written into markup and attributes; what is no character is shown as a mark."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"), quote=True)
