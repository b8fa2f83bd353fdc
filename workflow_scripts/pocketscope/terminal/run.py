"""A run as events: what Snakemake logs and what jobs' logs say, told to people and programs in one form."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from pocketscope.core.errors import InputError
from pocketscope.report import summary
from pocketscope.terminal import closing, json_lines, words
from pocketscope.terminal.durations import PLACE, Durations, Left
from pocketscope.terminal.job_logs import STOPPED, JobLog, Progress, why_it_failed
from pocketscope.terminal.json_lines import JsonLines
from pocketscope.terminal.screen import Screen

EVERY = 1.0  # seconds between two looks at what runs

# What Snakemake says beside its events, and people need not read.
_NOT_SHOWN = (
    "Building DAG of jobs", "Using shell:", "Provided ", "Rules claiming more threads", "Conda environments: ignored",
    "Singularity containers: ignored", "Select jobs to execute", "Execute ", "Complete log", "Group jobs: inactive",
    "Job stats:", "Removing temporary output", "Finished jobid", "Shutting down, this might", "Exiting because a job",
    "DAG of jobs will be updated", "Assuming unrestricted shared", "Trying to restart job", "Updating checkpoint",
    "At least one job did not complete", "host:", "Workflow has started", "Touching output", "Updating job",
    "Removing output files of failed job", "General SLURM job submission", "SLURM run ID", "Checkpoint updated",
    "Elapsed time:",
)  # fmt: skip
_SUBMITTED = "has been submitted with SLURM jobid"
_NOTHING = "Nothing to be done"


class Listener(Protocol):
    """What takes events. All calls come one at a time."""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event."""

    def tick(self, run: "Run") -> None:
        """Show how far the run is: about once a second while it lasts."""

    def close(self) -> None:
        """Take no more."""


@dataclass(frozen=True)
class About:
    """What is known of a run before it begins.

    Attributes
    ----------
    study, results
        The study's name, and the results folder, absolute.
    several
        Whether the study has more than one data set or split, so that jobs say which is theirs.
    slots
        How many processors jobs share here; None on a cluster.
    targets
        Returns the rules that can be asked for.
    counts
        Returns how many jobs of each rule there are in all, those that ended included.
    dry, verbose
        As Snakemake's options of these names.
    """

    study: str
    results: Path
    several: bool
    slots: int | None
    targets: Callable[[], Iterable[str]] = tuple
    counts: Callable[[], Mapping[str, int]] = dict
    dry: bool = False
    verbose: bool = False


@dataclass
class Job:
    """A job that was begun."""

    number: int
    rule: str
    title: str
    wildcards: dict[str, str]
    threads: int
    log: JobLog | None
    began: float = field(default_factory=time.monotonic)
    progress: Progress | None = None

    @property
    def network(self) -> str:
        """The network that it is about; empty where there is none."""
        return self.wildcards.get("network", "")

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self.began


def follow(about: About, stream: IO[str], events: Path | None, *, quiet: bool, color: bool) -> "Run":
    """Return what follows a run, shows it on `stream`, and writes its events.

    Parameters
    ----------
    about
        What is known of the run.
    stream
        Where lines go; at the end the summary goes to the standard output.
    events
        A file that gets the events too, beside the one in the study's folder; None: no other.
    quiet
        Show nothing but warnings, errors and the end.
    color
        Whether colours are wanted.
    """
    study = about.results / about.study
    files = [] if about.dry else [json_lines.file_of_run(study)]
    files += [events] if events else []
    screen = Screen(
        stream,
        lambda outcome: _close(study, outcome["ok"]),
        color=color, live=not quiet and not about.dry, quiet=quiet, verbose=about.verbose,
    )  # fmt: skip
    return Run(about, [JsonLines(*files), screen], Durations(about.results / PLACE, about.study))


def _close(study: Path, ok: bool) -> None:
    with contextlib.suppress(InputError):  # a target such as one file: there are no scores to show, and it is made
        summary.show(study, ok)


