"""Decode every file of some folders: how many are read, refused and why, and how many are read otherwise elsewhere.

Pixels are compared with those of SimpleITK (GDCM) for DICOM files, where it is installed, and of Pillow for files of 8
bits without transparency. What differs is not always wrong here: it is listed, to be looked at.

    python benchmarks/decoding.py FOLDER... [--code CHECKOUT]

`--code` takes the decoders of another checkout. The last line is one JSON object.
"""

import argparse
import io
import json
import re
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

try:
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
except ImportError:
    sitk = None

NAMED = (
    r"not supported|header lacks|animated|too large|has no page|channels|without an image|empty|volume|web|place holder"
)


def elsewhere(path: Path, data: bytes) -> np.ndarray | None:
    """Return a file's pixels, uint8 (height, width, 3), as another library decodes them; None where none is asked."""
    if data[128:132] == b"DICM":
        return _by_gdcm(path)
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode not in ("L", "RGB") or picture.has_transparency_data or picture.format in ("GIF", "EPS"):
                return None
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except Exception:  # a damaged file can raise anything
        return None


def _by_gdcm(path: Path) -> np.ndarray | None:
    """Return a DICOM file of 8 bits; windows and deeper files are those of tests/unit/test_gdcm.py."""
    if sitk is None:
        return None
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        values = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError:
        return None
    if values.dtype != np.uint8 or any(reader.HasMetaDataKey(key) for key in ("0028|1050", "0028|3010", "0028|3000")):
        return None
    grey = values.shape[-1] != 3
    while values.ndim > 3 - grey:
        values = values[0]
    return np.repeat(values[..., None], 3, -1) if grey else values


def outcome(decode, unreadable: type[Exception], path: Path) -> tuple[str, str]:
    """Return what became of a file, `read`, `differs`, `named` or `refused`, and its shape or the reason."""
    data = path.read_bytes()
    try:
        found = decode(data)
    except unreadable as error:
        return "named" if re.search(NAMED, str(error)) else "refused", str(error)[:150]
    except ImportError as error:
        return "refused", f"needs {error.name}"
    other = elsewhere(path, data)
    if other is None:
        return "read", str(found.shape)
    alike = found.shape == other.shape and np.abs(found.astype(int) - other).max() <= 2
    return ("read" if alike else "differs"), str(found.shape)


def main() -> None:
    """Print a row a folder, what is of note, and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--code", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--list", action="store_true", help="print every file that is not just read")
    parsed = parser.parse_args()
    sys.path.insert(0, str(parsed.code / "workflow_scripts"))
    from pocketscope.images.decode import decode
    from pocketscope.images.pixels import Unreadable

    warnings.simplefilter("ignore")
    result = {}
    for folder in parsed.folders:
        counts: Counter[str] = Counter()
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size):
            if path.suffix in (".py", ".json", ".txt", ".md", ".pyc", ".h", ".c"):
                continue
            what, about = outcome(decode, Unreadable, path)
            counts[what] += 1
            if parsed.list and what != "read":
                print(f"{what:8} {path.relative_to(folder)}: {about}")
        result[folder.name] = dict(sorted(counts.items()))
        print(folder.name, result[folder.name])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
