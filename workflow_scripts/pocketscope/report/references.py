"""What a study's methods are cited by: the works, as sentences and as BibTeX.

Which of them a study cites follows from its own words: a work is cited where one of its marks stands in them.
"""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Work(NamedTuple):
    """A work that can be cited.

    key
        Of BibTeX.
    marks
        Regular expressions: where one is found in a text, the work is cited.
    kind
        BibTeX's kind of entry.
    fields
        BibTeX's fields, in the order that a sentence gives them.
    """

    key: str
    marks: list[str]
    kind: str
    fields: dict[str, str]


def _read() -> tuple[Work, ...]:
    text = (Path(__file__).parent / "templates" / "works.toml").read_text(encoding="utf-8")
    return tuple(Work(**work) for work in tomllib.loads(text)["works"])


WORKS = _read()


def cited(texts: Iterable[str]) -> list[Work]:
    """Return the works whose marks stand in texts, in the order in which they are first named."""
    everything = "\n".join(texts)
    found = []
    for work in WORKS:
        places = [match.start() for mark in work.marks if (match := re.search(mark, everything))]
        if places:
            found.append((min(places), work))
    return [work for _, work in sorted(found, key=lambda pair: pair[0])]


def sentence(work: Work) -> str:
    """Return a work as a line of a list of references."""
    author, title, place, year = work.fields.values()
    return f"{author.replace(' and others', ' et al.').replace(' and ', ', ')} ({year}). {title}. {place}."


def bibtex(works: Iterable[Work]) -> str:
    """Return works as a BibTeX file."""
    entries = []
    for work in works:
        # Braces keep the capitals of names in titles.
        lines = [
            f"  {name} = {{{{{value}}}}}," if name == "title" else f"  {name} = {{{value}}},"
            for name, value in work.fields.items()
        ]
        entries.append("\n".join([f"@{work.kind}{{{work.key},", *lines, "}"]))
    return "\n\n".join(entries) + "\n"
