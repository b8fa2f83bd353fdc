"""Answers as JSON lines, and the protocol by which other programs keep one process open: a path in, an answer out."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pocketscope.inference.classify import Answer, classify
from pocketscope.inference.onnx_model import Shipped

KEYS = ("path", "class", "probability", "second_class", "second_probability", "reliable", "unlike", "image_id")
_DIGITS = 6


def plain(answer: Answer, classes: Iterable[str], path: str | None = None) -> dict[str, Any]:
    """Return an answer ready for JSON: the columns of the table under their names, and every class's probability.

    Parameters
    ----------
    answer
        Of one image.
    classes
        Names, in the order of the answer's probabilities.
    path
        What stands as the path, if not what the answer has.

    Returns
    -------
    dict
        `KEYS`; `probabilities`, by class; `problem`. All are there in every answer, None where nothing is known.
    """
    values = (
        answer.path if path is None else path,
        answer.name,
        _rounded(answer.confidence),
        answer.second_name,
        _rounded(answer.second_confidence),
        None if answer.reliable is None else bool(answer.reliable),
        _rounded(answer.unlike),
        answer.image_id,
    )
    said = None
    if answer.probabilities is not None:
        said = {name: _rounded(one) for name, one in zip(classes, answer.probabilities.tolist(), strict=True)}
    return dict(zip(KEYS, values, strict=True)) | {"probabilities": said, "problem": answer.problem}


def problem(text: str, path: str | None = None) -> dict[str, Any]:
    """Return the answer that says that there is none, with all the keys of an answer."""
    return plain(Answer(path or "", problem=text), ()) | {"path": path}


def line(answer: Mapping[str, Any]) -> str:
    """Return an answer as a line, in ASCII: no code page of a pipe can spoil it, nor a name that is no valid UTF-8."""
    return json.dumps(answer, ensure_ascii=True, allow_nan=False) + "\n"


def about(model: Shipped, version: str) -> dict[str, Any]:
    """Return what a client needs to know of the model: what `{"about": true}` is answered with."""
    return {
        "pocketscope": version,
        "classes": model.classes,
        "image_size": model.image_size,
        "temperature": model.temperature,
        # JSON knows no infinity: where no answer is reliable, `knows_reliable` alone says that this is known.
        "knows_reliable": model.reliable_from is not None,
        "reliable_from": None if model.reliable_from in (None, math.inf) else model.reliable_from,
        "data_licence": model.about.get("data_licence"),
    }


def serve(
    model: Shipped, requests: Iterable[str], *, version: str, answering: Callable[..., Iterator[Answer]] = classify
) -> Iterator[dict[str, Any]]:
    """Answer requests, one for one and in their order, until there are no more.

    Parameters
    ----------
    model
        See `onnx_model.open_model`.
    requests
        Lines. A path; or a JSON object with `path` and, if wanted, an `id`, which comes back; or `{"about": true}`.
    version
        Of this package.
    answering
        What classifies.

    Yields
    ------
    dict
        See `plain`. A fault of one request is its `problem`, and ends nothing.
    """
    for place, request in enumerate(requests):
        text = request.removesuffix("\n").removesuffix("\r")
        text = text if place else text.removeprefix("\ufeff")  # which some shells of Windows begin a pipe with
        try:
            asked = _request(text)
        except ValueError as error:
            yield problem(str(error), None if text.startswith("{") else text)
            continue
        known = {"id": asked["id"]} if "id" in asked else {}
        if asked.get("about"):
            yield about(model, version) | known
        else:
            yield _answered(model, asked["path"], answering) | known


def _request(text: str) -> dict[str, Any]:
    if not text.strip():
        raise ValueError("an empty line: a path is wanted, or a JSON object with a path")
    if not text.startswith("{"):
        return {"path": text}
    try:
        asked = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not a JSON object ({error}); a path that begins with {{ is sent inside of one") from None
    if not asked.get("about") and not isinstance(asked.get("path"), str):
        raise ValueError('a JSON object without a path: {"path": "..."} is wanted')
    return asked


def _answered(model: Shipped, path: str, answering: Callable[..., Iterator[Answer]]) -> dict[str, Any]:
    if os.path.isdir(path):  # noqa: PTH112 (a path with a zero byte is no error here)
        return problem("a folder: the protocol takes one image at a time", path)
    try:
        return plain(next(answering(model, [path], threads=1)), model.classes, path)
    except Exception as error:  # whatever a library finds wrong with one image, the next one is to be answered
        return problem(f"{type(error).__name__}: {error}", path)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), _DIGITS)  # JSON knows no NaN
