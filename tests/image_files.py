"""Image files of all formats, as bytes, made for the tests."""

import io
import struct
import zlib

import numpy as np
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


def packed_tiff(values, bits, photometric, colours=None, extrasamples=None):
    """A TIFF file of `values`, (rows, columns, samples), of 1, 2, 4, 8 or 12 bits, with a palette of (entries, 3)."""
    rows, columns, samples = values.shape
    each = (values[..., None] >> np.arange(bits)[::-1] & 1).astype(np.uint8).reshape(rows, -1)
    pixels = np.packbits(each, axis=1).tobytes()  # a row begins with a byte of its own
    lists = [struct.pack(f"<{samples}H", *[bits] * samples)]
    lists += [(np.asarray(colours, np.uint16).T * 257).astype("<u2").tobytes()] if colours is not None else [b""]
    entries = [(256, 4, 1, columns), (257, 4, 1, rows), (259, 3, 1, 1), (262, 3, 1, photometric)]
    entries += [(277, 3, 1, samples), (278, 4, 1, rows), (279, 4, 1, len(pixels))]
    entries += [(338, 3, 1, extrasamples)] if extrasamples is not None else []
    offset = 8 + 2 + 12 * (len(entries) + 3) + 4
    entries += [(258, 3, samples, {1: bits, 2: bits << 16 | bits}.get(samples, offset))]
    entries += [(320, 3, len(lists[1]) // 2, offset + len(lists[0]))] if lists[1] else [(305, 2, 1, 0)]
    entries += [(273, 4, 1, offset + len(lists[0]) + len(lists[1]))]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + directory + bytes(4) + b"".join(lists) + pixels


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
