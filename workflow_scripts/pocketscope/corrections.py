"""Labels that people give once they have seen the answers: a table of path and label, laid over the source's labels."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pocketscope import source_table, sources
from pocketscope.errors import InputError
from pocketscope.records import as_label, did_you_mean, place_of

_LISTED = 5  # how many of many things an error names


def read(asked: Mapping[str, Any] | None, root: Path, images: pa.Table, labels: pa.Table) -> dict[str, str]:
    """Read a table of corrections.

    Rows without a label say nothing, so that the table of answers can be given back with its column `label` filled in
    where somebody looked.

    Parameters
    ----------
    asked
        `path`, of a CSV or Parquet file with the columns path and label, and `source`, that of the data set; None
        where nothing was corrected.
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
    pocketscope.errors.InputError
        There is no such table, it holds no label, a path or class is not one of the data set's, or two rows contradict
        one another. The message names the rows.
    """
    if asked is None:
        return {}
    table, top = place_of(asked, root), sources.top(asked["source"], root)
    if not table.is_file():
        raise InputError(f"{table}: there is no such file ('corrections' of a data set); correct the path")
    rows = [
        (line, str(cells["path"]), label)
        for line, cells in enumerate(source_table.cells(table), 1)
        if (label := as_label(cells["label"])) is not None
    ]
    if not rows:
        raise InputError(f"{table}: no row has a label; write the right class into the column 'label' of some rows")
    classes = sorted(set(labels["label"].drop_null().to_pylist()))
    each = zip(images["image_id"].to_pylist(), images["paths"].to_pylist(), strict=True)
    known = {path: identity for identity, paths in each for path in paths}
    _check(table, [(line, path) for line, path, _ in rows if _relative(path, top, known) not in known])
    found: dict[str, tuple[int, str]] = {}
    for line, path, label in rows:
        if label not in classes:
            raise InputError(
                f"{table}: row {line}: there is no class {label!r}{did_you_mean(label, classes)} The classes are "
                f"{', '.join(map(repr, classes))}; a new class begins with an image of it in the source"
            )
        first, said = found.setdefault(known[_relative(path, top, known)], (line, label))
        if said != label:
            raise InputError(
                f"{table}: rows {first} and {line} contradict one another about one image ({path}): {said!r} and "
                f"{label!r}; keep the right one"
            )
    return {identity: label for identity, (_, label) in found.items()}


def _relative(path: str, top: Path, known: Mapping[str, str]) -> str:
    return path if path in known else Path(os.path.relpath(top / path, top)).as_posix()


def _check(table: Path, strangers: list[tuple[int, str]]) -> None:
    if strangers:
        raise InputError(
            f"{table}: {len(strangers)} rows with a label name no image of the data set:\n"
            + "".join(f"  row {line}: {path}\n" for line, path in strangers[:_LISTED])
            + (f"  and {len(strangers) - _LISTED} more\n" if len(strangers) > _LISTED else "")
            + "Write paths as answers.csv and images.parquet do, or remove the rows; skipped.parquet tells which "
            "images could not be read"
        )
