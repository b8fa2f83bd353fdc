"""Classify images with a model file: onnxruntime, numpy and Pillow are all that this needs."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from pocketscope.core.extras import FORMATS, lacking
from pocketscope.images import decode
from pocketscope.images.files import read_file
from pocketscope.images.pixels import Unreadable
from pocketscope.images.resize import to_square
from pocketscope.inference import onnx_model
from pocketscope.inference.onnx_model import Shipped

Image = str | tuple[str, np.ndarray]  # a file's path, or a name and pixels


@dataclass(frozen=True)
class Answer:
    """What a model says of one image, or why it says nothing.

    path
        Of the file, as it was named or found.
    name, confidence
        The most probable class, and its probability.
    probabilities
        float32 (classes,), in the order of the model's classes.
    problem
        Why the image could not be read: then there is no answer.
    """

    path: str
    name: str | None = None
    confidence: float | None = None
    probabilities: np.ndarray | None = None
    problem: str | None = None


def classify(model: Shipped, images: Sequence[Image], *, threads: int) -> Iterator[Answer]:
    """Classify images, in their order.

    Files are decoded in threads, a few batches ahead of the model: Pillow lets others run while it decodes and
    resizes most formats. Memory does not grow with the number of files.

    Parameters
    ----------
    model
        See `onnx_model.open_model`. Its metadata say how a file becomes pixels.
    images
        Paths of files of any format that `decode.decode` reads; or a name with upright pixels, uint8 (height, width,
        3), RGB: such an image's name is the answer's path.
    threads
        How many threads decode.
    """
    prepare = partial(_prepare, size=model.image_size, how=model.resize, page=model.page)
    for batch in _batches(_ahead(prepare, images, threads, 4 * onnx_model.BATCH), onnx_model.BATCH):
        readable = [image for _, image in batch if not isinstance(image, str)]
        rows = iter(onnx_model.probabilities(model, np.stack(readable)) if readable else ())
        for path, image in batch:
            if isinstance(image, str):
                yield Answer(path, problem=image)
                continue
            probabilities = next(rows)
            best = int(probabilities.argmax())
            yield Answer(path, model.classes[best], float(probabilities[best]), probabilities)


def _prepare(image: Image, *, size: int, how: str, page: int) -> tuple[str, np.ndarray | str]:
    """Return an image's path and its pixels as the network sees them, or why there are none."""
    if not isinstance(image, str):
        return image[0], to_square(image[1], size, how)
    path = image
    try:
        return path, decode.load(read_file(path), size, how, page)
    except Unreadable as error:
        return path, str(error)
    except OSError as error:
        return path, error.strerror or str(error)
    except MemoryError:
        return path, "too large for this machine's memory"
    except ImportError as error:
        return path, f"reading it {lacking(str(error.name), FORMATS)}"


def _ahead(prepare, images: Sequence[Image], threads: int, most: int) -> Iterator[tuple[str, np.ndarray | str]]:
    """Yield prepared images in order, while threads prepare at most as many more as `most`."""
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        for image in images:
            waiting.append(pool.submit(prepare, image))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _batches(items: Iterator, size: int) -> Iterator[list]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
