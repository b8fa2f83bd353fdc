"""Answers for images that nobody labelled, and which of them are reliable."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa

from pocketscope.images.familiarity import is_unlike
from pocketscope.inference import onnx_model
from pocketscope.inference.onnx_model import Shipped
from pocketscope.tables.answer_sheet import two_most_probable
from pocketscope.tables.answers import ANSWERS
from pocketscope.tables.images import load_images
from pocketscope.tables.split import images_with

log = logging.getLogger(__name__)

NOTHING = (
    "there is no image without a label, and the table of answers is empty: name the folder of such images by "
    "'unlabelled' of the source, or give them to `pocketscope classify`"
)
CHUNK = 2048  # images in memory at once
COMPARED = 512  # images on which two precisions are compared

Answer = list[tuple[str, float]]  # the most probable class and the second, each with its probability


def answer(shipped: Shipped, images: str | os.PathLike, image_ids: Sequence[str]) -> Iterator[tuple[str, Answer]]:
    """Yield identity, and the two most probable classes with their probabilities, of packed images.

    Few of the images are in memory at a time.
    """
    for start in range(0, len(image_ids), CHUNK):
        some = image_ids[start : start + CHUNK]
        found = onnx_model.probabilities(shipped, load_images(images, some))
        for identity, probabilities in zip(some, found, strict=True):
            yield identity, two_most_probable(probabilities, shipped.classes)


def unlikeness(shipped: Shipped, images: str | os.PathLike, image_ids: Sequence[str]) -> dict[str, float]:
    """Return how far packed images are from those that the model has learnt; see `classify.Answer.unlike`.

    Empty where the model file does not say what those look like.
    """
    if shipped.familiar is None:
        return {}
    found = {}
    for start in range(0, len(image_ids), CHUNK):
        some = image_ids[start : start + CHUNK]
        found |= dict(zip(some, shipped.familiar.unlikeness(load_images(images, some)).tolist(), strict=True))
    if count := sum(map(is_unlike, found.values())):
        log.warning(
            "%d of %d images to answer are unlike those that were learnt, by their colours, contrast or texture: their "
            "answers are guesses (column 'unlike' of the answers, above 1)", count, len(found),
        )  # fmt: skip
    return found


def answers_table(
    answers: Iterable[tuple[str, Answer]],
    paths: Mapping[str, Sequence[str]],
    reliable: float | None,
    said: Mapping[str, str] | None = None,
    unlike: Mapping[str, float] | None = None,
) -> pa.Table:
    """Return answers as a table (schema ANSWERS), a row a file.

    The least probable stand first, and those to which a person gave a class last: what is left to look at is at the
    top.

    Parameters
    ----------
    answers
        What `answer` yields.
    paths
        By image, the paths of all its copies: each is a row.
    reliable
        From which probability on an answer is reliable; None where none is.
    said
        By image, the class that a person gave it since.
    unlike
        What `unlikeness` returns: no answer for an unlike image is reliable.
    """
    said, unlike = said or {}, unlike or {}
    least = 2.0 if reliable is None else reliable
    rows = []
    ordered = sorted(answers, key=lambda row: (row[0] in said, row[1][0][1], paths[row[0]][0]))
    for identity, ((name, probability), *second) in ordered:
        second_class, second_probability = second[0] if second else (None, None)
        cells = (
            identity,
            name,
            probability,
            second_class,
            second_probability,
            probability >= least and not is_unlike(unlike.get(identity)),
            unlike.get(identity),
            said.get(identity),
        )
        rows += [(path, *cells) for path in paths[identity]]
    if not rows:
        log.warning(NOTHING)
    columns = zip(*rows, strict=True) if rows else [[] for _ in ANSWERS]
    return pa.table(dict(zip(ANSWERS.names, map(list, columns), strict=True)), schema=ANSWERS)


def to_answer(
    split: pa.Table, source_labels: pa.Table, renamed: Mapping[str, str | None] | None = None
) -> tuple[list[str], dict[str, str]]:
    """Return the images to answer, and by image the class that people gave since the source was read.

    These are what is unlabelled, and what people labelled since or labelled otherwise than the source: they stay among
    the answers.

    Parameters
    ----------
    split
        A split that knows every label (schema SPLIT), such as `ship`.
    source_labels
        What the source says (schema SOURCE_LABELS).
    renamed
        What classes of the source are called now, None where they were deleted: nobody has said that of an image.
    """
    renamed = renamed or {}
    pairs = zip(*(source_labels[name].to_pylist() for name in ("image_id", "label")), strict=True)
    of_source = {identity: renamed.get(label, label) for identity, label in pairs}
    known = list(zip(*(split[name].to_pylist() for name in ("image_id", "label")), strict=True))
    said = {identity: label for identity, label in known if label is not None and label != of_source.get(identity)}
    return images_with(split, "unlabelled")[0] + list(said), said


def counted(table: pa.Table) -> dict[str, int]:
    """Count images in a table of answers that no person labelled: `answers`, and `reliable_answers` among them."""
    rows = zip(*(table[name].to_pylist() for name in ("image_id", "reliable", "said")), strict=True)
    reliable = {identity: sure for identity, sure, said in rows if said is None}
    return {"answers": len(reliable), "reliable_answers": sum(reliable.values())}


def agreement(one: Shipped, other: Shipped, images: str | os.PathLike, image_ids: Sequence[str]) -> tuple[int, int]:
    """Return on how many images two models name the same class, and on how many they were compared."""
    some = sorted(image_ids)[:COMPARED]  # identities are hashes: any of them are as good as drawn
    same = [
        a[1][0][0] == b[1][0][0] for a, b in zip(answer(one, images, some), answer(other, images, some), strict=True)
    ]
    return sum(same), len(same)
