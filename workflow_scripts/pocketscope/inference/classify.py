"""Classify images with a model file: onnxruntime, numpy and Pillow are all that this needs."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from pocketscope.core.extras import FORMATS, lacking
from pocketscope.core.stack_pages import Page
from pocketscope.images import decode
from pocketscope.images.codec import content_id
from pocketscope.images.familiarity import is_unlike
from pocketscope.images.files import read_file
from pocketscope.images.pixels import Unreadable
from pocketscope.images.resize import to_square
from pocketscope.inference import onnx_model
from pocketscope.inference.onnx_model import Shipped
from pocketscope.tables import answer_sheet

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
    second_name, second_confidence
        The second most probable class, and its probability; None where the model knows one class.
    reliable
        Whether the answer is; None where the model file does not say which answers are. That of an unlike image never
        is.
    unlike
        How far the image is from those that the model has learnt: above 1 it is unlike them, and the answer a guess.
        None where the model file does not say what they look like.
    image_id
        The image's identity: a hash of its pixels, which does not change with the file's name or format.
    image
        uint8 (image_size, image_size, 3): what the model saw, where that was asked for.
    shape
        Height and width of the upright original, pixels.
    problem
        Why the image could not be read: then there is no answer.
    """

    path: str
    name: str | None = None
    confidence: float | None = None
    probabilities: np.ndarray | None = None
    second_name: str | None = None
    second_confidence: float | None = None
    reliable: bool | None = None
    unlike: float | None = None
    image_id: str | None = None
    image: np.ndarray | None = None
    shape: tuple[int, int] | None = None
    problem: str | None = None

    @property
    def two(self) -> list[tuple[str, float]]:
        """The most probable class and the second, as far as there are any, each with its probability."""
        both = (self.name, self.confidence), (self.second_name, self.second_confidence)
        return [(name, confidence) for name, confidence in both if name is not None]


def classify(model: Shipped, images: Sequence[Image], *, threads: int, keep_images: bool = False) -> Iterator[Answer]:
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
    keep_images
        Whether an answer holds what the model saw: whoever keeps all answers keeps all of that.
    """
    prepare = partial(_prepare, size=model.image_size, how=model.resize, page=model.page)
    for batch in _batches(_ahead(prepare, images, threads, 4 * onnx_model.BATCH), onnx_model.BATCH):
        readable = [read.image for read in batch if read.problem is None]
        rows = iter(onnx_model.probabilities(model, np.stack(readable)) if readable else ())
        unlike = iter(model.familiar.unlikeness(np.stack(readable)) if readable and model.familiar else ())
        for read in batch:
            if read.problem is not None:
                yield read
                continue
            kept = read.image if keep_images else None
            yield replace(read, image=kept, **_said(next(rows), next(unlike, None), model))


def _said(probabilities: np.ndarray, unlike: float | None, model: Shipped) -> dict[str, Any]:
    (name, confidence), *second = answer_sheet.two_most_probable(probabilities, model.classes)
    said = {"name": name, "confidence": confidence, "probabilities": probabilities}
    if second:
        said |= {"second_name": second[0][0], "second_confidence": second[0][1]}
    if unlike is not None:
        said["unlike"] = float(unlike)
    if model.reliable_from is not None:
        said["reliable"] = confidence >= model.reliable_from and not is_unlike(unlike)
    return said


def _prepare(image: Image, *, size: int, how: str, page: Page) -> Answer:
    """Return an image as the network sees it, without an answer yet, or why there is none."""
    path, pixels = (image, None) if isinstance(image, str) else image
    try:
        pixels = decode.decode(read_file(path), page=page) if pixels is None else pixels
        return Answer(path, image_id=content_id(pixels), image=to_square(pixels, size, how), shape=pixels.shape[:2])
    except Unreadable as error:
        return Answer(path, problem=str(error))
    except OSError as error:
        return Answer(path, problem=error.strerror or str(error))
    except MemoryError:
        return Answer(path, problem="too large for this machine's memory")
    except ImportError as error:
        return Answer(path, problem=f"reading it {lacking(str(error.name), FORMATS)}")


def _ahead(prepare, images: Sequence[Image], threads: int, most: int) -> Iterator[Answer]:
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
