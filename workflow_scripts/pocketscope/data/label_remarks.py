"""Remark what was probably not meant about labels: folders of nothing, a class of one, images labelled and not."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from pocketscope.core.messages import LISTED
from pocketscope.data.sources.record import Record

_DOUBLED = "also_unlabelled"  # in the notes of packed images


def note_of_doubled(copies: Iterable[Sequence[Record]]) -> dict[str, Any]:
    """Return what the notes of packed images say of labelled images that are among the unlabelled too; empty for none.

    Parameters
    ----------
    copies
        The records of each image.
    """
    doubled = sorted(
        next(record.path for record in records if record.label is not None)
        for records in copies
        if any(record.label is not None for record in records)
        and any(record.label is None and record.role is None for record in records)
    )
    return {_DOUBLED: {"images": len(doubled), "first": doubled[:LISTED]}} if doubled else {}


def label_remarks(classes: pa.Table, skipped: pa.Table, notes: Mapping[str, Any]) -> list[str]:
    """Return what a person should know of a data set's labels.

    Parameters
    ----------
    classes
        Schema CLASSES.
    skipped
        Columns path and reason; a folder's path ends with a slash.
    notes
        Of the packed images.
    """
    said = []
    if empty := sorted(path[:-1] for path in skipped["path"].to_pylist() if path.endswith("/")):
        said.append(
            f"{_folders(len(empty))} without images, of which no class is made: {_named(empty, len(empty))}; put "
            "images of the class into it, or remove it"
        )
    if single := [row["label"] for row in classes.to_pylist() if row["images"] == 1]:
        said.append(
            f"{'class' if len(single) == 1 else 'classes'} with one image, learned and never tested: "
            f"{_named(single, len(single))}; label at least one more, better five"
        )
    if doubled := notes.get(_DOUBLED):
        said.append(
            f"labelled images that are among the unlabelled ones too ({doubled['images']}): they count as labelled, "
            f"and get no answer: {_named(doubled['first'], doubled['images'])}"
        )
    return said


def _folders(count: int) -> str:
    return "a folder" if count == 1 else f"{count} folders"


def _named(names: Sequence[str], number: int) -> str:
    shown = names[:LISTED]
    return ", ".join(map(repr, shown)) + (f" and {number - len(shown)} more" if number > len(shown) else "")
