"""A place for caches where the user's own is of no use: in containers the home may be `/`, or not be there at all."""

import os
import tempfile
from pathlib import Path

CACHE = "XDG_CACHE_HOME"  # read by Snakemake, torch and Hugging Face


def for_caches() -> dict[str, str]:
    """Return what is to be set in the environment so that Snakemake begins; empty where the user's home will do."""
    home = os.path.expanduser("~")  # noqa: PTH111 (it leaves what it does not know as it is)
    known = Path(home).is_absolute()
    if known and (os.environ.get(CACHE) or _may_write(Path(home) / ".cache" / "snakemake")):
        return {}
    try:
        place = _own_folder()
    except OSError:  # Snakemake says what it lacks
        return {}
    return ({} if known else {"HOME": place}) | ({} if os.environ.get(CACHE) else {CACHE: place})


def _may_write(folder: Path) -> bool:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _own_folder() -> str:
    """Return a folder of the user's alone among the temporary ones; the same one in all processes, where it is safe."""
    number = os.getuid() if hasattr(os, "getuid") else 0
    place = Path(tempfile.gettempdir()) / f"pocketscope-{number}"
    place.mkdir(mode=0o700, exist_ok=True)
    about = place.lstat()
    if place.is_symlink() or about.st_mode & 0o077 or about.st_uid != number:  # another user's, who knew the name
        return tempfile.mkdtemp(prefix="pocketscope-")
    return str(place)
