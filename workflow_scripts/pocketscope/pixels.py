"""The only way from a file's bytes to pixels: decode, orient, fit, 8 bits.

Packing, evaluating and classifying use it alike, so that a shipped model sees what was measured.
"""

import hashlib
import io
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 100_000_000  # 300 MB as RGB; more is a decompression bomb, or a slide scan that has to be cut into tiles
FITS = ("squeeze", "crop", "pad")
FORMATS = "JPEG, PNG, TIFF, BMP, WebP, GIF and DICOM"

_PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_LOSSLESS_JPEG = {  # DICOM transfer syntaxes, and what decodes them
    "1.2.840.10008.1.2.4.57": "jpegsof3_decode",
    "1.2.840.10008.1.2.4.70": "jpegsof3_decode",
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",
}
_ORIENTATION = 274  # the tag of EXIF and of TIFF


class Unreadable(Exception):
    """A file is no image that can be used; the message says why, in words for the person whose file it is."""


def load(data: bytes, size: int, how: str, page: int = 0) -> np.ndarray:
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
    return fit(decode(data, page=page), size, how)


def decode(data: bytes, *, page: int = 0) -> np.ndarray:
    """Decode the bytes of an image file to upright 8-bit RGB.

    Grey is repeated in three channels; what is transparent lies on white; CMYK is converted without a colour profile;
    EXIF and TIFF orientation are applied. More than 8 bits are scaled as `to_8_bits` says, for DICOM by its rescale
    and window, where it has one.

    Parameters
    ----------
    data
        The content of a JPEG, PNG, TIFF, BMP, WebP, GIF or DICOM file.
    page
        Which page of a TIFF or frame of a DICOM file, counted from 0. The other formats hold one image.

    Returns
    -------
    numpy.ndarray
        uint8, (height, width, 3), RGB.

    Raises
    ------
    Unreadable
        Empty, cut short, damaged, of no size, of more than `MAX_PIXELS` pixels, animated, without the page asked for,
        or no image at all.
    """
    if not data:
        raise Unreadable("the file is empty")
    if data[:4] in _TIFF:
        decoder = _decode_tiff
    elif _is_dicom(data):
        decoder = _decode_dicom
    else:
        decoder = _decode_with_pillow
    try:
        return np.ascontiguousarray(decoder(data, page))
    except (Unreadable, MemoryError, ImportError):
        raise
    except Exception as error:  # a damaged file can raise anything in any of the libraries
        raise Unreadable(f"damaged or cut short ({' '.join(str(error).split())[:200]})") from error


def fit(image: np.ndarray, size: int, how: str) -> np.ndarray:
    """Bring an image to `size` x `size` pixels.

    Bilinear with a support that grows with the reduction (antialiased): unlike Lanczos it does not ring beside the
    sharp bright spots of microscopy, and other platforms can reproduce it.

    Parameters
    ----------
    image
        uint8, (height, width, 3).
    size
        Side of the result, pixels.
    how
        `squeeze` changes the proportions; `crop` keeps them and the middle square; `pad` keeps them and everything,
        between black bars.

    Returns
    -------
    numpy.ndarray
        uint8, (size, size, 3).
    """
    height, width = image.shape[:2]
    picture = Image.fromarray(image)
    if how == "squeeze":
        return np.array(_resize(picture, (size, size)))
    if how == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return np.array(_resize(picture, (size, size), (left, top, left + side, top + side)))
    if how == "pad":
        longer = max(width, height)
        inner = max(1, round(width * size / longer)), max(1, round(height * size / longer))
        left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
        result = np.zeros((size, size, 3), np.uint8)
        result[top : top + inner[1], left : left + inner[0]] = np.asarray(_resize(picture, inner))
        return result
    raise ValueError(f"fit '{how}' is none of {', '.join(FITS)}")


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
    scaled = (values.astype(exact) - exact(black)) * exact(255 / (white - black))
    return _rounded(np.nan_to_num(scaled, nan=0, posinf=0, neginf=0))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _resize(picture: Image.Image, size: tuple[int, int], box: tuple[float, ...] | None = None) -> Image.Image:
    # A gap of 3 first averages whole blocks where an image shrinks much: several times faster, hardly to be told apart.
    return picture.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=3.0)


def _check_size(width: int, height: int) -> None:
    if width <= 0 or height <= 0:
        raise Unreadable(f"of no size ({width} x {height} pixels)")
    if width * height > MAX_PIXELS:
        raise Unreadable(
            f"too large ({width} x {height} pixels; the most is {MAX_PIXELS // 1_000_000} million): "
            "cut it into tiles or make it smaller"
        )


def _check_page(page: int, pages: int) -> None:
    if not 0 <= page < pages:
        raise Unreadable(f"has no page {page}: its {pages} page(s) are counted from 0")


