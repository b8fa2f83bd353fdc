"""What all decoders share: limits, 8 bits, transparency, orientation, and the reason why a file is unreadable."""

from collections.abc import Iterator

import numpy as np

MAX_PIXELS = 100_000_000  # 300 MB as RGB; more is a decompression bomb, or a slide scan that has to be cut into tiles
ORIENTATION_TAG = 274  # the tag of EXIF and of TIFF


class Unreadable(Exception):
    """A file is no image that can be used; the message says why, in words for the person whose file it is."""


def to_8_bits(values: np.ndarray) -> np.ndarray:
    """Scale pixels of more than 8 bits by the image's own range.

    The 0.1 and 99.9 percentiles of all values, channels together, become 0 and 255; what lies outside is cut. The
    range of the type would be simpler and is wrong for microscopes: a 12-bit camera writes 16-bit files, and its
    images would keep 16 grey levels. The smallest and the largest value would let one hot pixel decide. A range
    taken from the whole data set would have to travel with the model.

    Whole numbers are never stretched beyond one count a grey level, so that an empty image is not blown up into
    noise. Absolute brightness is lost by this rule; where it tells the classes apart, convert to 8 bits beforehand.

    Parameters
    ----------
    values
        Any real dtype and shape; uint8 is returned as it is, True becomes 255. Values that are not finite are black.

    Returns
    -------
    numpy.ndarray
        uint8, the shape of `values`.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    if values.dtype.kind not in "iuf":
        raise Unreadable(f"its pixels are {values.dtype}, not real numbers")
    finite = values if values.dtype.kind != "f" else values[np.isfinite(values)]
    if not finite.size:
        raise Unreadable("none of its pixels is a finite number")
    black, white = (float(value) for value in np.percentile(finite, (0.1, 99.9), method="nearest"))
    if values.dtype.kind != "f":
        white = max(white, black + 255)
    elif white == black:
        return np.zeros(values.shape, np.uint8)
    exact = np.float32 if values.dtype.itemsize <= 2 else np.float64
    result = np.empty(values.shape, np.uint8)
    for rows in strips(values):
        scaled = (values[rows].astype(exact) - exact(black)) * exact(255 / (white - black))
        result[rows] = rounded(np.nan_to_num(scaled, nan=0, posinf=0, neginf=0))
    return result


def strips(values: np.ndarray, numbers: int = 2**22) -> Iterator[slice]:
    """Yield parts of the first axis with about so many numbers each: what is computed of one at a time stays small."""
    step = max(1, numbers * len(values) // max(values.size, 1))
    for start in range(0, len(values), step):
        yield slice(start, start + step)


def rounded(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def check_size(width: int, height: int) -> None:
    if width <= 0 or height <= 0:
        raise Unreadable(f"an empty image ({width} x {height} pixels)")
    if width * height > MAX_PIXELS:
        raise Unreadable(
            f"too large ({width} x {height} pixels; the maximum is {MAX_PIXELS // 1_000_000} million): "
            "cut it into tiles or make it smaller"
        )


def check_page(page: int, pages: int) -> None:
    if not 0 <= page < pages:
        raise Unreadable(f"has no page {page}: its {pages} page(s) are counted from 0")


def grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def is_of_one_colour(image: np.ndarray) -> bool:
    """Say whether all pixels of (height, width, channels) are alike."""
    return all((row == image[0, 0]).all() for row in image)  # ends at the first row that differs


def is_never_filled(alpha: np.ndarray, colour: np.ndarray) -> bool:
    """Say whether an alpha of 8 bits hides a whole picture: its writer left it at 0, or meant 1 of 1."""
    return alpha.max() <= 1 and not is_of_one_colour(colour)


def on_white(colour: np.ndarray, alpha: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Lay colours with an alpha of 8 bits on white, in `out` where it is given, which may be the colours themselves."""
    if is_never_filled(alpha, colour):
        return colour
    result = np.empty(colour.shape, np.uint8) if out is None else out
    for rows in strips(colour):
        opacity = alpha[rows, ..., None].astype(np.uint16)
        result[rows] = (colour[rows] * opacity + 255 * (255 - opacity) + 127) // 255
    return result


def orient(image: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image
