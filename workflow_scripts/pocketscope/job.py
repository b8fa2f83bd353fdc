"""What every rule's script does first: log into its own file, and be sure of the package that it imports."""

import logging
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from pocketscope.errors import InputError


def begin(snakemake: Any) -> Path:
    """Send all that the script prints, warns and logs to its log file, and return the folder of the Snakefile.

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
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    sys.excepthook = _report
    scripts = Path(snakemake.scriptdir)
    if Path(__file__).resolve().parents[1] != scripts.resolve():
        raise RuntimeError(f"{__file__} was imported instead of {scripts}/pocketscope; uninstall the other pocketscope")
    return scripts.parent


def _report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, InputError):
        print(f"error: {error}", file=sys.stderr, flush=True)
    else:
        sys.__excepthook__(kind, error, traceback)
