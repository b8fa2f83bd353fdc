"""DICOM files, by pydicom: palette, rescale, window, and the codings that hospitals use."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from pocketscope.core.stack_pages import CHANNELS, Page
from pocketscope.images import stacks
from pocketscope.images.pixels import Unreadable, check_size, grey_to_rgb, rounded, to_8_bits

_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"  # lossy; pydicom decodes 8 bits alone
_BY_IMAGECODECS = {  # DICOM transfer syntaxes, and what decodes them
    _JPEG_EXTENDED: "jpeg_decode",
    "1.2.840.10008.1.2.4.57": "jpegsof3_decode",
    "1.2.840.10008.1.2.4.70": "jpegsof3_decode",
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",
    **dict.fromkeys(("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"), "jpeg2k_decode"),
}
_NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel", "PhotometricInterpretation")
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")


# ---- DICOM


def decode_dicom(data: bytes, page: Page) -> np.ndarray:
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if "PixelData" not in dataset:
        raise Unreadable("a DICOM file without an image, or no image at all")
    if lacking := [name for name in _NEEDED if name not in dataset]:
        raise Unreadable(f"a DICOM file whose header lacks {' and '.join(lacking)}: export it again")
    check_size(int(dataset.Columns), int(dataset.Rows))
    frames = int(dataset.get("NumberOfFrames", None) or 1)
    places = stacks.chosen(page, frames, lambda: range(frames))
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian
        )
    if len(places) == 1:
        return _picture(dataset, places[0])
    if page == CHANNELS:
        return stacks.joined([_picture(dataset, place) for place in places])
    return _projection(dataset, places, str(page))


def _picture(dataset: Any, place: int) -> np.ndarray:
    """Return one frame as `decode` does."""
    _lift_frame_values(dataset, place)
    values = _stored(dataset, place)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours, first = _palette(dataset)
        return _at(colours, values, first)
    return _seen(values, dataset)


def _seen(values: np.ndarray, dataset: Any) -> np.ndarray:
    """Return colours or grey that were stored as they are seen: uint8, (height, width, 3)."""
    if dataset.SamplesPerPixel == 3:
        return to_8_bits(values if int(dataset.BitsStored) > 8 else values.astype(np.uint8))
    grey = _grey(values, dataset)
    return grey_to_rgb(255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey)


def _projection(dataset: Any, places: Sequence[int], how: str) -> np.ndarray:
    """Return what is made of several frames; grey is seen through the window of the first."""
    stacks.check_stack(len(places), int(dataset.Columns), int(dataset.Rows))
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return stacks.project((_picture(dataset, place) for place in places), how)
    scales = set()
    for place in places:
        _lift_frame_values(dataset, place)
        scales.add((dataset.get("RescaleSlope", None), dataset.get("RescaleIntercept", None)))
    if len(scales) > 1:  # each frame counts in units of its own
        raise Unreadable(
            "its frames are rescaled one by one, and cannot be projected: save the projection as an image of its own"
        )
    _lift_frame_values(dataset, places[0])
    dark = (dataset.PhotometricInterpretation == "MONOCHROME1") != (float(dataset.get("RescaleSlope", None) or 1) < 0)
    values = (_stored(dataset, place) for place in places)
    return _seen(stacks.project(values, stacks.inverted(how) if dark else how), dataset)


def _stored(dataset: Any, place: int) -> np.ndarray:
    """Decode a frame: the values as they are stored, colours as RGB."""
    from pydicom.pixels import pixel_array
    from pydicom.uid import RLELossless

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _BY_IMAGECODECS and not (syntax == _JPEG_EXTENDED and dataset.BitsAllocated == 8):
        return _by_imagecodecs(dataset, place, _BY_IMAGECODECS[syntax])
    if not _is_read(syntax):
        raise Unreadable(f"a DICOM file with the coding '{syntax.name}', which is not supported: save it uncompressed")
    # What else is installed (pylibjpeg, gdcm) decodes JPEG by a grey level or three otherwise: the same file would be
    # another image there.
    plugin = "pydicom" if syntax == RLELossless else "pillow" if syntax.is_encapsulated else ""
    try:
        return pixel_array(dataset, index=place, decoding_plugin=plugin)  # YBR comes as RGB
    except RuntimeError:
        if syntax not in _JPEG_2000:
            raise
        return _by_imagecodecs(dataset, place, "jpeg2k_decode")  # which also knows the file's container, say


def pages_of_dicom(data: bytes) -> range:
    """Return the numbers of the frames."""
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True, specific_tags=["NumberOfFrames"])
    return range(int(dataset.get("NumberOfFrames", None) or 1))


def header_value(data: bytes, key: str) -> str | None:
    """Return an attribute of the header such as `PatientID` as text, None where it is empty or not there."""
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True, specific_tags=[key])
    return str(dataset.get(key, None) or "").strip() or None


def _is_read(syntax: Any) -> bool:
    from pydicom.pixels import get_decoder

    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:  # one of video, say
        return False


def _by_imagecodecs(dataset: Any, page: int, decoder: str) -> np.ndarray:
    """Decode what hospitals' archives often hold and pydicom alone cannot."""
    import imagecodecs
    from pydicom.encaps import get_frame

    frame = get_frame(dataset.PixelData, page, number_of_frames=int(dataset.get("NumberOfFrames", None) or 1))
    values = getattr(imagecodecs, decoder)(frame)
    if not dataset.PixelRepresentation:
        return values
    # The sign is the highest of the stored bits, and a JPEG of 12 bits has nothing above them.
    above = values.dtype.itemsize * 8 - int(dataset.BitsStored)
    return (values << above).view(f"i{values.dtype.itemsize}") >> above


