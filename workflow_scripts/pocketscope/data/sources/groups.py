"""Which images belong together (patient, slide, plate): by a pattern of their names, or by a table."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pocketscope.core import group_rules, sheets
from pocketscope.core.errors import InputError
from pocketscope.core.messages import LISTED, did_you_mean
from pocketscope.data.sources.cells import as_label, is_cut_number
from pocketscope.data.sources.near_paths import as_remark, beyond_doubt, near_misses
from pocketscope.data.sources.paths import place_of, top_of
from pocketscope.data.sources.record import Record

log = logging.getLogger(__name__)


def grouped(records: Sequence[Record], source: dict[str, Any], root: Path) -> list[Record]:
    """Return the records of a source with the groups that its `group` says, where that is a pattern or a table.

    Raises
    ------
    pocketscope.core.errors.InputError
        No image has a group by it; the table is not there, lacks a column, or contradicts itself.
    """
    asked = source["group"]
    paths = [record.path for record in records]
    if isinstance(asked, dict):
        found, by = _of_table(paths, source, root), f"the table {asked['table']!r}"
    else:
        pattern = group_rules.expression(asked)
        found, by = {path: group_rules.group_in(path, pattern) for path in paths}, f"the pattern {asked!r}"
    if not any(map(found.get, paths)):
        raise InputError(
            f"'group' of the source: no image has a group by {by}; the images are called, for instance, "
            + ", ".join(map(repr, paths[:LISTED]))
        )
    return [replace(record, group=found.get(record.path)) for record in records]


def files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the table that names the groups, by the path under which it is listed; none where none does."""
    if not isinstance(source.get("group"), dict):
        return {}
    table = _place(source, root)
    return {Path(os.path.relpath(table, top_of(source, root))).as_posix(): table}


def _place(source: dict[str, Any], root: Path) -> Path:
    table = place_of(source["group"], root, "table")
    if not table.is_file():
        raise InputError(f"{table}: there is no such file ('table' of 'group' of a source); correct the path")
    return table


def _of_table(paths: Sequence[str], source: dict[str, Any], root: Path) -> dict[str, str | None]:
    """Return the group of each path that a table names, as it stands or nearly so."""
    table = _place(source, root)
    sheet = sheets.read(table)
    names = {key: source["group"].get(key) or key for key in ("path", "group")}
    for key, name in names.items():
        if name not in sheet.columns:
            raise InputError(
                f"{table}: there is no column {name!r} for the {key}{did_you_mean(name, sheet.columns)} The columns "
                f"are {', '.join(map(repr, sheet.columns))}; rename one, or name it with '{key}' beside 'table'"
            )
    for remark in sheet.remarks + sheets.check_names(table, sheet.columns, names.values()):
        log.warning("%s", remark)
    said: dict[str, str] = {}
    for line, row in enumerate(sheet.rows, 1):
        path, group = str(row[names["path"]] or "").strip(), as_label(row[names["group"]])
        if not path or group is None:
            continue
        if sheets.is_error(group) or is_cut_number(group):
            raise InputError(
                f"{table}: row {line}: the group {group!r} is what a spreadsheet made of another one; write the table "
                "anew from where it is whole, as text"
            )
        if said.setdefault(path, group) != group:
            raise InputError(
                f"{table}: row {line} contradicts an earlier one in the group of {path}: {said[path]!r} and {group!r}; "
                "keep the right one"
            )
    there = set(paths)
    strangers = [path for path in said if path not in there]
    near = near_misses(strangers, paths) if strangers else {}
    # A table may be of more images than there are: what is near to none is of another set.
    taken = beyond_doubt(near, list(near), said.keys() & there)
    if taken:
        log.warning("%s: %s", table, as_remark(taken, near))
    elif near:
        first = next(iter(near))
        raise InputError(
            f"{table}: {len(near)} paths nearly name an image, such as {first!r}{near[first]}; write them as they are"
        )
    if others := len(strangers) - len(taken):
        log.warning("%s: %d rows name no image of this data set, and are passed over", table, others)
    return {taken.get(path, path): group for path, group in said.items()}
