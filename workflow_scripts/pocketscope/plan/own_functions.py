"""Functions of a user's own files, as the rules get them: with a digest of what the file does."""

import functools
import re
from pathlib import Path

from pocketscope.core.own_functions import PATTERN, place_of
from pocketscope.runtime.code_digest import digest_of_file


def is_own(named: str) -> bool:
    """Return whether what a configuration names is a function of a user's file."""
    return re.match(PATTERN, named) is not None


@functools.cache  # asked for by every training
def own_function(named: str, root: Path) -> dict[str, str]:
    """Return the file and the name of a user's function, and a digest of what the file does.

    Docstrings, comments and layout are no part of it; nor is what the file imports.
    """
    path, function = place_of(named, root)
    return {"file": named.rpartition(":")[0], "function": function, "digest": digest_of_file(path)[:16]}
