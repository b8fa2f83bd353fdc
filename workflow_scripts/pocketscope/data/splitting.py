"""Part a data set into test, labelled, validation and unlabelled images, from identities alone: no pixels.

Whether a unit is in the test set depends on its own hash and on nothing else. So an image added, or a label corrected,
moves no other image between training and test; the price is that the test set's size is as asked only on average
(a quota that is met exactly has to move an image when another one comes).
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from pocketscope.core.errors import InputError
from pocketscope.core.seeds import rank
from pocketscope.tables.split import SPLIT, TRUTH, columns

log = logging.getLogger(__name__)


def assign(
    images: pa.Table,
    labels: pa.Table,
    *,
    labelled: int | str,
    seed: int,
    test: str | tuple[int, int] | None,
    test_share: float,
    test_seed: int,
    validation_share: float,
    min_validation: int,
    strict: bool,
    of_all: bool = False,
    corrected: Mapping[str, str | None] | None = None,
    exam: Mapping[str, str] | None = None,
    near: Iterable[tuple[str, str]] = (),
) -> tuple[pa.Table, pa.Table, dict[str, Any]]:
    """Give each image its role.

    A unit is a group (patient, slide, plate) where one is given, else an image; units that hold nearly equal images are
    one, where these are given. Units never straddle the training set
    and the test set, nor labelled and validation images. Labelled images are the first of their class in the order of
    a hash, so that k of them are among any k + 1.

    The test set is drawn from what the source says, before anything is corrected: a correction moves no image, and an
    image that has its label from a correction alone is learnt from and never tested on. People correct what a model is
    unsure of; a test set that such images join would grow harder from run to run. Images of the exam were drawn before
    any model was, and labelled before a guess was shown: where there are any, they are the test set.

    Parameters
    ----------
    images
        Columns image_id, group and role; role is `test` where the source itself names the test set.
    labels
        Columns image_id and label; null where nobody labelled the image.
    labelled
        How many images per class are labelled, the validation set included, or `all`.
    seed
        Draws the labelled and the validation images.
    test
        `share`: the test set that the source names, or else a share of the units. Two numbers: this fold, from 0, of
        so many of a cross-validation. None: there is no test set, and no validation set; every label is for training,
        those of the source's own test set too.
    test_share, test_seed
        Of the units that hold a label, the share to test on, and what draws it, or the folds.
    validation_share
        Share of a class's labelled images that validate.
    min_validation
        There is no validation set where most classes have fewer labelled images than this.
    strict
        Raise an error where a class has fewer images than `labelled`, instead of a warning.
    of_all
        The folds are of all labels, as what ships learns from all: those of the source's own test set too. One may be
        empty.
    corrected
        Labels that people gave after they saw the answers, by image: they replace those of `labels`; None: the image
        has no label.
    exam
        Labels of the images that were set aside to be tested on, by image.
    near
        Pairs of images that are to be on one side.

    Returns
    -------
    tuple of pyarrow.Table, pyarrow.Table and dict
        Schema SPLIT, schema TRUTH, and notes: `classes`, sorted.

    Raises
    ------
    pocketscope.core.errors.InputError
        No training image is labelled; no image can be tested on; folds are asked for where the source names its own
        test set; or a class is too small and `strict` is set.
    """
    given = {i: label for i, label in zip(*columns(labels, "image_id", "label"), strict=True) if label is not None}
    exam = dict(exam or {})
    label_of = {i: label for i, label in (given | dict(corrected or {}) | exam).items() if label is not None}
    image_ids, groups, roles = columns(images, "image_id", "group", "role")
    group_of = dict(zip(image_ids, groups, strict=True))
    unit_of = {i: f"image {i}" if group is None else f"group {group}" for i, group in group_of.items()}
    if joined := _joined(unit_of, near):
        unit_of |= {i: joined[unit] for i, unit in unit_of.items() if unit in joined}
        group_of |= {i: unit for i, unit in unit_of.items() if unit in set(joined.values())}
        largest = max(Counter(unit_of.values()).values())
        log.info("units of nearly equal images: %d, the largest unit of %d images", len(set(joined.values())), largest)
    named = {i for i, role in zip(image_ids, roles, strict=True) if role == "test"} | exam.keys()
    named = set() if of_all else named
    given |= exam
    tested = _tested(given, unit_of, named, test, test_share, test_seed)
    if test is not None and not of_all and not any(unit_of[image_id] in tested for image_id in given):
        what = "the source's own test set has no label" if named else "every class has only one image or group"
        raise InputError(
            f"there is no image to test on{'' if test == 'share' else f' in fold {test[0]}'}: {what}; label more images"
            + ("" if test == "share" else ", or lower split.folds")
        )

    in_training = {i: label for i, label in label_of.items() if unit_of[i] not in tested}
    chosen = _labelled(in_training, unit_of, labelled, seed, strict)
    validation = _validation_units(chosen, unit_of, validation_share, min_validation, seed) if tested else set()
    role_of, hidden = {}, 0
    for image_id in image_ids:
        if unit_of[image_id] in tested:
            if image_id in given and image_id in label_of:
                role_of[image_id] = "test"
            else:
                hidden += 1  # training on it would show the network a patient whom it is tested, or judged, on
        elif image_id in chosen:
            role_of[image_id] = "validation" if unit_of[image_id] in validation else "labelled"
        elif unit_of[image_id] in validation:
            hidden += 1
        else:
            role_of[image_id] = "unlabelled"
    if hidden:
        log.info("%d unlabelled images share a group with test or validation images and are left out", hidden)
    return (*_tables(role_of, group_of, label_of), {"classes": sorted(set(label_of.values()))})


def oracle_labels(split: pa.Table, truth: pa.Table) -> tuple[list[str], list[str]]:
    """Return the images of the training set, without the validation set, whose label is known, and the labels."""
    known = dict(zip(*columns(truth, "image_id", "label"), strict=True))
    found = {}
    for image_id, role, label in zip(*columns(split, "image_id", "role", "label"), strict=True):
        if role == "labelled":
            found[image_id] = label
        elif role == "unlabelled" and image_id in known:
            found[image_id] = known[image_id]
    return list(found), list(found.values())


def _joined(unit_of: Mapping[str, str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return by what name each unit goes that is one with others: that of the first of them."""
    first: dict[str, str] = {}

    def name(unit: str) -> str:
        while (above := first.get(unit, unit)) != unit:
            first[unit] = first.get(above, above)
            unit = above
        return unit

    for one, other in pairs:
        if one in unit_of and other in unit_of:
            low, high = sorted((name(unit_of[one]), name(unit_of[other])))
            first |= {low: low, high: low} if low != high else {}
    return {unit: name(unit) for unit in first}


