"""What every rule's script does first: log into its own file, and be sure of its package and of being alone."""

import fcntl
import hashlib
import logging
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from pocketscope.core import files
from pocketscope.core.errors import InputError

log = logging.getLogger(__name__)


LOCK = Path(".snakemake/pocketscope.lock")  # in the results folder, which is the working directory


def begin(snakemake: Any) -> Path:
    """Send all that the script prints, warns and logs to its log file, and return the folder of the Snakefile.

    Where another process still makes the same files, which a main process that was killed leaves behind, this one
    waits until that has ended. Then it deletes what writers of the same files left when they were killed.

    Parameters
    ----------
    snakemake
        The object that Snakemake puts into a script.

    Raises
    ------
    RuntimeError
        Another copy of pocketscope than the checkout's was imported: its results would carry this one's name.
    """
    if snakemake.log:
        log = os.open(snakemake.log[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)  # libraries written in C print too
        os.dup2(log, 2)
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(_Lines("%(asctime)s %(mark)s%(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[shown])
    sys.excepthook = _report
    scripts = Path(snakemake.scriptdir)
    if Path(__file__).resolve().parents[2] != scripts.resolve():
        raise RuntimeError(
            f"{__file__} was imported instead of {scripts}/pocketscope; install this checkout instead: "
            f"`make install`, or `pip install -e .`, in {scripts.parent}"
        )
    _be_alone(snakemake.output[0])
    for path in snakemake.output:
        files.remove_leftovers(path)
    return scripts.parent


class _Lines(logging.Formatter):
    """Marks warnings, by which `pocketscope.terminal` tells them from the rest."""

    def format(self, record: logging.LogRecord) -> str:
        record.mark = "warning: " if record.levelno >= logging.WARNING else ""
        return super().format(record)


def _be_alone(output: str) -> None:
    """Hold, until the process ends, the one lock that stands for a job: a byte of a file, by the job's first output.

    Record locks work across the nodes of a cluster too, and one file serves all jobs.
    """
    LOCK.parent.mkdir(exist_ok=True)
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    byte = int.from_bytes(hashlib.sha256(output.encode()).digest()[:7])
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):
        log.warning("a process of an earlier run that was killed still writes %s; waiting until it ends", output)
        fcntl.lockf(lock, fcntl.LOCK_EX, 1, byte)
    except OSError as error:
        log.warning(
            "this file system has no locks (%s): end the processes of a killed run before you start again", error
        )


def _report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, InputError):
        print(f"error: {error}", file=sys.stderr, flush=True)
    else:
        sys.__excepthook__(kind, error, traceback)
