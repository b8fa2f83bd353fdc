"""`pocketscope.preview`: what a study's images are, before anything is trained on them."""

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pocketscope.api import configuration
from pocketscope.api.gallery import Gallery
from pocketscope.core.errors import InputError
from pocketscope.data.sources import kinds
from pocketscope.data.sources.record import Record
from pocketscope.images import decode
from pocketscope.images.pixels import Unreadable

UNLABELLED = "(unlabelled)"


class Preview:
    """The images of a study.

    Attributes
    ----------
    counts
        Files by `dataset` and `class`: `images`, and, where a source names a test set, `test_images` beside them; else
        the test set is drawn from `images`. No file was opened for that.
    galleries
        A few images of each class.
    unreadable
        Of the few, those that cannot be read, by path, with the reason. The log of packing lists all.
    """

    def __init__(self, counts: pd.DataFrame, galleries: list[Gallery], unreadable: dict[str, str]) -> None:
        self.counts, self.galleries, self.unreadable = counts, galleries, unreadable

    def __repr__(self) -> str:
        return "\n".join([self.counts.to_string(index=False), *map(repr, self.galleries), *self._problems()])

    def _repr_html_(self) -> str:
        shown = "".join(gallery._repr_html_() for gallery in self.galleries)
        problems = "".join(f"<p>{line}</p>" for line in self._problems())
        return self.counts.to_html(index=False, border=0) + shown + problems

    def _problems(self) -> list[str]:
        return [f"{path}: {reason}" for path, reason in self.unreadable.items()]


def preview(config: str | os.PathLike | Mapping[str, Any], *, per_class: int = 4) -> Preview:
    """Count a study's images by class, and show a few of each.

    Parameters
    ----------
    config
        As for `pocketscope.run`.
    per_class
        How many images are shown of each class, evenly spread over its files.

    Raises
    ------
    pocketscope.InputError
        The configuration is wrong, or there are no images.
    """
    if not isinstance(per_class, int) or per_class < 0:
        raise InputError(f"per_class is {per_class!r}; it must be a whole number, 0 or more")
    _, plan = configuration.read(config)
    rows, galleries, unreadable = [], [], {}
    for name in plan.config.datasets:
        about = plan.dataset(name)
        by_class: dict[str, list[Record]] = {}
        for record in kinds.records(about["source"], plan.root, about["classes"]):
            if record.label is None or about["classes"] is None or record.label in about["classes"]:
                by_class.setdefault(UNLABELLED if record.label is None else record.label, []).append(record)
        for label, records in sorted(by_class.items(), key=lambda item: (item[0] == UNLABELLED, item[0])):
            tested = sum(record.role == "test" for record in records)
            rows.append((name, label, len(records) - tested, tested))
            galleries.append(_shown(f"{name}: {label}", records, per_class, about, unreadable))
    counts = pd.DataFrame(rows, columns=["dataset", "class", "images", "test_images"])
    if not counts["test_images"].any():
        counts = counts.drop(columns="test_images")
    return Preview(counts, [gallery for gallery in galleries if len(gallery)], unreadable)


def _shown(
    title: str, records: list[Record], count: int, about: Mapping[str, Any], unreadable: dict[str, str]
) -> Gallery:
    """Return some records' images as networks see them, before their size is reduced to less than the screen shows."""
    step = max(1, len(records) // count) if count else len(records) + 1
    images, captions = [], []
    for record in records[::step][:count]:
        try:
            images.append(decode.load(record.read(), about["image_size"], about["resize"], about["page"]))
            captions.append(record.path)
        except (Unreadable, OSError) as error:
            unreadable[record.path] = str(error)
    return Gallery(title, images, captions)
