"""The words of the field, explained where each first stands on a page.

A word becomes a button that opens its explanation, by the keyboard too and without a script (the browser's popover).
The same explanations stand in a list at the end, for paper and for browsers without popovers.
"""

import html
import re
import tomllib
from pathlib import Path
from typing import NamedTuple


class Word(NamedTuple):
    """A word, by which expression it is found, and what it means."""

    key: str
    found_by: str
    name: str
    meaning: str


def _read() -> tuple[Word, ...]:
    text = (Path(__file__).parent / "templates" / "words.toml").read_text(encoding="utf-8")
    return tuple(Word(**word) for word in tomllib.loads(text)["words"])


WORDS = _read()
# Words in these are no running text, or are pressed already.
_CLOSED = {"script", "style", "svg", "button", "summary", "a", "title", "h1", "h2", "h3", "nav", "code", "pre", "th"}
PLACE = "<!-- words -->"


def explain(page: str) -> str:
    """Return a page in which each word of `WORDS` is explained where it first stands, and all of these in a list.

    Parameters
    ----------
    page
        HTML with the comment `PLACE` where the list belongs; without it nothing is changed.
    """
    if PLACE not in page:
        return page
    waiting, found, open_tags = {word.key: word for word in WORDS}, [], []
    pieces = re.split(r"(<[^>]*>)", page)
    for place, piece in enumerate(pieces):
        if piece.startswith("<"):
            _follow(piece, open_tags)
        elif piece.strip() and "body" in open_tags and not _CLOSED & set(open_tags):
            pieces[place] = _marked(piece, waiting, found)
    words = [next(word for word in WORDS if word.key == key) for key in found]
    return "".join(pieces).replace(PLACE, _list(words) if words else "")


def _follow(tag: str, open_tags: list[str]) -> None:
    """Keep the tags that are open, as far as they matter: what closes one that is not open changes nothing."""
    name = re.match(r"</?([a-zA-Z0-9]+)", tag)
    if name is None:
        return
    key = name[1].lower()
    if key not in _CLOSED and key != "body":
        return
    if not tag.startswith("</"):
        open_tags.append(key)
    elif key in open_tags:
        del open_tags[len(open_tags) - 1 - open_tags[::-1].index(key) :]


def _marked(text: str, waiting: dict[str, Word], found: list[str]) -> str:
    """Return a piece of text with its words that were not explained yet made buttons."""
    spans: list[tuple[int, int, str]] = []
    for key, word in list(waiting.items()):
        for match in re.finditer(word.found_by, text):
            if all(match.end() <= start or match.start() >= end for start, end, _ in spans):
                spans.append((*match.span(), key))
                waiting.pop(key)
                break
    end, parts = 0, []
    for start, stop, key in sorted(spans):
        parts += [text[end:start], f'<button type="button" class="word" popovertarget="word-{key}">']
        parts += [text[start:stop], "</button>"]
        end = stop
        found.append(key)
    return "".join([*parts, text[end:]])


def _list(words: list[Word]) -> str:
    """Return the explanations, each as a popover, and all as a list."""
    popovers = "".join(
        f'<div popover id="word-{word.key}" class="meaning"><p><b>{html.escape(word.name)}</b><br>'
        f"{html.escape(word.meaning)}</p></div>\n"
        for word in words
    )
    ordered = sorted(words, key=lambda word: word.name.lower())
    items = "".join(f"<dt>{html.escape(word.name)}</dt><dd>{html.escape(word.meaning)}</dd>\n" for word in ordered)
    return (
        f'{popovers}<section id="words" aria-labelledby="words-title"><h2 id="words-title">Words</h2>\n'
        f'<dl class="plain">\n{items}</dl></section>'
    )
