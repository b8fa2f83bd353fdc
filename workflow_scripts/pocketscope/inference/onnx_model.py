"""Run a shipped ONNX model: no torch."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from pocketscope.core.errors import InputError
from pocketscope.core.stack_pages import Page, is_known
from pocketscope.core.temperature import scale
from pocketscope.images.familiarity import Familiar

onnxruntime.disable_telemetry_events()  # on Windows, which does not heed what `pocketscope/__init__.py` sets

BATCH = 32
METADATA = "pocketscope"  # the key of what a file says of itself, as JSON
INPUT = "images"  # of the graph
_GIVE = "give a model file of a study"


@dataclass(frozen=True)
class Shipped:
    """A model file, opened.

    session
        Takes uint8 images (N, image_size, image_size, 3), gives float32 probabilities (N, classes).
    classes
        Names, in the order of the probabilities.
    image_size, resize, page
        How a file becomes pixels; see `decode.load`.
    temperature
        Of its probabilities, see `temperature.scale`: 1 where the file does not say.
    reliable_from
        From which probability on an answer is reliable; infinity where none is, None where the file does not say.
    about
        All that the file says of itself.
    familiar
        What the images look like that it has learnt; None where the file does not say.
    """

    session: onnxruntime.InferenceSession
    classes: list[str]
    image_size: int
    resize: str
    page: Page
    temperature: float = 1.0
    reliable_from: float | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    familiar: Familiar | None = None


def open_model(path: str | os.PathLike, *, threads: int) -> Shipped:
    """Open a model file that `onnx_export.to_onnx` or `quantization.quantize` wrote.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is not there, is cut short, is not ours, or has an operator that this onnxruntime does not have.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; give a model.fp32.onnx or model.int8.onnx")
    try:
        session = new_session(os.fspath(path), threads=threads)
    except Exception as error:  # onnxruntime's errors share no class of their own
        raise InputError(
            f"{path}: not an ONNX model, cut short, or not for onnxruntime {onnxruntime.__version__} ({error}); "
            "delete it and run again, copy it again, or update onnxruntime"
        ) from error
    try:
        about = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
        known = [about[key] for key in ("classes", "image_size", "resize", "page")]
        learnt = about.get("learnt_images")
        if not is_known(about["page"]):
            raise InputError(
                f"{path}: its images are 'page: {about['page']}' of their files, which this version does not know; "
                "update pocketscope"
            )
        familiar = Familiar.from_plain(learnt) if learnt else None
        if [one.name for one in session.get_inputs()] != [INPUT]:
            raise InputError(f"{path}: not a model of pocketscope: its graph has no input '{INPUT}'; {_GIVE}")
        return Shipped(session, *known, about.get("temperature", 1.0), _reliable_from(about), about, familiar)
    except KeyError as error:
        raise InputError(f"{path}: not a model of pocketscope: its metadata lacks {error}; {_GIVE}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a model of pocketscope: '{METADATA}' in its metadata says something else; {_GIVE}"
        ) from error


def _reliable_from(about: Mapping[str, Any]) -> float | None:
    if "reliable" not in about:  # a file of a study: what is reliable is known of the one that ships
        return None
    probability = about["reliable"]["probability"]
    return math.inf if probability is None else probability


def new_session(model: str | bytes, *, threads: int) -> onnxruntime.InferenceSession:
    """Open a model, a path or its bytes, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Else threads wait busily for tens of milliseconds after each run, and take time from whatever else computes.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def probabilities(shipped: Shipped, images: np.ndarray) -> np.ndarray:
    """Return float32 probabilities (N, classes), at the model's temperature, of uint8 images (N, size, size, 3)."""
    if not len(images):
        return np.zeros((0, len(shipped.classes)), np.float32)
    parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    found = np.concatenate([shipped.session.run(None, {INPUT: part})[0] for part in parts])
    return scale(found, shipped.temperature)
