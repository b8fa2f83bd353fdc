"""Synthetic images with the answers that a model gives of them here: by these another runtime tests itself.

No picture of anyone is in them, so that they can go into a file that is shared.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from pocketscope.exports.pictures import png
from pocketscope.images import decode
from pocketscope.inference import onnx_model
from pocketscope.inference.onnx_model import Shipped

# By how much a probability may differ from the one here. What was measured in Chromium is in docs/exports.md.
BOUNDS = {"fp32": 0.005, "int8": 0.03}
TRIES = 40  # images that are made, of which those are taken whose answer is clear
NOISY = 4  # copies of an image, with noise


@dataclass(frozen=True)
class Sample:
    """A synthetic image.

    png
        The content of its file.
    probabilities
        float32 (classes,): what the model says of it here, at its temperature.
    """

    png: bytes
    probabilities: np.ndarray


def samples(model: Shipped, bound: float) -> list[Sample]:
    """Make three images: one that is made smaller in two steps, one in one, one that is made larger.

    Of each kind the first whose answer is clear: its two most probable classes are further apart than twice the bound,
    and noise of one grey level changes no probability by more than a third of the bound, so that what fails the test is
    the runtime. Where there is none, the one that comes nearest to that.

    Parameters
    ----------
    model
        See `onnx_model.open_model`.
    bound
        By how much a probability may differ elsewhere.
    """
    size, found = model.image_size, []
    for kind, shape in enumerate(
        [(4 * size + 3, 7 * size + 1), (2 * size + 1, size + 5), (size // 2 + 1, size // 3 + 2)]
    ):
        best, clearest = None, -np.inf
        for seed in range(TRIES):
            random = np.random.default_rng([kind, seed])
            file = _blocks(shape, random)
            pixels = decode.load(file, size, model.resize)
            noise = random.integers(-1, 2, (NOISY, *pixels.shape))
            noisy = np.clip(pixels + noise, 0, 255).astype(np.uint8)
            probabilities, *others = onnx_model.probabilities(model, np.concatenate([pixels[None], noisy]))
            change = float(np.abs(np.array(others) - probabilities).max())
            clear = min(_gap(probabilities) - 2 * bound, bound / 3 - change)
            if clear > clearest:
                best, clearest = Sample(file, probabilities), clear
            if clear > 0:
                break
        found.append(best)
    return found


def _gap(probabilities: np.ndarray) -> float:
    ordered = np.sort(probabilities)[::-1]
    return float(ordered[0] - ordered[1]) if len(ordered) > 1 else 1.0


def _blocks(shape: tuple[int, int], random: np.random.Generator) -> bytes:
    """Return an image of coloured blocks on a tint, and a ramp across it: edges and slopes, and a small file."""
    height, width = shape
    tint, rows, columns = random.integers(40, 216, 3), int(random.integers(2, 9)), int(random.integers(2, 9))
    blocks = np.clip(tint + random.integers(-90, 91, (rows, columns, 3)), 0, 255)
    down, across = np.arange(height) * rows // height, np.arange(width) * columns // width
    ramp = (np.arange(width) * 24 // width - 12)[None, :, None]
    pixels = np.clip(blocks[down][:, across] + ramp, 0, 255).astype(np.uint8)
    return png(Image.fromarray(pixels))