class Run:
    """Follows a run from Snakemake's log records, and tells its listeners what happens.

    Parameters
    ----------
    about
        What is known before.
    listeners
        Each event is a mapping with `time` (ISO 8601), `event` and what docs/events.md lists.
    durations
        What jobs took before.
    """

    def __init__(self, about: About, listeners: list[Listener], durations: Durations) -> None:
        self.about, self.listeners, self.durations = about, listeners, durations
        self.study = about.results / about.study
        self.totals: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.running: dict[int, Job] = {}
        self.begun: dict[int, Job] = {}
        self.failed: dict[int, str] = {}
        self.total = self.finished = 0
        self.began = time.monotonic()
        self.started = self.nothing_to_do = self.stopped = self.closed = False
        self.error: str | None = None
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, name="terminal", daemon=True)

    @property
    def targets(self) -> list[str]:
        """The rules that can be asked for."""
        return list(self.about.targets())

    # ---- what comes from Snakemake

    def record(self, event: str | None, fields: Mapping[str, Any], level: str) -> None:
        """Take a log record: the name of its event, its attributes and its level."""
        with self._lock:
            handle = getattr(self, f"_on_{event}", None) if event else self._on_text
            if handle is not None:
                handle({**fields, "level": level})

    def close(self) -> None:
        """End: tell what became of the run, and write down how long its jobs took."""
        self._ended.set()
        if self._watch.is_alive():
            self._watch.join()
        with self._lock:
            if self.closed:
                return
            self.closed = True
            if self.started and not self.about.dry:
                self._tell("run_finished", **self._outcome())
                self.durations.save()
            for listener in self.listeners:
                listener.close()

    def left(self) -> Left:
        """Return how long the rest will take."""
        with self._lock:
            jobs = list(self.running.values())
            waiting = self.totals - self.done - Counter(job.rule for job in jobs)
            for rule in words.GATHERING:
                waiting.pop(rule, None)
            told = [(j.rule, j.network, j.threads, j.seconds, j.progress and j.progress.seconds_left) for j in jobs]
            return self.durations.left(waiting, told, self.about.slots or max(1, len(jobs)))

    def _on_workflow_started(self, _: Mapping[str, Any]) -> None:
        self.started, self.began = True, time.monotonic()
        self._tell("run_started", study=self.about.study, results=str(self.about.results), dry_run=self.about.dry)
        if not self.about.dry:
            self._watch.start()

    def _on_run_info(self, fields: Mapping[str, Any]) -> None:
        stats = {rule: count for rule, count in fields["stats"].items() if rule != "total"}
        if stats == dict(self.totals):
            return
        self._count(stats)
        jobs = [
            {"rule": rule, "stage": words.stage(rule), "jobs": count}
            for rule, count in stats.items()
            if rule not in words.GATHERING
        ]
        self._tell("planned", total=self.total, jobs=jobs, **self._left())

    def _on_job_info(self, fields: Mapping[str, Any]) -> None:
        rule, number = fields["rule_name"], fields["jobid"]
        if rule in words.GATHERING:
            return
        wildcards = {key: str(value) for key, value in dict(fields.get("wildcards") or {}).items()}
        logs, threads = list(fields.get("log") or []), fields.get("threads") or 1
        job = Job(
            number, rule, words.job(rule, wildcards, self.about.several), wildcards,
            threads if isinstance(threads, int) else 1, JobLog(self.about.results / logs[0]) if logs else None,
        )  # fmt: skip
        again = self.failed.pop(number, None) is not None
        self.running[number] = self.begun[number] = job
        told = {"reason": fields.get("reason")} if self.about.dry else {"again": again}
        self._tell("job_started", **self._named(job), **told)

    def _on_job_finished(self, fields: Mapping[str, Any]) -> None:
        job = self.running.pop(fields["job_id"], None)
        if job is None:
            return
        self._read(job)
        self.done[job.rule] += 1
        self.finished += 1
        self.durations.add(job.rule, job.network, job.threads, job.seconds)
        self._tell(
            "job_finished", **self._named(job), seconds=round(job.seconds, 1), done=self.finished, total=self.total,
            **self._left(),
        )  # fmt: skip

    def _on_job_error(self, fields: Mapping[str, Any]) -> None:
        job = self.running.pop(fields["jobid"], None)
        if job is None:  # told already, as a part of its group
            return
        self._read(job)
        # The job's own log, and on a cluster that of the node, which tells who ended it.
        logs = [self.about.results / path for path in fields.get("log") or []]
        lines, remedy = why_it_failed(logs)
        if remedy == STOPPED:
            self.stopped = True
            return
        self.failed[job.number] = job.title
        if fields.get("indent") and not lines:
            remedy = "nothing of its own: it stands in one cluster job with another that failed"
        self._tell(
            "job_failed", **self._named(job), seconds=round(job.seconds, 1), lines=lines, remedy=remedy,
        )  # fmt: skip

    def _on_progress(self, fields: Mapping[str, Any]) -> None:
        if fields["total"] - self.totals["all"] - self.totals["ship"] != self.total:  # a checkpoint asked for more
            try:
                self._count({str(rule): count for rule, count in self.about.counts().items() if rule != "total"})
            except RuntimeError:  # Snakemake is changing what we look at: the next time
                return

    def _on_error(self, fields: Mapping[str, Any]) -> None:
        message, kind = fields["message"], fields.get("exception")
        # A job that failed was told of when it did; this is Snakemake's own account of it.
        if kind in ("RuleException", "CalledProcessError") or message.startswith("At least one job did not complete"):
            return
        if kind == "KeyboardInterrupt":
            self.stopped = True
            return
        self.error = message
        self._tell("error", message=message)

    def _on_text(self, fields: Mapping[str, Any]) -> None:
        message = fields["message"].strip()
        if message.startswith(_NOTHING):
            self.nothing_to_do = True
            self._tell("nothing_to_do")
        elif fields["level"] in ("WARNING", "ERROR", "CRITICAL"):
            if not message.startswith(_NOT_SHOWN):
                self._tell("warning", message=message, job=None, title=None)
        elif message and (self.about.verbose or not (message.startswith(_NOT_SHOWN) or _SUBMITTED in message)):
            self._tell("message", message=message)

    # ---- what comes from jobs' logs

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            with self._lock:
                for job in list(self.running.values()):
                    self._read(job)
                for listener in self.listeners:
                    listener.tick(self)

    def _read(self, job: Job) -> None:
        if job.log is None:
            return
        progress, warnings = job.log.news()
        for message in warnings:
            self._tell("warning", message=message, job=job.number, title=job.title)
        if progress is None:
            return
        job.progress = progress
        if progress.seconds_left is not None:
            self.durations.guess(job.rule, (job.seconds + progress.seconds_left) * job.threads)
        self._tell(
            "job_progress", job=job.number, title=job.title, done=progress.done, total=progress.total,
            unit=progress.unit, images_per_second=progress.images_per_second,
            job_seconds_left=progress.seconds_left, **self._left(),
        )  # fmt: skip

    # ---- what goes to the listeners

    def _tell(self, event: str, **what: Any) -> None:
        told = {"time": datetime.now().astimezone().isoformat(timespec="milliseconds"), "event": event, **what}
        for listener in self.listeners:
            listener.take(told)

    def _left(self) -> dict[str, Any]:
        left = self.left()
        return {"seconds_left": round(left.seconds), "at_least": left.at_least}

    def _named(self, job: Job) -> dict[str, Any]:
        return {
            "job": job.number, "rule": job.rule, "stage": words.stage(job.rule), "title": job.title,
            "wildcards": job.wildcards, "log": str(job.log.path) if job.log else None,
        }  # fmt: skip

    def _count(self, counts: Mapping[str, int]) -> None:
        self.totals = Counter(counts)
        self.total = sum(count for rule, count in counts.items() if rule not in words.GATHERING)

    def _outcome(self) -> dict[str, Any]:
        ok = not (self.error or self.failed or self.running or self.stopped)
        return {
            "ok": ok, "seconds": round(time.monotonic() - self.began, 1), "done": self.finished, "total": self.total,
            "not_begun": max(self.total - len(self.begun), 0), "failed": list(self.failed.values()),
            "stopped": self.stopped, "nothing_to_do": self.nothing_to_do,
            "made": closing.made(self.study), "recommended": closing.recommended(self.study),
        }  # fmt: skip
