"""`pocketscope classify`: what a model file says of images."""

import argparse
import csv
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.deploy import answers_page
from pocketscope.images.familiarity import is_unlike
from pocketscope.images.files import image_files
from pocketscope.inference import classify, json_answers, onnx_model
from pocketscope.inference.onnx_model import Shipped
from pocketscope.inference.watch import SETTLED, Watch
from pocketscope.tables import answer_sheet
from pocketscope.version import VERSION

EVERY = 0.5  # seconds between two lines of progress on a terminal
EVERY_IN_LOGS = 30.0
HEAR = 0.2  # seconds after which Ctrl-C is heard
LOOK = 1.0  # seconds between two looks at a watched folder; more where a look takes long
INTERRUPTED, PIPE_CLOSED = 130, 141  # exit codes as shells give them for SIGINT and SIGPIPE
STDIN = "-"


# Which arguments go together; argparse would ask for images beside --watch, and for none where nothing else is named.
USAGE = """%(prog)s MODEL IMAGES... [--csv FILE] [--html FILE] [--json] [--threads N]
       %(prog)s MODEL --json -
       %(prog)s MODEL --watch FOLDER [--settled SECONDS] [--csv FILE] [--json] [--threads N]"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`."""
    parser.usage = USAGE
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model.fp32.onnx or model.int8.onnx")
    images = parser.add_argument(
        "images",
        nargs="+",
        default=[],
        metavar="IMAGES",
        help="image files, and folders that contain them; with --json, - (or nothing) reads paths from standard input "
        "and answers each at once",
    )
    images.required = False  # "*" would take none as soon as an option stands before them
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the answers and all probabilities to a CSV file"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page of thumbnails, by class")
    parser.add_argument("--json", action="store_true", help="print one JSON object per image (docs/classify.md)")
    parser.add_argument(
        "--watch",
        type=Path,
        metavar="FOLDER",
        help="classify each file that is or appears in a folder, once it is whole, until Ctrl-C; with --csv rows are "
        "appended, and files that have an answer there are not classified again",
    )
    parser.add_argument(
        "--settled",
        type=float,
        default=SETTLED,
        metavar="SECONDS",
        help="with --watch: how long a file must not change to count as whole (default: %(default)g)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        default=onnx_model.cores(),
        help="number of threads (default: all, %(default)s)",
    )
    parser.epilog = (
        "Exit codes: 0, all images have an answer; 1, the model or a path cannot be used, or some images could not be "
        "read (all others have an answer); 2, wrong arguments; 130, interrupted. Ctrl-C ends --watch with 0, and so "
        "does the end of standard input."
    )


def main(parsed: argparse.Namespace) -> None:
    """Classify the images: answers to the table or to standard output, progress and problems to standard error.

    Raises
    ------
    pocketscope.core.errors.InputError
        The model cannot be used; there is no image; or, once all others are done, some images could not be read.
    SystemExit
        The user interrupts, or nobody reads standard output any more.
    """
    for stream in (sys.stdin, sys.stdout):  # whatever code the terminal or the pipe has, names come and go unspoilt
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        _main(parsed)
        sys.stdout.flush()
    except InputError as error:
        if parsed.json and not getattr(error, "told", False):
            _print_json([json_answers.problem(str(error))])
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more at its end
        raise SystemExit(PIPE_CLOSED) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _main(parsed: argparse.Namespace) -> None:
    from_stdin = parsed.images == [STDIN] or (parsed.json and not parsed.images and not parsed.watch)
    _check(parsed, from_stdin)
    model = onnx_model.open_model(parsed.model, threads=parsed.threads)
    if from_stdin:
        _print_json(json_answers.serve(model, iter(sys.stdin.readline, ""), version=VERSION))
    elif parsed.watch:
        _watch(parsed, model)
    else:
        _classify(parsed, model)


