"""What people said of the images, as the page needs it: by number of the image, and who would overwrite whom."""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pocketscope.core.errors import InputError
from pocketscope.journal import deeds
from pocketscope.journal.categories import Category
from pocketscope.journal.deeds import Deed, Label
from pocketscope.journal.store import Journal, Said
from pocketscope.web.index import Index

KEYS = "123456789" + "qwertyuiopsdfghjkcvbnm"  # A selects all, L and X are ours, 0 clears, Z takes back
COLOURS = (
    *("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c6d1f", "#7f3c8d", "#11a579", "#3969ac"),
    *("#e73f74", "#80ba5a", "#a5682a", "#f2b701", "#4b4b8f", "#cf1c90", "#5b8c5a", "#f97b72", "#008695", "#97663c"),
)


class Overtaken(Exception):
    """Somebody else labelled some of the images meanwhile; `numbers` says which."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__(f"{len(numbers)} images were labelled in another window meanwhile")
        self.numbers = list(numbers)


class OfImage(NamedTuple):
    """What holds of an image: the category's identity (None: no label), who said so, and whether it is of the exam."""

    category: str | None
    who: str


class Labels:
    """The labels of a project's images.

    Attributes
    ----------
    of
        By identity of the image, for images that were ever labelled.
    exam
        The identities of images that are set aside to test on.
    last
        The number of the last deed that is known here.
    """

    def __init__(self, journal: Journal, index: Index, who: str) -> None:
        self.journal, self.index, self.who = journal, index, who
        self._lock = threading.RLock()
        self.of: dict[str, OfImage] = {}
        self.exam: set[str] = set()
        self.last = 0
        self._all: dict[str, Category] = {}
        self.refresh()

    # ---- reading

    @property
    def categories(self) -> list[Category]:
        """The categories that images can be of, in the order in which they were added."""
        return [category for category in self._all.values() if category.lives]

    def refresh(self) -> bool:
        """Take in what came into the journal, from here or from elsewhere; say whether there was anything."""
        with self._lock:
            last = self.journal.last
            if last == self.last and last:
                return False
            self._all = self.journal.categories()
            self.of = {said.image_id: self._held(said) for said in self.journal.current()}
            self.exam = set(self.journal.exam())
            changed, self.last = last != self.last, last
            return changed

    def category_of(self, number: int) -> str | None:
        """Return the identity of the category that an image is labelled as."""
        image_id = self.index.image_ids[number]
        held = self.of.get(image_id) if image_id else None
        return held.category if held else None

    def snapshot(self) -> dict[str, Any]:
        """Return all labels for the page: lines of number, category and who; the exam; the categories."""
        numbers = self.index.numbers
        with self._lock:
            lines = [
                [number, held.category, held.who] for one, held in self.of.items() for number in numbers.get(one, ())
            ]
            exam = [number for one in self.exam for number in numbers.get(one, ())]
            return {"labels": lines, "exam": sorted(exam), "categories": self.as_json(), "last": self.last}

    def as_json(self) -> list[dict[str, Any]]:
        """Return the living categories for the page."""
        return [{"id": one.identity, "name": one.name, "colour": one.colour, "key": one.key} for one in self.categories]

    # ---- writing

    def label(
        self,
        request: str,
        numbers: Sequence[int],
        category: str | Mapping[int, str | None] | None,
        *,
        seen: Mapping[int, str | None],
        guess_shown: Iterable[int] = (),
    ) -> list[list[Any]]:
        """Label images; return lines of number, category and who. When this returns, they are on the disk.

        Parameters
        ----------
        request
            Names the deed: sent twice, it is done once.
        numbers, category
            Which images, and the identity of the category; None takes labels away. A mapping has that of each image:
            one deed all the same.
        seen
            What the page showed of each image when the person pressed the key.
        guess_shown
            The images of which a model's guess was shown.

        Raises
        ------
        Overtaken
            Of some images something else holds than the page showed. Nothing was done.
        pocketscope.core.errors.InputError
            There is no such category any more, an image cannot be read, or the journal cannot be written to.
        """
        shown, said, unread = set(guess_shown), {}, []
        wanted = category if isinstance(category, Mapping) else dict.fromkeys(numbers, category)
        for number in numbers:
            image_id = self.index.identify(number)
            if image_id is None:
                unread.append(number)
            elif image_id not in said or number in shown:  # copies are one image
                said[image_id] = self._label(number, image_id, wanted[number], number in shown)
        if unread:
            first = self.index.paths[unread[0]]
            more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
            raise InputError(f"{first}{more}: cannot be read, and so cannot be labelled")
        with self._lock:
            self.refresh()
            # What already is as it should be contradicts nobody: a request that is sent again, for instance.
            others = [n for n in numbers if n in seen and self.category_of(n) not in (seen[n], wanted[n])]
            if others:
                raise Overtaken(others)
            self.journal.append([deeds.label(request, self.who, said.values())])
            return self._taken_in(list(said))

    def change(self, request: str, kind: str, **body: Any) -> None:
        """Add, rename, merge, delete, colour a category, or give it a key.

        Raises
        ------
        pocketscope.core.errors.InputError
            See `Journal.append`.
        """
        with self._lock:
            self.refresh()
            if kind == "add":
                body = {"colour": self._free_colour(), "key": self._free_key()} | body
            self.journal.append([Deed(request, kind, self.who, body=body)])
            self.refresh()

    def turn(self, request: str, redo: bool = False, others: Collection[str] = ()) -> str | None:
        """Take back the last deed of this person, or do it again; return what it was, None where there was none.

        What was done in `others`, windows that are open beside the one that asks, is left to these.
        """
        with self._lock:
            number = (self.journal.redo if redo else self.journal.undo)(request, self.who, others)
            self.refresh()
            return None if number is None else self._in_words(number)

    def set_aside(self, request: str, image_ids: Iterable[str]) -> None:
        """Set images aside to test on."""
        with self._lock:
            self.journal.append([deeds.set_aside(request, self.who, image_ids)])
            self.refresh()

    # ---- helpers

    def _label(self, number: int, image_id: str, category: str | None, guess: bool) -> Label:
        return Label(image_id, self.index.paths[number], category, self.index.hashes[number], guess)

    def _taken_in(self, image_ids: list[str]) -> list[list[Any]]:
        numbers = self.index.numbers
        self.last = self.journal.last
        lines = []
        for said in self.journal.current(image_ids):
            held = self.of[said.image_id] = self._held(said)
            lines += [[number, held.category, held.who] for number in numbers.get(said.image_id, ())]
        return lines

    def _in_words(self, number: int) -> str:
        kind, body, images = self.journal.of_deed(number)
        name, into = (one and one.name for one in map(self._all.get, (body.get("category"), body.get("into"))))
        match kind:
            case "label":
                return ", ".join(
                    f"{_images(count)} {'no longer labelled' if after is None else f'labelled {after}'}"
                    for after, count in images.items()
                )
            case "exam":
                return f"{_images(images.get(None, 0))} set aside as the exam"
            case "add":
                return f"category {body['name']} added"
            case "rename":
                return f"category renamed {body['name']}"
            case "merge":
                return f"category {name} merged into {into}"
            case "delete":
                return f"category {name} deleted"
        return f"the {kind} of category {name}"

    def _held(self, said: Said) -> OfImage:
        return OfImage(_living(said.category, self._all), said.who)

    def _free_key(self) -> str | None:
        taken = {category.key for category in self.categories}
        return next((key for key in KEYS if key not in taken), None)

    def _free_colour(self) -> str:
        taken = [category.colour for category in self.categories]
        return min(COLOURS, key=taken.count)


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _living(identity: str | None, known: Mapping[str, Category]) -> str | None:
    """Return the identity of the category that another has become a part of; None where it is deleted."""
    seen = set()
    while identity is not None and identity not in seen:
        category = known.get(identity)
        if category is None or category.deleted:
            return None
        if category.into is None:
            return identity
        seen.add(identity)
        identity = category.into
    return None
