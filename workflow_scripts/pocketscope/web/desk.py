"""One open project: its images, its labels, and what watches them while pages are open."""

import contextlib
import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.data.sources.record import Record
from pocketscope.images.pixels import Unreadable
from pocketscope.journal.store import Journal
from pocketscope.web.events import Events
from pocketscope.web.index import Index
from pocketscope.web.labels import Labels
from pocketscope.web.project import Project
from pocketscope.web.study import Study
from pocketscope.web.suggestions import Suggestions

log = logging.getLogger(__name__)

LOOK = 2.0  # seconds between looks for labels that came from elsewhere
REST = 20  # times as long as it took to list the folder, until it is listed again; LOOK at least


class Desk:
    """A project that is open.

    Attributes
    ----------
    session
        Tells this opening from others: pictures are kept by browsers as long as it lasts.
    listed
        Set once the folder was listed, or the desk is closed.
    trouble
        Why the folder cannot be listed now; None where it can.
    """

    def __init__(self, project: Project, who: str, events: Events) -> None:
        self.project, self.who, self.events = project, who, events
        self.journal = Journal(project.journal)
        name = f"images.{project.page}.sqlite" if project.page else "images.sqlite"  # each page is another image
        self.index = Index(project.folder, project.results / "desk" / name, project.page)
        self.labels = Labels(self.journal, self.index, who)
        self.suggestions = Suggestions(
            self.index, self.labels, lambda version: events.tell("suggested", version=version)
        )
        self.study = Study(self, lambda now: events.tell("run", now=now))
        self.session = secrets.token_hex(4)
        self.listed = threading.Event()
        self.trouble: str | None = None
        self._stop = threading.Event()
        self._identifying = threading.Lock()
        self._watch = threading.Thread(target=self._watching, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to list, to identify and to watch, in the background."""
        self._watch.start()
        threading.Thread(target=self.study.begin, name="begin", daemon=True).start()

    def close(self) -> None:
        """End what runs in the background; what was labelled is on the disk already."""
        self._stop.set()
        self.listed.set()
        self.study.close()
        self.suggestions.close()
        self.index.close()
        if self._watch.is_alive():
            self._watch.join(10)
        self.journal.close()

    # ---- for the page

    def state(self) -> dict[str, Any]:
        """Return all that a page begins with."""
        index = self.index
        return {
            "project": {"name": self.project.name, "folder": str(self.project.folder), "home": str(self.project.home)},
            "who": self.who,
            "session": self.session,
            "scanned": self.scanned,
            "trouble": self.trouble,
            "images": index.paths,
            "unreadable": {number: problem for number, problem in enumerate(index.problems) if problem is not None},
            "gone": sorted(index.gone),
            "identified": self.identified(),
            "run": self.study.runs.now,
            "asked": self.study.asked(),
            "missing": self.missing(),
            "stacks": len(index.stacks),
            "page": self.project.page,
        } | self.labels.snapshot()

    @property
    def scanned(self) -> bool:
        """Whether the folder was listed once."""
        return self.listed.is_set()

    def identified(self) -> int:
        """Return of how many images it is known what they are."""
        return sum(one is not None for one in self.index.image_ids)

    def missing(self) -> dict[str, int]:
        """Return how many labelled images, and images of the exam, have no file now; 0 until all files are known."""
        labels = self.labels
        labelled = {one for one, held in list(labels.of.items()) if held.category is not None}
        return {"labelled": len(self.without_file(labelled)), "exam": len(self.without_file(labels.exam))}

    def without_file(self, image_ids: Iterable[str]) -> set[str]:
        """Return those of some images that have no file now; none until all files are known."""
        index = self.index
        known = zip(list(index.image_ids), list(index.problems), strict=False)
        unknown = {n for n, pair in enumerate(known) if pair == (None, None)} - index.gone
        if not self.scanned or self.trouble or unknown:
            return set()
        there = {one for one, numbers in list(index.numbers.items()) if not index.gone.issuperset(numbers)}
        return set(image_ids) - there

    def tell_labels(self) -> None:
        """Tell all pages what the labels are now."""
        self.suggestions.again()
        self.events.tell("labels", missing=self.missing(), **self.labels.snapshot())

    def take_folders(self, request: str) -> dict[str, int]:
        """Make a category of each folder right inside, and label its images so; return how many of both.

        The images are labelled once all of them have been looked at, in the background.

        Raises
        ------
        pocketscope.core.errors.InputError
            There are fewer than two such folders.
        """
        inside: dict[str, list[int]] = {}
        for number, path in enumerate(list(self.index.paths)):
            folder, slash, _ = path.partition("/")
            if slash and number not in self.index.gone:
                inside.setdefault(folder, []).append(number)
        if len(inside) < 2:
            raise InputError("there are not two folders with images inside; add categories by their names instead")
        known = {one.name.casefold() for one in self.labels.categories}
        for name in sorted(inside):
            if name.casefold() not in known:
                self.labels.change(f"{request}-{name}", "add", name=name)
        identity = {one.name.casefold(): one.identity for one in self.labels.categories}
        self.tell_labels()

        def label() -> None:
            try:
                for name, numbers in inside.items():
                    readable = [n for n in numbers if self.index.identify(n) is not None]
                    self.labels.label(f"{request}-images-{name}", readable, identity[name.casefold()], seen={})
                    self.tell_labels()
            except (InputError, RuntimeError) as error:  # RuntimeError: the desk was closed meanwhile
                log.warning("%s", error)

        threading.Thread(target=label, name="folders", daemon=True).start()
        return {"categories": len(inside), "images": sum(map(len, inside.values()))}

    def take_table(self, name: str, content: bytes) -> dict[str, Any]:
        """Take the labels of a table that a person chose, as `pocketscope label --from` does.

        Parameters
        ----------
        name, content
            Of the file: CSV or Parquet.

        Returns
        -------
        dict
            `new` and `known`, numbers of labels; `remarks` on how the table was read.

        Raises
        ------
        pocketscope.core.errors.InputError
            Something in it is wrong; then nothing of it is taken.
        """
        from pocketscope.api import label_tables  # Arrow takes a while to import: the page comes first

        source = {"kind": "folder", "unlabelled": str(self.project.folder)}
        dataset = {"source": source, "classes": None, "page": self.project.page}
        with tempfile.TemporaryDirectory() as folder, _remarks() as remarks:
            table = Path(folder) / f"table{Path(name).suffix}"
            table.write_bytes(content)
            try:
                given = dataset, self.project.folder, self.who
                (taken,) = label_tables.take(self.journal, [table], *given, identify=self._identified)
            except InputError as error:
                raise InputError(str(error).replace(str(table), name)) from error
        self.labels.refresh()
        self.tell_labels()
        return {"new": taken.new, "known": taken.known, "remarks": [one.replace(str(table), name) for one in remarks]}

    def _identified(self, record: Record) -> tuple[str, str | None]:
        number = self.index.number_of(record.path)
        if number is None:
            raise Unreadable("came a moment ago; try again")
        if (image_id := self.index.identify(number)) is None:
            raise Unreadable(self.index.problems[number] or "is gone")
        return image_id, self.index.hashes[number]

    # ---- in the background

    def _watching(self) -> None:
        next_scan = 0.0
        while not self._stop.is_set():
            try:
                if time.monotonic() >= next_scan:
                    began = time.monotonic()
                    self._scan()
                    next_scan = time.monotonic() + max(LOOK, REST * (time.monotonic() - began))
                if self.labels.refresh():
                    self.tell_labels()
            except Exception as error:  # the watch must not end for a disk that is away for a minute
                if not self._stop.is_set():
                    log.warning("%s", error)
            self._stop.wait(LOOK)

    def _scan(self) -> None:
        before = len(self.index.paths)
        try:
            came, went = self.index.scan()
            trouble = None
        except OSError as error:
            came, went = [], []
            trouble = (
                f"{self.project.folder}: {error.strerror}; labels are kept, and the images come back with the folder"
            )
        if came or went or trouble != self.trouble or not self.scanned:
            self.trouble = trouble
            first = not self.scanned
            self.listed.set()
            self.events.tell(
                "images",
                images=self.index.paths[before:],
                first=before,
                again=[number for number in came if number < before],
                gone=sorted(self.index.gone),
                missing=self.missing(),
                trouble=trouble,
                scanned=True,
            )
            if came or first:
                self.labels.last = 0  # labels of images that came back
                threading.Thread(target=self._identify, name="identify", daemon=True).start()

    def _identify(self) -> None:
        if not self._identifying.acquire(blocking=False):
            return
        try:
            self.index.identify_all(self._told)
        finally:
            self._identifying.release()

    def _told(self, numbers: list[int]) -> None:
        """Tell the pages what was found of images: labels that they have already, and files that cannot be read."""
        labels = [
            [number, held.category, held.who]
            for number in numbers
            if (one := self.index.image_ids[number]) is not None and (held := self.labels.of.get(one)) is not None
        ]
        problems = {n: problem for n in numbers if (problem := self.index.problems[n]) is not None}
        exam = [n for n in numbers if self.index.image_ids[n] in self.labels.exam]
        about = {"identified": self.identified(), "missing": self.missing(), "stacks": len(self.index.stacks)}
        self.events.tell("identified", labels=labels, unreadable=problems, exam=exam, **about)


@contextlib.contextmanager
def _remarks() -> Iterator[list[str]]:
    """Collect the warnings that are given in this thread."""
    found: list[str] = []
    thread = threading.get_ident()
    handler = logging.Handler(logging.WARNING)
    handler.addFilter(lambda record: record.thread == thread)
    handler.emit = lambda record: found.append(record.getMessage())
    logger = logging.getLogger("pocketscope")
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
