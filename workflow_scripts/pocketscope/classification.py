"""Classify image files with a model file: onnxruntime, numpy and Pillow are all that this needs."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from pocketscope import inference, pixels, records, source_folder
from pocketscope.errors import InputError


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


def image_files(named: Iterable[str | os.PathLike]) -> list[str]:
    """Return the files that are named, and those inside folders that are named, each once.

    Of a folder, what may be an image: hidden files, tables and texts are left out.

    Raises
    ------
    pocketscope.errors.InputError
        A name is that of nothing, or there is no file at all.
    """
    found: list[str] = []
    for name in map(os.fspath, named):
        if os.path.isdir(name):  # noqa: PTH112 (a hundred thousand paths stay strings)
            found += source_folder.image_files(name)
        elif os.path.exists(name):  # noqa: PTH110
            found.append(name)
        else:
            raise InputError(f"{name}: there is no such file or folder; correct the path")
    if not found:
        raise InputError(f"{', '.join(map(os.fspath, named))}: holds no image")
    return list(dict.fromkeys(found))


def classify(model: inference.Shipped, paths: Sequence[str], *, threads: int) -> Iterator[Answer]:
    """Classify image files, in their order.

    Files are decoded in threads, a few batches ahead of the model: Pillow lets others run while it decodes and
    resizes most formats. Memory does not grow with the number of files.

    Parameters
    ----------
    model
        See `inference.open_model`. Its metadata say how a file becomes pixels.
    paths
        Files of any format that `pixels.decode` reads.
    threads
        How many threads decode.
    """
    prepare = partial(_prepare, size=model.image_size, how=model.fit, page=model.page)
    for batch in _batches(_ahead(prepare, paths, threads, 4 * inference.BATCH), inference.BATCH):
        readable = [image for _, image in batch if not isinstance(image, str)]
        rows = iter(inference.probabilities(model, np.stack(readable)) if readable else ())
        for path, image in batch:
            if isinstance(image, str):
                yield Answer(path, problem=image)
                continue
            probabilities = next(rows)
            best = int(probabilities.argmax())
            yield Answer(path, model.classes[best], float(probabilities[best]), probabilities)


def _prepare(path: str, *, size: int, how: str, page: int) -> tuple[str, np.ndarray | str]:
    """Return a file's pixels, or why there are none."""
    try:
        return path, pixels.load(records.read_file(path), size, how, page)
    except pixels.Unreadable as error:
        return path, str(error)
    except OSError as error:
        return path, error.strerror or str(error)
    except MemoryError:
        return path, "too large for this machine's memory"
    except ImportError as error:
        return path, f"to read it takes the Python package '{error.name}', which is not installed"


def _ahead(prepare, paths: Sequence[str], threads: int, most: int) -> Iterator[tuple[str, np.ndarray | str]]:
    """Yield prepared files in order, while threads prepare at most as many more as `most`."""
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        for path in paths:
            waiting.append(pool.submit(prepare, path))
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
