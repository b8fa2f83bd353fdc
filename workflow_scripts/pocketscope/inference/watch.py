"""A folder that a microscope writes into: each new image file once, and only when it is whole."""

import os
from collections.abc import Iterable

from pocketscope.images.files import images_in

SETTLED = 2.0  # seconds for which a file's size and time must not change
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".lock")  # renamed when it is whole

_Stamp = tuple[int, int]  # size in bytes, time of modification in ns


class Watch:
    """Which files of a folder, and of folders inside, are new and whole.

    It looks at names, sizes and times alone, again and again: disks that microscopes share over a network tell of no
    changes. Times are compared with one another, never with this computer's clock.

    Parameters
    ----------
    folder
        Where files appear.
    done
        Paths that were answered before, absolute.
    settled
        For how many seconds size and time of a file must stay the same.
    """

    def __init__(self, folder: str | os.PathLike, done: Iterable[str] = (), *, settled: float = SETTLED) -> None:
        self.folder, self.settled = os.path.abspath(folder), settled  # noqa: PTH100 (links stay)
        self._given: dict[str, _Stamp | None] = dict.fromkeys(done)
        self._failed: set[str] = set()
        self._waiting: dict[str, tuple[_Stamp, float]] = {}

    @property
    def waiting(self) -> int:
        """How many files are not known to be whole yet."""
        return len(self._waiting)

    def look(self, now: float) -> list[str]:
        """Return the files that are new and whole, each once, sorted.

        Parameters
        ----------
        now
            Seconds of a clock that never goes back, such as `time.monotonic`.

        Raises
        ------
        OSError
            The folder is not there, or a part of it cannot be listed.
        """
        whole, waiting = [], {}
        for path in images_in(self.folder):
            if path.casefold().endswith(_UNFINISHED) or (path in self._given and path not in self._failed):
                continue
            try:
                found = os.stat(path)  # noqa: PTH116
            except OSError:  # renamed or deleted since it was listed
                continue
            stamp = found.st_size, found.st_mtime_ns
            if self._given.get(path) == stamp:
                continue
            before, since = self._waiting.get(path, (None, now))
            since = since if before == stamp else now
            if stamp[0] and now - since >= self.settled:
                whole.append(path)
                self._given[path] = stamp
                self._failed.discard(path)
            else:
                waiting[path] = stamp, since
        self._waiting = waiting
        return whole

    def failed(self, path: str) -> None:
        """Say that a file that was returned could not be read: it is returned once more if it changes."""
        self._failed.add(path)
