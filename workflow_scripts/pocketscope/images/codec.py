"""How packed images are stored: lossless WebP, and an identity that is a hash of the pixels."""

import hashlib
import io

import numpy as np
from PIL import Image


def encode(image: np.ndarray) -> bytes:
    """Encode pixels without loss as WebP, which takes less room than PNG and half its time to decode.

    Parameters
    ----------
    image
        uint8, (height, width, 3).

    Returns
    -------
    bytes
        What `decode_packed` takes, and every reader of WebP.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True, quality=0, method=0)
    return buffer.getvalue()


def decode_packed(data: bytes) -> np.ndarray:
    """Decode what `encode` made.

    Returns
    -------
    numpy.ndarray
        uint8, (height, width, 3).
    """
    return np.array(Image.open(io.BytesIO(data), formats=("WEBP",)))


def content_id(image: np.ndarray) -> str:
    """Return the identity of an image: 20 hexadecimal digits of a hash of its size and pixels.

    Taken of what `decode` returns, so that file format, metadata, `image_size` and fit do not matter.
    """
    digest = hashlib.blake2b(f"{image.shape[0]}x{image.shape[1]}:".encode(), digest_size=10)
    digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()