def _lift_frame_values(dataset: Any, page: int) -> None:
    """Put window and rescale of one frame of an "enhanced" file where a plain file has them."""
    groups = [*dataset.get("SharedFunctionalGroupsSequence", [])[:1]]
    groups += [*dataset.get("PerFrameFunctionalGroupsSequence", [])[page : page + 1]]
    for group in groups:
        for name in ("FrameVOILUTSequence", "PixelValueTransformationSequence"):
            for item in group.get(name, [])[:1]:
                dataset.update(item)


def _grey(values: np.ndarray, dataset: Any) -> np.ndarray:
    """Rescale and window, as in DICOM PS3.3, C.11.1 and C.11.2, to 0 .. 255."""
    from pydicom.pixels import apply_modality_lut

    modality = dataset.get("ModalityLUTSequence")
    rescaled, bits = _looked_up(values, modality[0]) if modality else (apply_modality_lut(values, dataset), 0)
    if dataset.get("VOILUTSequence"):
        seen, depth = _looked_up(rescaled, dataset.VOILUTSequence[0])
        return rounded(seen * (255 / (2**depth - 1)))
    if dataset.get("WindowWidth") is not None and dataset.get("WindowCenter") is not None:
        centre, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
        return _windowed(rescaled.astype(np.float64), centre, width, dataset.get("VOILUTFunction", "LINEAR"))
    if modality:
        return to_8_bits(rescaled if bits > 8 else rescaled.astype(np.uint8))
    # Without a window a rescale, which is linear, changes units alone.
    bits = int(dataset.BitsStored)
    grey = to_8_bits(values) if bits > 8 or dataset.PixelRepresentation else rounded(values * (255 / (2**bits - 1)))
    return 255 - grey if float(dataset.get("RescaleSlope", None) or 1) < 0 else grey


def _windowed(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    if function == "SIGMOID":
        return rounded(255 / (1 + np.exp(-4 * (values - centre) / width)))
    if function == "LINEAR_EXACT":
        return rounded(((values - centre) / width + 0.5) * 255)
    # A window of width 1 is a threshold.
    return rounded(((values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5) * 255)


def _looked_up(values: np.ndarray, item: Any) -> tuple[np.ndarray, int]:
    """Apply the table of an item of a sequence; return uint16 and how many bits it uses.

    pydicom's own functions count places in the type of the entries: 4096 entries of 8 bits are taken for 256.
    """
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    table = _entries(item.LUTData, count or 2**16, item.original_encoding[1])
    needed = max(int(table.max()).bit_length(), 8)
    # Many writers declare the 16 bits that an entry takes in the file, whatever the table uses of them.
    return _at(table, values, first), needed if bits == 16 or needed > bits else bits


def _entries(data: Any, count: int, little_endian: bool | None) -> np.ndarray:
    """Return a table's entries, uint16, of bytes or numbers."""
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, np.uint16))
    if little_endian is False:  # pydicom leaves the words' bytes as they are in the file
        data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    wide = len(data) >= 2 * count
    return np.frombuffer(data, "<u2" if wide else "u1", count).astype(np.uint16)


def _at(table: np.ndarray, values: np.ndarray, first: int) -> np.ndarray:
    """Look values up in a table whose first entry is for `first`; what lies outside has its first or last entry."""
    if first >= 2**15 and values.max() < first:  # a negative number that was read as one without a sign
        first -= 2**16
    return table[np.clip(values.astype(np.int64) - first, 0, len(table) - 1)]


def _palette(dataset: Any) -> tuple[np.ndarray, int]:
    """Return the colours, uint8 (entries, 3), and the pixel value that has the first."""
    count, first, _ = (int(number) for number in dataset.RedPaletteColorLookupTableDescriptor)
    count = count or 2**16
    if "RedPaletteColorLookupTableData" in dataset:
        tables = [dataset[f"{colour}PaletteColorLookupTableData"].value for colour in ("Red", "Green", "Blue")]
        table = np.stack([_entries(data, count, dataset.original_encoding[1]) for data in tables], -1)
    else:
        from pydicom.pixels import apply_color_lut  # which knows segmented tables

        table = apply_color_lut(first + np.arange(count), dataset)[..., :3]
    # As in TIFF, some writers use 8 of 16 bits, and they the lower ones.
    return (table if table.max() < 256 else table >> 8).astype(np.uint8), first


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") else value)
