"""Where a source's paths lead."""

import os
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError

TABLES = ("path", "test")  # keys of a `table` source that name one


def place_of(source: dict[str, Any], root: Path, key: str = "path") -> Path:
    """Return the absolute path that `source[key]` names."""
    try:
        named = Path(source[key]).expanduser()
    except RuntimeError as error:
        raise InputError(f"{source[key]}: nobody's home is known here; write the whole path in place of '~'") from error
    return Path(os.path.abspath(root / named))  # noqa: PTH100 (resolve would follow links)


def top_of(source: dict[str, Any], root: Path) -> Path:
    """Return the folder that the paths of a source's records start from.

    Those in a table start at `images_of` it; of two tables, the records' start at the folder that holds both.
    """
    if source["kind"] == "table":
        keys = [key for key in TABLES if source.get(key)]
        return Path(os.path.commonpath([images_of(source, root, key) for key in keys]))
    if source["kind"] == "folder" and not source.get("path"):
        return place_of(source, root, "unlabelled")
    return place_of(source, root) if source.get("path") else root


def images_of(source: dict[str, Any], root: Path, key: str = "path") -> Path:
    """Return the folder that the paths in a table start from: `images`, or else the folder that the table is in."""
    if source.get("images"):
        return place_of(source, root, "images")
    table = place_of(source, root, key)
    # As Datumaro and CVAT lay out their JSON: annotations/train.json, images/train/.
    beside = table.parent.parent / "images" / table.stem
    laid_out = table.parent.name == "annotations" and table.suffix.casefold() == ".json" and beside.is_dir()
    return beside if laid_out else table.parent


def top_of_files(source: dict[str, Any], root: Path) -> str | None:
    """Return `top_of` a source whose paths name a file each; None where images lie inside files, or in none."""
    return str(top_of(source, root)) if source["kind"] in ("folder", "table") else None
