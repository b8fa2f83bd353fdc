"""Parts of messages for people: lists cut short, and the nearest right name."""

import difflib
from collections.abc import Iterable, Sequence

LISTED = 5  # how many of many things an error names


def listing(lines: Sequence[str]) -> str:
    """Return the first of many lines, indented, as a part of a message, and how many more there are."""
    shown = "".join(f"  {line}\n" for line in lines[:LISTED])
    return shown + (f"  and {len(lines) - LISTED} more\n" if len(lines) > LISTED else "")


def did_you_mean(name: str, known: Iterable[str], otherwise: str = ".") -> str:
    """End a sentence that says that there is no `name`: with the nearest that there is, or with `otherwise`.

    Examples
    --------
    >>> did_you_mean("resnet81", ["resnet18", "fbnet"])
    "; did you mean 'resnet18'?"
    """
    folded = {candidate.casefold(): candidate for candidate in map(str, known)}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return f"; did you mean {folded[near[0]]!r}?" if near else otherwise


def nearest(name: str, known: Iterable[str]) -> str:
    """End a sentence as `did_you_mean` does; where nothing is near, name all that there are."""
    known = sorted(map(str, known))
    return did_you_mean(name, known, f"; there are: {', '.join(known)}" if known else "")
