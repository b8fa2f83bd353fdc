"""Image files of all formats, as bytes, made for the tests."""

import io
import struct
import zlib

import pydicom
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian


def saved(picture, form, **options):
    """A file of a format that Pillow writes, of a picture or of uint8 pixels."""
    buffer = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def tiff(values, **options):
    """A TIFF file of any dtype."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def dicom(values, **elements):
    """A DICOM file of `values`, (rows, columns) or (frames, rows, columns) or (rows, columns, 3)."""
    colour = values.ndim == 3 and values.shape[-1] == 3
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.Rows, file.Columns = values.shape[-3:-1] if colour else values.shape[-2:]
    file.SamplesPerPixel = 3 if colour else 1
    file.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        file.PlanarConfiguration = 0
    elif values.ndim == 3:
        file.NumberOfFrames = len(values)
    file.BitsAllocated = file.BitsStored = values.dtype.itemsize * 8
    file.PixelRepresentation = int(values.dtype.kind == "i")
    file.PixelData = values.tobytes()
    for name, value in elements.items():
        setattr(file, name, value)
    file.HighBit = file.BitsStored - 1
    return written(file)


def written(file, little_endian=True):
    """The bytes of a DICOM data set, with preamble."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, file, implicit_vr=False, little_endian=little_endian)
    preamble = b"\0" * 128 + b"DICM"
    return preamble + buffer.getvalue().removeprefix(preamble)


def animated(pixels, form):
    """Two frames."""
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    return saved(frames[0], form, save_all=True, append_images=frames[1:])


def png_header(width, height):
    """The beginning of a PNG file that claims a size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT"
    )
