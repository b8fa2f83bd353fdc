"""Images that lie many in one file: the digits of scikit-learn, Parquet as Hugging Face writes it, MedMNIST."""

import glob
import hashlib
import importlib.util
import io
import json
import logging
import math
import os
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from pocketscope.errors import InputError
from pocketscope.files import whole
from pocketscope.pixels import Unreadable
from pocketscope.records import TEST, Gone, Record, as_label, did_you_mean, place_of

log = logging.getLogger(__name__)

# ---- digits: 1,797 handwritten digits that come with scikit-learn


def digits_records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of scikit-learn; see `pocketscope.sources.records`."""
    (place,) = digits_files(source, root).values()
    rows = np.loadtxt(place, delimiter=",", dtype=np.int64)  # 64 pixels, 0 .. 16, and the digit
    images = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    for index, (image, label) in enumerate(zip(images, rows[:, -1], strict=True)):
        yield Record(f"{label}/{index:04d}", str(label), None, None, partial(bytes, _as_file(image)))


def digits_files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the file in scikit-learn that holds the digits; see `pocketscope.sources.files`."""
    # Found without importing scikit-learn, which takes seconds, each time the workflow is planned.
    return {"digits.csv.gz": _package("sklearn") / "datasets" / "data" / "digits.csv.gz"}


def _package(name: str) -> Path:
    """Return the folder of an installed package, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.origin:
        raise InputError(f"this source needs the Python package '{name}', which is not installed; install it")
    return Path(found.origin).parent


def _as_file(values: np.ndarray) -> bytes:
    """Return 8-bit pixels as an image file that costs next to nothing to write and read."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "BMP")
    return buffer.getvalue()


# ---- parquet: images inside a table


def parquet_records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a `parquet` source; see `pocketscope.sources.records`."""
    columns = {"image": source.get("image") or "image", "label": source.get("label") or "label"}
    columns |= {"group": source["group"]} if source.get("group") else {}
    for path, (place, role) in _parquet_parts(source, root).items():
        yield from _parquet_rows(place, path, role, columns)


def parquet_files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the files of a `parquet` source; see `pocketscope.sources.files`."""
    return {path: place for path, (place, _) in _parquet_parts(source, root).items()}


def _parquet_parts(source: dict[str, Any], root: Path) -> dict[str, tuple[Path, str | None]]:
    """Return place and role of each file, by its path relative to the folder that all of them lie in."""
    test = _matching(source, root, "test") if source.get("test") else []
    parts = [(place, None) for place in _matching(source, root, "path") if place not in test]
    parts += [(place, TEST) for place in test]
    top = os.path.commonpath([place.parent for place, _ in parts])
    return {place.relative_to(top).as_posix(): (place, role) for place, role in parts}


def _matching(source: dict[str, Any], root: Path, key: str) -> list[Path]:
    named = place_of(source, root, key)
    if named.is_dir():
        found = sorted(named.rglob("*.parquet"))
    else:
        # A name is tried as it stands before its '*', '?' and '[' are taken for a pattern.
        found = [named] if named.is_file() else sorted(map(Path, glob.glob(str(named), recursive=True)))  # noqa: PTH207
    if not found:
        raise (Gone if key == "path" else InputError)(
            f"{named}: there is no such Parquet file, nor a folder with any ('{key}'); correct the path"
        )
    return found


def _parquet_rows(place: Path, path: str, role: str | None, columns: dict[str, str]) -> Iterator[Record]:
    import pyarrow as pa  # takes longer to import than most sources to list
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(place)
    except pa.ArrowInvalid as error:
        raise InputError(f"{place}: is no Parquet file, or damaged ({error}); get it anew") from error
    with file:
        schema = file.schema_arrow
        _check_columns(place, schema, columns)
        classes = _class_names(schema, columns["label"])
        others = [columns[name] for name in ("label", "group") if name in columns]
        row = 0
        for part in range(file.num_row_groups):
            cells = file.read_row_group(part, columns=others).to_pydict()
            for offset, value in enumerate(cells[columns["label"]]):
                label = _class_of(value, classes, place, row)
                group = as_label(cells[columns["group"]][offset]) if "group" in columns else None
                read = partial(_read_cell, str(place), columns["image"], part, offset)
                yield Record(f"{path}/{row:07d}", label, group, role, read)
                row += 1


def _check_columns(place: Path, schema: Any, columns: dict[str, str]) -> None:
    import pyarrow as pa

    for key, name in columns.items():
        if name not in schema.names:
            raise InputError(
                f"{place}: there is no column {name!r} ('{key}'){did_you_mean(name, schema.names)} "
                f"The columns are {', '.join(map(repr, schema.names))}"
            )
    kind = schema.field(columns["image"]).type
    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        raise InputError(
            f"{place}: the column {columns['image']!r} holds {kind}, not encoded images (binary, or a struct with "
            "'bytes'); name another with 'image'"
        )


