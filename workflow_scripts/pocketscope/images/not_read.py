"""What a file is that no decoder here reads, by its first bytes: a whole image is not to be called damaged."""

# The first bytes, what has them, and what to do.
_AS_IMAGE = "save it as PNG or TIFF"
_UNPACK = "take the images out of it"
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"8BPS", "PSD (Photoshop)", _AS_IMAGE),
    (b"gimp xcf", "XCF (GIMP)", _AS_IMAGE),
    (b"ZISRAWFILE", "CZI (Zeiss)", "save it as TIFF"),
    (b"\xda\xce\xbe\x0a", "ND2 (Nikon)", "save it as TIFF"),
    (b"\xd0\xcf\x11\xe0", "OIB (Olympus), ZVI (Zeiss), FPX or a document of Office", "save its image as TIFF"),
    (b"\x89HDF\r\n\x1a\n", "HDF5", "save its images as TIFF"),
    (b"MATLAB 5.0 MAT", "MATLAB's file", "save its images as TIFF"),
    (b"\x93NUMPY", "NumPy's array", _AS_IMAGE),
    (b"NRRD0", "NRRD", "save the plane that counts as PNG or TIFF"),
    (b"ObjectType = Image", "MetaImage", "save the plane that counts as PNG or TIFF"),
    (b"SIMPLE  =", "FITS", "save it as TIFF"),
    (b"\x76\x2f\x31\x01", "OpenEXR", "save it as TIFF"),
    *((b"P%d" % kind + end, "PNM", "save it as PNG") for kind in range(1, 8) for end in (b"\n", b" ", b"\r")),
    *((b"P%s" % kind + end, "PFM", "save it as TIFF") for kind in (b"f", b"F") for end in (b"\n", b" ", b"\r")),
    *((mark, "a camera's raw photo", "save it as JPEG") for mark in (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0")),
    (b"II\xbc", "JPEG XR", _AS_IMAGE),
    (b"\0\0\1\0", "ICO (icons)", "save it as PNG"),
    (b"icns", "ICNS (icons)", "save it as PNG"),
    (b"DDS ", "DDS (textures)", "save it as PNG"),
    (b"BLP1", "BLP (textures)", "save it as PNG"),
    (b"BLP2", "BLP (textures)", "save it as PNG"),
    (b"qoif", "QOI", "save it as PNG"),
    (b"\x01\xda", "SGI", "save it as PNG"),
    (b"\x59\xa6\x6a\x95", "Sun's raster image", "save it as PNG"),
    (b"\xb1\x68\xde\x3a", "DCX", "save it as PNG"),
    (b"\x28\0\0\0", "DIB, a BMP without its first header", "save it as PNG"),
    (b"/* XPM */", "XPM", "save it as PNG"),
    (b"#define ", "XBM", "save it as PNG"),
    (b"Image type: ", "IFUNC", "save it as PNG"),
    (b"\xd7\xcd\xc6\x9a", "WMF (drawings)", "save it as PNG"),
    (b"%!PS", "PostScript", "save it as PNG"),
    (b"\xc5\xd0\xd3\xc6", "PostScript", "save it as PNG"),
    (b"%PDF", "PDF", "save its images as PNG"),
    (b"AT&TFORM", "DjVu", "save its images as PNG"),
    (b"\x1aE\xdf\xa3", "a video", "save the frame to use as an image"),
    (b"GRIB", "GRIB (fields of weather)", "save them as TIFF"),
    *((mark, "an archive", _UNPACK) for mark in (b"PK\3\4", b"Rar!", b"7z\xbc\xaf\x27\x1c")),
    *((mark, "a compressed file", "unpack it") for mark in (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")),
    (b"PAR1", "a Parquet table", "name it as a source of 'kind: parquet', if it holds images"),
    (b"SQLite format 3", "a database", _UNPACK),
    (b"version https://git-lfs", "a place holder of Git LFS", "get the file itself with 'git lfs pull'"),
)
# The same, further behind: where, what stands there, what has it, and what to do.
_FURTHER: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"\x11\xaf", "a film (FLI)", "save the frame to use as an image"),
    (4, b"\x12\xaf", "a film (FLC)", "save the frame to use as an image"),
    (8, b"AVI ", "a video", "save the frame to use as an image"),
    (8, b"\x2a", "LIF (Leica)", "save its images as TIFF"),
    (40, b" EMF", "EMF (drawings)", "save it as PNG"),
    (208, b"MAP ", "MRC", "save it as TIFF"),
    (257, b"ustar", "an archive", _UNPACK),
    (344, b"n+1\0", "NIfTI", "save the plane that counts as PNG or TIFF"),
    (344, b"ni1\0", "NIfTI", "save the plane that counts as PNG or TIFF"),
)
_FIRST_TOO = {"LIF (Leica)": b"\x70\0\0\0", "a video": b"RIFF"}
_BRANDS = {  # of the containers that begin with "ftyp"
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"jxl ": "JPEG XL",
    b"crx ": "CR3 (Canon's raw)",
}
_BASELINE, _LS = range(0xC0, 0xC3), 0xF7
_FRAMES = {*range(0xC0, 0xD0), _LS} - {0xC4, 0xC8, 0xCC}  # markers of JPEG that say how the pixels are coded


def why(data: bytes) -> str | None:
    """Return what a file is that is not read, and what to do; None where its first bytes do not tell.

    Parameters
    ----------
    data
        The content of the file.
    """
    for beginning, name, remedy in _BEGINNINGS:
        if data.startswith(beginning):
            return f"{name}, which is not supported: {remedy}"
    if is_heif(data):
        return (
            f"{_container(data)}, which is not supported: save it as JPEG, or install the Python package 'pillow-heif'"
        )
    if data[4:8] == b"ftyp":
        return f"{_container(data)}, which is not supported: save it as JPEG"
    for at, mark, name, remedy in _FURTHER:
        if data.startswith(mark, at) and data.startswith(_FIRST_TOO.get(name, b"")):
            return f"{name}, which is not supported: {remedy}"
    head = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return "SVG, which is not supported: save it as PNG"
    if head.startswith((b"<!doctype html", b"<html")):
        return "a page of the web, not an image: get the file again"
    rare = _rare_jpeg(data) or _without_a_mark(data)
    return f"{rare}, which is not supported: {_AS_IMAGE}" if rare else None


def is_heif(data: bytes) -> bool:
    """Say whether a file is one that `pillow-heif` reads."""
    return data[4:8] == b"ftyp" and _container(data) in ("HEIC", "HEIF")


def _container(data: bytes) -> str:
    size = int.from_bytes(data[:4], "big")
    # The main brand, then those that it is compatible with; "mif1" alone says no more than that it is an image.
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(size, 200), 4))]
    named = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    if named:
        return named[0]
    return "HEIF" if {b"mif1", b"msf1"} & set(brands) else "a video or another MP4 container"


