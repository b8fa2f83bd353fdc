"""`pocketscope.run`: run a study by a call, and return its result."""

import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pocketscope.api import configuration, takeaway, workflow
from pocketscope.api.errors import RunError
from pocketscope.api.events import Listener, Progress, lines_after
from pocketscope.api.progress import watcher
from pocketscope.api.result import Result
from pocketscope.core import files
from pocketscope.core.errors import InputError

WORKSPACE = "pocketscope_work"  # beside the output, where calls share what they train
PATIENCE = 20.0  # seconds that an interrupted run gets to end its jobs
EVERY = 0.1  # seconds between two looks at the events


def run(
    config: str | os.PathLike | Mapping[str, Any],
    *,
    output: str | os.PathLike | None = None,
    workspace: str | os.PathLike | None = None,
    ship: bool = False,
    cores: int | None = None,
    jobs: int | None = None,
    executor: str | None = None,
    profile: str | os.PathLike | None = None,
    progress: bool | Callable[[Progress], object] = True,
    unlock: bool = False,
) -> Result:
    """Run a study, and return its result. What was made before is not made again.

    Snakemake runs in a process of its own: a call works where an event loop runs (Jupyter), inside a callback of
    another call, and in a thread. Ctrl-C ends its jobs; the same call then goes on from what was made.

    Parameters
    ----------
    config
        The path of a configuration, or its keys as a mapping; config/config.yaml explains each key.
    output
        A folder that receives copies: the model, the report, the scores, and the tables of the result. Without it the
        result reads the workspace.
    workspace
        The results folder, where everything is made; studies on the same images share what is in it. Default: the
        folder `pocketscope_work` beside `output`; without an output `results`, of the checkout or here.
    ship
        Also train the recommended candidate on every label, and answer for the unlabelled images.
    cores, jobs
        How many cores, and how many jobs of a cluster, are used at once. Default: all cores, or what the profile says.
    executor, profile
        As Snakemake's: `executor="slurm"` submits jobs to a cluster, by the profile `slurm` unless `profile` names
        another one: a folder of the workflow's `profiles/`, or a path.
    progress
        True: a bar in a terminal or notebook; a function is called with a `Progress` instead; False: nothing.
    unlock
        Remove the lock of a run that was killed, where Snakemake asks for it.

    Returns
    -------
    Result

    Raises
    ------
    pocketscope.InputError
        The configuration, the images or a path are wrong; another call uses the same folders.
    pocketscope.RunError
        A job failed: the error has its log.
    """
    raw, plan = configuration.read(config)
    told = watcher(progress)
    folder = folder_of(workspace, output)
    taken = Path(output).expanduser().resolve() if output is not None else None
    if taken is not None:
        check_output(taken, folder, plan.config.datasets)
    targets = ["all", "ship"] if ship else ["all"]
    with _alone(folder, "workspace"), _alone(taken, "output") if taken else contextlib.nullcontext():
        written = folder / plan.layout.config
        files.write_text(written, yaml.safe_dump(raw, sort_keys=False, allow_unicode=True))
        line = workflow.command(written, folder, targets, cores=cores, jobs=jobs, executor=executor, profile=profile)
        if unlock:
            subprocess.run(
                [*line, "--unlock"], cwd=workflow.root(), env=workflow.environment(), capture_output=True, check=False
            )
        _execute(line, folder, told)
        if taken is None:
            return Result(folder, plan, shipped=ship)
        return takeaway.copy(folder, plan, taken, raw, shipped=ship)


def folder_of(workspace: str | os.PathLike | None, output: str | os.PathLike | None) -> Path:
    """Return the results folder of a call."""
    if workspace is not None:
        return Path(workspace).expanduser().resolve()
    if output is not None:
        return Path(output).expanduser().resolve().parent / WORKSPACE
    return (workflow.checkout() or Path.cwd()) / "results"


def check_output(output: Path, workspace: Path, datasets: Mapping[str, Any]) -> None:
    """Raise InputError where copies would land among images, or where they cannot."""
    if output.exists() and not output.is_dir():
        raise InputError(f"output: {output} is a file; name a folder")
    takeaway.check(output)
    if output == workspace or output.is_relative_to(workspace) or workspace.is_relative_to(output):
        raise InputError(f"output: {output} and the workspace {workspace} lie in one another; name another folder")
    for dataset in datasets.values():
        source = dataset.source
        for key in ("path", "unlabelled", "test"):
            given = getattr(source, key, None)
            held = Path(given).resolve() if given else None
            for name, folder in (("output", output), ("workspace", workspace)):
                if held is not None and held.is_dir() and folder.is_relative_to(held):
                    raise InputError(
                        f"{name}: {folder} lies inside the images of {held}, where what it receives would be read as "
                        "images; name a folder outside"
                    )


@contextlib.contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Hold a folder until the block ends, also for the processes that are started in it."""
    with files.named(folder / "..."):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    try:
        os.set_inheritable(handle, True)  # a run that outlives this process still holds it
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InputError(
            f"{name}: another call is using {folder}; wait until it has ended, or name another folder"
            + (" (workspace=...), which shares no training with this one" if name == "workspace" else "")
        ) from None
    except OSError:  # a file system without locks: Snakemake's own lock is left
        pass
    try:
        _HELD.append(handle)
        yield
    finally:
        _HELD.remove(handle)
        os.close(handle)


_HELD: list[int] = []


def _execute(line: Sequence[str], folder: Path, told: Callable[[Progress], object]) -> None:
    """Run Snakemake, tell how far it is, and raise what went wrong."""
    listener = Listener()
    with tempfile.TemporaryDirectory(prefix="pocketscope-") as place:
        events, output = Path(place) / "events.jsonl", Path(place) / "output"
        with output.open("w") as printed:
            process = subprocess.Popen(
                [*line, "--logger", "pocketscope", "--logger-pocketscope-events", str(events)],
                cwd=workflow.root(),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env=workflow.environment(),
                pass_fds=tuple(_HELD),
                start_new_session=True,  # Ctrl-C reaches this process alone, here as in a notebook, and is passed on
            )
            try:
                told(listener.progress)
                for event in _follow(events, process):
                    if listener.take(event):
                        told(listener.progress)
                code = process.wait()
            except BaseException:  # Ctrl-C, or an error of the caller's function
                _end(process)
                raise
        if listener.finish():
            told(listener.progress)
        said = output.read_text(encoding="utf-8", errors="replace")
    if code == 0:
        return
    if failed := listener.failed(folder):
        raise RunError(failed, said)
    if "cannot be locked" in listener.error + said:
        raise InputError(
            f"{folder}: Snakemake holds it: another run uses it, or one was killed; if none runs any more, call with "
            "unlock=True"
        )
    if listener.error:
        raise InputError(listener.in_words())
    raise RunError([], said)


def _follow(events: Path, process: subprocess.Popen) -> Iterator[dict[str, Any]]:
    """Yield the events of a run, as they are written, until its process has ended."""
    read, ended = 0, False
    while True:
        read, lines = lines_after(events, read)
        yield from lines
        if ended:
            return
        ended = process.poll() is not None  # what was written until then is read once more
        if not ended:
            time.sleep(EVERY)


def _end(process: subprocess.Popen) -> None:
    """End Snakemake and its jobs as Ctrl-C in a terminal does; by force where that takes too long."""
    for number, patience in ((signal.SIGINT, PATIENCE), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        try:
            process.wait(timeout=patience)
            return
        except subprocess.TimeoutExpired:
            continue
