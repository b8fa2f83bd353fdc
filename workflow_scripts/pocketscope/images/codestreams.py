"""JPEG 2000 and JPEG XL files, by imagecodecs."""

from typing import Any

import numpy as np

from pocketscope.core.stack_pages import Page
from pocketscope.images.pixels import Unreadable, check_size, grey_to_rgb, on_white, rounded, to_8_bits

_CODESTREAM = b"\xff\x4f\xff\x51"  # how that of JPEG 2000 begins; what is before it is the file's container
_SRGB, _GREY, _YCC = 16, 17, 18  # colour spaces of JPEG 2000 that are read
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # of JPEG XL


def decode_codestream(data: bytes, _: Page) -> np.ndarray:
    import imagecodecs

    if data.startswith(b"\xff\x0a") or data[4:8] == b"JXL ":
        check_size(*_size_of_jpeg_xl(data))
        values = imagecodecs.jpegxl_decode(data)  # upright, and in the whole range of its type
        return _seen(values, 8 * values.itemsize, "JPEG XL")
    start = data.find(_CODESTREAM)
    if start < 0:
        raise Unreadable("a JPEG 2000 file without an image, or cut short")
    right, bottom, left, top = (int.from_bytes(data[start + 8 + at : start + 12 + at], "big") for at in (0, 4, 8, 12))
    check_size(right - left, bottom - top)
    _check_colours(data[:start])
    try:
        values = imagecodecs.jpeg2k_decode(data)
    except (imagecodecs.Jpeg2kError, ValueError) as error:
        if "not supported" in str(error):
            raise Unreadable(f"JPEG 2000 of a kind that is not supported ({error}): save it as PNG or TIFF") from error
        raise
    return _seen(values, (data[start + 42] & 0x7F) + 1, "JPEG 2000")


def _check_colours(container: bytes) -> None:
    """Refuse colour spaces that would be taken for RGB."""
    at = container.find(b"colr") + 4
    if at < 4:
        return
    space = int.from_bytes(container[at + 3 : at + 7], "big")
    named = container[at] == 1 and space not in (_SRGB, _GREY, _YCC)
    profiled = container[at] == 2 and container[at + 19 : at + 23] not in (b"RGB ", b"GRAY")
    if named or profiled:
        raise Unreadable("JPEG 2000 with colours other than RGB, which is not supported: save it as RGB")


def _seen(values: Any, bits: int, name: str) -> np.ndarray:
    """Turn samples of `bits` bits, (height, width) or (height, width, samples), into RGB."""
    if values.ndim > 3:
        raise Unreadable(f"animated ({len(values)} frames): save the frame to use as an image of its own")
    values = values if values.ndim == 3 else values[..., None]
    samples = values.shape[2]
    if samples > 4:
        raise Unreadable(f"{name} with {samples} channels; only grey and RGB are supported: save the channels apart")
    if bits < 8:
        values = rounded(values * (255 / (2**bits - 1)))
    colour = to_8_bits(values[..., : 3 if samples >= 3 else 1])
    colour = colour if samples >= 3 else grey_to_rgb(colour[..., 0])
    if samples in (1, 3):
        return colour
    alpha = values[..., -1]
    most = 1 if alpha.dtype.kind == "f" else 2 ** max(bits, 8) - 1
    return on_white(colour, rounded(alpha * (255 / most)))


def _size_of_jpeg_xl(data: bytes) -> tuple[int, int]:
    """Return width and height, which the first bits of the codestream hold (ISO/IEC 18181-1, SizeHeader)."""
    start = 0 if data.startswith(b"\xff\x0a") else _codestream_of_jpeg_xl(data)
    bits = int.from_bytes(data[start + 2 : start + 14], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & (2**count - 1), bits >> count
        return value

    def length() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = length()
    ratio = take(3)
    width = height * _RATIOS[ratio][0] // _RATIOS[ratio][1] if ratio else length()
    return width, height


def _codestream_of_jpeg_xl(data: bytes) -> int:
    """Return where the codestream begins in a file of boxes; it may be in parts, each with a number of 4 bytes."""
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 16 if size == 1 else 8
        if kind in (b"jxlc", b"jxlp"):
            return at + head + 4 * (kind == b"jxlp")
        at += int.from_bytes(data[at + 8 : at + 16], "big") if size == 1 else size or len(data)
    raise Unreadable("a JPEG XL file without an image, or cut short")
