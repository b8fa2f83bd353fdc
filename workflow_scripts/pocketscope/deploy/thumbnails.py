"""Answers with small pictures of the packed images, for a page."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from pocketscope.core import parquet
from pocketscope.deploy import answers_page
from pocketscope.deploy.sheet import place
from pocketscope.tables.images import IMAGES, read_images


def shown(answers: pa.Table, images: Sequence[str | os.PathLike], top: str | None) -> Iterator[answers_page.Shown]:
    """Yield what a page shows of answers, in their order: as many as a page can hold.

    Parameters
    ----------
    answers
        Schema ANSWERS.
    images
        The tables of packed images that they are of; an image may be in several.
    top
        The folder that the paths start from, absolute; None where they name no files.
    """
    rows = answers.slice(0, answers_page.MOST_IMAGES).to_pylist()
    wanted = {row["image_id"] for row in rows}
    small: dict[str, bytes] = {}
    for table in images:
        stretched = parquet.notes(table)["resize"] == "stretch"
        about = parquet.read(table, IMAGES, columns=["image_id", "height", "width"]).to_pylist()
        shapes = {row["image_id"]: (row["height"], row["width"]) for row in about if row["image_id"] in wanted}
        for identity, image in read_images(table, shapes.keys() - small.keys()):
            small[identity] = answers_page.thumbnail(image, shapes[identity] if stretched else None)
    for row in rows:
        path = place(row["path"], top)
        two = [(row["class"], row["probability"]), (row["second_class"], row["second_probability"])]
        yield answers_page.Shown(
            path=path,
            link=None if top is None else Path(path).as_uri(),
            answers=[pair for pair in two if pair[0] is not None],
            reliable=row["reliable"],
            said=row["said"],
            thumbnail=small[row["image_id"]],
        )
