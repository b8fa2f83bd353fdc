"""What a model that ships is known by: how good it is, what it learnt, and all of that in the model file itself."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from scipy import stats

from pocketscope.core.files import whole
from pocketscope.evaluation import metrics
from pocketscope.inference.onnx_model import METADATA
from pocketscope.statistics import intervals

LEVEL = 0.95  # of intervals
FEW = 10  # test images of a class, below which nearly nothing is known of it
CONFUSIONS = 3  # that the card names


def measured(predictions: Sequence[str], truths: Sequence[str], positive: str | None) -> dict[str, Any]:
    """Return what the test set shows of one precision of a candidate, ready for JSON; nothing if nothing did.

    Parameters
    ----------
    predictions, truths
        See `metrics.pool`.
    positive
        See `metrics.measure`.

    Returns
    -------
    dict
        `scores`, see `scores`; and `known`, a sentence: the accuracy, and how many more images would change it.
    """
    if not predictions:
        return {}
    probabilities, truth, classes = metrics.pool(predictions, truths)
    right = np.asarray(classes, dtype=object)[probabilities.argmax(axis=1)] == np.asarray(truth, dtype=object)
    return {
        "scores": scores(probabilities, truth, classes, positive),
        "known": intervals.in_words(intervals.accuracy(right)),
    }


def reliable(shown: Mapping[str, Any], precision: str) -> dict[str, Any]:
    """Return what a model file says of itself, ready for JSON: its `temperature`, and in `reliable` what that rests on.

    Parameters
    ----------
    shown
        What `reliability.measure` returns, and in `models`, by precision, what `reliability.transfer` does.
    precision
        Of the file.
    """
    found = dict(shown["models"][precision])
    names = ("share", "level", "images", "folds", "more_labels", "calibration_error", "class_shares")
    rests_on = shown["reliable"] | {name: shown[name] for name in names}
    rests_on |= {"right_of_images": shown["right"], "probability": found["probability"]}
    return {"temperature": found["temperature"], "reliable": rests_on}


def scores(
    probabilities: np.ndarray, truth: Sequence[str], classes: Sequence[str], positive: str | None
) -> dict[str, Any]:
    """Return how good predictions are, with intervals where a count has one, ready for JSON.

    Parameters
    ----------
    probabilities, truth, classes, positive
        See `metrics.measure`.

    Returns
    -------
    dict
        `test_images`; `level` of the intervals; `accuracy`; `f1` and `f1_of` (the positive class; None: the mean over
        the classes); by class in `classes` its test `images`, `f1`, `recall` and `precision`; `confusions`, the most
        frequent first: `true`, `predicted`, `images`. Shares of images have `value`, `lower` and `upper`: the exact
        interval of Clopper and Pearson (1934), which takes the images as drawn one by one.
    """
    measured = metrics.measure(probabilities, list(truth), list(classes), positive).to_pylist()
    value = {(row["metric"], row["class"]): row["value"] for row in measured}
    answers = [classes[index] for index in probabilities.argmax(axis=1)]
    pairs = Counter(zip(truth, answers, strict=True))
    given, asked = Counter(answers), Counter(truth)
    wrong = sorted(((-count, *pair) for pair, count in pairs.items() if pair[0] != pair[1]))
    return {
        "test_images": len(truth),
        "level": LEVEL,
        "accuracy": share(sum(pairs[name, name] for name in classes), len(truth)),
        "f1": value.get(("f1", None)),
        "f1_of": positive,
        "classes": {
            name: {
                "images": asked[name],
                "f1": value.get(("f1", name)),
                "recall": share(pairs[name, name], asked[name]),
                "precision": share(pairs[name, name], given[name]),
            }
            for name in classes
        },
        "confusions": [{"true": true, "predicted": said, "images": -count} for count, true, said in wrong],
    }


def share(right: int, images: int) -> dict[str, float | None]:
    """Return a share of images and its exact interval at `LEVEL`; None where there is no image.

    Examples
    --------
    >>> {name: round(value, 3) for name, value in share(11, 11).items()}
    {'value': 1.0, 'lower': 0.715, 'upper': 1.0}
    """
    if not images:
        return {"value": None, "lower": None, "upper": None}
    bounds = stats.binomtest(right, images).proportion_ci(LEVEL, method="exact")
    return {"value": right / images, "lower": float(bounds.low), "upper": float(bounds.high)}


def decision(
    recommendation: str | os.PathLike | None, dataset: str, candidate: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the study recommends for a data set, and the same if that is what ships, else nothing.

    What the study says of the candidate that it recommends is not said of another one that ships.

    Parameters
    ----------
    recommendation
        `recommendation.json`; None where the configuration names the candidate: both are empty then.
    dataset
        Its name.
    candidate
        Method, network and precision of what ships.
    """
    if recommendation is None:
        return {}, {}
    decided = json.loads(Path(recommendation).read_text(encoding="utf-8"))["datasets"][dataset]
    return decided, decided if candidate.items() <= decided.items() else {}


def of_study(found: Mapping[str, Any], decided: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is measured of a candidate, with what the study says of it; see `measured`.

    Parameters
    ----------
    found
        What `measured` returned.
    decided
        The data set's part of `recommendation.json`; empty where that is of another candidate.

    Returns
    -------
    dict
        `scores`, with the study's F1 as `study`; and `known`, in the study's words where it has some.
    """
    names = ("f1", "f1_lower", "f1_upper", "f1_corrected", "level", "unit", "units")
    study = {name: decided[name] for name in names if decided.get(name) is not None}
    said = (decided.get("tested") or {}).get("text")
    return {"scores": found["scores"] | ({"study": study} if study else {}), "known": said or found["known"]}


def learnt(labels: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
    """Count what was learnt from: by `human` and `pseudo`, the images of each class.

    Parameters
    ----------
    labels
        Columns label and source of a label set (schema LABEL_SET).
    """
    counts: dict[str, dict[str, int]] = {"human": {}, "pseudo": {}}
    for name, source in sorted(zip(labels["label"], labels["source"], strict=True)):
        counts[source][name] = counts[source].get(name, 0) + 1
    return counts


def write_model(source: str | os.PathLike, path: str | os.PathLike, about: Mapping[str, Any]) -> None:
    """Copy a model file, and let it say of itself what is known of it.

    Parameters
    ----------
    source, path
        The model file, and its copy: the same graph, bit for bit.
    about
        What is added to the JSON under the key `pocketscope` of its metadata.
    """
    model = onnx.load(source)
    kept = {entry.key: entry.value for entry in model.metadata_props}
    said = json.loads(kept[METADATA]) | dict(about)
    onnx.helper.set_model_props(model, kept | {METADATA: json.dumps(said, sort_keys=True, ensure_ascii=False)})
    with whole(path) as temporary:
        onnx.save(model, temporary)
