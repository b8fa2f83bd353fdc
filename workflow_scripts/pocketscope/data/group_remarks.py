"""Remark which images have no group, or seem to belong together though nobody said so: patients, slides, wells, videos.

It is a remark, and no more: names that only look like groups do no harm, and groups that names do not show are missed.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from pocketscope.core.group_rules import FOLDER, GROUP, composed, expression

# What numbers the images of one field, slide, patient or video, in the names that microscopes and programs give.
_WORDS = (
    *("s#", "f#", "t#", "z#", "w#", "c#", "r#", "x#", "y#", "site#", "site_#", "field#", "field_#", "pos#", "pos_#"),
    *("frame#", "frame_#", "frame-#", "time#", "slice#", "slice_#", "slice-#", "tile#", "tile_#", "patch#", "patch_#"),
    *("crop#", "crop_#", "roi#", "roi_#", "cell#", "cell_#", "img#", "img_#", "image#", "image_#", "view#", "view_#"),
)
_SEPARATORS = ("_", "-", " ")
_PATTERNS = (
    # From the most special to the most general.
    *(f"{GROUP}{gap}{word}{more}" for word in _WORDS for gap in _SEPARATORS for more in ("", "*")),
    f"{GROUP}.rf.*",  # versions of one image that Roboflow made by augmentation
    f"{GROUP} [*]",  # a tile of QuPath's: name [x=0,y=0,w=512,h=512]
    f"{GROUP}f#*",  # B02f03: a well and its field
    *(f"{GROUP}{gap}#{gap}#" for gap in _SEPARATORS),  # a place on a slide
    *(f"{GROUP}{gap}#" for gap in _SEPARATORS),
    f"{GROUP} (#)",
    *(f"{GROUP}{gap}{end}" for gap in _SEPARATORS for end in ("#*", "*")),
)
_FITTING = 0.9  # share of the names that a pattern has to fit
_FEWEST = 3  # groups
_LARGEST = 0.5  # share of the images in the largest group
_MEAN = 1.2  # images a group
_LOOKED_AT = 3000
_SHOWN = 3  # files that a remark names
_TIME = re.compile(r"(19|20)[0-9]{2}[-_. ]?[01][0-9][-_. ]?[0-3][0-9]")  # a camera's or a screenshot's name


def group_remarks(images: pa.Table, labels: pa.Table, notes: Mapping[str, Any]) -> list[str]:
    """Return what a person should know of the groups of a data set, or of their lack.

    Parameters
    ----------
    images
        Columns image_id, paths and group.
    labels
        Columns image_id and label.
    notes
        What packing says of the whole beside the images: `hints`, and what `suggestion` takes.
    """
    paths, groups = [listed[0] for listed in images["paths"].to_pylist()], images["group"].to_pylist()
    alone = sorted(repr(path) for path, group in zip(paths, groups, strict=True) if group is None)
    said = list(notes.get("hints", []))
    if 0 < len(alone) < len(groups):
        more = f" and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else ""
        said.append(
            f"images without a group, each of which counts as one of its own ({len(alone)} of {len(groups)}): "
            f"{', '.join(alone[:_SHOWN])}{more}"
        )
    label_of = dict(zip(labels["image_id"].to_pylist(), labels["label"].to_pylist(), strict=True))
    known = [label_of.get(identity) for identity in images["image_id"].to_pylist()]
    suggested = None if said else suggestion(paths, known, groups, notes)
    return [*said, suggested] if suggested else said


def suggestion(
    paths: Sequence[str], labels: Sequence[str | None], groups: Sequence[str | None], notes: Mapping[str, Any]
) -> str | None:
    """Return a remark that says what seems to be a group, and how to set it; None where nothing does.

    Parameters
    ----------
    paths, labels, groups
        Of each image, the first path, the label, the group.
    notes
        `patients`, the different patients that DICOM headers name, and `of_patients`, in how many files.

    Returns
    -------
    str or None
        None where any image has a group.
    """
    if any(group is not None for group in groups):
        return None
    way = "images that belong together may be in both the training set and the test set"
    patients, files = notes.get("patients", 0), notes.get("of_patients", 0)
    if 1 < patients < files:
        return f"{files} DICOM files are of {patients} patients; unless 'group: PatientID' of the source is set, {way}"
    step = max(1, len(paths) // _LOOKED_AT)
    if found := _by_folder(paths, labels):
        names, count = found
        return f"the classes hold {count} folders such as {names}; if these are patients, slides or plates, set " + (
            f"'group: {FOLDER}' of the source: {way}"
        )
    # Neighbours in the order of their names, lest a group be torn apart.
    order = sorted(range(len(paths)), key=paths.__getitem__)
    if step > 1:
        start = (len(order) - _LOOKED_AT) // 2
        order = order[start : start + _LOOKED_AT]
    looked = [(paths[at], labels[at]) for at in order]
    for pattern in _PATTERNS:
        if found := _by_name(looked, pattern):
            example, number = found
            return (
                f"the files' names suggest groups, such as {example!r} with {number} images; if these are patients, "
                f"slides, wells or videos, set \"group: '{pattern}'\" of the source: {way}"
            )
    return None


def _by_folder(paths: Sequence[str], labels: Sequence[str | None]) -> tuple[str, int] | None:
    """Return the first folders inside the classes and their number, where nearly all images lie in one of several."""
    inside: Counter[str] = Counter()
    classes: dict[str, set[str]] = {}
    known = 0
    for path, label in zip(paths, labels, strict=True):
        if label is None:
            continue
        known += 1
        first, *rest = path.split("/")[:-1] or [""]
        if first == label and rest:
            inside[rest[0]] += 1
            classes.setdefault(label, set()).add(rest[0])
    if not known or sum(inside.values()) < _FITTING * known or len(classes) < 2:
        return None
    shared = len(set.intersection(*classes.values()))
    few = len(inside) < max(_FEWEST, len(classes) + 1)
    if few or shared > len(inside) / 2 or len(inside) * _MEAN > known or max(inside.values()) > _LARGEST * known:
        return None
    return ", ".join(map(repr, sorted(inside)[:3])), len(inside)


def _by_name(looked: Sequence[tuple[str, str | None]], pattern: str) -> tuple[str, int] | None:
    """Return an example of the groups that a pattern finds and its number of images, where they look like groups."""
    found_by = expression(pattern)
    counts: Counter[str] = Counter()
    for left, (path, _) in zip(range(len(looked), 0, -1), looked, strict=True):
        if found := found_by.search(composed(path)):
            counts[found["group"]] += 1
        elif sum(counts.values()) + left - 1 < _FITTING * len(looked):
            return None
    classes = len({label for _, label in looked})
    # An id holds a digit; a word before a number is the name of a class, or that of all images.
    ids = sum(number for name, number in counts.items() if re.search(r"[0-9]", name) and not _TIME.search(name))
    total = sum(counts.values())
    if len(counts) < max(_FEWEST, classes + 1) or ids < _FITTING * total or len(counts) * _MEAN > total:
        return None
    if max(counts.values()) > _LARGEST * total:
        return None
    return counts.most_common(1)[0]
