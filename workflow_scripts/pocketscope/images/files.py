"""Which files are images, by their names, and their bytes."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pocketscope.core.errors import InputError
from pocketscope.images.pixels import Unreadable

MAX_BYTES = 2**30  # a file beyond 1 GiB is no image that a compact network could use, and would fill the memory


def read_file(path: str) -> bytes:
    """Return the content of a file of at most `MAX_BYTES`."""
    place = Path(path)
    if place.stat().st_size > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES >> 30} GiB")
    return place.read_bytes()


def image_files(named: Iterable[str | os.PathLike]) -> list[str]:
    """Return the files that are named, and those inside folders that are named, each once.

    Of a folder, what may be an image: hidden files, tables and texts are left out.

    Raises
    ------
    pocketscope.core.errors.InputError
        A name is that of nothing, or there is no file at all.
    """
    found: list[str] = []
    for name in map(os.fspath, named):
        if os.path.isdir(name):  # noqa: PTH112 (a hundred thousand paths stay strings)
            found += images_in(name)
        elif os.path.exists(name):  # noqa: PTH110
            found.append(name)
        else:
            raise InputError(f"{name}: there is no such file or folder; correct the path")
    if not found:
        raise InputError(f"{', '.join(map(os.fspath, named))}: contains no images")
    return list(dict.fromkeys(found))


# What lies beside images and is meant to. Anything else that is no image is skipped with a reason.
_NO_IMAGES = {
    *(".txt", ".md", ".rst", ".csv", ".tsv", ".xlsx", ".xls", ".ods", ".doc", ".docx", ".pdf", ".html", ".log"),
    *(".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".db", ".py", ".r", ".ipynb", ".parquet", ".npy", ".npz"),
}
_LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx", "$recycle.bin", "system volume information", "lost+found"}


def images_in(folder: str) -> list[str]:
    """Return the files of a folder, and of folders inside, that may be images, sorted; in a fixed order.

    Hidden files, what operating systems leave behind, and tables and texts are left out.
    """
    return [place for _, place in walk(folder, "", set())]


def is_left_by_systems(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LEFT_BY_SYSTEMS


def walk(folder: str, inside: str, leave_out: set[str], above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the files that may be images, links followed: path relative to where the walk began, and place.

    Plain strings, because a hundred thousand files are listed each time that the workflow is planned.
    """
    above = (*above, os.path.realpath(folder))
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if is_left_by_systems(entry.name):
            continue
        if entry.is_dir():
            if entry.path not in leave_out and os.path.realpath(entry.path) not in above:
                yield from walk(entry.path, f"{inside}{entry.name}/", leave_out, above)
        elif os.path.splitext(entry.name)[1].casefold() not in _NO_IMAGES:  # noqa: PTH122
            yield inside + entry.name, entry.path
