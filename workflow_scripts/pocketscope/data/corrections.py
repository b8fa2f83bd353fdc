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
from pocketscope.data.sources.cells import as_label, read_cells, spelling
from pocketscope.data.sources.paths import place_of, top_of

log = logging.getLogger(__name__)


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
    rows = [
        (line, str(cells["path"]), label)
        for line, cells in enumerate(read_cells(table), 1)
        # A folder may be called `NA` or `1.0`, which in a table is no label, or another one.
        if (label := cells["label"] if cells["label"] in classes else as_label(cells["label"])) is not None
    ]
    if not rows:
        raise InputError(f"{table}: no row has a label; write the right class into the column 'label' of some rows")
    each = zip(images["image_id"].to_pylist(), images["paths"].to_pylist(), strict=True)
    known = {path: identity for identity, paths in each for path in paths}
    _check_paths(table, [(line, path) for line, path, _ in rows if _relative(path, top, known) not in known])
    found: dict[str, tuple[int, str]] = {}
    for line, path, label in rows:
        first, said = found.setdefault(known[_relative(path, top, known)], (line, label))
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
        if kept is None and len(lines) >= _BEGIN and spelling(label) not in spelled:
            spelled[spelling(label)] = label
            log.warning(
                "%s: a new class, %r: %d images, which are learned from but not tested on", table, label, len(lines)
            )
            continue
        remedy = (
            f"a new class needs at least {_BEGIN} images" if kept is None else "'classes' lists the classes to keep"
        )
        raise InputError(
            f"{table}: row {min(lines)}: there is no class {label!r}{did_you_mean(label, spelled.values())} The "
            f"classes are {', '.join(map(repr, sorted(spelled.values())))}; {remedy}"
        )


def _relative(path: str, top: Path, known: Mapping[str, str]) -> str:
    return path if path in known else Path(os.path.relpath(top / path, top)).as_posix()


def _check_paths(table: Path, strangers: list[tuple[int, str]]) -> None:
    if strangers:
        raise InputError(
            f"{table}: {len(strangers)} rows with a label name images that are not in the data set:\n"
            + listing([f"row {line}: {path!r}" for line, path in strangers])
            + "Write paths as answers.csv and images.parquet do, or remove the rows; skipped.parquet lists which "
            "images could not be read"
        )
