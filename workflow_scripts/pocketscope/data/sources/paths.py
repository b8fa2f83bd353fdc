"""Where a source's paths lead."""

import os
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError


def place_of(source: dict[str, Any], root: Path, key: str = "path") -> Path:
    """Return the absolute path that `source[key]` names."""
    try:
        named = Path(source[key]).expanduser()
    except RuntimeError as error:
        raise InputError(f"{source[key]}: nobody's home is known here; write the whole path in place of '~'") from error
    return Path(os.path.abspath(root / named))  # noqa: PTH100 (resolve would follow links)


def top_of(source: dict[str, Any], root: Path) -> Path:
    """Return the folder that the paths of a source's records start from.

    Those in a table start at `images`, or else at the folder that the table is in.
    """
    if source["kind"] == "table":
        return place_of(source, root, "images") if source.get("images") else place_of(source, root).parent
    if source["kind"] == "folder" and not source.get("path"):
        return place_of(source, root, "unlabelled")
    return place_of(source, root) if source.get("path") else root


def top_of_files(source: dict[str, Any], root: Path) -> str | None:
    """Return `top_of` a source whose paths name a file each; None where images lie inside files, or in none."""
    return str(top_of(source, root)) if source["kind"] in ("folder", "table") else None
