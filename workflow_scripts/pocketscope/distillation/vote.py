"""Label sets: what people labelled, and what teachers add: vote, accept. Table operations, no torch."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from pocketscope.core.errors import InputError
from pocketscope.core.temperature import scale
from pocketscope.tables.label_set import LABEL_SET, count_labels
from pocketscope.tables.probabilities import probability_array, probability_lists
from pocketscope.tables.proposals import PROPOSALS

Vote = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # a user's own


def vote(probabilities: np.ndarray, how: str | Vote) -> tuple[np.ndarray, np.ndarray]:
    """Make one label of the predictions of several teachers and views.

    Parameters
    ----------
    probabilities
        float (predictions, N, classes).
    how
        `mean_probability`: the class of the highest mean probability, with that mean as its confidence (the code of
        Inés et al., compact networks). `majority`: the class that most predictions name, with the mean over all
        predictions of each one's own highest probability (Inés et al., AutoML); of equally frequent classes the one
        with the higher mean probability. A function takes the probabilities and returns what this one does.

    Returns
    -------
    tuple of numpy.ndarray
        Class indices, int64 (N,), and confidences, float64 (N,).

    Raises
    ------
    pocketscope.core.errors.InputError
        A user's function returned something else.
    """
    if callable(how):
        return _own_vote(probabilities, how)
    mean = probabilities.mean(axis=0, dtype=np.float64)
    if how == "mean_probability":
        return mean.argmax(axis=1), mean.max(axis=1)
    # A mean probability is at most 1, so that half of it never outweighs a vote: it only parts equals.
    return (_votes(probabilities) + mean / 2).argmax(axis=1), probabilities.max(axis=2).mean(axis=0, dtype=np.float64)


def propose(image_ids: np.ndarray, probabilities: np.ndarray, classes: list[str], how: str | Vote) -> pa.Table:
    """Return what the teachers make of each image (schema PROPOSALS), none of it accepted yet.

    Parameters
    ----------
    image_ids
        N identities.
    probabilities
        float (predictions, N, classes), of all teachers and views.
    classes
        Class names in the order of the probabilities.
    how
        See `vote`.
    """
    winners, confidences = vote(probabilities, how)
    named = _votes(probabilities)[np.arange(len(winners)), winners] / len(probabilities)
    return pa.table(
        {
            "image_id": image_ids,
            "label": np.asarray(classes, dtype=object)[winners],
            "confidence": confidences.astype(np.float32),
            "agreement": named.astype(np.float32),
            "accepted": np.zeros(len(winners), dtype=bool),
            "probabilities": probability_lists(probabilities.mean(axis=0)),
        },
        schema=PROPOSALS,
    )


def accept(proposed: pa.Table, rule: str, threshold: float, share: float) -> pa.Table:
    """Mark which candidates are believed.

    Parameters
    ----------
    proposed
        Schema PROPOSALS.
    rule
        `threshold`: all whose confidence is strictly above the threshold (both studies). `top_share_per_class`: of the
        images given to each class the surest `share`, one at least, so that a class of which teachers are never very
        sure is learned too, and none gets more than it was given; never one whose confidence is not strictly above the
        threshold.
    threshold
        In [0, 1].
    share
        In (0, 1], for `top_share_per_class`.

    Returns
    -------
    pyarrow.Table
        Schema PROPOSALS.
    """
    confidence = proposed["confidence"].to_numpy()
    accepted = confidence > threshold
    if rule == "top_share_per_class":
        labels = proposed["label"].to_numpy(zero_copy_only=False)
        for label in np.unique(labels.astype(str)):
            given = np.flatnonzero(labels == label)
            surest = given[np.argsort(-confidence[given], kind="stable")]
            accepted[surest[max(1, math.floor(share * len(given) + 0.5)) :]] = False
    place = proposed.schema.get_field_index("accepted")
    return proposed.set_column(place, PROPOSALS.field("accepted"), pa.array(accepted))


def extend(labels: pa.Table, proposed: pa.Table, *, round_number: int, targets: str, temperature: float) -> pa.Table:
    """Add the accepted candidates to a label set.

    Parameters
    ----------
    labels
        Schema LABEL_SET: kept as it is.
    proposed
        Schema PROPOSALS.
    round_number
        Written beside each new label.
    targets
        `hard`: the label alone is trained on; `soft`: the mean probabilities.
    temperature
        Of soft targets: below 1 they are sharpened.

    Returns
    -------
    pyarrow.Table
        Schema LABEL_SET.
    """
    chosen = proposed.filter(proposed["accepted"])
    soft = pa.nulls(len(chosen), pa.list_(pa.float32()))
    if targets == "soft" and len(chosen):
        soft = probability_lists(scale(probability_array(chosen), temperature))
    new = {
        "image_id": chosen["image_id"],
        "label": chosen["label"],
        "confidence": chosen["confidence"],
        "source": pa.array(["pseudo"] * len(chosen), pa.string()),
        "round": np.full(len(chosen), round_number, dtype=np.int32),
        "probabilities": soft,
    }
    return pa.concat_tables([labels, pa.table(new, schema=LABEL_SET)])


def round_remarks(proposed: pa.Table, classes: Sequence[str]) -> list[str]:
    """Say what a reader of a round must know: nothing to label, nothing accepted, a class missing, a collapse.

    Parameters
    ----------
    proposed
        Schema PROPOSALS, after `accept`.
    classes
        All class names.
    """
    if not len(proposed):
        return ["no unlabelled image is left, or the rounds had ended; the label set is unchanged"]
    _, given, accepted = (np.array(column) for column in zip(*counts_by_class(proposed, classes), strict=True))
    found = []
    if not accepted.sum():
        found.append("no prediction was confident enough; the label set is unchanged")
    elif (accepted > 0).sum() == 1:
        found.append(f"every accepted pseudo-label is '{classes[accepted.argmax()]}': a collapse into one class")
    else:
        found += [
            f"'{name}' was predicted for {count} images and accepted for none"
            for name, count, kept in zip(classes, given, accepted, strict=True)
            if count and not kept
        ]
    never = [f"'{name}'" for name, count in zip(classes, given, strict=True) if not count]
    if never and len(never) < len(classes) - 1:
        found.append(f"no image was predicted as {', '.join(never)}")
    if (proposed["agreement"].to_numpy() <= 0.5).mean() > 0.5:
        found.append("for most images, no class has more than half of the teachers' votes")
    return found


def counts_by_class(proposed: pa.Table, classes: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return of each class its name, how many candidates (schema PROPOSALS) are given to it, and how many accepted."""
    given = count_labels(proposed["label"], classes)
    accepted = count_labels(proposed.filter(proposed["accepted"])["label"], classes)
    return list(zip(classes, given.tolist(), accepted.tolist(), strict=True))


def _own_vote(probabilities: np.ndarray, function: Vote) -> tuple[np.ndarray, np.ndarray]:
    given, (_, images, classes) = function(probabilities.copy()), probabilities.shape
    try:
        winners, confidences = (np.asarray(part) for part in given)
    except (TypeError, ValueError):
        raise InputError("the study's own vote must return classes (N,) and confidences (N,)") from None
    fits = winners.shape == confidences.shape == (images,) and winners.dtype.kind in "iu"
    if not fits or not np.isin(winners, range(classes)).all() or not ((confidences >= 0) & (confidences <= 1)).all():
        raise InputError(
            f"the study's own vote returned {winners.dtype} {winners.shape} and {confidences.dtype} "
            f"{confidences.shape}; of {images} images it must return {images} whole numbers from 0 to {classes - 1}, "
            f"the classes, and {images} confidences from 0 to 1"
        )
    return winners.astype(np.int64), confidences.astype(np.float64)


def _votes(probabilities: np.ndarray) -> np.ndarray:
    """Return how many predictions name each class, int64 (N, classes)."""
    named = probabilities.argmax(axis=2)
    return np.stack([(named == c).sum(axis=0) for c in range(probabilities.shape[2])], axis=1)
