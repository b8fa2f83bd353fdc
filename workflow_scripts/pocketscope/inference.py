"""Run a shipped ONNX model: no torch."""

import json
import os
from dataclasses import dataclass

import numpy as np
import onnxruntime

from pocketscope.errors import InputError

BATCH = 32


@dataclass(frozen=True)
class Shipped:
    """A model file, opened.

    session
        Takes uint8 images (N, image_size, image_size, 3), gives float32 probabilities (N, classes).
    classes
        Names, in the order of the probabilities.
    image_size
        Side of the images, in pixels.
    """

    session: onnxruntime.InferenceSession
    classes: list[str]
    image_size: int


def open_model(path: str | os.PathLike, *, threads: int) -> Shipped:
    """Open a model file that `export.to_onnx` or `quantization.quantize` wrote.

    Raises
    ------
    pocketscope.errors.InputError
        The file is cut short, or is not ours.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class of their own
        raise InputError(f"{path}: not an ONNX model, or cut short ({error}); delete it and run again") from error
    about = session.get_modelmeta().custom_metadata_map.get("pocketscope")
    if about is None:
        raise InputError(f"{path}: not a model of pocketscope: its metadata names no classes")
    about = json.loads(about)
    return Shipped(session, about["classes"], about["image_size"])


def probabilities(shipped: Shipped, images: np.ndarray) -> np.ndarray:
    """Return float32 probabilities (N, classes) of uint8 images (N, image_size, image_size, 3)."""
    if not len(images):
        return np.zeros((0, len(shipped.classes)), np.float32)
    parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return np.concatenate([shipped.session.run(None, {"images": part})[0] for part in parts])
