"""What a person does to the labels of a data set, one deed at a time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CATEGORY_KINDS = ("add", "rename", "merge", "delete", "colour", "key")
KINDS = ("label", "exam", *CATEGORY_KINDS)


@dataclass(frozen=True, slots=True)
class Label:
    """What an image is said to show.

    Attributes
    ----------
    image_id
        The image's identity (`pocketscope.images.codec.content_id`): a file that moves keeps its label.
    path, sha256
        Under which path its source lists it, and the digest of the file's content, where known.
    category
        The identity of its category; None takes the label away.
    guess_shown
        Whether the person had seen a model's guess before.
    before
        What the image was called until now. Default: what the journal says.
    """

    image_id: str
    path: str
    category: str | None
    sha256: str | None = None
    guess_shown: bool = False
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Deed:
    """One entry of the journal.

    Attributes
    ----------
    request
        Names the deed: one that is sent twice is done once.
    kind
        One of `KINDS`; `undo` and `redo` come from `Journal.undo` and `Journal.redo` alone.
    who
        The person, and whatever tells two of them apart.
    labels
        Of a `label`: the images.
    image_ids
        Of an `exam`: images that are set aside to test on, where they are labelled before a guess was shown.
    body
        Of the others: `category`, and `name`, `into`, `colour` or `key`.
    when
        UTC, ISO 8601. Default: when it is appended.
    """

    request: str
    kind: str
    who: str
    labels: tuple[Label, ...] = ()
    image_ids: tuple[str, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)
    when: str | None = None


def label(request: str, who: str, labels: Iterable[Label]) -> Deed:
    """Return the deed of labelling images, all of which one undo takes back."""
    return Deed(request, "label", who, labels=tuple(labels))


def set_aside(request: str, who: str, image_ids: Iterable[str]) -> Deed:
    """Return the deed of setting images aside to test on."""
    return Deed(request, "exam", who, image_ids=tuple(image_ids))


def add(request: str, who: str, name: str, *, colour: str | None = None, key: str | None = None) -> Deed:
    """Return the deed of adding a category; its identity is its first name, or where that is taken `name (2)`."""
    return Deed(request, "add", who, body={"name": name, "colour": colour, "key": key})


def rename(request: str, who: str, category: str, name: str) -> Deed:
    """Return the deed of calling a category otherwise; all its labels go along."""
    return Deed(request, "rename", who, body={"category": category, "name": name})


def merge(request: str, who: str, category: str, into: str) -> Deed:
    """Return the deed of making one category a part of another; undone, its labels are its own again."""
    return Deed(request, "merge", who, body={"category": category, "into": into})


def delete(request: str, who: str, category: str) -> Deed:
    """Return the deed of deleting a category; its images have no label until the deed is undone."""
    return Deed(request, "delete", who, body={"category": category})


def colour(request: str, who: str, category: str, value: str | None) -> Deed:
    """Return the deed of giving a category a colour."""
    return Deed(request, "colour", who, body={"category": category, "colour": value})


def key(request: str, who: str, category: str, value: str | None) -> Deed:
    """Return the deed of giving a category a key of the keyboard; no other category has it then."""
    return Deed(request, "key", who, body={"category": category, "key": value})
