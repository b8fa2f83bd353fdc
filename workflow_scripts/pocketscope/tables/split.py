"""The role of each image of a split, and the hidden truth."""

import re
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

SPLIT = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),  # labelled, validation, unlabelled or test
        pa.field("group", pa.string()),
        pa.field("label", pa.string()),  # of labelled and validation images alone
    ]
)
TRUTH = pa.schema(  # of test and unlabelled images, where it is known
    [pa.field("image_id", pa.string(), nullable=False), pa.field("label", pa.string(), nullable=False)]
)


def images_with(split: pa.Table, role: str) -> tuple[list[str], list[str | None]]:
    """Return the images of a split that have `role`, and their labels as the split shows them."""
    rows = zip(*columns(split, "image_id", "role", "label"), strict=True)
    found = [(image_id, label) for image_id, has, label in rows if has == role]
    return [image_id for image_id, _ in found], [label for _, label in found]


def without_fold(split: str) -> str:
    """Return the name of the whole cross-validation that a fold such as k25_s0_f2 is a part of; others as they are."""
    return re.sub(r"_f\d+$", "", split)


def columns(table: pa.Table, *names: str) -> Iterable[list[Any]]:
    return [table[name].to_pylist() for name in names]
