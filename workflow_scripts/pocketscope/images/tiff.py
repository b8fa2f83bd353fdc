"""TIFF files, by tifffile."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from pocketscope.images.pixels import (
    MAX_PIXELS,
    ORIENTATION_TAG,
    Unreadable,
    check_page,
    check_size,
    grey_to_rgb,
    is_never_filled,
    on_white,
    orient,
    rounded,
    strips,
    to_8_bits,
)

# ---- TIFF


def decode_tiff(data: bytes, page: int) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        check_page(page, len(file.pages))
        leaf = file.pages[page]
        check_size(leaf.imagewidth, leaf.imagelength)
        # Missing ends would otherwise be filled with black.
        if any(start + count > len(data) for start, count in zip(leaf.dataoffsets, leaf.databytecounts, strict=False)):
            raise Unreadable("cut short: its pixels end beyond the file")
        planes, depth, height, width, samples = leaf.shaped
        if depth > 1:
            raise Unreadable(f"a volume of {depth} planes in one page: save the plane to use as a page of its own")
        if width * height * planes * samples > 4 * MAX_PIXELS:
            raise Unreadable(f"has {planes * samples} channels of {width} x {height} pixels, which is too large")
        _check_colours(leaf)
        values = _pixels(leaf)[:, 0]
        values = np.moveaxis(values[..., 0], 0, -1) if planes > 1 else values[0]
        orientation = leaf.tags[ORIENTATION_TAG].value if ORIENTATION_TAG in leaf.tags else 1
        return orient(_rgb_of_tiff(leaf, values), orientation)


def pages_of_tiff(data: bytes) -> Iterator[int]:
    """Yield the places of pages that are images of their own: not smaller copies, nor masks, of others."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for place in range(len(file.pages)):
            if not file.pages[place].subfiletype & 0b101:
                yield place


def _name(code: Any) -> str:
    return getattr(code, "name", str(code))


def _check_colours(leaf: Any) -> None:
    """Refuse colours that are not read, before what decodes them can call the file damaged."""
    kind = _name(leaf.photometric)
    if kind == "YCBCR" and _name(leaf.compression) not in ("JPEG", "OJPEG", "JPEG_LOSSY"):
        raise Unreadable("a TIFF with uncompressed YCbCr colours, which is not supported: save it as RGB")
    inks = kind == "SEPARATED" and leaf.samplesperpixel >= 4
    if not inks and kind not in ("PALETTE", "MINISBLACK", "MINISWHITE", "RGB", "YCBCR"):
        raise Unreadable(f"a TIFF with colour space {kind}, which is not supported: save it as RGB")


def _pixels(leaf: Any) -> np.ndarray:
    """Decode a page; where its compression takes a package that is not installed, say so as an import would."""
    try:
        return leaf.asarray(squeeze=False)
    except (ValueError, ImportError) as error:
        if isinstance(error, ImportError) or "requires the 'imagecodecs' package" in str(error):
            import imagecodecs  # noqa: F401 (it fails, unless this version of it lacks the codec)

            raise Unreadable(
                f"a TIFF with compression {_name(leaf.compression)}, which is not supported: save it uncompressed"
            ) from error
        raise


def _rgb_of_tiff(leaf: Any, values: np.ndarray) -> np.ndarray:
    """Turn the samples of one page, (height, width, samples), into RGB."""
    kind = _name(leaf.photometric)
    samples = values.shape[2]
    if kind == "PALETTE":
        palette = leaf.colormap if leaf.colormap.max() < 256 else leaf.colormap >> 8  # some writers use 8 of 16 bits
        indices = values[..., 0].astype(np.intp)  # 1 bit comes as bool, which would choose, not count
        return np.moveaxis(palette.astype(np.uint8)[:, indices], 0, -1)
    if kind == "SEPARATED" and samples >= 4:
        ink = values[..., :4] if values.dtype.itemsize == 1 else values[..., :4] >> 8
        return np.asarray(Image.frombytes("CMYK", ink.shape[1::-1], ink.astype(np.uint8).tobytes()).convert("RGB"))
    transparent = bool(leaf.extrasamples) and leaf.extrasamples[0] in (1, 2)
    colours = 3 if kind in ("RGB", "YCBCR") or samples == 3 else 1
    if samples < colours or (colours == 1 and samples != 1 + transparent):
        raise Unreadable(
            f"has {samples} channels in one page; only 1 (grey) or 3 (colour) are supported: save them as pages"
        )
    if values.dtype == np.uint8 and leaf.bitspersample < 8:
        values = (values.astype(np.uint16) * 255 // (2**leaf.bitspersample - 1)).astype(np.uint8)
    result = to_8_bits(values[..., :colours])  # may be the values themselves
    if kind == "MINISWHITE":
        result = 255 - result
    result = result if colours == 3 else grey_to_rgb(result[..., 0])
    if not transparent:
        return result
    alpha = values[..., colours]
    alpha = alpha if alpha.dtype == np.uint8 else rounded(alpha * (255 / _highest(alpha.dtype, leaf.bitspersample)))
    if leaf.extrasamples[0] == 1 and not is_never_filled(alpha, result):  # premultiplied
        for rows in strips(result):
            result[rows] = np.minimum(result[rows] + (255 - alpha[rows, ..., None].astype(np.uint16)), 255)
        return result
    return on_white(result, alpha)


def _highest(dtype: np.dtype, bits: int) -> float:
    return 1.0 if dtype.kind == "f" else float(2 ** (bits - (dtype.kind == "i")) - 1)
