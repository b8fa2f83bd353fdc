"""DICOM files, decoded by GDCM too: SimpleITK brings it. Skipped where that is not installed.

GDCM gives stored values, rescaled; windows and the scale to 8 bits are computed here, from the standard's formulas.
"""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate

from image_files import dicom, written
from pocketscope.images.decode import decode
from pocketscope.images.pixels import Unreadable, to_8_bits

sitk = pytest.importorskip("SimpleITK")

# Read wrongly by GDCM 3.0, as the same pixels in another coding show.
WRONG_THERE = {
    *("SC_rgb_rle_16bit.dcm", "SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_rle_32bit.dcm", "SC_rgb_rle_32bit_2frame.dcm"),
    "rtdose_expb.dcm",  # big-endian numbers of 32 bits
}
TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
NOT_READ_HERE = {"badVR.dcm"}  # of its numbers one is no number


def by_gdcm(path):
    """Return the first frame as uint8, (rows, columns, 3); None where GDCM does not read it."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        values = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError:
        return None
    file = dcmread(path, force=True)
    colour = file.SamplesPerPixel == 3 or file.PhotometricInterpretation == "PALETTE COLOR"
    while values.ndim > 2 + colour:
        values = values[0]
    if colour:
        return to_8_bits(values)
    slope, intercept = float(file.get("RescaleSlope", 1)), float(file.get("RescaleIntercept", 0))
    if file.PhotometricInterpretation == "MONOCHROME1":  # ITK turns the stored values over
        values = slope * (2**file.BitsStored - 1 - (values - intercept) / slope) + intercept
    grey = windowed(values, file)
    return np.repeat((255 - grey if file.PhotometricInterpretation == "MONOCHROME1" else grey)[..., None], 3, -1)


def windowed(values, file):
    if file.get("WindowWidth") is None:
        deep = file.BitsStored > 8 or file.PixelRepresentation
        grey = np.rint(values * (255 / (2**file.BitsStored - 1))).clip(0, 255)  # 1 bit comes as 0 and 255
        return to_8_bits(values) if deep else grey.astype(np.uint8)
    centre, width = (float(np.atleast_1d(file[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    scaled = (values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5  # PS3.3, C.11.2.1.2.1
    return np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def camera(bits, signed):
    """A ramp with noise."""
    values = np.linspace(0, 2**bits - 1, 40 * 30).reshape(30, 40)
    values = np.clip(values + np.random.default_rng(0).normal(0, 2 ** (bits - 5), values.shape), 0, 2**bits - 1)
    return (values - 2 ** (bits - 1) * signed).astype(np.int16 if signed else np.uint16)


CODINGS = {
    uid.ExplicitVRLittleEndian: None,
    uid.JPEGLosslessSV1: imagecodecs.ljpeg_encode,
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEG2000Lossless: lambda values: imagecodecs.jpeg2k_encode(values, codecformat="j2k", reversible=True),
    uid.RLELossless: "rle",
}


@pytest.mark.parametrize("syntax", CODINGS, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("stored", [10, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("window", [False, True])
def test_stored_bits_signs_codings_and_windows_are_read_as_gdcm_reads_them(tmp_path, syntax, stored, signed, window):
    values = camera(stored, signed)
    elements = {"RescaleSlope": 0.5, "RescaleIntercept": -100, "SOPClassUID": uid.CTImageStorage}
    middle = float(values.mean()) * 0.5 - 100
    elements |= {"WindowCenter": middle, "WindowWidth": 2 ** (stored - 3)} if window else {}
    file = dcmread(io.BytesIO(dicom(values, BitsStored=stored, SOPInstanceUID="1.2.3", **elements)))
    encoder = CODINGS[syntax]
    if encoder == "rle":
        file.compress(syntax)
    elif encoder:
        mask = np.uint16(2**stored - 1)
        plain = values if syntax == uid.JPEG2000Lossless else values.view(np.uint16) & mask
        file.file_meta.TransferSyntaxUID = syntax
        file.PixelData = encapsulate([encoder(np.ascontiguousarray(plain))])
        file["PixelData"].is_undefined_length = True
    path = tmp_path / "x.dcm"
    path.write_bytes(written(file))
    expected = by_gdcm(path)
    assert expected is not None
    assert np.abs(decode(path.read_bytes()).astype(int) - expected).max() <= 1


def test_pydicoms_own_test_files_are_read_as_gdcm_reads_them():
    compared, different, refused = 0, [], []
    for path in sorted(TEST_FILES.rglob("*.dcm")):
        if path.name in WRONG_THERE or not (data := path.read_bytes()):
            continue
        expected = by_gdcm(path)
        try:
            found = decode(data)
        except Unreadable:
            refused += [path.name] if expected is not None else []
            continue
        if expected is not None:
            compared += 1
            alike = found.shape == expected.shape and np.abs(found.astype(int) - expected).max() <= 1
            different += [] if alike else [path.name]
    assert set(refused) <= NOT_READ_HERE
    assert different == []
    assert compared > 40
