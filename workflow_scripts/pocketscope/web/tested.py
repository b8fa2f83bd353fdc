"""How what is recommended, or ships, answered the test images: the confusion matrix, and the images behind it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pocketscope.web.index import Index


class Answer(NamedTuple):
    """What a test image is (`truth`), what it was taken for, and with which probability."""

    truth: str
    answer: str
    confidence: float


def read(path: Path, dataset: str) -> dict[str, Answer]:
    """Return the answers by identity of the image; empty where there is no such table.

    Parameters
    ----------
    path
        The study's answers (schema `tables.decision.ANSWERS`). Of several seeds the first one's are taken: they share
        the test images.
    dataset
        The data set's name.
    """
    if not path.is_file():
        return {}
    from pocketscope.core import parquet  # Arrow takes a while to import: the page comes first
    from pocketscope.tables.decision import ANSWERS

    rows = [row for row in parquet.read(path, ANSWERS).to_pylist() if row["dataset"] == dataset]
    return {
        row["image_id"]: Answer(row["truth"], row["answer"], row["confidence"])
        for row in rows
        if row["split"] == rows[0]["split"]
    }


def of_model(predictions: Iterable[Path], truths: Iterable[Path]) -> dict[str, Answer]:
    """Return the answers of one model, or of the models of several folds; what is not there yet is left out.

    Parameters
    ----------
    predictions, truths
        For each split the model's test predictions (schema PREDICTIONS) and the true labels (schema TRUTH).
    """
    found: dict[str, Answer] = {}
    for predicted, true in zip(predictions, truths, strict=True):
        if not (predicted.is_file() and true.is_file()):
            continue
        from pocketscope.core import parquet
        from pocketscope.tables.predictions import PREDICTIONS
        from pocketscope.tables.split import TRUTH

        classes = parquet.notes(predicted)["classes"]
        rows = parquet.read(true, TRUTH)
        truth = dict(zip(rows["image_id"].to_pylist(), rows["label"].to_pylist(), strict=True))
        for row in parquet.read(predicted, PREDICTIONS).to_pylist():
            best = max(range(len(classes)), key=row["probabilities"].__getitem__)
            if (label := truth.get(row["image_id"])) is not None:
                found[row["image_id"]] = Answer(label, classes[best], row["probabilities"][best])
    return found


def for_page(answers: dict[str, Answer], index: Index) -> dict[str, Any]:
    """Return `classes` (sorted), `counts` (by truth, then by answer), and `images`: number, truth, answer, confidence.

    Truth and answer are places in `classes`. An image whose file is gone counts, and is not among `images`.
    """
    classes = sorted({name for one in answers.values() for name in (one.truth, one.answer)})
    place = {name: at for at, name in enumerate(classes)}
    counts = [[0] * len(classes) for _ in classes]
    images = []
    for image_id, one in answers.items():
        truth, answer = place[one.truth], place[one.answer]
        counts[truth][answer] += 1
        there = [number for number in index.numbers.get(image_id, ()) if number not in index.gone]
        images += [[number, truth, answer, round(one.confidence, 4)] for number in there[:1]]
    return {"classes": classes, "counts": counts, "images": images}
