"""`pocketscope classify`: what a model file says of images."""

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.deploy import answers_page
from pocketscope.images.familiarity import is_unlike
from pocketscope.images.files import image_files
from pocketscope.inference import classify, onnx_model
from pocketscope.inference.onnx_model import Shipped
from pocketscope.tables import answer_sheet

EVERY = 0.5  # seconds between two lines of progress on a terminal
EVERY_IN_LOGS = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`."""
    parser.add_argument("model", type=Path, help="a model.fp32.onnx or model.int8.onnx")
    parser.add_argument("images", nargs="+", metavar="IMAGES", help="image files, and folders that contain them")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the answers and all probabilities to a CSV file"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page of thumbnails, by class")
    parser.add_argument(
        "--threads", type=int, default=onnx_model.cores(), help="number of threads (default: all, %(default)s)"
    )


def main(parsed: argparse.Namespace) -> None:
    """Classify the images: answers to the table or to standard output, progress and problems to standard error.

    Raises
    ------
    pocketscope.core.errors.InputError
        The model cannot be used; there is no image; or, once all others are done, some images could not be read.
    """
    if parsed.threads < 1:
        raise InputError(f"--threads is {parsed.threads}; it must be 1 or more")
    model = onnx_model.open_model(parsed.model, threads=parsed.threads)
    paths = image_files(parsed.images)
    problems, unlike, shown = 0, 0, []
    with _rows(parsed.csv, model.classes) as rows, _Progress(len(paths)) as progress:
        for answer in classify.classify(model, paths, threads=parsed.threads, keep_images=parsed.html is not None):
            unlike += is_unlike(answer.unlike)
            if answer.problem:
                problems += 1
                progress.say(f"{answer.path}: {answer.problem}")
            elif not rows and not parsed.html:
                csv.writer(sys.stdout, lineterminator="\n").writerow(
                    [answer.path, answer.name, f"{answer.confidence:.4f}"]
                )
            elif parsed.html:
                shown.append(_shown(answer, model))
            if rows:
                rows.writerow(_row(answer, model.classes))
            progress.step()
    if parsed.html:
        shown.sort(key=lambda image: (image.answers[0][1], image.path))
        answers_page.write_page(
            parsed.html, shown, model.classes, title=f"{len(paths):,} images by {parsed.model}", total=len(shown)
        )
    if unlike:
        print(
            f"{unlike:,} of {len(paths):,} images are unlike those that the model has learnt, by their colours, "
            "contrast or texture: their answers are guesses (column 'unlike' of --csv, above 1)",
            file=sys.stderr,
        )
    if problems:
        raise InputError(f"{problems} of {len(paths)} images could not be read; the others were classified")


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


def _probabilities(classes: list[str]) -> list[str]:
    return [f"p({name})" for name in classes]


@contextmanager
def _rows(path: Path | None, classes: list[str]) -> Iterator[csv.DictWriter | None]:
    if path is None:
        yield None
        return
    with answer_sheet.sheet(path, ["problem", *_probabilities(classes)]) as rows:
        yield rows


class _Progress:
    """How far it is, on standard error: one line that is rewritten on a terminal, few lines in a log."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.terminal = sys.stderr.isatty()
        self.started = self.shown = time.monotonic()

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

    def _show(self, end: str) -> None:
        self.shown = time.monotonic()
        seconds = max(self.shown - self.started, 1e-6)
        rate = self.done / seconds
        left = f", about {(self.total - self.done) / rate:.0f} s left" if 0 < self.done < self.total else ""
        text = f"{self.done:,} of {self.total:,} images, {rate:.3g} per second{left}"
        print(f"\r\x1b[K{text}" if self.terminal else text, end=end, file=sys.stderr, flush=True)
