"""The only way from a file's bytes to pixels: decode, orient, 8 bits.

Packing and classifying use it alike, so that a shipped model sees what was measured.
"""

import io
import warnings
from itertools import islice

import numpy as np
from PIL import Image, UnidentifiedImageError

from pocketscope.core.stack_pages import Page, reads_all
from pocketscope.images import not_read
from pocketscope.images.formats import format_of
from pocketscope.images.pixels import (
    MAX_PIXELS,
    ORIENTATION_TAG,
    Unreadable,
    check_size,
    grey_to_rgb,
    on_white,
    orient,
    strips,
    to_8_bits,
)
from pocketscope.images.resize import to_square

FORMATS = "JPEG, PNG, TIFF, BMP, WebP, GIF, AVIF, JPEG 2000, JPEG XL and DICOM"

_WARNINGS = ("Corrupt JPEG data", "Premature end of JPEG")  # in libjpeg's words
_PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "AVIF")  # AVIF where Pillow was built with it


def load(data: bytes, size: int, how: str, page: Page = 0) -> np.ndarray:
    """Decode a file and fit it: what a network sees, before normalisation.

    Parameters
    ----------
    data, page
        See `decode`.
    size, how
        See `fit`.

    Returns
    -------
    numpy.ndarray
        uint8, (size, size, 3), RGB.

    Raises
    ------
    Unreadable
        See `decode`.
    """
    return to_square(decode(data, page=page), size, how)


def decode(data: bytes, *, page: Page = 0) -> np.ndarray:
    """Decode the bytes of an image file to upright 8-bit RGB.

    Grey is repeated in three channels; what is transparent lies on white, but for an alpha that its writer never
    filled; CMYK is converted without a colour profile; EXIF and TIFF orientation are applied. More than 8 bits are
    scaled as `to_8_bits` says, for DICOM by its rescale and window, where it has one.

    Parameters
    ----------
    data
        The content of a JPEG, PNG, TIFF, BMP, WebP, GIF, AVIF, JPEG 2000, JPEG XL or DICOM file; of a HEIC file where
        `pillow-heif` is installed.
    page
        Which page of a TIFF or frame of a DICOM file, counted from 0; `middle`, of an even number the later of two; a
        projection of all (`maximum_projection`, `minimum_projection`, `mean_projection`), whose values are scaled to 8
        bits afterwards; or `channels`: two or three grey pages, each scaled by itself, as red, green and blue. Smaller
        copies and masks are counted by numbers alone. The other formats hold one image.

    Returns
    -------
    numpy.ndarray
        uint8, (height, width, 3), RGB.

    Raises
    ------
    Unreadable
        Empty, cut short, damaged, of no size, of more than `MAX_PIXELS` pixels, animated, without the page asked for,
        of pages that do not go together, or no image at all.
    """
    if not data:
        raise Unreadable("the file is empty")
    # Imported where a file asks for it: a change in a decoder makes no images again that did not pass through it.
    match format_of(data):
        case "tiff":
            from pocketscope.images.tiff import decode_tiff as decoder
        case "dicom":
            from pocketscope.images.dicom import decode_dicom as decoder
        case "codestream":
            from pocketscope.images.codestreams import decode_codestream as decoder
        case "other":
            decoder = _decode_with_pillow
    try:
        return np.ascontiguousarray(decoder(data, page))
    except (Unreadable, MemoryError, ImportError):
        raise
    except Exception as error:  # a damaged file can raise anything in any of the libraries
        said = " ".join(str(error).split())[:200]
        if said.startswith("Unsupported BMP"):  # Pillow's words for whole files of rare kinds
            raise Unreadable(f"a BMP of a kind that is not supported ({said}): save it as PNG") from error
        raise Unreadable(f"damaged or cut short ({said})") from error


def has_further_pages(data: bytes, page: Page = 0) -> bool:
    """Say whether a TIFF or DICOM file holds images that `decode` does not read, thumbnails and masks not counted."""
    if reads_all(page):
        return False
    match format_of(data):
        case "tiff":
            from pocketscope.images.tiff import pages_of_tiff as pages_of
        case "dicom":
            from pocketscope.images.dicom import pages_of_dicom as pages_of
        case _:
            return False
    try:
        first = list(islice(pages_of(data), 2))
        return len(first) > 1 or (page == 0 and first == [1])  # behind a smaller copy of itself
    except Exception:  # what follows the page that was read is damaged, and nobody asked for it
        return False