def _tested(
    label_of: Mapping[str, str],
    unit_of: Mapping[str, str],
    named: set[str],
    test: str | tuple[int, int] | None,
    share: float,
    seed: int,
) -> set[str]:
    """Return the units to test on."""
    if test is None:
        return set()
    if test == "share":
        tested = {unit_of[i] for i in named} if named else _test_units(label_of, unit_of, share, seed)
    elif named:
        raise InputError(
            "the source names its own test set, or an exam was labelled, which a cross-validation would train on; set "
            "split.evaluation to holdout, or take 'test' out of the source"
        )
    else:
        asked, folds = test
        tested = {unit for unit, fold in _folds(label_of, unit_of, folds, seed).items() if fold == asked}
    return tested


def _folds(label_of: Mapping[str, str], unit_of: Mapping[str, str], folds: int, seed: int) -> dict[str, int]:
    """Deal the units of each class out to folds, in the order of a hash: their numbers differ by at most one.

    Chance alone, as it draws the test set, would leave folds without an image of a small class. An image that is
    added can move others to another fold; each is still tested once, by a network that has not seen it. Where all units
    of a class would be in one fold, as a class's only unit is, one is in none: something of the class must be learnt.
    """
    units = _units_of_classes(label_of, unit_of)
    place = {unit: rank("fold", seed, unit) for members in units.values() for unit in members}
    fold_of: dict[str, int] = {}
    dealt = [0] * folds
    for label in sorted(units, key=lambda label: (len(units[label]), label)):  # rare classes have the choice
        of_class = [0] * folds
        for unit in units[label] & fold_of.keys():
            of_class[fold_of[unit]] += 1
        for unit in sorted(units[label] - fold_of.keys(), key=lambda unit: (place[unit], unit)):
            fold = min(range(folds), key=lambda fold: (of_class[fold], dealt[fold], fold))
            fold_of[unit] = fold
            of_class[fold] += 1
            dealt[fold] += 1
    for label in sorted(units):
        if len({fold_of.get(unit, -1) for unit in units[label]}) == 1:
            kept = max(units[label], key=place.__getitem__)
            fold_of.pop(kept, None)
            log.warning("'%s' has too few images or groups to test on each of them: %s is only trained on", label, kept)
    return fold_of


