"""Identities that stay: a file that a new version decodes otherwise keeps the identity that it had.

Everything is known by the identity of an image: labels, corrections, and whether it is tested on. It is a hash of the
pixels when a file is packed first. A decoder that is mended later changes the pixels, and a new identity would draw the
image anew: one of the test set could be learnt from, and be known to a network that is compared with older ones.
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.core.messages import LISTED
from pocketscope.core.stack_pages import Page
from pocketscope.tables.identities import IDENTITIES, IDENTITIES_BY_NUMBER

log = logging.getLogger(__name__)

_NAME = "identities.parquet"  # no output of a rule: Snakemake deletes those before they are made again
_CHANGED = "decoded_otherwise"  # in the notes of packed images


class Identities:
    """Gives images their identities.

    Parameters
    ----------
    known
        The identity of each file, by the SHA-256 of its content, as it was packed before.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._of_pixels: dict[str, str] = {}
        self._taken: set[str] = set()
        self._changed: list[str] = []
        self.given: dict[str, str] = {}

    def of(self, sha256: str, pixels: str, path: str) -> str:
        """Return the identity of an image; images of equal pixels have the same one.

        Parameters
        ----------
        sha256, path
            Of the file.
        pixels
            What `pocketscope.images.codec.content_id` says of the pixels as they are decoded now.
        """
        before = self._known.get(sha256)
        if before not in (None, pixels):
            self._changed.append(path)
        if pixels not in self._of_pixels:
            wanted = (before, pixels, hashlib.blake2b(pixels.encode(), digest_size=10).hexdigest())
            identity = next(name for name in wanted if name is not None and name not in self._taken)
            self._of_pixels[pixels] = identity
            self._taken.add(identity)
        self.given[sha256] = self._of_pixels[pixels]
        return self._of_pixels[pixels]

    @property
    def notes(self) -> dict[str, Any]:
        """What the notes of packed images say of files that are decoded otherwise than before; empty for none."""
        changed = sorted(self._changed)
        return {_CHANGED: {"images": len(changed), "first": changed[:LISTED]}} if changed else {}


def remarks(notes: Mapping[str, Any]) -> list[str]:
    """Return what a person should know of identities, given the notes of packed images."""
    if not (changed := notes.get(_CHANGED)):
        return []
    first = ", ".join(map(repr, changed["first"]))
    more = f" and {changed['images'] - len(changed['first'])} more" if changed["images"] > len(changed["first"]) else ""
    return [
        f"files that are decoded otherwise than when they were packed first ({changed['images']}): {first}{more}; they "
        "keep their labels and their place in the test set, but not the scores of models that saw them as they were"
    ]


def read(folder: Path, page: Page) -> dict[str, str]:
    """Return the identity of each file that was packed before, by its SHA-256, here or in another form of the data set.

    Parameters
    ----------
    folder
        Of a data set's packed images, `{dataset}-{digest}`; those of other sizes lie beside it.
    page
        What of a file is the image, see `pocketscope.images.decode.decode`: another projection is another image.
    """
    known: dict[str, str] = {}
    dataset = folder.name.rpartition("-")[0]
    beside = sorted(path for path in folder.parent.glob(f"*/{_NAME}") if path.parent.name.rpartition("-")[0] == dataset)
    for path in [folder / _NAME, *beside]:
        if not path.is_file():
            continue
        try:
            rows = _rows(path)
        except InputError as error:
            log.warning("%s; it is passed over", error)
            continue
        for row in rows:
            if row["page"] == str(page):
                known.setdefault(row["sha256"], row["image_id"])
    return known


def write(folder: Path, page: Page, known: Mapping[str, str]) -> None:
    """Remember the identities of files for `read`; those of other pages stay."""
    path = folder / _NAME
    rows = []
    if path.is_file():
        try:
            rows = [row for row in _rows(path) if row["page"] != str(page)]
        except InputError as error:
            log.warning("%s; it is written anew", error)
    rows += [{"sha256": sha256, "page": str(page), "image_id": identity} for sha256, identity in known.items()]
    rows.sort(key=lambda row: (row["sha256"], row["page"]))
    parquet.write(pa.Table.from_pylist(rows, schema=IDENTITIES), path, IDENTITIES)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        return parquet.read(path, IDENTITIES).to_pylist()
    except InputError:
        rows = parquet.read(path, IDENTITIES_BY_NUMBER).to_pylist()
        return [row | {"page": str(row["page"])} for row in rows]
