"""Label sets: what people labelled, and what teachers add: calibrate, vote, accept. Table operations, no torch."""

import hashlib
import logging
import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pocketscope import calibration, prediction

LABELS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),  # 1 where people labelled
        pa.field("source", pa.string(), nullable=False),  # human or pseudo
        pa.field("round", pa.int32(), nullable=False),  # in which the label was accepted; 0 is people's
        pa.field("probabilities", pa.list_(pa.float32())),  # what is trained on in the label's place, where not null
    ]
)
CANDIDATES = pa.schema(  # all that a round's teachers voted on
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("agreement", pa.float32(), nullable=False),  # share of the predictions that name the label
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # mean over teachers and views
    ]
)

GUESSES = pa.schema(  # what a consistency method made of unlabelled images, the last time in an epoch
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("accepted", pa.bool_(), nullable=False),  # learned; MixMatch learns all, as probabilities
    ]
)
FEW = 0.001  # of the guesses: as good as none

log = logging.getLogger(__name__)


def digest(labels: pa.Table) -> str:
    """Return 16 hexadecimal digits that stand for which images have which labels, whoever gave them."""
    pairs = sorted(zip(labels["image_id"].to_pylist(), labels["label"].to_pylist(), strict=True))
    return hashlib.sha256(repr(pairs).encode()).hexdigest()[:16]


def vote(probabilities: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Make one label of the predictions of several teachers and views.

    Parameters
    ----------
    probabilities
        float (predictions, N, classes).
    how
        `mean_probability`: the class of the highest mean probability, with that mean as its confidence (the code of
        Inés et al., compact networks). `majority`: the class that most predictions name, with the mean over all
        predictions of each one's own highest probability (Inés et al., AutoML); of equally frequent classes the one
        with the higher mean probability.

    Returns
    -------
    tuple of numpy.ndarray
        Class indices, int64 (N,), and confidences, float64 (N,).
    """
    mean = probabilities.mean(axis=0, dtype=np.float64)
    if how == "mean_probability":
        return mean.argmax(axis=1), mean.max(axis=1)
    # A mean probability is at most 1, so that half of it never outweighs a vote: it only parts equals.
    return (_votes(probabilities) + mean / 2).argmax(axis=1), probabilities.max(axis=2).mean(axis=0, dtype=np.float64)


def candidates(image_ids: np.ndarray, probabilities: np.ndarray, classes: list[str], how: str) -> pa.Table:
    """Return what the teachers make of each image (schema CANDIDATES), none of it accepted yet.

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
            "probabilities": prediction.lists(probabilities.mean(axis=0)),
        },
        schema=CANDIDATES,
    )


def accept(proposed: pa.Table, rule: str, threshold: float, share: float) -> pa.Table:
    """Mark which candidates are believed.

    Parameters
    ----------
    proposed
        Schema CANDIDATES.
    rule
        `threshold`: all whose confidence is strictly above the threshold (both studies). `per_class`: of the images
        given to each class the surest `share`, one at least, so that a class of which teachers are never very sure is
        learned too, and none gets more than it was given; never one whose confidence is not strictly above the
        threshold.
    threshold
        In [0, 1].
    share
        In (0, 1], for `per_class`.

    Returns
    -------
    pyarrow.Table
        Schema CANDIDATES.
    """
    confidence = proposed["confidence"].to_numpy()
    accepted = confidence > threshold
    if rule == "per_class":
        labels = proposed["label"].to_numpy(zero_copy_only=False)
        for label in np.unique(labels.astype(str)):
            given = np.flatnonzero(labels == label)
            surest = given[np.argsort(-confidence[given], kind="stable")]
            accepted[surest[max(1, math.floor(share * len(given) + 0.5)) :]] = False
    place = proposed.schema.get_field_index("accepted")
    return proposed.set_column(place, CANDIDATES.field("accepted"), pa.array(accepted))


