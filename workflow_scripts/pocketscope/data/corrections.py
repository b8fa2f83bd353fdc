"""Labels that people give once they have seen the answers: a table of path and label, laid over the source's labels."""

import logging
import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean, listing
from pocketscope.data.sources.cells import as_label, is_altered, read_cells, spelling
from pocketscope.data.sources.near_paths import as_remark, beyond_doubt, near_misses
from pocketscope.data.sources.paths import place_of, top_of

log = logging.getLogger(__name__)


# What spreadsheets of other languages make of `true` and `false`.
_TRANSLATED = dict.fromkeys(("wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar", "prawda", "истина"), "true")
_TRANSLATED |= dict.fromkeys(("falsch", "faux", "falso", "onwaar", "fałsz", "ложь"), "false")
_BEGIN = 2  # images that a new class begins with, lest a slip of the pen make one


def read(asked: Mapping[str, Any] | None, root: Path, images: pa.Table, labels: pa.Table) -> dict[str, str]:
    """Read a table of corrections.

    Rows without a label say nothing, so that the table of answers can be given back with its column `label` filled in
    where somebody looked. A class that the source does not have begins with two images, unless the configuration says
    which classes to keep.

    Parameters
    ----------
    asked
        `path`, of a CSV or Parquet file with the columns path and label, and `source` and `classes`, those of the data
        set; None where nothing was corrected.
    root
        The folder that relative paths in `asked` start from.
    images, labels
        The packed images (columns image_id and paths) and their labels as the source says. A table names images by
        these paths, or by absolute ones.

    Returns
    -------
    dict
        The label of each image that has one in the table, by identity.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no such table, it holds no label, a path is not one of the data set's, a class neither one of those nor
        a new one, or two rows contradict one another. The message names the rows.
    """
    if asked is None:
        return {}
    table, top = place_of(asked, root), top_of(asked["source"], root)
    if not table.is_file():
        raise InputError(f"{table}: there is no such file ('corrections' of a data set); correct the path")
    classes = set(labels["label"].drop_null().to_pylist())
    # A folder may be called `NA` or `1.0`, which in a table is no label, or another one.
    written, remarks = read_cells(table, classes=classes)
    for remark in remarks:
        log.warning("%s", remark)
    rows = [
        (line, str(cells["path"]), label)
        for line, cells in enumerate(written, 1)
        if (label := as_label(cells["label"], classes)) is not None
    ]
    if not rows:
        raise InputError(f"{table}: no row has a label; write the right class into the column 'label' of some rows")
    each = zip(images["image_id"].to_pylist(), images["paths"].to_pylist(), strict=True)
    known = {path: identity for identity, paths in each for path in paths}
    rows = _named(table, [(line, _relative(path, top, known), label) for line, path, label in rows], known)
    found: dict[str, tuple[int, str]] = {}
    for line, path, label in rows:
        first, said = found.setdefault(known[path], (line, label))
        if said != label:
            raise InputError(
                f"{table}: rows {first} and {line} contradict each other about one image ({path}): {said!r} and "
                f"{label!r}; keep the right one"
            )
    _check_new(table, found.values(), classes, asked["classes"])
    return {identity: label for identity, (_, label) in found.items()}


def _check_new(
    table: Path, said: Collection[tuple[int, str]], classes: Collection[str], kept: Collection[str] | None
) -> None:
    """Refuse classes that the source does not have, where they can be slips of the pen."""
    lines_of = defaultdict(list)
    for line, label in said:
        if label not in classes:
            lines_of[label].append(line)
    spelled = {spelling(label): label for label in classes}
    for label, lines in sorted(lines_of.items()):
        if kept is None and len(lines) >= _BEGIN and not _is_slip(label, spelled):
            spelled[spelling(label)] = label
            log.warning(
                "%s: a new class, %r: %d images, which are learned from but not tested on", table, label, len(lines)
            )
            continue
        remedy = (
            f"a new class needs at least {_BEGIN} images" if kept is None else "'classes' lists the classes to keep"
        )
        if is_altered(label):
            remedy = "this one looks like a date or a number that a spreadsheet made of another name"
        meant = spelled.get(spelling(label)) or spelled.get(_TRANSLATED.get(label.casefold(), ""))
        hint = f"; did you mean {meant!r}?" if meant else did_you_mean(label, spelled.values())
        raise InputError(
            f"{table}: row {min(lines)}: there is no class {label!r}{hint} The "
            f"classes are {', '.join(map(repr, sorted(spelled.values())))}; {remedy}"
        )


def _is_slip(label: str, spelled: Collection[str]) -> bool:
    """Say whether a label that is no class looks like a person's or a spreadsheet's way of writing one."""
    return spelling(label) in spelled or is_altered(label) or _TRANSLATED.get(label.casefold()) in spelled


def _relative(path: str, top: Path, known: Mapping[str, str]) -> str:
    relative = path if path in known else Path(os.path.relpath(top / path, top)).as_posix()
    return relative if relative in known else path


def _named(table: Path, rows: list[tuple[int, str, str]], known: Mapping[str, str]) -> list[tuple[int, str, str]]:
    """Return rows of line, path and label with paths of the data set, where all are, or nearly are."""
    strangers = [path for _, path, _ in rows if path not in known]
    near = near_misses(strangers, known) if strangers else {}
    taken = beyond_doubt(near, strangers, {path for _, path, _ in rows if path in known})
    if strangers and not taken:
        raise InputError(
            f"{table}: {len(strangers)} rows with a label name images that are not in the data set:\n"
            + listing([f"row {line}: {path!r}{near.get(path, '')}" for line, path, _ in rows if path not in known])
            + "Write paths as answers.csv and images.parquet do, or remove the rows; skipped.parquet lists which "
            "images could not be read"
        )
    if taken:
        log.warning("%s: %s", table, as_remark(taken, near))
    return [(line, taken.get(path, path), label) for line, path, label in rows]