def _class_names(schema: Any, column: str) -> list[str] | None:
    """Return what Hugging Face's `ClassLabel` calls the classes 0, 1, ...; None where the column is none."""
    try:
        feature = json.loads(schema.metadata[b"huggingface"])["info"]["features"][column]
        return list(feature["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _class_of(value: Any, classes: list[str] | None, place: Path, row: int) -> str | None:
    if classes is None or not isinstance(value, int):
        return as_label(value)
    if value == -1:  # "no label", as the test parts of public sets have it
        return None
    if not 0 <= value < len(classes):
        raise InputError(f"{place}: row {row} has the label {value}, and the classes are 0 to {len(classes) - 1}")
    return classes[value]


def _read_cell(place: str, column: str, part: int, offset: int) -> bytes:
    try:
        data = _row_group(place, column, part, os.getpid())[offset].as_py()
    except (ValueError, OSError) as error:  # what Arrow raises for damaged files
        raise Unreadable(f"this part of the Parquet file is damaged ({error})") from error
    if data is None:
        raise Unreadable("the row holds no image, or only a path to one")
    return data


@lru_cache(maxsize=1)
def _row_group(place: str, column: str, part: int, _process: int) -> Any:
    """Return the encoded images of one row group; neighbours are read one after the other, so one is kept."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(place) as file:
        struct = pa.types.is_struct(file.schema_arrow.field(column).type)
        cells = file.read_row_group(part, columns=[f"{column}.bytes" if struct else column], use_threads=False)[column]
    return pc.struct_field(cells, "bytes") if struct else cells


# ---- medmnist: standardised biomedical sets (Yang et al. 2023, https://doi.org/10.1038/s41597-022-01721-8)


def medmnist_records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a set of MedMNIST, downloaded where it is not there; see `pocketscope.sources.records`."""
    information = _medmnist(source["name"])
    place = place_of(source, root) if source.get("path") else _downloaded(information, source["name"], _size(source))
    if not place.is_file():
        raise Gone(f"{place}: there is no such file ('path' of a medmnist source); correct the path")
    try:
        labels = {split: np.load(place)[f"{split}_labels"].ravel() for split in ("train", "val", "test")}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{place}: is not a file of MedMNIST, or damaged ({error}); get it anew") from error
    for split, values in labels.items():
        role = TEST if split == "test" else None
        for index, value in enumerate(values):
            read = partial(_read_member, str(place), f"{split}_images.npy", index)
            yield Record(f"{split}/{index:06d}", information["label"][str(value)], None, role, read)


def medmnist_files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the file that the user names; a published set is known by its name. See `pocketscope.sources.files`."""
    _medmnist(source["name"])
    if not source.get("path"):
        return {}
    place = place_of(source, root)
    if not place.is_file():
        raise Gone(f"{place}: there is no such file ('path' of a medmnist source); correct the path")
    return {place.name: place}


def _size(source: dict[str, Any]) -> int:
    return int(source.get("size") or 28)


def _medmnist(name: str) -> dict[str, Any]:
    """Return what the package says of a set, once it is one of single flat images with one class each."""
    known = _medmnist_module().INFO
    if name not in known:
        raise InputError(f"MedMNIST has no set {name!r}{did_you_mean(name, known)} It has {', '.join(known)}")
    information = known[name]
    if name.endswith("3d"):
        raise InputError(f"the MedMNIST set {name!r} holds volumes, not images; choose a set without '3d'")
    if "multi-label" in information["task"]:
        raise InputError(f"the images of {name!r} have several labels each; choose a set with one class an image")
    return information


@lru_cache(maxsize=1)
def _medmnist_module() -> ModuleType:
    # The package imports torch, pandas and more, which takes seconds; its list of sets stands alone.
    spec = importlib.util.spec_from_file_location("_medmnist_info", _package("medmnist") / "info.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _downloaded(information: dict[str, Any], name: str, size: int) -> Path:
    """Return a published set in the folder where the package keeps it, downloaded unless it is there."""
    flag = "" if size == 28 else f"_{size}"
    if f"url{flag}" not in information:
        raise InputError(f"the MedMNIST set {name!r} has no size {size}; it has 28, 64, 128 and 224")
    folder = Path(_medmnist_module().DEFAULT_ROOT)
    place = folder / f"{name}{flag}.npz"
    if not place.is_file():
        _download(information[f"url{flag}"], place, information[f"MD5{flag}"])
    return place


def _download(url: str, place: Path, md5: str) -> None:
    """Download a file whole or not at all, if it is the one that is meant."""
    digest = hashlib.md5(usedforsecurity=False)
    log.info("downloading %s to %s", url, place)
    try:
        with urllib.request.urlopen(url, timeout=60) as remote, whole(place) as temporary, temporary.open("wb") as file:
            while block := remote.read(2**20):
                digest.update(block)
                file.write(block)
            if digest.hexdigest() != md5:
                raise OSError(f"its MD5 is {digest.hexdigest()} and should be {md5}")
    except OSError as error:  # all that the network can do wrong is one
        raise InputError(
            f"{url} could not be downloaded ({error}); get it where there is a network, and name the file by 'path'"
        ) from error


def _read_member(place: str, member: str, index: int) -> bytes:
    """Return one image of an array in a .npz, as a file, without unpacking the array."""
    try:
        file, start, shape, dtype = _open_member(place, member, os.getpid())
        length = math.prod(shape[1:]) * dtype.itemsize
        file.seek(start + index * length)
        return _as_file(np.frombuffer(file.read(length), dtype).reshape(shape[1:]))
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        _open_member.cache_clear()  # where it stands in the file is not known any more
        raise Unreadable(f"this part of the file is damaged ({error})") from error


@lru_cache(maxsize=1)
def _open_member(place: str, member: str, _process: int) -> tuple[Any, int, tuple[int, ...], np.dtype]:
    # Kept open: the images are read in their order, and going back in a compressed file means starting again.
    file = zipfile.ZipFile(place).open(member)  # noqa: SIM115
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    return file, file.tell(), shape, dtype
