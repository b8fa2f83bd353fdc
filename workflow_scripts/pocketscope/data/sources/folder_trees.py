"""What the folders of a source are: classes, parts of a data set, patients, or one folder too high.

Where they are no classes they are refused, with what to name instead: nobody wants to tell a training set from a test
set, nor one patient from another.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.group_rules import FOLDER, FOLDER_ABOVE, FOLDERS
from pocketscope.core.messages import LISTED
from pocketscope.data.sources.record import TEST

LOOSE = "lies beside the class folders: move it into one of them, or into a folder named by 'unlabelled'"
PACKED = "an archive, not an image: unpack it, into the folder of its class"
ARCHIVES = (".zip", ".gz", ".tgz", ".tar", ".rar", ".7z")

_UNLABELLED = {"unlabelled", "unlabeled"}
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
_PICTURES = {"image", "images", "img", "imgs", "original", "originals"}
_DRAWN = {"mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "segmentations"}
_DRAWN |= {"gt", "ground_truth", "groundtruth", "ground truth"}
_MANY = 4  # folders, from which on it is no chance that they hold the same few
_MEANT = "if the folders are classes indeed, name them with 'classes' of the data set"
_SYNSETS = "synsets.txt"  # beside the lists of images that ImageNet's format has


@dataclass(frozen=True, slots=True)
class Found:
    """One file of a folder source: under which path it is listed, and where it is."""

    path: str
    place: str
    label: str | None = None
    role: str | None = None
    problem: str | None = None
    group: str | None = None


def check(listed: Sequence[Found], top: Path, asked: Any, *, named: bool) -> None:
    """Refuse a tree whose folders are not what the configuration takes them for.

    Parameters
    ----------
    listed
        The files of the source.
    top
        The folder of class folders.
    asked
        The source's `group`.
    named
        Whether the configuration names the classes: who does knows what they are.

    Raises
    ------
    pocketscope.core.errors.InputError
        The message says what to name instead.
    """
    if listed and all(found.problem == PACKED for found in listed):
        raise InputError(
            f"{top}: holds archives alone, such as {listed[0].path!r}; unpack them, each into a folder with the name "
            "of its class"
        )
    if asked in FOLDERS and not any(found.group and (found.label or asked == FOLDER) for found in listed):
        lacks = "no class has a folder inside" if asked == FOLDER else "no folder inside holds class folders"
        raise InputError(
            f"{top}: 'group: {asked}' of the source: {lacks}; move the images of each patient, slide or plate into a "
            "folder of their own, or name the groups by a pattern or a table"
        )
    if named or asked == FOLDER_ABOVE or (isinstance(asked, str) and "/" in asked):
        return
    inside, places = _folders_inside(listed)
    if asked == FOLDER:
        _check_order(inside, top)
    else:
        _check_depth(inside, places, listed, top)


def check_names(labels: set[str], top: Path) -> None:
    """Refuse what are parts of a data set, by their names, and would be learnt as classes."""
    if nobodys := sorted(label for label in labels if label.casefold() in _UNLABELLED):
        raise InputError(
            f"{top}: the folder {nobodys[0]!r} is taken for a class with that name; if its images have no labels, name "
            "it by 'unlabelled' of the source; otherwise rename it"
        )
    pictures, drawn = ([label for label in labels if label.casefold() in words] for words in (_PICTURES, _DRAWN))
    if pictures and drawn and len(labels) == len(pictures) + len(drawn):
        raise InputError(
            f"{top}: the folders {' and '.join(map(repr, sorted(labels)))} are images and what was drawn on them, not "
            "classes; pocketscope classifies whole images: give a folder with one folder per class, or a table with "
            "the columns path and label"
        )
    if labels and all(label.casefold() in _PARTS for label in labels):
        raise InputError(
            f"{top}: the folders {' and '.join(map(repr, sorted(labels)))} are parts of a data set, not classes; "
            f"{_parted(labels)}"
        )


def _folders_inside(listed: Iterable[Found]) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Return, by "class", the folders inside, and where these are: Kaggle's archives hold folders as `train/train`."""
    below: dict[str, set[tuple[str, ...]]] = {}
    for file in listed:
        if file.label is not None and file.role != TEST:
            _, *folders = file.path.split("/")[:-1]
            below.setdefault(file.label, set()).add(tuple(folders))
    inside, places = {}, {}
    for label, paths in below.items():
        twice = all(len(path) > 1 and path[0] == label for path in paths)
        places[label] = f"{label}/{label}" if twice else label
        inside[label] = {path[twice] for path in paths if len(path) > twice}
    return inside, places


def _check_order(inside: dict[str, set[str]], top: Path) -> None:
    """Refuse patients that would be classes, and classes that would be patients."""
    held = set().union(*inside.values())
    if len(inside) >= _MANY and 2 <= len(held) <= len(inside) / 2 and all(inside.values()):
        raise InputError(
            f"{top}: the folders {_some(sorted(inside))} would be the classes, and the few folders inside, "
            f"{_some(sorted(held))}, the groups; if it is the other way round, set 'group: {FOLDER_ABOVE}' of the "
            f"source; {_MEANT}"
        )