def _to_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def _on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    opacity = alpha[..., None].astype(np.uint16)
    return ((colour * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def _orient(image: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


# ---- JPEG, PNG, BMP, WebP, GIF


def _decode_with_pillow(data: bytes, page: int) -> np.ndarray:
    try:
        picture = Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS)
    except UnidentifiedImageError as error:
        raise Unreadable(f"no image, or damaged at its beginning; the formats read are {FORMATS}") from error
    except Image.DecompressionBombError as error:
        raise Unreadable(
            f"too large (the most is {MAX_PIXELS // 1_000_000} million pixels): cut it into tiles or make it smaller"
        ) from error
    _check_size(*picture.size)
    # A phone's "MPO" is a JPEG with a preview or a depth map behind it, not an animation.
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise Unreadable(f"animated ({picture.n_frames} frames): save the frame that counts as an image of its own")
    return _orient(_rgb_of_picture(picture, data), _exif_orientation(picture))


def _rgb_of_picture(picture: Image.Image, data: bytes) -> np.ndarray:
    if picture.format == "PNG" and data[24] == 16 and data[25] in (2, 4, 6):
        return _rgb_of_deep_png(data)
    if picture.mode.startswith("I") or picture.mode == "F":
        return _to_rgb(to_8_bits(np.asarray(picture)))
    if picture.has_transparency_data:
        rgba = np.asarray(picture.convert("RGBA"))
        return _on_white(rgba[..., :3], rgba[..., 3])
    return np.asarray(picture.convert("RGB"))


def _rgb_of_deep_png(data: bytes) -> np.ndarray:
    import imagecodecs  # Pillow drops the lower 8 of 16 bits of a colour PNG

    values = imagecodecs.png_decode(data)
    samples = values.shape[2]
    colour = to_8_bits(values[..., : 3 if samples >= 3 else 1])
    colour = colour if samples >= 3 else _to_rgb(colour[..., 0])
    return colour if samples == 3 else _on_white(colour, (values[..., -1] >> 8).astype(np.uint8))


def _exif_orientation(picture: Image.Image) -> int:
    try:
        return picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken metadata do not make the pixels unusable
        return 1


# ---- TIFF


def _decode_tiff(data: bytes, page: int) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        _check_page(page, len(file.pages))
        leaf = file.pages[page]
        _check_size(leaf.imagewidth, leaf.imagelength)
        # Missing ends would otherwise be filled with black.
        if any(start + count > len(data) for start, count in zip(leaf.dataoffsets, leaf.databytecounts, strict=False)):
            raise Unreadable("cut short: its pixels end beyond the file")
        planes, depth, height, width, samples = leaf.shaped
        if depth > 1:
            raise Unreadable(f"a volume of {depth} planes in one page: save the plane that counts as a page")
        if width * height * planes * samples > 4 * MAX_PIXELS:
            raise Unreadable(f"has {planes * samples} channels of {width} x {height} pixels, which is too much")
        values = leaf.asarray(squeeze=False)[:, 0]
        values = np.moveaxis(values[..., 0], 0, -1) if planes > 1 else values[0]
        orientation = leaf.tags[_ORIENTATION].value if _ORIENTATION in leaf.tags else 1
        return _orient(_rgb_of_tiff(leaf, values), orientation)


def _rgb_of_tiff(leaf: Any, values: np.ndarray) -> np.ndarray:
    """Turn the samples of one page, (height, width, samples), into RGB."""
    kind = getattr(leaf.photometric, "name", str(leaf.photometric))
    samples = values.shape[2]
    if kind == "PALETTE":
        palette = leaf.colormap if leaf.colormap.max() < 256 else leaf.colormap >> 8  # some writers use 8 of 16 bits
        return np.moveaxis(palette.astype(np.uint8)[:, values[..., 0]], 0, -1)
    if kind == "SEPARATED" and samples >= 4:
        ink = values[..., :4] if values.dtype.itemsize == 1 else values[..., :4] >> 8
        return np.asarray(Image.frombytes("CMYK", ink.shape[1::-1], ink.astype(np.uint8).tobytes()).convert("RGB"))
    if kind == "YCBCR" and getattr(leaf.compression, "name", "") not in ("JPEG", "OJPEG", "JPEG_LOSSY"):
        raise Unreadable("a TIFF of uncompressed YCbCr colours: save it as RGB")
    if kind not in ("MINISBLACK", "MINISWHITE", "RGB", "YCBCR"):
        raise Unreadable(f"a TIFF of colour space {kind}, which is not read: save it as RGB")
    transparent = bool(leaf.extrasamples) and leaf.extrasamples[0] in (1, 2)
    colours = 3 if kind in ("RGB", "YCBCR") or samples == 3 else 1
    if samples < colours or (colours == 1 and samples != 1 + transparent):
        raise Unreadable(f"has {samples} channels in one page; 1 (grey) or 3 (colour) are read: save them as pages")
    if values.dtype == np.uint8 and leaf.bitspersample < 8:
        values = (values.astype(np.uint16) * 255 // (2**leaf.bitspersample - 1)).astype(np.uint8)
    result = to_8_bits(values[..., :colours])
    if kind == "MINISWHITE":
        result = 255 - result
    result = result if colours == 3 else _to_rgb(result[..., 0])
    if not transparent:
        return result
    alpha = values[..., colours]
    alpha = alpha if alpha.dtype == np.uint8 else _rounded(alpha * (255 / _highest(alpha.dtype)))
    if leaf.extrasamples[0] == 1:  # premultiplied
        return np.minimum(result + (255 - alpha[..., None].astype(np.uint16)), 255).astype(np.uint8)
    return _on_white(result, alpha)


def _highest(dtype: np.dtype) -> float:
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


# ---- DICOM


def _is_dicom(data: bytes) -> bool:
    # Some archives leave the preamble out: such a file begins with a tag of group 2 or 8.
    return data[128:132] == b"DICM" or (data[:2] in (b"\x02\0", b"\x08\0") and data[3:4] == b"\0")


def _decode_dicom(data: bytes, page: int) -> np.ndarray:
    import pydicom
    from pydicom.pixels import apply_color_lut, pixel_array

    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if "PixelData" not in dataset:
        raise Unreadable("a DICOM file without an image, or no image at all")
    _check_size(int(dataset.Columns), int(dataset.Rows))
    _check_page(page, int(dataset.get("NumberOfFrames", None) or 1))
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian
        )
    _lift_frame_values(dataset, page)
    if dataset.file_meta.TransferSyntaxUID in _LOSSLESS_JPEG:
        values = _lossless_jpeg_of_dicom(dataset, page)
    else:
        values = pixel_array(dataset, index=page)  # YBR comes as RGB
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colour = apply_color_lut(values, dataset)[..., :3]
        return colour if colour.dtype == np.uint8 else (colour >> 8).astype(np.uint8)
    if dataset.SamplesPerPixel == 3:
        return values if values.dtype == np.uint8 else (values >> (int(dataset.BitsStored) - 8)).astype(np.uint8)
    grey = _dicom_grey(values, dataset)
    return _to_rgb(255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey)


def _lossless_jpeg_of_dicom(dataset: Any, page: int) -> np.ndarray:
    """Decode what hospitals' archives often hold and pydicom alone cannot."""
    import imagecodecs
    from pydicom.encaps import get_frame

    frame = get_frame(dataset.PixelData, page, number_of_frames=int(dataset.get("NumberOfFrames", None) or 1))
    decoder = getattr(imagecodecs, _LOSSLESS_JPEG[dataset.file_meta.TransferSyntaxUID])
    values = decoder(frame)
    return values.view(f"i{values.dtype.itemsize}") if dataset.PixelRepresentation else values


def _lift_frame_values(dataset: Any, page: int) -> None:
    """Put window and rescale of one frame of an "enhanced" file where a plain file has them."""
    groups = [*dataset.get("SharedFunctionalGroupsSequence", [])[:1]]
    groups += [*dataset.get("PerFrameFunctionalGroupsSequence", [])[page : page + 1]]
    for group in groups:
        for name in ("FrameVOILUTSequence", "PixelValueTransformationSequence"):
            for item in group.get(name, [])[:1]:
                dataset.update(item)


def _dicom_grey(values: np.ndarray, dataset: Any) -> np.ndarray:
    """Rescale and window, as in DICOM PS3.3, C.11.1 and C.11.2, to 0 .. 255."""
    from pydicom.pixels import apply_modality_lut, apply_voi

    rescaled = np.asarray(apply_modality_lut(values, dataset))
    if dataset.get("VOILUTSequence"):
        return _rounded(apply_voi(rescaled, dataset) * (255 / (2 ** _lut_bits(dataset.VOILUTSequence) - 1)))
    if dataset.get("WindowWidth") is not None and dataset.get("WindowCenter") is not None:
        centre, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
        return _windowed(rescaled.astype(np.float64), centre, width, dataset.get("VOILUTFunction", "LINEAR"))
    if dataset.get("ModalityLUTSequence"):
        return _rounded(rescaled * (255 / (2 ** _lut_bits(dataset.ModalityLUTSequence) - 1)))
    # Without a window a rescale, which is linear, changes units alone.
    bits = int(dataset.BitsStored)
    grey = to_8_bits(values) if bits > 8 or dataset.PixelRepresentation else _rounded(values * (255 / (2**bits - 1)))
    return 255 - grey if float(dataset.get("RescaleSlope", None) or 1) < 0 else grey


def _windowed(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    if function == "SIGMOID":
        return _rounded(255 / (1 + np.exp(-4 * (values - centre) / width)))
    if function == "LINEAR_EXACT":
        return _rounded(((values - centre) / width + 0.5) * 255)
    # A window of width 1 is a threshold.
    return _rounded(((values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5) * 255)


def _lut_bits(sequence: Any) -> int:
    return int(sequence[0].LUTDescriptor[2])


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") else value)