def _test_units(label_of: Mapping[str, str], unit_of: Mapping[str, str], share: float, seed: int) -> set[str]:
    units = _units_of_classes(label_of, unit_of)
    place = {unit: rank("test", seed, unit) for members in units.values() for unit in members}
    test = {unit for unit, at in place.items() if at < share}
    classes_of = defaultdict(set)
    for label, members in units.items():
        for unit in members:
            classes_of[unit].add(label)

    def can_leave(unit: str, side: set[str]) -> bool:
        return all(len(units[label] & side) > 1 for label in classes_of[unit])

    # By chance a small class can lie on one side alone. Training comes first: a class that is not learned cannot be
    # tested either.
    for label in sorted(units):
        if units[label] <= test:
            test.remove(max(units[label], key=place.__getitem__))
    for label in sorted(units):
        if not units[label] & test:
            training = place.keys() - test
            movable = [unit for unit in units[label] if can_leave(unit, training)]
            if movable:
                test.add(min(movable, key=place.__getitem__))
            else:
                log.warning("the class '%s' cannot be tested: it has too few images or groups", label)
    return test


def _labelled(
    label_of: Mapping[str, str], unit_of: Mapping[str, str], labelled: int | str, seed: int, strict: bool
) -> dict[str, str]:
    members = defaultdict(list)
    for image_id, label in label_of.items():
        members[label].append(image_id)
    if not members:
        raise InputError("no training image is labelled: label at least a few images of each class")
    chosen = {}
    for label in sorted(members):
        found = members[label]
        if labelled != "all" and len(found) < labelled:
            text = f"class '{label}' has {len(found)} training images, {labelled} were requested"
            if strict:
                raise InputError(f"{text}; request fewer, or set split.strict to false")
            log.warning("%s: all of them are labelled", text)
        # By unit first: a group's images come together, as a person would label them.
        found.sort(key=lambda i: (rank("labelled", seed, unit_of[i]), rank("labelled", seed, i), i))
        chosen |= dict.fromkeys(found if labelled == "all" else found[:labelled], label)
    return chosen


def _validation_units(
    chosen: Mapping[str, str], unit_of: Mapping[str, str], share: float, min_validation: int, seed: int
) -> set[str]:
    counts = defaultdict(lambda: defaultdict(int))  # of labelled images, by unit and class
    totals = defaultdict(int)
    for image_id, label in chosen.items():
        counts[unit_of[image_id]][label] += 1
        totals[label] += 1
    if 2 * sum(total >= min_validation for total in totals.values()) <= len(totals):
        return set()
    validation = set()
    left = dict(totals)
    for label in sorted(totals):
        wanted = int(totals[label] * share)  # rounded down: a rare class trains
        units = sorted((u for u in counts if label in counts[u]), key=lambda u: (rank("validation", seed, u), u))
        for unit in units:
            taken = totals[label] - left[label]
            if taken >= wanted:
                break
            fits = all(left[other] > count for other, count in counts[unit].items())
            if unit not in validation and fits and taken + counts[unit][label] <= max(wanted, 1):
                validation.add(unit)
                for other, count in counts[unit].items():
                    left[other] -= count
    return validation


def _units_of_classes(label_of: Mapping[str, str], unit_of: Mapping[str, str]) -> dict[str, set[str]]:
    units = defaultdict(set)
    for image_id, label in label_of.items():
        units[label].add(unit_of[image_id])
    return dict(units)


def _tables(
    role_of: Mapping[str, str], group_of: Mapping[str, str | None], label_of: Mapping[str, str]
) -> tuple[pa.Table, pa.Table]:
    split = {
        "image_id": list(role_of),
        "role": list(role_of.values()),
        "group": [group_of[i] for i in role_of],
        "label": [label_of[i] if role in ("labelled", "validation") else None for i, role in role_of.items()],
    }
    known = [i for i, role in role_of.items() if role in ("test", "unlabelled") and i in label_of]
    truth = {"image_id": known, "label": [label_of[i] for i in known]}
    return pa.table(split, schema=SPLIT), pa.table(truth, schema=TRUTH)
