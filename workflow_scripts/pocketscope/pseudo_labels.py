"""Label sets: what people labelled, and what teachers add: vote, accept. Table operations, no torch."""

import logging

import numpy as np
import pyarrow as pa

from pocketscope import prediction
from pocketscope.errors import InputError

LABELS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),  # 1 where people labelled
        pa.field("source", pa.string(), nullable=False),  # human or pseudo
        pa.field("round", pa.int32(), nullable=False),  # in which the label was accepted; 0 is people's
        pa.field("probabilities", pa.list_(pa.float32())),  # mean over teachers and views; null where people labelled
    ]
)

log = logging.getLogger(__name__)


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
    classes = probabilities.shape[2]
    named = probabilities.argmax(axis=2)
    votes = np.stack([(named == c).sum(axis=0) for c in range(classes)], axis=1)
    # A mean probability is at most 1, so that half of it never outweighs a vote: it only parts equals.
    return (votes + mean / 2).argmax(axis=1), probabilities.max(axis=2).mean(axis=0, dtype=np.float64)


def accept(
    predictions: list[pa.Table],
    labels: pa.Table,
    classes: list[str],
    *,
    views: list[str],
    how: str,
    threshold: float,
    round_number: int,
) -> pa.Table:
    """Add to a label set what its teachers agree on; the rest stays unlabelled.

    Parameters
    ----------
    predictions
        A table (schema prediction.PROBABILITIES) for each teacher: the same images and views, in the same order.
    labels
        The last round's label set (schema LABELS): it is kept as it is.
    classes
        Class names in the order of the probabilities.
    views
        Which views vote.
    how
        See `vote`.
    threshold
        A label is accepted where its confidence is strictly above this, in [0, 1].
    round_number
        Written beside each new label.

    Returns
    -------
    pyarrow.Table
        Schema LABELS: `labels`, then the new ones.

    Raises
    ------
    pocketscope.errors.InputError
        The teachers did not predict the same images and views.
    """
    image_ids, probabilities = _stack(predictions, views)
    known = set(labels["image_id"].to_pylist())
    open_ = np.array([image_id not in known for image_id in image_ids], dtype=bool)
    if not open_.any():
        log.warning("round %d: no unlabelled image is left; the label set stays as it was", round_number)
        return labels
    image_ids, probabilities = image_ids[open_], probabilities[:, open_]
    winners, confidences = vote(probabilities, how)
    sure = confidences > threshold
    mean = probabilities[:, sure].mean(axis=0)
    new = pa.table(
        {
            "image_id": image_ids[sure],
            "label": np.asarray(classes, dtype=object)[winners[sure]],
            "confidence": confidences[sure].astype(np.float32),
            "source": np.full(sure.sum(), "pseudo", dtype=object),
            "round": np.full(sure.sum(), round_number, dtype=np.int32),
            "probabilities": pa.array(list(mean), pa.list_(pa.float32())),
        },
        schema=LABELS,
    )
    _report(winners, sure, classes, round_number)
    return pa.concat_tables([labels, new])


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


def _stack(predictions: list[pa.Table], views: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the images, and the chosen views' probabilities of all teachers, (teachers x views, N, classes)."""
    stacked, image_ids = [], None
    for table in predictions:
        seen = table["view"].to_numpy(zero_copy_only=False)
        ids, values = table["image_id"].to_numpy(zero_copy_only=False), prediction.array(table)
        for view in views:
            rows = seen == view
            if image_ids is None:
                image_ids = ids[rows]
            if not np.array_equal(ids[rows], image_ids):
                raise InputError(
                    f"the teachers' predictions differ in their images under the view '{view}'; delete them"
                )
            stacked.append(values[rows])
    return image_ids, np.stack(stacked)


def _report(winners: np.ndarray, sure: np.ndarray, classes: list[str], round_number: int) -> None:
    log.info("round %d: %d of %d images labelled", round_number, sure.sum(), len(sure))
    if not sure.any():
        log.warning("round %d: no label was sure enough; the label set stays as it was", round_number)
        return
    accepted = np.bincount(winners[sure], minlength=len(classes))
    for name, count, predicted in zip(classes, accepted, np.bincount(winners, minlength=len(classes)), strict=True):
        log.info("  %s: %d of %d predicted", name, count, predicted)
    if (accepted > 0).sum() == 1:
        log.warning(
            "round %d: every accepted label is '%s': a collapse into one class",
            round_number,
            classes[accepted.argmax()],
        )
