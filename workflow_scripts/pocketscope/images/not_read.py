"""What a file is that no decoder here reads, by its first bytes: a whole image is not to be called damaged."""

# The first bytes, what has them, and what to do.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xff\x0a", "JPEG XL", "save it as PNG"),
    (b"\0\0\0\x0cJXL ", "JPEG XL", "save it as PNG"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000", "save it as PNG or TIFF"),
    (b"\xff\x4f\xff\x51", "JPEG 2000", "save it as PNG or TIFF"),
    (b"8BPS", "PSD (Photoshop)", "save it as PNG or TIFF"),
    (b"gimp xcf", "XCF (GIMP)", "save it as PNG or TIFF"),
    (b"ZISRAWFILE", "CZI (Zeiss)", "save it as TIFF"),
    (b"\xda\xce\xbe\x0a", "ND2 (Nikon)", "save it as TIFF"),
    (b"\x89HDF\r\n\x1a\n", "HDF5", "save its images as TIFF"),
    (b"\x93NUMPY", "NumPy's array", "save it as PNG or TIFF"),
    (b"NRRD0", "NRRD", "save the plane that counts as PNG or TIFF"),
    (b"SIMPLE  =", "FITS", "save it as TIFF"),
    (b"\x76\x2f\x31\x01", "OpenEXR", "save it as TIFF"),
    *((b"P%d" % kind + end, "PNM", "save it as PNG") for kind in range(1, 8) for end in (b"\n", b" ", b"\r")),
    (b"%PDF", "PDF", "save its images as PNG"),
    (b"PK\3\4", "a ZIP archive", "take the images out of it"),
    (b"\x1f\x8b", "gzip", "unpack it"),
    (b"version https://git-lfs", "a place holder of Git LFS", "get the file itself with 'git lfs pull'"),
)
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
    if data[344:348] in (b"n+1\0", b"ni1\0"):
        return "NIfTI, which is not supported: save the plane that counts as PNG or TIFF"
    head = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return "SVG, which is not supported: save it as PNG"
    if head.startswith((b"<!doctype html", b"<html")):
        return "a page of the web, not an image: get the file again"
    return f"{jpeg}, which is not supported: save it as PNG or TIFF" if (jpeg := _rare_jpeg(data)) else None


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
