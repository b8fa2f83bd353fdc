"""The handwritten digits that scikit-learn carries."""

import importlib.util
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pocketscope.core.errors import InputError
from pocketscope.data.sources.record import Record

# ---- digits: 1,797 handwritten digits that come with scikit-learn


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of scikit-learn; see `pocketscope.data.sources.kinds.records`."""
    (place,) = files(source, root).values()
    rows = np.loadtxt(place, delimiter=",", dtype=np.int64)  # 64 pixels, 0 .. 16, and the digit
    images = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    for index, (image, label) in enumerate(zip(images, rows[:, -1], strict=True)):
        yield Record(f"{label}/{index:04d}", str(label), None, None, partial(bytes, as_png(image)))


def files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the file in scikit-learn that holds the digits; see `pocketscope.data.sources.kinds.files`."""
    # Found without importing scikit-learn, which takes seconds, each time the workflow is planned.
    return {"digits.csv.gz": _package("sklearn") / "datasets" / "data" / "digits.csv.gz"}


def _package(name: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.origin:
        raise InputError(f"this source needs the Python package '{name}', which is not installed; install it")
    return Path(found.origin).parent


def as_png(values: np.ndarray) -> bytes:
    """Return 8-bit pixels as an image file that costs next to nothing to write and read."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "BMP")
    return buffer.getvalue()