def _check(parsed: argparse.Namespace, from_stdin: bool) -> None:
    if parsed.threads < 1:
        raise InputError(f"--threads is {parsed.threads}; it must be 1 or more")
    if not parsed.settled >= 0:
        raise InputError(f"--settled is {parsed.settled:g}; it must be 0 or more seconds")
    if from_stdin and not parsed.json:
        raise InputError("paths from standard input are answered as JSON: add --json")
    if from_stdin and (parsed.csv or parsed.html):
        raise InputError("--csv and --html take images that are named, not those of standard input")
    if parsed.watch and parsed.images:
        raise InputError(f"--watch {parsed.watch} watches one folder; name no other images ({parsed.images[0]})")
    if parsed.watch and parsed.html:
        raise InputError("--html is written at the end, which --watch has not: use --csv, or --html without --watch")
    if parsed.watch and not parsed.watch.is_dir():
        raise InputError(f"{parsed.watch}: there is no such folder; make it, or correct the path")
    if not (parsed.watch or parsed.images or from_stdin):
        raise InputError("there is nothing to classify: name images or folders, or --watch FOLDER")


def _classify(parsed: argparse.Namespace, model: Shipped) -> None:
    paths = image_files(parsed.images)
    problems, unlike, shown = 0, 0, []
    quiet = parsed.csv or parsed.html
    with _rows(parsed.csv, model.classes) as rows, _Progress(len(paths)) as progress:
        for answer in classify.classify(model, paths, threads=parsed.threads, keep_images=parsed.html is not None):
            unlike += is_unlike(answer.unlike)
            problems += answer.problem is not None
            _put(answer, model, rows, progress, json=parsed.json, quiet=quiet)
            if parsed.html and not answer.problem:
                shown.append(_shown(answer, model))
                if len(shown) >= 2 * answers_page.MOST_IMAGES:  # the page shows the least probable ones
                    shown = _by_doubt(shown)[: answers_page.MOST_IMAGES]
            progress.step()
    if parsed.html:
        title = f"{len(paths):,} images by {parsed.model}"
        answers_page.write_page(parsed.html, _by_doubt(shown), model.classes, title=title, total=len(paths) - problems)
    _warn(unlike, len(paths))
    if problems:
        error = InputError(f"{problems} of {len(paths)} images could not be read; the others were classified")
        error.told = True  # by the answer of each
        raise error


def _watch(parsed: argparse.Namespace, model: Shipped) -> None:
    """Answer files as they come, until the user interrupts."""
    unlike = 0
    with _growing(parsed.csv, model.classes) as (rows, done), _Progress(None) as progress, _until_interrupt() as ended:
        watch, lost = Watch(parsed.watch, done, settled=parsed.settled), False
        progress.say(f"watching {watch.folder}, {len(done):,} files have an answer; Ctrl-C ends")
        while not ended():
            began = time.monotonic()
            try:
                paths, lost = watch.look(began), False
            except OSError as error:  # a network disk may come back
                if not lost:
                    progress.say(f"{watch.folder}: {error.strerror or error}; waiting for it")
                paths, lost = [], True
            for answer in classify.classify(model, paths, threads=parsed.threads):
                if answer.problem:
                    watch.failed(answer.path)
                unlike += is_unlike(answer.unlike)
                _put(answer, model, rows, progress, json=parsed.json, quiet=parsed.csv)
                sys.stdout.flush()
                progress.step()
                if ended():
                    break
            progress.wait(watch.waiting)
            again = time.monotonic() + (max(LOOK, 5 * (time.monotonic() - began)) if not paths else 0)
            while not ended() and (left := again - time.monotonic()) > 0:
                time.sleep(min(left, HEAR))
    _warn(unlike, progress.done)


@contextmanager
def _until_interrupt() -> Iterator[Callable[[], bool]]:
    """Give what says whether the user has interrupted; the second Ctrl-C raises.

    An exception out of a signal is lost where it comes while Python runs a callback, such as that of a pool of threads
    that ends: a watch then went on.
    """
    said = False

    def note(*_: object) -> None:
        nonlocal said
        said = True
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:  # as for a process that a shell starts in the background
        signal.signal(signal.SIGINT, note)
    try:
        with suppress(KeyboardInterrupt):
            yield lambda: said
    finally:
        signal.signal(signal.SIGINT, before)