def _check_depth(inside: dict[str, set[str]], places: dict[str, str], listed: Sequence[Found], top: Path) -> None:
    """Refuse parts of a data set, patients, or a folder too many, that would be learnt as classes.

    Where almost all "classes" hold the same folders, these are the classes, or parts such as train and test.
    """
    if len(inside) < 2:
        if any(inside.values()):
            ((label, _),) = inside.items()
            raise InputError(
                f"{top}: holds one folder, {label!r}, which would be the only class; {_one_down(label, listed)}"
            )
        if (inside or any(found.problem == LOOSE for found in listed)) and (table := _labels_beside(top)):
            where = f"in one folder, {next(iter(inside))!r}" if inside else "in no folder of a class"
            raise InputError(
                f"{top}: the images lie {where}, and their labels seem to be in {table!r}; if so, give that file: "
                f"'source: {{kind: table, path: {top / table}}}'"
            )
        return
    parts = sorted(label for label in inside if label.casefold() in _PARTS)
    if len(parts) > 1:
        raise InputError(
            f"{top}: the folders {' and '.join(map(repr, parts))} are parts of a data set by their names, not classes; "
            f"{_parted(places[part] for part in parts)}; {_MEANT}"
        )
    holding = [label for label, held in inside.items() if held]
    most = max(2, len(inside) - 1)
    if len(holding) < most:
        return
    count = Counter(name for held in inside.values() for name in held)
    same = [name for name, times in count.items() if times >= most]
    few = len(holding) >= _MANY and 2 <= len(count) <= len(holding) / 2  # patients, each with some of the classes
    if len(same) < 2 and not few:
        return
    named = sorted(same if len(same) > 1 else count)
    by_name = _by_name(holding)
    parted = _parted(places[label] for label in holding)
    if all(name.casefold() in _PARTS for name in named):
        remedy = f"images of all of these would be learnt from; put the parts above the classes, and {_parted(named)}"
    elif by_name:
        remedy = parted
    else:
        remedy = (
            f"if those are the classes: {parted}, where the folders above are parts of a data set; set 'group: "
            f"{FOLDER_ABOVE}' of the source, where they are patients, slides or plates; if those are patients, slides "
            f"or plates inside the classes: set 'group: {FOLDER}'"
        )
    raise InputError(
        f"{top}: the folders {_some(sorted(holding))} would be the classes, and hold folders of the same names, "
        f"{_some(named)}; {remedy}; {_MEANT}"
    )


def _parted(parts: Iterable[str]) -> str:
    """Say which part to name by which key."""
    said = "name the one to learn from by 'path' of the source, and the one to test on by 'test'"
    if found := _by_name(parts):
        learn, test, *more = found
        said += f" ({learn!r} and {test!r}, by their names"
        said += f"; to learn from {more[0]!r} too, move its images into the first)" if more else ")"
    return said


def _by_name(parts: Iterable[str]) -> list[str]:
    """Return the part to learn from, that to test on, and another one, by their names; none where these do not say."""
    parts = sorted(parts)
    train, test, val = ([part for part in parts if word in part.casefold()] for word in ("train", "test", "val"))
    return [train[0], *(test + val)[:2]] if len(train) == 1 and len(test) <= 1 and len(val) <= 1 and test + val else []


def _labels_beside(folder: Path) -> str | None:
    """Return the name of the file in a folder that seems to hold the labels of its images; None where none does."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if known := [name for name in names if name in ("annotations.xml", "_classes.csv")]:
        return known[0]
    if _SYNSETS in names:
        return next((name for name in names if name.endswith(".txt") and name != _SYNSETS), None)
    return next(
        (name for ending in (".csv", ".tsv", ".json") for name in names if name.casefold().endswith(ending)), None
    )


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:LISTED])) + (" and more" if len(names) > LISTED else "")


def _one_down(label: str, listed: Iterable[Found]) -> str:
    """Say which folder to name instead of one that holds a single folder of folders."""
    paths = [file.path.split("/")[:-1] for file in listed if file.label == label]
    depth = 1
    while len(found := {tuple(path[: depth + 1]) for path in paths}) == 1 and len(next(iter(found))) > depth:
        depth += 1
    above = "/".join(paths[0][:depth])
    names = sorted({path[depth] for path in paths if len(path) > depth})
    if names and all(name.casefold() in _PARTS for name in names):
        learn = next((name for name in names if name.casefold().startswith("train")), names[0])
        test = next((name for name in names if name.casefold().startswith("test")), None)
        also = f", and '{above}/{test}' by 'test'" if test else ""
        return f"name '{above}/{learn}' by 'path' of the source{also}"
    return f"name {above!r} by 'path' of the source, if the classes are the folders inside"
