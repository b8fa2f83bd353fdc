"""Files that appear whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}.{path.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # else a power cut can leave the new name on an empty file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