def _put(
    answer: classify.Answer,
    model: Shipped,
    rows: csv.DictWriter | None,
    progress: "_Progress",
    *,
    json: bool,
    quiet: bool,
) -> None:
    """Hand one answer out: to the table, to standard output where that is asked for, problems to standard error."""
    if answer.problem:
        progress.say(f"{answer.path}: {answer.problem}")
    if json:
        path = os.path.abspath(answer.path)  # noqa: PTH100 (links stay)
        sys.stdout.write(json_answers.line(json_answers.plain(answer, model.classes, path)))
    elif not quiet and not answer.problem:
        csv.writer(sys.stdout, lineterminator="\n").writerow([answer.path, answer.name, f"{answer.confidence:.4f}"])
    if rows:
        rows.writerow(_row(answer, model.classes))


def _print_json(answers: Iterable[dict[str, Any]]) -> None:
    for answer in answers:
        sys.stdout.write(json_answers.line(answer))
        sys.stdout.flush()


def _warn(unlike: int, images: int) -> None:
    if unlike:
        print(
            f"{unlike:,} of {images:,} images are unlike those that the model has learnt, by their colours, "
            "contrast or texture: their answers are guesses (column 'unlike' of --csv, above 1)",
            file=sys.stderr,
        )


def _row(answer: classify.Answer, classes: list[str]) -> dict[str, Any]:
    """Return a row of the table: the layout of answers, and every probability."""
    path = os.path.abspath(answer.path)  # noqa: PTH100 (links stay)
    if answer.problem:
        return {"path": path, "problem": answer.problem}
    row = answer_sheet.row(path, answer.two, reliable=answer.reliable, unlike=answer.unlike, image_id=answer.image_id)
    return row | dict(zip(_probabilities(classes), answer.probabilities.tolist(), strict=True))


def _shown(answer: classify.Answer, model: Shipped) -> answers_page.Shown:
    place = Path(os.path.abspath(answer.path))  # noqa: PTH100
    return answers_page.Shown(
        path=str(place),
        link=place.as_uri(),
        answers=answer.two,
        reliable=answer.reliable,
        said=None,
        thumbnail=answers_page.thumbnail(answer.image, answer.shape if model.resize == "stretch" else None),
    )


def _by_doubt(shown: list[answers_page.Shown]) -> list[answers_page.Shown]:
    return sorted(shown, key=lambda image: (image.answers[0][1], image.path))


def _probabilities(classes: list[str]) -> list[str]:
    return [f"p({name})" for name in classes]


@contextmanager
def _rows(path: Path | None, classes: list[str]) -> Iterator[csv.DictWriter | None]:
    if path is None:
        yield None
        return
    with answer_sheet.sheet(path, ["problem", *_probabilities(classes)]) as rows:
        yield rows


@contextmanager
def _growing(path: Path | None, classes: list[str]) -> Iterator[tuple[csv.DictWriter | None, set[str]]]:
    if path is None:
        yield None, set()
        return
    with answer_sheet.growing_sheet(path, ["problem", *_probabilities(classes)]) as both:
        yield both


class _Progress:
    """How far it is, on standard error: one line that is rewritten on a terminal, few lines in a log."""

    def __init__(self, total: int | None) -> None:
        self.total, self.done = total, 0
        self.terminal = sys.stderr.isatty()
        self.started = self.shown = time.monotonic()
        self._waiting = ""

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._show("\n")

    def say(self, text: str) -> None:
        """Print a line of its own."""
        print(f"\r\x1b[K{text}" if self.terminal else text, file=sys.stderr, flush=True)

    def step(self) -> None:
        """Count one image."""
        self.done += 1
        if time.monotonic() - self.shown >= (EVERY if self.terminal else EVERY_IN_LOGS):
            self._show("" if self.terminal else "\n")

    def wait(self, files: int) -> None:
        """Say on a terminal that files are waited for."""
        text = f", {files:,} are being written" if files else ", waiting for files"
        if self.terminal and (text != self._waiting or time.monotonic() - self.shown >= EVERY):
            self._waiting = text
            self._show("")

    def _show(self, end: str) -> None:
        self.shown = time.monotonic()
        if self.total is None:
            text = f"{self.done:,} images{self._waiting if not end else ''}"
        else:
            rate = self.done / max(self.shown - self.started, 1e-6)
            left = f", about {(self.total - self.done) / rate:.0f} s left" if 0 < self.done < self.total else ""
            text = f"{self.done:,} of {self.total:,} images, {rate:.3g} per second{left}"
        print(f"\r\x1b[K{text}" if self.terminal else text, end=end, file=sys.stderr, flush=True)
