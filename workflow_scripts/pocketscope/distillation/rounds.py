"""One round of distillation: teachers are calibrated, views chosen, and what the teachers agree on becomes labels.

Calibration and the choice of views rest on labelled images that the teachers were not trained on: the validation part,
or out-of-fold predictions where there is none.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pocketscope.core.errors import InputError
from pocketscope.distillation import calibration, vote
from pocketscope.tables.label_set import by_people
from pocketscope.tables.predictions import arrange_views
from pocketscope.tables.proposals import PROPOSALS, TEACHERS
from pocketscope.tables.split import images_with

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Teacher:
    """A network that labels.

    name
        Of the network; fold teachers of one network share it, and its temperature.
    predictions
        Schema predictions.PREDICTIONS, of the training side's images.
    held_out
        Likewise, of labelled images that it, or its like, was not trained on.
    """

    name: str
    predictions: pa.Table
    held_out: pa.Table


def held_out(predictions: pa.Table, split: pa.Table, out_of_fold: pa.Table | None = None) -> pa.Table:
    """Return those predictions that are of the validation part; where there is none, those out of fold, if given."""
    image_ids, _ = images_with(split, "validation")
    if not image_ids and out_of_fold is not None:
        return out_of_fold
    return predictions.filter(pc.is_in(predictions["image_id"], pa.array(image_ids, pa.string())))


def label(
    teachers: Sequence[Teacher],
    labels: pa.Table,
    split: pa.Table,
    classes: list[str],
    settings: Mapping[str, Any],
    views: Sequence[str],
    round_number: int,
    before: Sequence[pa.Table] = (),
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Let teachers label what is unlabelled.

    Parameters
    ----------
    teachers
        Each predicts the same images.
    labels
        The last round's label set (schema label_set.LABEL_SET).
    split
        Schema split.SPLIT; it shows the labels of labelled and validation images alone.
    classes
        Class names in the order of the probabilities.
    settings
        The method's part of the configuration.
    views
        Those that the data set's symmetries allow, of which the method's are chosen.
    round_number
        From 1.
    before
        The same teachers' predictions of the round before, where there was one: for `stop: no_improvement`.

    Returns
    -------
    tuple of pyarrow.Table
        The new label set, the candidates (schema proposals.PROPOSALS), and the teachers (schema TEACHERS).

    Raises
    ------
    pocketscope.core.errors.InputError
        The teachers did not predict the same images.
    """
    known = _known(split)
    temperatures = {
        teacher.name: _temperature(teacher, known, classes) if settings["calibration"] == "temperature" else 1.0
        for teacher in teachers
    }
    kept = _without_harmful(teachers, temperatures, known, classes, views) if settings["views"] == "auto" else views
    about = _table(teachers, temperatures, known, classes, views, kept)
    if (settings["calibration"] != "none" or settings["views"] == "auto") and not any(about["images"].to_pylist()):
        log.warning("teachers have seen every labelled image: nothing is calibrated, and no view dropped")

    validated = bool(images_with(split, "validation")[0])
    if before and settings["stop"] == "no_improvement" and not validated:
        log.warning("round %d: there is no validation part that could end the rounds", round_number)
    elif before and settings["stop"] == "no_improvement":
        now = _mean_validation_score([teacher.predictions for teacher in teachers], split, classes)
        last = _mean_validation_score(before, split, classes)
        if now <= last:
            log.warning(
                "round %d: the teachers' validation F1 is %.3f and was %.3f: stopped; the label set stays as it was",
                round_number, now[0], last[0],
            )  # fmt: skip
            return labels, PROPOSALS.empty_table(), about

    start = by_people(labels) if settings["stop"] == "rounds" else labels
    image_ids, probabilities = _of_unlabelled(teachers, temperatures, split, start, kept)
    if not len(image_ids):
        proposed = PROPOSALS.empty_table()
    else:
        proposed = vote.propose(image_ids, probabilities, classes, settings["vote"])
        proposed = vote.accept(proposed, settings["selection"], settings["threshold"], settings["share"])
    log.info("round %d: %d of %d images labelled", round_number, proposed["accepted"].to_numpy().sum(), len(proposed))
    for name, given, kept in vote.counts_by_class(proposed, classes):
        log.info("  %s: %d of %d predicted", name, kept, given)
    for remark in vote.round_remarks(proposed, classes):
        log.warning("round %d: %s", round_number, remark)
    extended = vote.extend(
        start,
        proposed,
        round_number=round_number,
        targets=settings["targets"],
        temperature=settings["target_temperature"],
    )
    return extended, proposed, about