def extend(labels: pa.Table, proposed: pa.Table, *, round_number: int, targets: str, temperature: float) -> pa.Table:
    """Add the accepted candidates to a label set.

    Parameters
    ----------
    labels
        Schema LABELS: kept as it is.
    proposed
        Schema CANDIDATES.
    round_number
        Written beside each new label.
    targets
        `hard`: the label alone is trained on; `soft`: the mean probabilities.
    temperature
        Of soft targets: below 1 they are sharpened.

    Returns
    -------
    pyarrow.Table
        Schema LABELS.
    """
    chosen = proposed.filter(proposed["accepted"])
    soft = pa.nulls(len(chosen), pa.list_(pa.float32()))
    if targets == "soft" and len(chosen):
        soft = prediction.lists(calibration.scale(prediction.array(chosen), temperature))
    new = {
        "image_id": chosen["image_id"],
        "label": chosen["label"],
        "confidence": chosen["confidence"],
        "source": pa.array(["pseudo"] * len(chosen), pa.string()),
        "round": np.full(len(chosen), round_number, dtype=np.int32),
        "probabilities": soft,
    }
    return pa.concat_tables([labels, pa.table(new, schema=LABELS)])


def human(image_ids: list[str], labels: list[str]) -> pa.Table:
    """Return the label set (schema LABELS) of what people, or the truth, say of images."""
    count = len(image_ids)
    return pa.table(
        {
            "image_id": image_ids,
            "label": labels,
            "confidence": np.ones(count, np.float32),
            "source": ["human"] * count,
            "round": np.zeros(count, np.int32),
            "probabilities": pa.nulls(count, pa.list_(pa.float32())),
        },
        schema=LABELS,
    )


def by_people(labels: pa.Table) -> pa.Table:
    """Return those rows of a label set that people labelled."""
    return labels.filter(np.asarray(labels["source"].to_numpy(zero_copy_only=False) == "human", dtype=bool))


def guess_remarks(guesses: pa.Table, classes: Sequence[str]) -> list[str]:
    """Say what a reader of a consistency method's epoch must know: nothing learned, a collapse, a class missing.

    Parameters
    ----------
    guesses
        Schema GUESSES, of one epoch.
    classes
        All class names.
    """
    accepted = _counts(guesses.filter(guesses["accepted"])["label"], classes)
    if accepted.sum() <= FEW * len(guesses):
        return ["no guess was sure enough: unlabelled images had no effect"]
    if (accepted > 0).sum() == 1:
        return [f"every guess that was learned is '{classes[accepted.argmax()]}': a collapse into one class"]
    never = [f"'{name}'" for name, count in zip(classes, accepted, strict=True) if not count]
    return [f"no guess of {', '.join(never)} was learned"] if never else []


def remarks(proposed: pa.Table, classes: Sequence[str]) -> list[str]:
    """Say what a reader of a round must know: nothing to label, nothing accepted, a class missing, a collapse.

    Parameters
    ----------
    proposed
        Schema CANDIDATES, after `accept`.
    classes
        All class names.
    """
    if not len(proposed):
        return ["no unlabelled image is left, or the rounds had ended; the label set stays as it was"]
    _, given, accepted = (np.array(column) for column in zip(*counts(proposed, classes), strict=True))
    found = []
    if not accepted.sum():
        found.append("no label was sure enough; the label set stays as it was")
    elif (accepted > 0).sum() == 1:
        found.append(f"every accepted label is '{classes[accepted.argmax()]}': a collapse into one class")
    else:
        found += [
            f"'{name}' was given to {count} images and accepted for none"
            for name, count, kept in zip(classes, given, accepted, strict=True)
            if count and not kept
        ]
    never = [f"'{name}'" for name, count in zip(classes, given, strict=True) if not count]
    if never and len(never) < len(classes) - 1:
        found.append(f"no image was taken for {', '.join(never)}")
    if (proposed["agreement"].to_numpy() <= 0.5).mean() > 0.5:
        found.append("for most images no label has more than half of the teachers' votes")
    return found


def counts(proposed: pa.Table, classes: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return of each class its name, how many candidates (schema CANDIDATES) are given to it, and how many accepted."""
    given = _counts(proposed["label"], classes)
    accepted = _counts(proposed.filter(proposed["accepted"])["label"], classes)
    return list(zip(classes, given.tolist(), accepted.tolist(), strict=True))


def _votes(probabilities: np.ndarray) -> np.ndarray:
    """Return how many predictions name each class, int64 (N, classes)."""
    named = probabilities.argmax(axis=2)
    return np.stack([(named == c).sum(axis=0) for c in range(probabilities.shape[2])], axis=1)


def _counts(labels: pa.ChunkedArray, classes: Sequence[str]) -> np.ndarray:
    place = {name: i for i, name in enumerate(classes)}
    return np.bincount([place[label] for label in labels.to_pylist()], minlength=len(classes))
