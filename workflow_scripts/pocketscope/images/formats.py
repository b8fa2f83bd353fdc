"""Which decoder a file needs, by its first bytes.

It imports no decoder: who packs a folder of PNG files does not pass through that of TIFF.
"""

from typing import Literal

Format = Literal["tiff", "dicom", "codestream", "other"]

HEAD = 132  # bytes that tell
DECODERS: dict[str, str] = {
    "tiff": "pocketscope.images.tiff",
    "dicom": "pocketscope.images.dicom",
    "codestream": "pocketscope.images.codestreams",
}

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_JPEG_XL = (b"\0\0\0\x0cJXL ", b"\xff\x0a")


def format_of(data: bytes) -> Format:
    """Return the format of a file whose beginning, `HEAD` bytes at least, or the whole is `data`; other: Pillow's."""
    # Before the first bytes are looked at: the preamble of a DICOM file may hold the header of another format, a TIFF's
    # in files that both kinds of readers are to open, and what that header says of the pixels may be wrong.
    if data[128:HEAD] == b"DICM":
        return "dicom"
    if data[:4] in _TIFF:
        return "tiff"
    # Some archives leave the preamble out: such a file begins with a tag of group 2 or 8.
    if data[:2] in (b"\x02\0", b"\x08\0") and data[3:4] == b"\0":
        return "dicom"
    return "codestream" if data.startswith((*_JPEG_2000, *_JPEG_XL)) else "other"
