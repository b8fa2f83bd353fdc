"""Who runs this, and where they may write: said before anything is made."""

import getpass
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from pocketscope.core.errors import InputError


def check_folders(folders: Iterable[Path]) -> None:
    """Refuse to begin where one of these folders is there and cannot be written to.

    Raises
    ------
    pocketscope.core.errors.InputError
        The message says whose it is.
    """
    for folder in folders:
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(
                f"{folder.resolve()}: cannot be written to; it belongs to {_owner(folder)}; make it writable, or "
                "name another folder by --directory"
            )


def check_interpreter() -> None:
    """Refuse a Python whose path holds a space: Snakemake starts scripts by that path, without quotes.

    Raises
    ------
    pocketscope.core.errors.InputError
        The message names the path.
    """
    if len(sys.executable.split()) > 1:
        raise InputError(
            f"{sys.executable}: the path of this Python holds a space, and Snakemake cannot start a job by it; install "
            "pocketscope in a folder whose path has none"
        )


def name_user() -> None:
    """Give the user a name where the system knows none, as in containers: libraries ask for it, and fail."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = _number()


def login() -> str:
    """Return the name of whoever runs this, as labels name people; `name_user` where the system knows none."""
    name_user()
    return getpass.getuser()


def _owner(folder: Path) -> str:
    try:
        return folder.owner()
    except (KeyError, NotImplementedError, OSError):
        return "another user"


def _number() -> str:
    return f"user{os.getuid()}" if hasattr(os, "getuid") else "user"
