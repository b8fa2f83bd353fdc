"""The handwritten digits that scikit-learn carries."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pocketscope.data.sources.arrays import as_bmp, package_folder
from pocketscope.data.sources.record import Record

# ---- digits: 1,797 handwritten digits that come with scikit-learn


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of scikit-learn; see `pocketscope.data.sources.kinds.records`."""
    (place,) = files(source, root).values()
    rows = np.loadtxt(place, delimiter=",", dtype=np.int64)  # 64 pixels, 0 .. 16, and the digit
    images = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    for index, (image, label) in enumerate(zip(images, rows[:, -1], strict=True)):
        yield Record(f"{label}/{index:04d}", str(label), None, None, partial(bytes, as_bmp(image)))


def files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the file in scikit-learn that holds the digits; see `pocketscope.data.sources.kinds.files`."""
    # Found without importing scikit-learn, which takes seconds, each time the workflow is planned.
    return {"digits.csv.gz": package_folder("sklearn") / "datasets" / "data" / "digits.csv.gz"}