def accepted_damage(data: bytes) -> str | None:
    """Return what the decoder of JPEG found wrong with a file that it accepts, and filled with something; else None.

    Pillow does not pass such warnings on. None too where `simplejpeg` is not installed, which does.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        import simplejpeg
    except ImportError:
        return None
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=1)  # at an eighth of the size
    except ValueError as error:
        return str(error) if str(error).startswith(_WARNINGS) else None  # else a coding that it does not know
    return None


def header_value(data: bytes, key: str) -> str | None:
    """Return an attribute of a DICOM file's header, such as `PatientID`; None in other files, or where it is empty."""
    if format_of(data) != "dicom":
        return None
    from pocketscope.images import dicom

    return dicom.header_value(data, key)


# ---- JPEG, PNG, BMP, WebP, GIF, AVIF, HEIC


def _decode_with_pillow(data: bytes, page: Page) -> np.ndarray:
    try:
        picture = _opened(data)
    except UnidentifiedImageError as error:
        reason = f"no image, or damaged at its beginning; the readable formats are {FORMATS}"
        raise Unreadable(not_read.why(data) or reason) from error
    except Image.DecompressionBombError as error:
        raise Unreadable(
            f"too large (the maximum is {MAX_PIXELS // 1_000_000} million pixels): cut it into tiles or make it smaller"
        ) from error
    check_size(*picture.size)
    # A phone's "MPO" or HEIC is an image with a preview or a depth map behind it, not an animation.
    if picture.format not in ("MPO", "HEIF") and getattr(picture, "is_animated", False):
        raise Unreadable(f"animated ({picture.n_frames} frames): save the frame to use as an image of its own")
    if picture.format == "PNG" and data[24] == 16 and data[25] in (2, 4, 6):
        return orient(_rgb_of_deep_png(data), _exif_orientation(picture))
    return upright_rgb(picture)


def upright_rgb(picture: Image.Image) -> np.ndarray:
    """Return a picture of Pillow's as `decode` returns that of a file: uint8, (height, width, 3), RGB, upright."""
    return orient(_rgb_of_picture(picture), _exif_orientation(picture))


def _opened(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on formats that it was built without
        try:
            return Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS)
        except UnidentifiedImageError:
            if not not_read.is_heif(data):
                raise
    try:
        import pillow_heif
    except ImportError:
        raise UnidentifiedImageError from None
    pillow_heif.register_heif_opener()
    return Image.open(io.BytesIO(data), formats=("HEIF",))


def _rgb_of_picture(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith("I") or picture.mode == "F":
        return grey_to_rgb(to_8_bits(np.asarray(picture)))
    # In strips: Pillow's conversions, and its way into an array, take a copy of the picture each.
    width, height = picture.size
    result = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if picture.has_transparency_data else None
    for rows in strips(result):
        whole = rows.stop >= height and not rows.start
        strip = picture if whole else picture.crop((0, rows.start, width, min(rows.stop, height)))
        if alpha is None:
            result[rows] = np.asarray(strip.convert("RGB"))
        else:
            rgba = np.asarray(strip.convert("RGBA"))
            result[rows], alpha[rows] = rgba[..., :3], rgba[..., 3]
    return result if alpha is None else on_white(result, alpha, result)


def _rgb_of_deep_png(data: bytes) -> np.ndarray:
    import imagecodecs  # Pillow drops the lower 8 of 16 bits of a colour PNG

    values = imagecodecs.png_decode(data)
    samples = values.shape[2]
    colour = to_8_bits(values[..., : 3 if samples >= 3 else 1])
    colour = colour if samples >= 3 else grey_to_rgb(colour[..., 0])
    return colour if samples == 3 else on_white(colour, (values[..., -1] >> 8).astype(np.uint8))


def _exif_orientation(picture: Image.Image) -> int:
    try:
        return picture.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken metadata do not make the pixels unusable
        return 1
