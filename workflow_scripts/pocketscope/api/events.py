"""What a running study says: the events that docs/events.md lists, as the progress that a caller is told."""

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pocketscope.api.errors import FailedJob

_INNERMOST = re.compile(r"WorkflowError:\s*\n\s*(.+?)\s*(?:\n\s*Wildcards:|\n\s*Traceback|$)", re.DOTALL)


@dataclass(frozen=True)
class Job:
    """A job.

    rule, wildcards
        What it makes.
    title
        The same in words.
    log
        The path of its log file.
    """

    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    log: str | None = None

    def __str__(self) -> str:
        return self.title or " ".join([self.rule, *self.wildcards.values()])


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    done, total
        Jobs; `total` is None until it is planned, and can grow once: what ships is known when the study is done.
    running
        The jobs that run now.
    failed
        Those that failed; the others go on.
    seconds_left
        How long the rest will take, from earlier jobs on this machine; None: not known. At least that long, if
        `at_least`.
    warnings
        What jobs have warned of.
    finished
        Whether the run has ended.
    """

    done: int = 0
    total: int | None = None
    running: tuple[Job, ...] = ()
    failed: tuple[Job, ...] = ()
    seconds_left: float | None = None
    at_least: bool = False
    warnings: tuple[str, ...] = ()
    finished: bool = False


class Listener:
    """Follows a run by its events.

    Attributes
    ----------
    progress
        As it is after the last event.
    error
        Why the run could not begin or go on; empty where it could.
    """

    def __init__(self) -> None:
        self.progress = Progress()
        self.error = ""
        self._running: dict[int, Job] = {}
        self._failed: dict[int, tuple[Job, list[str]]] = {}

    def take(self, event: Mapping[str, Any]) -> bool:
        """Take an event; return whether it changed the progress."""
        before, what = self.progress, event.get("event")
        if what == "planned":
            self.progress = replace(self.progress, total=event["total"])
        elif what == "job_started":
            self._running[event["job"]] = _job(event)
            self._failed.pop(event["job"], None)  # tried again
        elif what == "job_finished":
            self._running.pop(event["job"], None)
            self.progress = replace(self.progress, done=event["done"], total=event["total"])
        elif what == "job_failed":
            self._running.pop(event["job"], None)
            self._failed[event["job"]] = (_job(event), event.get("lines", []))
        elif what == "warning":
            said = ": ".join(filter(None, [event.get("title"), event["message"]]))
            self.progress = replace(self.progress, warnings=(*self.progress.warnings, said))
        elif what == "error":
            self.error = f"{self.error}\n{event['message']}".strip()
        elif what == "run_finished":
            self._running.clear()
            self.progress = replace(self.progress, finished=True)
        if event.get("seconds_left") is not None:
            about = {"seconds_left": event["seconds_left"], "at_least": event.get("at_least", False)}
            self.progress = replace(self.progress, **about)
        jobs = {"running": tuple(self._running.values()), "failed": tuple(job for job, _ in self._failed.values())}
        self.progress = replace(self.progress, **jobs)
        return self.progress != before

    def finish(self) -> bool:
        """Say that the run has ended, where no event did; return whether that is new."""
        return self.take({"event": "run_finished"})

    def failed(self, folder: Path) -> list[FailedJob]:
        """Return the jobs that failed, with their logs; `folder` is the results folder."""
        found = []
        for job, lines in self._failed.values():
            log = folder / job.log if job.log else None
            there = log is not None and log.is_file()
            text = log.read_text(encoding="utf-8", errors="replace") if there else "\n".join(lines)
            found.append(FailedJob(job.rule, job.wildcards, log, text))
        return found

    def in_words(self) -> str:
        """Return the error without the place in a rule's source that Snakemake tells."""
        found = _INNERMOST.search(self.error)
        return found[1] if found else self.error


def lines_after(path: Path, place: int) -> tuple[int, list[dict[str, Any]]]:
    """Return the whole lines that a file of events has behind a place, and the place behind them.

    A line that is being written is left for the next time; without the file there are none.
    """
    found = []
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(place)
        whole, newline, _ = file.read().rpartition(b"\n")
        place += len(whole) + len(newline)
        found = [json.loads(line) for line in whole.splitlines()]
    return place, found


def _job(event: Mapping[str, Any]) -> Job:
    return Job(event["rule"], event.get("wildcards") or {}, event.get("title") or "", event.get("log"))
