"""Files that appear whole or not at all."""

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketscope.core.errors import InputError

FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` when the block ends without an error.

    A process that is killed inside the block leaves `path` as it was: absent, or with its former content. What two
    processes write at once never mixes, because each has a temporary file of its own; the last rename wins.

    Parameters
    ----------
    path
        The file to be written. Its folder is made where it is missing.

    Yields
    ------
    pathlib.Path
        Where to write. It lies in the folder of `path`, so that the rename stays inside one file system, and keeps
        the ending of `path`, which some libraries read the format from.

    Raises
    ------
    pocketscope.core.errors.InputError
        The disk is full, or the folder cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}.{path.name}")
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # else a power cut can leave the new name on an empty file
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def named(path: str | os.PathLike) -> Iterator[None]:
    """Name `path`, and the remedy, where the disk is full or the folder closed to writers.

    Raises
    ------
    pocketscope.core.errors.InputError
        As `whole` says.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if remedy := _remedy(error, Path(path).parent):
            raise InputError(f"{path}: cannot be written ({error}); {remedy} and run again") from error
        raise


def remove_leftovers(path: str | os.PathLike) -> None:
    """Delete the temporary files of writers of `path` that were killed; no other process may be writing it."""
    path = Path(path)
    name = re.compile(rf"\.[0-9a-f]{{12}}\.{re.escape(path.name)}")
    if path.parent.is_dir():
        for file in path.parent.iterdir():
            if name.fullmatch(file.name):
                file.unlink()


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def copy(source: str | os.PathLike, path: str | os.PathLike) -> None:
    """Copy a file's content, whole or not at all."""
    with whole(path) as temporary:
        shutil.copyfile(source, temporary)


def _remedy(error: Exception, folder: Path) -> str | None:
    """Return what helps against an error of writing, None where it is another error."""
    # Libraries written in Rust and C++ hand the system's error on as text.
    if any(text in str(error) for text in FULL):
        return "free some space"
    return "make the folder writable" if isinstance(error, OSError) and not os.access(folder, os.W_OK) else None
