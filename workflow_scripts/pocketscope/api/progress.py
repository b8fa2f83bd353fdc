"""Show how far a study is: a line in a terminal, a bar in a notebook that stays in the saved file, lines in a log."""

import sys
import time
from collections.abc import Callable
from html import escape

from pocketscope.api.events import Progress
from pocketscope.core.errors import InputError

EVERY_IN_LOGS = 30.0  # seconds between two lines, where nobody watches
EVERY = 0.2


def watcher(asked: bool | Callable[[Progress], object]) -> Callable[[Progress], object]:
    """Return what is told of the progress: the caller's function, a bar where somebody watches, or nothing."""
    if callable(asked):
        return asked
    if asked is not True and asked is not False:
        raise InputError(f"progress is {asked!r}; it must be True, False or a function that takes a Progress")
    if not asked:
        return lambda progress: None
    return Notebook() if in_notebook() else Terminal()


def in_notebook() -> bool:
    """Return whether this is a kernel of Jupyter, which draws HTML."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell else None
    return running is not None and hasattr(running, "kernel")


def in_words(progress: Progress) -> str:
    """Return how far a run is, what runs, and how long the rest will take, for people."""
    said = f"{progress.done} of {progress.total or '?'} jobs"
    if progress.seconds_left and not progress.finished:
        said += f", {'more than' if progress.at_least else 'about'} {clock(progress.seconds_left)} left"
    if progress.running:
        said += f": {progress.running[0]}" + (f" and {len(progress.running) - 1} more" if progress.running[1:] else "")
    return said + (f"; {len(progress.failed)} failed" if progress.failed else "")


class Terminal:
    """One line on standard error that is drawn anew; where it is no terminal, a line now and then."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self.started = self.shown = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if not progress.finished and now - self.shown < (EVERY if self.live else EVERY_IN_LOGS):
            return
        self.shown = now
        share = progress.done / progress.total if progress.total else 0.0
        bar = f"[{'#' * round(20 * share):<20}] " if self.live else ""
        text = f"{bar}{clock(now - self.started)}, {in_words(progress)}"
        if self.live:
            text = f"\r\x1b[K{text[:110]}" + ("\n" if progress.finished else "")
        print(text, end="" if self.live else "\n", file=sys.stderr, flush=True)


class Notebook:
    """A bar of plain HTML, drawn anew in place: a saved notebook keeps the last one, and no widgets are needed."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self.started, self.shown = time.monotonic(), 0.0
        self._display = display(HTML(self._text(Progress())), display_id=True)

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.finished or now - self.shown >= EVERY:
            self.shown = now
            self._display.update(self._html(self._text(progress)))

    def _text(self, progress: Progress) -> str:
        share = progress.done / progress.total if progress.total else 0.0
        colour = "#c0392b" if progress.failed else "#2a7f62"
        said = f"{clock(time.monotonic() - self.started)}, {in_words(progress)}"
        return (
            '<div style="width:24em;max-width:100%;border:1px solid #999;border-radius:3px;overflow:hidden">'
            f'<div style="width:{100 * share:.0f}%;height:.8em;background:{colour}"></div></div>'
            f'<div style="font-family:sans-serif;font-size:90%">{escape(said)}</div>'
        )


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are any."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
