"""What a user takes away: answers for images that nobody labelled, how sure they are, and a page about the model."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from scipy import stats

from pocketscope import files, inference, metrics, packed

LEVEL = 0.95  # of the bound that says which answers are sure
CHUNK = 2048  # images in memory at once
COLUMNS = ("path", "class", "probability", "sure", "label")
COMPARED = 512  # images on which two precisions are compared


class Sure(NamedTuple):
    """From which probability on an answer is sure, and what that rests on.

    `probability` is None where no answer is. `right` of `answered` test answers of at least that probability were
    right; where there is none, of all.
    """

    probability: float | None
    answered: int
    right: int


def measured(
    probabilities: np.ndarray, truth: Sequence[str], classes: Sequence[str], positive: str | None, share: float
) -> dict[str, Any]:
    """Return what the test part says of a row: `f1`, `positive`, `tested` (images), `share` and `sure`, for `card`.

    Parameters
    ----------
    probabilities, truth, classes
        See `metrics.pool`.
    positive
        See `metrics.measure`.
    share
        See `least_sure`.
    """
    scores = metrics.measure(probabilities, truth, classes, positive).to_pylist()
    right = np.asarray(classes, dtype=object)[probabilities.argmax(axis=1)] == np.asarray(truth, dtype=object)
    return {
        "f1": next(line["value"] for line in scores if line["metric"] == "f1" and line["class"] is None),
        "positive": positive,
        "tested": len(truth),
        "share": share,
        "sure": least_sure(probabilities.max(axis=1), right, share),
    }


def least_sure(probabilities: np.ndarray, right: np.ndarray, share: float) -> Sure:
    """Find the lowest probability from which on answers can be relied on.

    That is the lowest for which the test part shows that at least `share` of the answers with this probability or a
    higher one are right: the lower bound of Clopper and Pearson, one-sided, at the level `LEVEL`. It is looked for
    among all probabilities that occur, so that it is slightly optimistic; and it holds for images taken as the test
    images were.

    Parameters
    ----------
    probabilities
        float (N,): of the answer to each test image.
    right
        bool (N,): whether the answer is right.
    share
        Between 0 and 1.

    Returns
    -------
    Sure
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], np.cumsum(right[order])
    answered = np.arange(1, len(order) + 1)
    with np.errstate(invalid="ignore"):
        bound = np.nan_to_num(stats.beta.ppf(1 - LEVEL, hits, answered - hits + 1))  # none right: 0
    last_of_equals = np.append(ranked[1:] < ranked[:-1], True)[: len(ranked)]
    good = np.flatnonzero((bound >= share) & last_of_equals)
    if not len(good):
        return Sure(None, len(order), int(right.sum()))
    return Sure(float(ranked[good[-1]]), int(answered[good[-1]]), int(hits[good[-1]]))


def answer(
    shipped: inference.Shipped, images: str | os.PathLike, image_ids: Sequence[str]
) -> Iterator[tuple[str, str, float]]:
    """Yield identity, class and probability of packed images, few of them in memory at a time."""
    for start in range(0, len(image_ids), CHUNK):
        some = image_ids[start : start + CHUNK]
        found = inference.probabilities(shipped, packed.load_images(images, some))
        for identity, best, probability in zip(some, found.argmax(axis=1), found.max(axis=1), strict=True):
            yield identity, shipped.classes[best], float(probability)


def write_answers(
    path: str | os.PathLike,
    answers: Sequence[tuple[str, str, float]],
    paths: Mapping[str, Sequence[str]],
    sure: Sure,
) -> int:
    """Write answers as CSV, the least probable first, and return how many of them are sure.

    Parameters
    ----------
    path
        The file; UTF-8 with the mark by which spreadsheets know it.
    answers
        What `answer` yields.
    paths
        By image, the paths of all its copies: each is a row.
    sure
        From which probability on an answer is sure.
    """
    least = 2.0 if sure.probability is None else sure.probability
    with files.whole(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for identity, name, probability in sorted(answers, key=lambda row: (row[2], paths[row[0]][0])):
            said = "yes" if probability >= least else "no"
            table.writerows([place, name, f"{probability:.4f}", said, ""] for place in paths[identity])
    return sum(probability >= least for _, _, probability in answers)


def agreement(
    one: inference.Shipped, other: inference.Shipped, images: str | os.PathLike, image_ids: Sequence[str]
) -> tuple[int, int]:
    """Return on how many images two models name the same class, and on how many they were compared."""
    some = sorted(image_ids)[:COMPARED]  # identities are hashes: any of them are as good as drawn
    same = [a[1] == b[1] for a, b in zip(answer(one, images, some), answer(other, images, some), strict=True)]
    return sum(same), len(same)


def card(about: Mapping[str, Any]) -> str:
    """Return the page about a model, as Markdown.

    Parameters
    ----------
    about
        `dataset`, `study`, `row` (method, network, precision), `classes`, `image_size`, `fit`, `human`, `pseudo`
        (numbers of labels), `f1`, `positive` (the class whose F1 that is, None: the mean over the classes), `tested`
        (number of images), `sure` (Sure), `share`, `answers`, `sure_answers`, `same`, `compared`, and `recommendation`,
        a sentence or None.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    template = jinja2.Environment(loader=loader, keep_trailing_newline=True).get_template("card.md")
    return template.render(level=LEVEL, **about)
