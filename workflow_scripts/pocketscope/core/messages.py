"""Parts of messages for people: lists cut short, and the nearest right name."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

LISTED = 5  # how many of many things an error names


def listing(lines: Sequence[str]) -> str:
    """Return the first of many lines, indented, as a part of a message, and how many more there are."""
    shown = "".join(f"  {line}\n" for line in lines[:LISTED])
    return shown + (f"  and {len(lines) - LISTED} more\n" if len(lines) > LISTED else "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """End a sentence that says that there is no `name`: with the nearest that there is, or with a full stop."""
    folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else "."


def nearest(name: str, known: Any) -> str:
    known = list(known)
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.5):
        return f"; did you mean '{close[0]}'?"
    return f"; there are: {', '.join(sorted(known))}" if known else ""
