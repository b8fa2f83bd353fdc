"""Answers for images that nobody labelled, and which of them are reliable."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pocketscope.core import files
from pocketscope.evaluation import metrics
from pocketscope.inference import onnx_model
from pocketscope.inference.onnx_model import Shipped
from pocketscope.statistics.reliable import Reliable, least_reliable
from pocketscope.tables.images import load_images

CHUNK = 2048  # images in memory at once
COLUMNS = ("path", "class", "probability", "reliable", "label")
COMPARED = 512  # images on which two precisions are compared


def measured(
    probabilities: np.ndarray, truth: Sequence[str], classes: Sequence[str], positive: str | None, share: float
) -> dict[str, Any]:
    """Return what the test set says of a candidate: `f1`, `positive`, `tested` (images), `share` and `reliable`.

    Parameters
    ----------
    probabilities, truth, classes, positive
        See `metrics.measure`.
    share
        See `reliable.least_reliable`.
    """
    scores = metrics.measure(probabilities, truth, classes, positive).to_pylist()
    right = np.asarray(classes, dtype=object)[probabilities.argmax(axis=1)] == np.asarray(truth, dtype=object)
    return {
        "f1": next(line["value"] for line in scores if line["metric"] == "f1" and line["class"] is None),
        "positive": positive,
        "tested": len(truth),
        "share": share,
        "reliable": least_reliable(probabilities.max(axis=1), right, share),
    }


def answer(shipped: Shipped, images: str | os.PathLike, image_ids: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """Yield identity, class and probability of packed images, few of them in memory at a time."""
    for start in range(0, len(image_ids), CHUNK):
        some = image_ids[start : start + CHUNK]
        found = onnx_model.probabilities(shipped, load_images(images, some))
        for identity, best, probability in zip(some, found.argmax(axis=1), found.max(axis=1), strict=True):
            yield identity, shipped.classes[best], float(probability)


def write_answers(
    path: str | os.PathLike,
    answers: Sequence[tuple[str, str, float]],
    paths: Mapping[str, Sequence[str]],
    reliable: Reliable,
) -> int:
    """Write answers as CSV, the least probable first, and return how many of them are reliable.

    Parameters
    ----------
    path
        The file; UTF-8 with the mark by which spreadsheets know it.
    answers
        What `answer` yields.
    paths
        By image, the paths of all its copies: each is a row.
    reliable
        From which probability on an answer is reliable.
    """
    least = 2.0 if reliable.probability is None else reliable.probability
    with files.whole(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for identity, name, probability in sorted(answers, key=lambda row: (row[2], paths[row[0]][0])):
            said = "yes" if probability >= least else "no"
            table.writerows([place, name, f"{probability:.4f}", said, ""] for place in paths[identity])
    return sum(probability >= least for _, _, probability in answers)


def agreement(one: Shipped, other: Shipped, images: str | os.PathLike, image_ids: Sequence[str]) -> tuple[int, int]:
    """Return on how many images two models name the same class, and on how many they were compared."""
    some = sorted(image_ids)[:COMPARED]  # identities are hashes: any of them are as good as drawn
    same = [a[1] == b[1] for a, b in zip(answer(one, images, some), answer(other, images, some), strict=True)]
    return sum(same), len(same)
