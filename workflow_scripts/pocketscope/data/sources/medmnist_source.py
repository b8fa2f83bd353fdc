"""Sets of MedMNIST."""

import hashlib
import importlib.util
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

from pocketscope.core.errors import InputError
from pocketscope.core.files import whole
from pocketscope.core.messages import did_you_mean
from pocketscope.data.sources.arrays import as_bmp, package_folder
from pocketscope.data.sources.paths import place_of
from pocketscope.data.sources.record import TEST, Gone, Record
from pocketscope.images.pixels import Unreadable

log = logging.getLogger(__name__)


# ---- medmnist: standardised biomedical sets (Yang et al. 2023, https://doi.org/10.1038/s41597-022-01721-8)


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a set of MedMNIST, downloaded where it is not there; see `kinds.records`."""
    information = _medmnist(source["name"])
    place = place_of(source, root) if source.get("path") else _downloaded(information, source["name"], _size(source))
    if not place.is_file():
        raise Gone(f"{place}: there is no such file ('path' of a medmnist source); correct the path")
    try:
        labels = {split: np.load(place)[f"{split}_labels"].ravel() for split in ("train", "val", "test")}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{place}: is not a file of MedMNIST, or is damaged ({error}); download it again") from error
    for split, values in labels.items():
        role = TEST if split == "test" else None
        for index, value in enumerate(values):
            read = partial(_read_member, str(place), f"{split}_images.npy", index)
            yield Record(f"{split}/{index:06d}", information["label"][str(value)], None, role, read)


def files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the file that the user names; a published set is known by its name. See `kinds.files`."""
    _medmnist(source["name"])
    if not source.get("path"):
        return {}
    place = place_of(source, root)
    if not place.is_file():
        raise Gone(f"{place}: there is no such file ('path' of a medmnist source); correct the path")
    return {place.name: place}


def licence(name: str) -> str:
    """Return the licence of a published set, as the package says."""
    return _medmnist(name)["license"]


def _size(source: dict[str, Any]) -> int:
    return int(source.get("size") or 28)


def _medmnist(name: str) -> dict[str, Any]:
    """Return what the package says of a set, once it is one of single flat images with one class each."""
    known = _medmnist_module().INFO
    if name not in known:
        raise InputError(f"MedMNIST has no set {name!r}{did_you_mean(name, known)} It has {', '.join(known)}")
    information = known[name]
    if name.endswith("3d"):
        raise InputError(f"the MedMNIST set {name!r} contains volumes, not images; choose a set without '3d'")
    if "multi-label" in information["task"]:
        raise InputError(f"the images of {name!r} have several labels each; choose a set with one class per image")
    return information


@lru_cache(maxsize=1)
def _medmnist_module() -> ModuleType:
    # The package imports torch, pandas and more, which takes seconds; its list of sets stands alone.
    spec = importlib.util.spec_from_file_location("_medmnist_info", package_folder("medmnist") / "info.py")
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
            f"{url} could not be downloaded ({error}); download it where there is a network, and name "
            "the file by 'path'"
        ) from error


def _read_member(place: str, member: str, index: int) -> bytes:
    """Return one image of an array in a .npz, as a file, without unpacking the array."""
    try:
        file, start, shape, dtype = _open_member(place, member, os.getpid())
        length = math.prod(shape[1:]) * dtype.itemsize
        file.seek(start + index * length)
        return as_bmp(np.frombuffer(file.read(length), dtype).reshape(shape[1:]))
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
