"""What a job's log says to those who wait for it: how far it is, what it warns of, why it failed."""

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

SHOWN = 6  # lines of the log of a job that failed
_TAIL = 20_000  # bytes of a log's end that are looked at
_PROGRESS = re.compile(
    r"^[0-9:]{8} (?P<step>step )?(?P<done>\d+) of (?P<total>\d+)(?: (?P<what>images))?"
    r"(?:[^,]*, (?P<rate>\d+) images/s)?(?:, (?:about )?(?P<left>\d+) s left)?"
)
_WARNING = re.compile(r"^[0-9:]{8} warning: (.+)")

# What a log's end tells of the reason, and what helps.
_REMEDIES = [
    (
        r"MemoryError|can't allocate memory|OutOfMemoryError|out of memory|bad_alloc",
        "it ran out of memory: close other programs, run fewer jobs at once (--cores 1), or lower 'batch_size'",
    ),
    (r"No space left on device|Disk quota exceeded", "the disk is full: free some space and run again"),
    (
        r"ModuleNotFoundError|was imported instead of",
        "the installation is not complete: run `make install`, and then the same command again",
    ),
    (
        r"^Traceback|^\w+(Error|Exception)\b",
        "this looks like a fault of pocketscope: please report it with the log; what is done stays",
    ),
]
STOPPED = "it was stopped, as you asked"
_KILLED = (
    "its process was ended from outside, most often because memory ran out: run the same command again, with fewer jobs"
    " at once (--cores 1)"
)


@dataclass
class Progress:
    """How far a job is.

    done, total, unit
        Such as 80 of 200 steps; the unit is `steps` or `images`.
    images_per_second, seconds_left
        None where the log does not say.
    """

    done: int
    total: int
    unit: str
    images_per_second: int | None = None
    seconds_left: float | None = None


@dataclass
class JobLog:
    """A log that is read as it grows; what an earlier run left in it is none of this job's."""

    path: Path
    _left: int | None = None  # when it was last written before the job began
    _read: int = 0
    _warned: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        with contextlib.suppress(OSError):
            self._left = self.path.stat().st_mtime_ns

    def news(self) -> tuple[Progress | None, list[str]]:
        """Return the last progress since this was asked last, None where there is none, and what is warned of anew."""
        try:
            if self.path.stat().st_mtime_ns == self._left:
                return None, []
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._read:  # the job began again
                    self._read = 0
                file.seek(max(self._read, size - _TAIL))
                new = file.read()
        except OSError:  # it has not begun, or writes nothing
            return None, []
        whole = new.rpartition(b"\n")[0]
        self._read = size - len(new) + len(whole)
        progress, warnings = None, []
        for line in whole.decode(errors="replace").splitlines():
            if told := _PROGRESS.match(line):
                progress = _progress(told)
            elif (warned := _WARNING.match(line)) and warned[1] not in self._warned:
                self._warned.add(warned[1])
                warnings.append(warned[1])
        return progress, warnings


def why_it_failed(paths: Iterable[Path]) -> tuple[list[str], str]:
    """Return the last lines of the logs of a job that failed, and what to do about it.

    An error that a user can mend says so itself: its line stands alone.
    """
    ends = [path.read_bytes()[-_TAIL:].decode(errors="replace").strip() for path in paths if path.is_file()]
    text = "\n".join(filter(None, ends))
    if not text:
        return [], "it wrote nothing before it ended: run the same command again with --verbose"
    if "\nerror: " in f"\n{text}":
        told = f"\n{text}".rpartition("\nerror: ")[2]
        return told.splitlines(), "mend this, and run the same command again: it goes on from here"
    if text.endswith("KeyboardInterrupt"):
        return [], STOPPED
    end = text.splitlines()[-SHOWN:]
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, "\n".join(text.splitlines()[-40:]), re.MULTILINE):
            return end, remedy
    return end, _KILLED


def _progress(told: re.Match[str]) -> Progress:
    rate, left = told["rate"], told["left"]
    unit = "steps" if told["step"] else "images"
    return Progress(
        int(told["done"]), int(told["total"]), unit, rate and int(rate), None if left is None else int(left)
    )
