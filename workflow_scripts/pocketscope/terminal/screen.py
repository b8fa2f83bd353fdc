"""Events as lines for people, and on a terminal a status line below them. A line that was printed stays."""

import os
import shutil
from collections.abc import Callable, Mapping
from typing import IO, Any

from pocketscope.terminal import words

_ROUTINE = {"run_started", "planned", "job_started", "job_finished", "message"}
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


class Screen:
    """Writes to a stream; on a terminal it keeps one status line at the bottom, and erases nothing but that.

    Parameters
    ----------
    stream
        Where to write.
    color
        Whether colours are wanted, where the terminal has them.
    live
        Whether there may be a status line, where the stream is a terminal.
    closing
        Called at the end with the event `run_finished`, once the status line is gone: prints what was made.
    quiet
        Leave out what is planned, begins and ends.
    verbose
        List each job of a dry run.
    """

    def __init__(
        self,
        stream: IO[str],
        closing: Callable[[Mapping[str, Any]], None],
        *,
        color: bool = True,
        live: bool = True,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self._stream, self._closing, self._quiet, self._verbose = stream, closing, quiet, verbose
        terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._live = live and terminal
        self._color = color and terminal and not os.environ.get("NO_COLOR")
        self._status = False
        self._stages: set[str] = set()
        self._planned: dict[str, int] = {}
        self._warned: dict[str, int] = {}
        self._dry = False

    def take(self, event: Mapping[str, Any]) -> None:
        """Show an event."""
        show = getattr(self, f"_show_{event['event']}", None)
        if show is not None and not (self._quiet and event["event"] in _ROUTINE):
            show(event)

    def tick(self, run: Any) -> None:
        """Draw the status line anew."""
        if not self._live or not run.total:
            return
        jobs = sorted(run.running.values(), key=lambda job: (job.progress is None, job.began))
        title, told = (jobs[0].title, _progress(jobs[0])) if jobs else ("waiting", "")
        more = f", and {len(jobs) - 1} more" if jobs[1:] else ""
        before, after = f"{run.finished} of {run.total} jobs · ", f"{told}{more} · {_left(*run.left())}"
        width = shutil.get_terminal_size().columns - 1
        room = max(width - len(before) - len(after), 12)
        self._draw(f"{before}{title if len(title) <= room else f'{title[: room - 1]}…'}{after}"[:width])

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._wipe()

    def _show_run_started(self, event: Mapping[str, Any]) -> None:
        self._dry = event["dry_run"]
        if not self._dry:
            self._line(f"Study {self._styled(event['study'], 'bold')}, results in {event['results']}")

    def _show_planned(self, event: Mapping[str, Any]) -> None:
        if self._planned:
            return
        for job in event["jobs"]:
            self._planned[job["stage"]] = self._planned.get(job["stage"], 0) + job["jobs"]
        time = f", {_left(event['seconds_left'], event['at_least'], 'on this machine')}" if event["total"] else ""
        if self._dry:
            self._line(f"{_jobs(event['total'])} would run{time}:")
            width = max((len(job["rule"]) for job in event["jobs"]), default=0)
            for job in event["jobs"]:
                self._line(f"  {job['jobs']:>5}  {job['rule']:<{width}}  {job['stage']}")
        else:
            self._line(f"{_jobs(event['total'])} to do{time}")

    def _show_job_started(self, event: Mapping[str, Any]) -> None:
        if self._dry:
            if self._verbose:
                self._line(f"  would run: {event['title']}: {event['reason']}")
            return
        stage = event["stage"]
        if stage not in self._stages:
            self._stages.add(stage)
            count = f" ({_jobs(self._planned[stage])})" if stage in self._planned else ""
            self._line(self._styled(f"{stage[0].upper()}{stage[1:]}{count}", "bold"))
        if event["again"]:
            self._line(f"  trying again: {event['title']}")

    def _show_job_finished(self, event: Mapping[str, Any]) -> None:
        count = f"[{event['done']:>{len(str(event['total']))}}/{event['total']}]"
        rest = (
            ""
            if self._live or event["done"] == event["total"]
            else f"; {_left(event['seconds_left'], event['at_least'])}"
        )
        took = self._styled(f"{words.span(event['seconds'])}{rest}", "dim")
        self._line(f"  {self._styled(count, 'green')} {event['title']}: {took}")

    def _show_job_failed(self, event: Mapping[str, Any]) -> None:
        self._line(self._styled(f"  failed: {event['title']}, after {words.span(event['seconds'])}", "red"))
        for line in event["lines"]:
            self._line(f"    {line}")
        if event["log"]:
            self._line(f"    Log: {event['log']}")
        self._line(f"    What to do: {event['remedy']}")

    def _show_warning(self, event: Mapping[str, Any]) -> None:
        message = event["message"]
        self._warned[message] = self._warned.get(message, 0) + 1
        if self._warned[message] == 1:
            where = f"{event['title']}: " if event["title"] else ""
            self._line(f"  {self._styled('warning:', 'yellow')} {where}{message}")

    def _show_error(self, event: Mapping[str, Any]) -> None:
        self._line(f"{self._styled('error:', 'red')} {event['message']}")

    def _show_message(self, event: Mapping[str, Any]) -> None:
        self._line(event["message"])

    def _show_nothing_to_do(self, _: Mapping[str, Any]) -> None:
        self._line("Nothing to do: all that was asked for is there, and up to date")

    def _show_run_finished(self, event: Mapping[str, Any]) -> None:
        for message, times in self._warned.items():
            if times > 1:
                self._line(f"  {self._styled('warning:', 'yellow')} {times} jobs say: {message}")
        for title in event["failed"]:
            self._line(self._styled(f"failed: {title}", "red"))
        if not event["ok"]:
            failed = f", {len(event['failed'])} failed" if event["failed"] else ""
            rest = f", {event['not_begun']} were not begun" if event["not_begun"] else ""
            after = f"{'Stopped' if event['stopped'] else 'Ended'} after {words.span(event['seconds'])}"
            self._line(f"{after}: {event['done']} of {_jobs(event['total'])} are done{failed}{rest}.")
            self._line("What is done stays: the same command goes on from here")
        elif not event["nothing_to_do"]:
            self._line(self._styled(f"{_jobs(event['done'])} done in {words.span(event['seconds'])}", "bold"))
        self._line("")
        self._closing(event)

    # ---- the stream

    def _line(self, text: str) -> None:
        self._wipe()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _draw(self, text: str) -> None:
        self._wipe()
        self._stream.write(self._styled(text, "dim"))
        self._stream.flush()
        self._status = True

    def _wipe(self) -> None:
        """Erase the status line: the line that the cursor is in, and no other."""
        if self._status:
            self._stream.write("\r\x1b[2K")
            self._status = False

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._color else text


def _jobs(count: int) -> str:
    return f"{count} job{'' if count == 1 else 's'}"


def _left(seconds: float, at_least: bool, where: str = "left") -> str:
    return f"{'more than' if at_least else 'about'} {words.roughly(seconds)} {where}"


def _progress(job: Any) -> str:
    told = job.progress
    if told is None:
        return f", {words.span(job.seconds)} so far"
    rate = f", {told.images_per_second} images/s" if told.images_per_second else ""
    what = f"step {told.done} of {told.total}" if told.unit == "steps" else f"{told.done} of {told.total} images"
    return f": {what}{rate}"
