"""A model file in Python: `pocketscope.load("model.fp32.onnx").predict(images)`, without torch."""

import os
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from pocketscope.core.errors import InputError
from pocketscope.images.decode import upright_rgb
from pocketscope.images.files import image_files
from pocketscope.images.pixels import Unreadable, check_size, grey_to_rgb, on_white, to_8_bits
from pocketscope.inference import onnx_model
from pocketscope.inference.classify import Answer, classify
from pocketscope.tables import answer_sheet

SHOWN = 20  # rows of predictions that a notebook shows
Images = str | os.PathLike | np.ndarray | Image.Image | Iterable[Any]


class Predictions(Sequence[Answer]):
    """What a model says of images, in their order: a sequence of `Answer`.

    Attributes
    ----------
    classes
        Names, in the order of the probabilities.
    answers
        One for each image.
    """

    def __init__(self, answers: Sequence[Answer], classes: Sequence[str]) -> None:
        self.answers, self.classes = list(answers), list(classes)

    @property
    def names(self) -> list[str | None]:
        """The most probable class of each image; None where the image could not be read."""
        return [answer.name for answer in self.answers]

    @property
    def probabilities(self) -> np.ndarray:
        """float32 (images, classes); rows of NaN where an image could not be read."""
        unread = np.full(len(self.classes), np.nan, np.float32)
        rows = [unread if answer.probabilities is None else answer.probabilities for answer in self.answers]
        return np.stack(rows) if rows else np.zeros((0, len(self.classes)), np.float32)

    @property
    def problems(self) -> dict[str, str]:
        """By image, why it could not be read."""
        return {answer.path: answer.problem for answer in self.answers if answer.problem}

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame` with the columns of `pocketscope classify --csv`; needs pandas."""
        columns = {name: [""] * len(self) for name in answer_sheet.COLUMNS} | {
            "path": [answer.path for answer in self.answers],
            "class": self.names,
            "probability": [answer.confidence for answer in self.answers],
            "second_class": [answer.second_name for answer in self.answers],
            "second_probability": [answer.second_confidence for answer in self.answers],
            "reliable": [answer.reliable for answer in self.answers],
            "unlike": [answer.unlike for answer in self.answers],
            "image_id": [answer.image_id for answer in self.answers],
            "problem": [answer.problem or "" for answer in self.answers],
        }
        columns |= {f"p({name})": self.probabilities[:, place] for place, name in enumerate(self.classes)}
        return import_module("pandas").DataFrame(columns)  # by its name: a model file needs none

    def __len__(self) -> int:
        return len(self.answers)

    @overload
    def __getitem__(self, index: int) -> Answer: ...
    @overload
    def __getitem__(self, index: slice) -> "Predictions": ...
    def __getitem__(self, index: int | slice) -> "Answer | Predictions":
        if isinstance(index, slice):
            return Predictions(self.answers[index], self.classes)
        return self.answers[index]

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def __repr__(self) -> str:
        lines = [_line(answer) for answer in self.answers[:SHOWN]]
        more = [f"... and {len(self) - SHOWN} more"] if len(self) > SHOWN else []
        return "\n".join([f"{len(self)} images, classes {', '.join(self.classes)}", *lines, *more])

    def _repr_html_(self) -> str:
        cells = [
            (Path(a.path).name, a.name or "", "" if a.confidence is None else f"{a.confidence:.3f}", a.problem or "")
            for a in self.answers[:SHOWN]
        ]
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        more = f"<p>{len(self) - SHOWN} more</p>" if len(self) > SHOWN else ""
        head = "<tr><th>image</th><th>class</th><th>confidence</th><th></th></tr>"
        return f"<table>{head}{rows}</table>{more}"


def _line(answer: Answer) -> str:
    if answer.problem:
        return f"{answer.path}: {answer.problem}"
    return f"{answer.path}: {answer.name} ({answer.confidence:.3f})"


class Model:
    """A model file, opened: what it says of images is what `pocketscope classify` says of their files.

    Attributes
    ----------
    path
        The file.
    classes
        Names, in the order of the probabilities.
    image_size
        Side of the images that the network sees, pixels; `predict` takes images of any size.
    """

    def __init__(self, path: str | os.PathLike, *, threads: int | None = None) -> None:
        self.path = Path(path)
        self._threads = _threads(threads)
        self._shipped = onnx_model.open_model(path, threads=self._threads)
        self.classes, self.image_size = list(self._shipped.classes), self._shipped.image_size

    def predict(self, images: Images) -> Predictions:
        """Classify images.

        Parameters
        ----------
        images
            One, or an iterable of them, in any mixture: a path, a folder (the images in it and in folders inside), an
            image of Pillow's, or an array: uint8, uint16 or bool, (height, width) grey, (height, width, 3) RGB or
            (height, width, 4) RGBA; (N, height, width, 3) is a batch. Pixels of 16 bits are scaled as those of files.

        Returns
        -------
        Predictions
            One answer for each image, in the given order. A file that cannot be read has the reason as its `problem`.

        Raises
        ------
        pocketscope.InputError
            A path leads nowhere, an array has another shape or dtype, or there are no images.

        Examples
        --------
        >>> import numpy as np
        >>> found = model.predict(np.zeros((2, 60, 80, 3), np.uint8))  # doctest: +SKIP
        >>> found.names, found.probabilities.shape  # doctest: +SKIP
        (['dark', 'dark'], (2, 3))
        """
        listed = list(_listed(images, "images"))
        if not listed:
            raise InputError("there are no images to classify; give a path, a folder, an array or a list of them")
        return Predictions(list(classify(self._shipped, listed, threads=self._threads)), self.classes)

    def __repr__(self) -> str:
        return f"Model({str(self.path)!r}, classes {', '.join(self.classes)}, {self.image_size} px)"


def load(path: str | os.PathLike, *, threads: int | None = None) -> Model:
    """Open a model file: a `model.fp32.onnx` or `model.int8.onnx`.

    Parameters
    ----------
    path
        The file.
    threads
        How many threads compute. Default: all cores.

    Raises
    ------
    pocketscope.InputError
        The file is not there, is cut short, or is no model of pocketscope.
    """
    return Model(path, threads=threads)


def _threads(threads: int | None) -> int:
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads is {threads!r}; it must be a whole number, 1 or more")
    return threads or onnx_model.cores()


def _listed(given: Any, name: str) -> Iterator[str | tuple[str, np.ndarray]]:
    """Yield each image: the path of a file, or a name and pixels, uint8 (height, width, 3)."""
    if isinstance(given, str | os.PathLike):
        yield from image_files([given])
    elif isinstance(given, Image.Image):
        yield name, _of_picture(given, name)
    elif isinstance(given, np.ndarray) or hasattr(given, "__array__"):
        array = np.asarray(given)
        if array.ndim == 4:
            for place, one in enumerate(array):
                yield f"{name}[{place}]", _of_array(one, f"{name}[{place}]")
        else:
            yield name, _of_array(array, name)
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        for place, one in enumerate(given):
            yield from _listed(one, f"{name}[{place}]")
    else:
        raise InputError(f"{name}: {type(given).__name__} is no image; give a path, a folder, an array or a picture")


def _of_picture(picture: Image.Image, name: str) -> np.ndarray:
    try:
        check_size(*picture.size)
        return upright_rgb(picture)
    except Unreadable as error:
        raise InputError(f"{name}: {error}") from None


def _of_array(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.kind == "f":
        raise InputError(
            f"{name}: an array of {array.dtype}; give whole numbers as files hold them: where 1 is white, "
            "(255 * image).round().astype('uint8')"
        )
    if array.dtype.kind not in "ui" and array.dtype != bool:
        raise InputError(f"{name}: an array of {array.dtype} holds no pixels; give uint8 or uint16")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        remedy = "channels come last: image.transpose(1, 2, 0)" if first else "several images of grey are a list"
        raise InputError(
            f"{name}: an array of shape {array.shape}; give (height, width), (height, width, 3) or, of several "
            f"images, (N, height, width, 3); {remedy}"
        )
    try:
        check_size(array.shape[1], array.shape[0])
        array = array[..., None] if array.ndim == 2 else array
        if array.shape[2] == 4:
            colour = to_8_bits(array[..., :3])
            alpha = array[..., 3] if array.dtype == np.uint8 else to_8_bits(array[..., 3])
            return np.ascontiguousarray(on_white(colour, alpha))
        pixels = to_8_bits(array)
    except Unreadable as error:
        raise InputError(f"{name}: {error}") from None
    return np.ascontiguousarray(pixels if pixels.shape[2] == 3 else grey_to_rgb(pixels[..., 0]))