def validation_score(predictions: pa.Table, split: pa.Table, classes: list[str]) -> tuple[float, float]:
    """Return macro F1 and the negated mean loss on the labelled images that a table predicts unseen: larger is better.

    Parameters
    ----------
    predictions
        Schema predictions.PREDICTIONS: of the validation part, or out of fold.
    split
        Schema split.SPLIT.
    classes
        Class names in the order of the probabilities.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no labelled image among them.
    """
    # scikit-learn takes seconds to import, and most rounds do not ask.
    from sklearn.metrics import f1_score

    seen, truth = _held_out(predictions, _known(split), classes, ["identity"])
    if not len(truth):
        raise InputError("there is no validation part to choose by; lower split.min_validation, or label more")
    f1 = f1_score(truth, seen[0].argmax(axis=1), average="macro", zero_division=0)
    return float(f1), -float(calibration.losses(seen[0], truth).mean())


def _mean_validation_score(predictions: Sequence[pa.Table], split: pa.Table, classes: list[str]) -> tuple[float, ...]:
    each = [validation_score(held_out(table, split), split, classes) for table in predictions]
    return tuple(float(np.mean(values)) for values in zip(*each, strict=True))


def _known(split: pa.Table) -> dict[str, str]:
    rows = zip(split["image_id"].to_pylist(), split["label"].to_pylist(), strict=True)
    return {image_id: label for image_id, label in rows if label is not None}


def _held_out(
    predictions: pa.Table, known: Mapping[str, str], classes: list[str], views: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (views, N, classes) and class indices (N,) of the images whose label is known."""
    image_ids, seen = arrange_views(predictions, views)
    place = {name: i for i, name in enumerate(classes)}
    rows = [i for i, image_id in enumerate(image_ids) if image_id in known]
    return seen[:, rows], np.array([place[known[image_ids[i]]] for i in rows], dtype=np.int64)


def _temperature(teacher: Teacher, known: Mapping[str, str], classes: list[str]) -> float:
    seen, truth = _held_out(teacher.held_out, known, classes, ["identity"])
    found = calibration.temperature(seen[0], truth)
    log.info("%s: temperature %.2f from %d held-out images", teacher.name, found, len(truth))
    return found


def _without_harmful(
    teachers: Sequence[Teacher],
    temperatures: Mapping[str, float],
    known: Mapping[str, str],
    classes: list[str],
    views: Sequence[str],
) -> list[str]:
    """Drop the views under which the teachers' mean loss is worse than the image's own beyond two standard errors."""
    named = {teacher.name: teacher for teacher in teachers}
    losses = {}
    for view in views:
        each = []
        for name, teacher in named.items():
            seen, truth = _held_out(teacher.held_out, known, classes, [view])
            each.append(calibration.losses(calibration.scale(seen[0], temperatures[name]), truth))
        losses[view] = np.mean(each, axis=0)
    worse = [view for view in views if calibration.worse_than_identity(losses[view], losses["identity"])]
    if worse:
        log.info("views that the teachers see badly, and that do not vote: %s", ", ".join(worse))
    return [view for view in views if view not in worse]


def _of_unlabelled(
    teachers: Sequence[Teacher],
    temperatures: Mapping[str, float],
    split: pa.Table,
    labels: pa.Table,
    views: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the unlabelled images without a label yet, and all votes on them: (teachers x views, N, classes)."""
    unlabelled, _ = images_with(split, "unlabelled")
    left = np.array(sorted(set(unlabelled).difference(labels["image_id"].to_pylist())), dtype=object)
    if not len(left):
        return left, np.zeros((0, 0, 0), np.float32)
    stacked, first = [], None
    for teacher in teachers:
        image_ids, seen = arrange_views(teacher.predictions, views)
        if first is None:
            first = image_ids
            rows = np.flatnonzero(np.isin(image_ids.astype(str), left.astype(str)))
        if not np.array_equal(image_ids, first) or len(rows) < len(left):
            raise InputError("the teachers' predictions differ in their images; delete them and run again")
        stacked.append(calibration.scale(seen[:, rows], temperatures[teacher.name]))
    return first[rows], np.concatenate(stacked)


def _table(
    teachers: Sequence[Teacher],
    temperatures: Mapping[str, float],
    known: Mapping[str, str],
    classes: list[str],
    views: Sequence[str],
    kept: Sequence[str],
) -> pa.Table:
    rows = []
    for name, teacher in {teacher.name: teacher for teacher in teachers}.items():
        for view in views:
            seen, truth = _held_out(teacher.held_out, known, classes, [view])
            row = {"teacher": name, "view": view, "votes": view in kept, "images": len(truth)}
            row["temperature"] = temperatures[name]
            if len(truth):
                after = calibration.scale(seen[0], temperatures[name])
                row |= {
                    "loss": calibration.losses(seen[0], truth).mean(),
                    "calibrated_loss": calibration.losses(after, truth).mean(),
                    "calibration_error": calibration.expected_calibration_error(seen[0], truth),
                    "calibrated_error": calibration.expected_calibration_error(after, truth),
                }
            rows.append(row)
    return pa.Table.from_pylist(rows, schema=TEACHERS)
