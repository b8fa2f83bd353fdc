"""DICOM files, by pydicom: palette, rescale, window, and the codings that hospitals use."""

import io
from typing import Any

import numpy as np

from pocketscope.images.pixels import Unreadable, check_page, check_size, grey_to_rgb, rounded, to_8_bits

_LOSSLESS_JPEG = {  # DICOM transfer syntaxes, and what decodes them
    "1.2.840.10008.1.2.4.57": "jpegsof3_decode",
    "1.2.840.10008.1.2.4.70": "jpegsof3_decode",
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",
}


# ---- DICOM


def decode_dicom(data: bytes, page: int) -> np.ndarray:
    import pydicom
    from pydicom.pixels import apply_color_lut, pixel_array

    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    if "PixelData" not in dataset:
        raise Unreadable("a DICOM file without an image, or no image at all")
    check_size(int(dataset.Columns), int(dataset.Rows))
    check_page(page, int(dataset.get("NumberOfFrames", None) or 1))
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian
        )
    _lift_frame_values(dataset, page)
    if dataset.file_meta.TransferSyntaxUID in _LOSSLESS_JPEG:
        values = _lossless_jpeg(dataset, page)
    else:
        values = pixel_array(dataset, index=page)  # YBR comes as RGB
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colour = apply_color_lut(values, dataset)[..., :3]
        return colour if colour.dtype == np.uint8 else (colour >> 8).astype(np.uint8)
    if dataset.SamplesPerPixel == 3:
        return values if values.dtype == np.uint8 else (values >> (int(dataset.BitsStored) - 8)).astype(np.uint8)
    grey = _grey(values, dataset)
    return grey_to_rgb(255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey)


def _lossless_jpeg(dataset: Any, page: int) -> np.ndarray:
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


def _grey(values: np.ndarray, dataset: Any) -> np.ndarray:
    """Rescale and window, as in DICOM PS3.3, C.11.1 and C.11.2, to 0 .. 255."""
    from pydicom.pixels import apply_modality_lut, apply_voi

    rescaled = np.asarray(apply_modality_lut(values, dataset))
    if dataset.get("VOILUTSequence"):
        return rounded(apply_voi(rescaled, dataset) * (255 / (2 ** _lut_bits(dataset.VOILUTSequence) - 1)))
    if dataset.get("WindowWidth") is not None and dataset.get("WindowCenter") is not None:
        centre, width = _first(dataset.WindowCenter), _first(dataset.WindowWidth)
        return _windowed(rescaled.astype(np.float64), centre, width, dataset.get("VOILUTFunction", "LINEAR"))
    if dataset.get("ModalityLUTSequence"):
        return rounded(rescaled * (255 / (2 ** _lut_bits(dataset.ModalityLUTSequence) - 1)))
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


def _lut_bits(sequence: Any) -> int:
    return int(sequence[0].LUTDescriptor[2])


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") else value)
