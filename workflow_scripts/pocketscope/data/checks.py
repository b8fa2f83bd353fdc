"""What is counted and checked of a data set before anything is trained on it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean
from pocketscope.tables.classes import CLASSES

_SHOWN = 3  # files that a remark names


def check_dataset(
    images: pa.Table,
    labels: pa.Table,
    skipped: pa.Table,
    corrected: Mapping[str, str | None],
    exam: Mapping[str, str] | None = None,
    renamed: Mapping[str, str | None] | None = None,
    *,
    positive: str | None,
    expect: Mapping[str, Any] | None,
) -> tuple[pa.Table, dict[str, Any]]:
    """Count what a data set holds, and refuse what the configuration did not mean.

    Parameters
    ----------
    images
        Columns image_id, paths, single_colour, further_pages and damage.
    labels, corrected
        See `count`.
    skipped
        Columns path and reason: a row each file that could not be used.
    exam
        Labels of the images that were set aside to be tested on, by image.
    renamed
        What classes are called now that `positive` and `expect` may call as the source does; None: deleted.
    positive
        See `positive_class`.
    expect
        See `compare`.

    Returns
    -------
    tuple of pyarrow.Table and dict
        Schema CLASSES; and `images`, `files`, `unlabelled` and `positive`, of the whole, and `remarks`, see `remarks`.

    Raises
    ------
    pocketscope.core.errors.InputError
        See `positive_class` and `compare`.
    """
    exam, renamed = exam or {}, renamed or {}
    classes, whole = count(images, labels, {**corrected, **exam})
    compare(_called_now(expect, renamed), classes, whole, len(skipped))
    learnt = set(corrected.values()) - {None}
    said = dataset_remarks(images, skipped, labels["label"].drop_null().to_pylist(), learnt, exam.values())
    asked = renamed.get(positive, positive) if positive else None
    return classes, whole | {"positive": positive_class(asked, classes), "remarks": said}


def compare_with_pinned(classes: Sequence[str], pinned: Sequence[str]) -> None:
    """Refuse other classes than those of the study that what ships is pinned to: its scores and folds know no others.

    Raises
    ------
    pocketscope.core.errors.InputError
        A class came, went, or is called otherwise.
    """
    if set(classes) != set(pinned):
        now, then = (", ".join(f"'{name}'" for name in sorted(names)) for names in (classes, pinned))
        raise InputError(
            f"the labels have the classes {now} now; the study that `make ship` is pinned to has {then}: "
            "`make ship REFRESH=yes` learns the classes of now, and compares anew"
        )


def count(
    images: pa.Table, labels: pa.Table, corrected: Mapping[str, str | None] | None = None
) -> tuple[pa.Table, dict[str, int]]:
    """Count what a packed data set holds.

    Parameters
    ----------
    images
        Columns image_id and paths.
    labels
        Columns image_id and label; null where nobody labelled the image.
    corrected
        Labels that replace those of `labels`, by image; None: the image has none.

    Returns
    -------
    tuple of pyarrow.Table and dict
        Schema CLASSES, sorted by label; and `images`, `files`, `unlabelled`: of the whole.
    """
    said = dict(zip(labels["image_id"].to_pylist(), labels["label"].to_pylist(), strict=True))
    files_of = dict(zip(images["image_id"].to_pylist(), map(len, images["paths"].to_pylist()), strict=True))
    now = said | dict(corrected or {})
    classes = sorted({label for label in now.values() if label is not None})
    rows = [
        {
            "label": name,
            "images": sum(label == name for label in now.values()),
            "files": sum(files_of[identity] for identity, label in said.items() if label == name),
        }
        for name in classes
    ]
    whole = {
        "images": len(said),
        "files": sum(files_of.values()),
        "unlabelled": sum(label is None for label in now.values()),
    }
    return pa.Table.from_pylist(rows, schema=CLASSES), whole


def dataset_remarks(
    images: pa.Table, skipped: pa.Table, labels: Iterable[str], corrected: Iterable[str], exam: Iterable[str] = ()
) -> list[str]:
    """Return what a person should know of a data set with which work goes on.

    Parameters
    ----------
    images, skipped
        See `check_dataset`.
    labels, corrected
        The labels that the source gives, and those of corrections.
    exam
        The labels of images that were set aside to be tested on.
    """
    said, labels, corrected, exam = [], set(labels), set(corrected), set(exam)
    skipped = skipped.filter(pc.invert(pc.ends_with(skipped["path"], "/")))  # a folder is no file: see `label_remarks`
    if len(skipped):
        named = [f"{row['path']!r} ({row['reason']})" for row in skipped.slice(length=_SHOWN).to_pylist()]
        said.append(f"files that could not be used, listed in skipped.parquet: {_first(named, len(skipped))}")
    if blank := _names(images, "single_colour"):
        said.append(
            f"images of a single colour, as if empty or wrongly read ({len(blank)} of {len(images)}): "
            f"{_first(blank, len(blank))}"
        )
    if stacks := _names(images, "further_pages"):
        said.append(
            "images that are one page of a file with several ('page' of the data set says which, or joins all) "
            f"({len(stacks)} of {len(images)}): {_first(stacks, len(stacks))}"
        )
    if damaged := _names(images, "damage"):
        reasons = sorted(set(images["damage"].drop_null().to_pylist()))
        said.append(
            "JPEG images that are damaged but could be decoded, in part with made-up pixels "
            f"({len(damaged)} of {len(images)}): {_first(damaged, len(damaged))}; the decoder says {reasons[0]!r}"
            + (f" and {len(reasons) - 1} more" if len(reasons) > 1 else "")
        )
    said += [
        f"class {label!r} is learned but never tested: it has images only in the corrections"
        for label in sorted(corrected - labels - exam)
    ]
    said += [
        f"class {label!r} is tested but never learned: it has images only in the exam"
        for label in sorted(exam - labels - corrected)
    ]
    return said


def _called_now(expected: Mapping[str, Any] | None, renamed: Mapping[str, str | None]) -> Mapping[str, Any] | None:
    """Return `expected` with the names that its classes have now; of classes that were merged, the sum of images."""
    if not expected or not renamed or not isinstance(expected.get("classes"), Mapping):
        return expected
    counts: dict[str, int] = {}
    for name, number in expected["classes"].items():
        if (now := renamed.get(name, name)) is not None:
            counts[now] = counts.get(now, 0) + number
    return {**expected, "classes": counts}


def _names(images: pa.Table, column: str) -> list[str]:
    """Return the first path of each image of which `column` is true or says something, sorted."""
    marked = images[column] if pa.types.is_boolean(images[column].type) else images[column].is_valid()
    return sorted(repr(paths[0]) for paths in images.filter(marked)["paths"].to_pylist())


def _first(names: Sequence[str], number: int) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {number - _SHOWN} more" if number > _SHOWN else "")


def positive_class(asked: str | None, classes: pa.Table) -> str | None:
    """Return the positive class of a data set: the one asked for, else the rarer of two, else None.

    Raises
    ------
    pocketscope.core.errors.InputError
        The class that was asked for does not exist, or there are more than two classes.
    """
    names, counts = classes["label"].to_pylist(), classes["images"].to_pylist()
    if asked is None:
        # Of equally frequent classes the last one: it is called positive, ill or treated more often than the first.
        rarest = min(reversed(names), key=dict(zip(names, counts, strict=True)).__getitem__)
        return rarest if len(names) == 2 else None
    if asked not in names:
        raise InputError(
            f"positive: there is no class {asked!r}{did_you_mean(asked, names)} "
            f"The classes are {', '.join(map(repr, names))}"
        )
    if len(names) > 2:
        raise InputError(f"positive: {asked!r} is one of {len(names)} classes; F1 is their mean; leave it out")
    return asked


def compare(expected: Mapping[str, Any] | None, classes: pa.Table, whole: Mapping[str, int], skipped: int) -> None:
    """Refuse a data set that is not what the configuration expects.

    Parameters
    ----------
    expected
        `images` (files, copies included) and `classes` (a number, or files by class), either of which may be None.
    classes, whole
        What `count` returns.
    skipped
        How many files could not be used.

    Raises
    ------
    pocketscope.core.errors.InputError
        The message lists every difference.
    """
    wanted = dict(expected or {})
    different = []
    if wanted.get("images") not in (None, whole["files"]):
        different.append(
            f"{whole['files']} image files instead of {wanted['images']} (copies included; {skipped} more were skipped)"
        )
    files_of = zip(classes["label"].to_pylist(), classes["files"].to_pylist(), strict=True)
    there = {label: files for label, files in files_of if files}  # the source's; corrections are no other version of it
    asked = wanted.get("classes")
    if isinstance(asked, Mapping):
        for name in sorted(there.keys() | asked.keys()):
            if there.get(name, 0) != asked.get(name, 0):
                different.append(f"class {name!r}: {there.get(name, 0)} image files instead of {asked.get(name, 0)}")
    elif asked is not None and asked != len(there):
        different.append(f"{len(there)} classes instead of {asked}: {', '.join(map(repr, sorted(there)))}")
    if different:
        raise InputError(
            "the data set differs from 'expect':\n"
            + "".join(f"  {line}\n" for line in different)
            + "Get the right version of the data, or correct 'expect'"
        )