def _rare_jpeg(data: bytes) -> str | None:
    """Name a JPEG file that is not of the two usual kinds of 8 bits."""
    at = 2
    while data[:2] == b"\xff\xd8" and data[at : at + 1] == b"\xff" and at + 5 <= len(data):
        marker = data[at + 1]
        if marker in _FRAMES:
            if marker == _LS:
                return "JPEG-LS"
            bits = data[at + 4]
            return f"JPEG of {bits} bits" if bits != 8 else None if marker in _BASELINE else "JPEG of a rare coding"
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _without_a_mark(data: bytes) -> str | None:
    """Name a file of an old format whose header has no mark of its own, where all its fields make sense."""
    if len(data) < 18:
        return None
    if data[0] == 10 and data[1] in (0, 2, 3, 4, 5) and data[2] in (0, 1) and data[3] in (1, 2, 4, 8):
        return "PCX"
    if data.startswith(b"\0\0\2\0") and data[4] and not data[5]:
        return "CUR (a pointer)"
    mapped, kind, bits = data[1], data[2], data[16]
    size = int.from_bytes(data[12:14], "little") * int.from_bytes(data[14:16], "little")
    coded = kind in (1, 2, 3, 9, 10, 11) and mapped == (kind in (1, 9)) and bits in (8, 15, 16, 24, 32)
    if data[-18:-2] == b"TRUEVISION-XFILE" or (coded and size and (mapped or not any(data[3:8]))):
        return "TGA"
    return None
