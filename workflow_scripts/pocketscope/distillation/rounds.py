"""One round of distillation: what the teachers agree on becomes labels."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pocketscope.core.errors import InputError
from pocketscope.core.temperature import scale
from pocketscope.distillation import vote
from pocketscope.distillation.held_out import held_out, validation_score
from pocketscope.tables.label_set import by_people
from pocketscope.tables.predictions import arrange_views
from pocketscope.tables.proposals import PROPOSALS
from pocketscope.tables.split import images_with

log = logging.getLogger(__name__)


def label(
    predictions: Sequence[pa.Table],
    temperatures: Sequence[float],
    labels: pa.Table,
    split: pa.Table,
    classes: list[str],
    settings: Mapping[str, Any],
    views: Sequence[str],
    round_number: int,
    before: Sequence[pa.Table] = (),
) -> tuple[pa.Table, pa.Table]:
    """Let teachers label what is unlabelled.

    Parameters
    ----------
    predictions
        Of each teacher, of the same images (schema predictions.PREDICTIONS).
    temperatures
        Of each teacher; 1 where it is believed as it is.
    labels
        The last round's label set (schema label_set.LABEL_SET).
    split
        Schema split.SPLIT; it shows the labels of labelled and validation images alone.
    classes
        Class names in the order of the probabilities.
    settings
        The method's part of the configuration.
    views
        Those that vote.
    round_number
        From 1.
    before
        The same teachers' predictions of the round before, where there was one: for `stop: no_improvement`.

    Returns
    -------
    tuple of pyarrow.Table
        The new label set, and the candidates (schema proposals.PROPOSALS).

    Raises
    ------
    pocketscope.core.errors.InputError
        The teachers did not predict the same images.
    """
    validated = bool(images_with(split, "validation")[0])
    if before and settings["stop"] == "no_improvement" and not validated:
        log.warning("round %d: there is no validation set to stop the rounds by", round_number)
    elif before and settings["stop"] == "no_improvement":
        now = _mean_validation_score(predictions, split, classes)
        last = _mean_validation_score(before, split, classes)
        if now <= last:
            log.warning(
                "round %d: the teachers' validation F1 is %.3f and was %.3f: stopped; the label set is unchanged",
                round_number, now[0], last[0],
            )  # fmt: skip
            return labels, PROPOSALS.empty_table()

    start = by_people(labels) if settings["stop"] == "rounds" else labels
    image_ids, probabilities = _of_unlabelled(predictions, temperatures, split, start, views)
    if not len(image_ids):
        proposed = PROPOSALS.empty_table()
    else:
        proposed = vote.propose(image_ids, probabilities, classes, settings["vote"])
        proposed = vote.accept(proposed, settings["selection"], settings["threshold"], settings["share"])
    log.info(
        "round %d: %d of %d unlabelled images got a pseudo-label",
        round_number,
        proposed["accepted"].to_numpy().sum(),
        len(proposed),
    )
    for name, given, kept in vote.counts_by_class(proposed, classes):
        log.info("  %s: %d of %d predictions accepted", name, kept, given)
    for remark in vote.round_remarks(proposed, classes):
        log.warning("round %d: %s", round_number, remark)
    extended = vote.extend(
        start,
        proposed,
        round_number=round_number,
        targets=settings["targets"],
        temperature=settings["target_temperature"],
    )
    return extended, proposed


def _mean_validation_score(predictions: Sequence[pa.Table], split: pa.Table, classes: list[str]) -> tuple[float, ...]:
    each = [validation_score(held_out(table, split), split, classes) for table in predictions]
    return tuple(float(np.mean(values)) for values in zip(*each, strict=True))


def _of_unlabelled(
    predictions: Sequence[pa.Table],
    temperatures: Sequence[float],
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
    for table, temperature in zip(predictions, temperatures, strict=True):
        image_ids, seen = arrange_views(table, views)
        if first is None:
            first = image_ids
            rows = np.flatnonzero(np.isin(image_ids.astype(str), left.astype(str)))
        if not np.array_equal(image_ids, first) or len(rows) < len(left):
            raise InputError("the teachers predicted different images; delete the predictions and run again")
        stacked.append(scale(seen[:, rows], temperature))
    return first[rows], np.concatenate(stacked)
