"""Images that come as arrays, inside an installed package or as it downloads them."""

import importlib.util
import io
from pathlib import Path

import numpy as np
from PIL import Image

from pocketscope.core.errors import InputError


def package_folder(name: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.origin:
        raise InputError(f"this source needs the Python package '{name}', which is not installed; install it")
    return Path(found.origin).parent


def as_bmp(values: np.ndarray) -> bytes:
    """Return 8-bit pixels as an image file that costs next to nothing to write and read."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "BMP")
    return buffer.getvalue()
