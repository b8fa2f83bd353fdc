"""TIFF files, by tifffile."""

import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from pocketscope.core.stack_pages import CHANNELS, Page
from pocketscope.images import stacks
from pocketscope.images.pixels import (
    MAX_PIXELS,
    ORIENTATION_TAG,
    Unreadable,
    check_size,
    grey_to_rgb,
    is_never_filled,
    on_white,
    orient,
    rounded,
    strips,
    to_8_bits,
)

_SUB_IFDS = 330  # a tag
_CUT_SHORT = "cut short: its pixels end beyond the file"
_AXES = {"C": "channels", "Z": "planes", "T": "times"}  # as tifffile calls them


def decode_tiff(data: bytes, page: Page) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        stack = _Stack(file, data)
        places = stacks.chosen(page, len(stack), stack.images)
        if len(places) == 1:
            return stack.picture(places[0])
        if page == CHANNELS:
            return stacks.joined([stack.picture(place) for place in places])
        return stack.projection(places, str(page))


def pages_of_tiff(data: bytes) -> Iterator[int]:
    """Yield the places of pages that are images of their own: not smaller copies, nor masks, of others."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        yield from _Stack(file, data).images()


class _Stack:
    """The images of a file: its pages, or the planes behind the one page that describes them."""

    def __init__(self, file: Any, data: bytes) -> None:
        self._file, self._data = file, data
        self._planes = _planes_of_one_page(file) if len(file.pages) == 1 else 0

    def __len__(self) -> int:
        return self._planes or len(self._file.pages)

    def images(self) -> list[int]:
        """Return the places of pages that are images of their own: not smaller copies, nor masks, of others."""
        if self._planes:
            return list(range(self._planes))
        return [place for place, leaf in enumerate(self._file.pages) if not leaf.subfiletype & 0b101]

    def picture(self, place: int) -> np.ndarray:
        """Return one image as `decode` does."""
        leaf = self._leaf(place)
        # How cameras store their raw photos: the first page is a thumbnail, and the photo lies behind it (SubIFDs).
        if leaf.subfiletype & 1 and _SUB_IFDS in leaf.tags:
            raise Unreadable("a thumbnail of a picture that is not read (a camera's raw photo?): save it as JPEG")
        return orient(_rgb_of_tiff(leaf, self._values(place)), _orientation(leaf))

    def projection(self, places: list[int], how: str) -> np.ndarray:
        """Return what is made of several images, as `decode` returns it."""
        self._check_axes(len(places))
        leaf = self._leaf(places[0])
        stacks.check_stack(len(places), leaf.imagewidth, leaf.imagelength)
        kind = _name(leaf.photometric)
        if leaf.dtype in (None, np.uint8, np.bool_) or kind in (
            "PALETTE",
            "SEPARATED",
        ):  # seen alike whatever its range
            return stacks.project((self.picture(place) for place in places), how)
        if leaf.extrasamples:
            raise Unreadable(
                "its pages are transparent, of more than 8 bits, and cannot be projected: save them as RGB"
            )
        values = (self._values(place) for place in places)
        projected = stacks.project(values, stacks.inverted(how) if kind == "MINISWHITE" else how)
        return orient(_rgb_of_tiff(leaf, projected), _orientation(leaf))

    def _leaf(self, place: int) -> Any:
        return self._file.pages[0 if self._planes else place]

    def _values(self, place: int) -> np.ndarray:
        """Return the samples of one image, (height, width, samples)."""
        leaf = self._leaf(place)
        check_size(leaf.imagewidth, leaf.imagelength)
        # Missing ends would otherwise be filled with black.
        ends = (start + count for start, count in zip(leaf.dataoffsets, leaf.databytecounts, strict=False))
        if any(end > len(self._data) for end in ends):
            raise Unreadable(_CUT_SHORT)
        planes, depth, height, width, samples = leaf.shaped
        if depth > 1 and not self._planes:
            raise Unreadable(f"a volume of {depth} planes in one page: save the plane to use as a page of its own")
        if width * height * planes * samples > 4 * MAX_PIXELS:
            raise Unreadable(f"has {planes * samples} channels of {width} x {height} pixels, which is too large")
        _check_colours(leaf)
        if self._planes and depth == 1:
            values = self._behind(leaf, place)
        else:
            values = _pixels(leaf)[:, place if self._planes else 0]
        return np.moveaxis(values[..., 0], 0, -1) if planes > 1 else values[0]

    def _behind(self, leaf: Any, place: int) -> np.ndarray:
        """Return the samples of one of the images that lie behind the first, undescribed."""
        kind = leaf.dtype.newbyteorder(self._file.byteorder)
        size = math.prod(leaf.shaped)
        start = leaf.dataoffsets[0] + place * size * kind.itemsize
        if start + size * kind.itemsize > len(self._data):
            raise Unreadable(_CUT_SHORT)
        return np.frombuffer(self._data, kind, size, start).astype(leaf.dtype).reshape(leaf.shaped)[:, 0]

    def _check_axes(self, pages: int) -> None:
        """Refuse to mix channels, depths and times."""
        try:
            series = self._file.series[0]
        except Exception:  # what is said of the pages is damaged; they are as they are
            return
        axes = {
            axis: size for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXS" and size > 1
        }
        if len(axes) > 1 and math.prod(axes.values()) == pages:
            listed = ", ".join(f"{size} {_AXES.get(axis, axis)}" for axis, size in axes.items())
            raise Unreadable(
                f"its {pages} pages are {listed}, and only one of these can be projected: save one channel, or each "
                "projection, as a file of its own"
            )


def _planes_of_one_page(file: Any) -> int:
    """Return how many images there are behind a file's only page; 0 where it is the only image."""
    leaf = file.pages[0]
    if leaf.shaped[1] > 1:
        return leaf.shaped[1]
    if not (file.is_imagej or file.is_shaped) or len(leaf.dataoffsets) != 1:
        return 0
    # Long stacks of ImageJ, and files that tifffile was told to write so: the others follow the first.
    try:
        if file.is_imagej:  # tifffile itself forgets those that are said to be there when the file is cut short
            return max(int((file.imagej_metadata or {}).get("images", 0)), 0)
        series = file.series[0]
        return math.prod(series.shape) // math.prod(leaf.shaped) if series.is_truncated else 0
    except Exception:  # what is said of the page is damaged; it is as it is
        return 0


def _orientation(leaf: Any) -> int:
    return leaf.tags[ORIENTATION_TAG].value if ORIENTATION_TAG in leaf.tags else 1


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
