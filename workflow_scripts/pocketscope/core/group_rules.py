"""How a configuration says which images belong together: by a word, or by a pattern of names such as `<group>_s#`."""

import re
import unicodedata

FOLDER = "folder"  # the folder inside that of the class
FOLDER_ABOVE = "folder_above"  # that around those of the classes
FOLDERS = (FOLDER, FOLDER_ABOVE)
DICOM_KEYS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
GROUP = "<group>"
_PARTS = {GROUP: r"(?P<group>[^/]+?)", "*": r"[^/]*?", "?": r"[^/]", "#": r"[0-9]+"}


def expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression that a pattern of names stands for.

    `<group>` is the part that names the group, `*` anything, `?` a single character, `#` a number; all else stands for
    itself, whatever its case. A pattern describes the end of a path: without `/` the file's name, with `/` the folders
    before it too. The file's ending may be left out.

    Parameters
    ----------
    pattern
        Such as `<group>_s#` or `<group>/*/*`.

    Returns
    -------
    re.Pattern
        To `search` in a path that `composed` returned; its group `group` is what was found.

    Raises
    ------
    ValueError
        `<group>` does not occur just once.
    """
    if pattern.count(GROUP) != 1:
        raise ValueError(f"{pattern!r} needs {GROUP} once, in the place of what names the group")
    parts = re.split(r"(<group>|[*?#])", composed(pattern.strip("/")))
    inside = "".join(_PARTS.get(part) or re.escape(part) for part in parts)
    return re.compile(rf"(?:^|/){inside}(?:\.[^/]*)?$", re.IGNORECASE)


def composed(path: str) -> str:
    """Return a path with composed letters: computers differ in how they write an `ä`."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def group_in(path: str, found_by: re.Pattern[str]) -> str | None:
    """Return the part of a path that an `expression` takes for its group, None where the pattern does not fit."""
    found = found_by.search(composed(path))
    return found["group"] if found else None
