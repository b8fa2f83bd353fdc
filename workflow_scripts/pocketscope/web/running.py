"""Snakemake, started for a project as a person would start it, in a session of its own that outlives the desk."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from pocketscope.api import workflow
from pocketscope.api.events import lines_after
from pocketscope.core import files
from pocketscope.core.errors import InputError
from pocketscope.web.project import Project

LOOK = 0.5  # seconds between looks at the events
TAIL = 30  # lines of a failed run's log that are shown
TICK = 5.0  # seconds between words on the time that is left, where no event says anything
LATE = 10.0  # seconds beyond the estimate, from which on it is said to have run out
PATIENCE = 60.0  # seconds for a run to end by itself once it was asked to


class Runs:
    """The runs of a project's workflow: one at a time.

    Attributes
    ----------
    now
        What a page shows: `state` (idle, running, stopping, done, failed, stopped), `kind` (study or features), and
        what the events said last: `title`, `done`, `total`, `progress`, `warnings`, `failed`, and `seconds_left`, which
        runs on meanwhile: None, with `longer`, where more has passed than was foreseen.
    """

    def __init__(self, project: Project, told: Callable[[dict[str, Any]], None]) -> None:
        self.project, self._told = project, told
        self._record = project.home / "run.json"
        self.events = project.home / "run.jsonl"
        self.log = project.home / "run.log"
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ended: list[Callable[[dict[str, Any]], None]] = []
        self.now: dict[str, Any] = {"state": "idle", "kind": None}
        self._end_foreseen: float | None = None
        self._process: subprocess.Popen | None = None
        self._thread: threading.Thread | None = None
        if (known := self._known()) is not None:
            self.now = {"state": "running", "kind": known["kind"], "warnings": []}
            self._follow()

    def when_ended(self, call: Callable[[dict[str, Any]], None]) -> None:
        """Call with `now` whenever a run ends, however it does."""
        self._ended.append(call)

    def close(self) -> None:
        """Stop following; what runs goes on."""
        self._stop.set()

    @property
    def running(self) -> bool:
        """Whether a run has not ended yet."""
        return self.now["state"] in ("running", "stopping")

    def start(self, kind: str, configfile: Path, targets: list[str]) -> None:
        """Start a run.

        Raises
        ------
        pocketscope.core.errors.InputError
            One is running, or the workflow is not here.
        """
        with self._lock:
            if self.running or self._known() is not None:
                raise InputError("a run is going on; wait for its end, or stop it")
            self._unlock(configfile)
            self.events.unlink(missing_ok=True)
            options = ["--logger", "pocketscope", "--logger-pocketscope-events", str(self.events)]
            command = workflow.command(configfile, self.project.results, targets, options=options)
            with self.log.open("w") as log:
                self._process = subprocess.Popen(
                    command, cwd=workflow.root(), env=workflow.environment(), stdin=subprocess.DEVNULL, stdout=log,
                    stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            began = psutil.Process(self._process.pid).create_time()
            about = {"pid": self._process.pid, "began": began, "kind": kind, "host": os.uname().nodename}
            files.write_text(self._record, json.dumps(about))
            self.now = {"state": "running", "kind": kind, "warnings": []}
            self._end_foreseen = None
        self._told(self.now)
        self._follow()

    def stop(self) -> None:
        """Ask what runs to end, as Ctrl-C does; what it has finished stays."""
        known = self._known()
        if known is None:
            return
        self.now["state"] = "stopping"
        self._told(self.now)
        with contextlib.suppress(OSError):
            os.killpg(known["pid"], signal.SIGINT)
        threading.Thread(target=self._insist, args=[known], daemon=True).start()

    def _insist(self, known: dict[str, Any]) -> None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                if self._known() is None or self._stop.wait(LOOK):
                    return
            with contextlib.suppress(OSError):
                os.killpg(known["pid"], how)

    def _unlock(self, configfile: Path) -> None:
        """Take off what a killed run left locked: no run of this project is alive on this host."""
        locks = self.project.results / ".snakemake" / "locks"
        if not (locks.is_dir() and any(locks.iterdir())):
            return
        with contextlib.suppress(OSError, ValueError):
            before = json.loads(self._record.read_text(encoding="utf-8"))
            if before.get("host") not in (None, os.uname().nodename):
                raise InputError(
                    f"{self.project.results}: is locked by a run on {before['host']}; end it there, or unlock the "
                    "folder by `snakemake --unlock`"
                )
        command = workflow.command(configfile, self.project.results, (), options=["--unlock"])
        subprocess.run(
            command, cwd=workflow.root(), env=workflow.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=300,
        )  # fmt: skip

    def _known(self) -> dict[str, Any] | None:
        """Return the recorded run, if its process still is the one that was recorded."""
        try:
            known = json.loads(self._record.read_text(encoding="utf-8"))
            if known["host"] != os.uname().nodename:
                return None
            process = psutil.Process(known["pid"])
            if abs(process.create_time() - known["began"]) > 1 or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except (OSError, ValueError, KeyError, psutil.Error):
            return None
        return known

    # ---- what it says

    def _follow(self) -> None:
        self._thread = threading.Thread(target=self._following, name="run", daemon=True)
        self._thread.start()

    def _following(self) -> None:
        place, finished, last = 0, None, time.monotonic()
        while True:
            alive = self._known() is not None
            place, lines = lines_after(self.events, place)
            for line in lines:
                if line.get("event") == "run_finished":
                    finished = line
                self._take(line)
            if lines or (self._end_foreseen is not None and time.monotonic() - last > TICK):
                self._foresee()
                self._told(self.now)
                last = time.monotonic()
            if not alive and not lines:
                break
            if self._stop.wait(LOOK):
                return
        if self._process is not None:
            self._process.wait()
        self._end(finished)

    def _end(self, finished: dict[str, Any] | None) -> None:
        stopped = self.now["state"] == "stopping" or bool(finished and finished.get("stopped"))
        ok = bool(finished and finished["ok"])
        self.now["state"] = "done" if ok else "stopped" if stopped else "failed"
        if not ok and not stopped and not self.now.get("failed"):
            self.now["failed"] = {"title": "the run", "lines": tail(self.log), "remedy": None}
        self._record.unlink(missing_ok=True)
        self._told(self.now)
        for call in self._ended:
            call(self.now)

    def _take(self, event: dict[str, Any]) -> None:
        now = self.now
        kept = {key: event[key] for key in ("done", "total", "at_least") if key in event}
        if event.get("seconds_left") is not None:
            said = datetime.fromisoformat(event["time"]).timestamp() if "time" in event else time.time()
            self._end_foreseen = said + event["seconds_left"]
        match event.get("event"):
            case "planned":
                now |= kept | {"done": 0}
            case "job_started":
                now["title"], now["progress"] = event["title"], None
            case "job_progress":
                now["title"] = event["title"]
                now["progress"] = {key: event[key] for key in ("done", "total", "unit", "images_per_second")}
                now |= {key: value for key, value in kept.items() if key not in ("done", "total")}
            case "job_finished":
                now |= kept
            case "job_failed":
                now["failed"] = {"title": event["title"], "lines": event["lines"][-TAIL:], "remedy": event["remedy"]}
            case "warning":
                now["warnings"] = [*now.get("warnings", []), event["message"]][-20:]
            case "error":
                now["failed"] = {"title": "the run", "lines": event["message"].splitlines()[-TAIL:], "remedy": None}
            case "run_finished":
                now["recommended"], now["made"] = event.get("recommended", []), event.get("made", [])

    def _foresee(self) -> None:
        if self._end_foreseen is not None:
            left = self._end_foreseen - time.time()
            self.now |= {"seconds_left": max(0, round(left)) if left > -LATE else None, "longer": left <= -LATE}


def tail(path: Path, lines: int = TAIL) -> list[str]:
    """Return the last lines of a text file; none where there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []
