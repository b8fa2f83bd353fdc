"""A linear head that is fitted anew after each dozen labels, within a second."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from pocketscope.suggest import order

AXES = 256  # principal axes that the head sees: as good as all features, and quicker
# Inverse strength of the penalty, on features of variance 1: with few labels better than one chosen by cross-validation
# (`benchmarks/label_order.py`), which has too few images to choose by.
STRENGTH = 1.0


class Features(NamedTuple):
    """Frozen features of all images, on their principal axes.

    Attributes
    ----------
    image_ids
        The identity of each image.
    wide
        float32 (N, at most `AXES`), scaled to the variance of one feature; what the head sees.
    narrow
        float32 (N, at most `order.AXES`); what distances are taken on.
    """

    image_ids: list[str]
    wide: NDArray[np.float32]
    narrow: NDArray[np.float32]


class Guesses(NamedTuple):
    """What a head says of each image.

    Attributes
    ----------
    classes
        The classes that have a label, sorted.
    probabilities
        float (N, classes).
    """

    classes: list[str]
    probabilities: NDArray[np.float64]


def prepared(image_ids: list[str], features: NDArray[np.floating]) -> Features:
    """Return features ready for `fit` and `order`, given those of a frozen network, float (N, F)."""
    wide = order.reduced(features, AXES)
    scale = float(np.sqrt((wide.astype(float) ** 2).sum() / max(1, features.size))) or 1.0
    return Features(image_ids, wide / np.float32(scale), wide[:, : order.AXES])


def fit(points: NDArray[np.floating], labels: list[str]) -> LogisticRegression | None:
    """Return a fitted head; None where the labels are of fewer than two classes.

    Parameters
    ----------
    points
        float (n, D): rows of `Features.wide`.
    labels
        Their classes.
    """
    if len(set(labels)) < 2:
        return None
    return LogisticRegression(C=STRENGTH, tol=1e-3, max_iter=300).fit(points, labels)


def guess(features: Features, labels: dict[str, str]) -> Guesses | None:
    """Return guesses for all images by a head fitted to `labels` (identity to class); None without two classes."""
    rows = [row for row, one in enumerate(features.image_ids) if one in labels]
    head = fit(features.wide[rows], [labels[features.image_ids[row]] for row in rows])
    if head is None:
        return None
    return Guesses(list(head.classes_), head.predict_proba(features.wide))


def to_label_next(
    features: Features,
    labels: dict[str, str],
    guesses: Guesses | None,
    *,
    skip: frozenset[str] | set[str] = frozenset(),
    count: int = 48,
    seed: int = 0,
) -> list[str]:
    """Return the identities of images that have no label, in the order in which to label them.

    Parameters
    ----------
    features
        Of all images.
    labels
        Class by identity.
    guesses
        As `guess` returns them for these labels.
    skip
        Images that are not asked for: those of the exam, which are labelled blind.
    count
        How many of the first are chosen with care; the rest follows by doubt.
    seed
        Of the clusters.
    """
    known = np.array([one in labels or one in skip for one in features.image_ids], dtype=bool)
    counts = list(np.unique(list(labels.values()), return_counts=True)[1]) if labels else []
    if guesses is None or sum(number >= order.FEWEST for number in counts) < 2 or len(labels) < 3 * len(counts):
        first = order.typical(features.narrow, known, count, seed=seed)
        rest = np.setdiff1d(np.flatnonzero(~known), first)
    else:
        first = order.between_classes(features.narrow, known, guesses.probabilities, count)
        rest = np.setdiff1d(np.flatnonzero(~known), first)
        rest = rest[np.argsort(order.margin(guesses.probabilities[rest]), kind="stable")]
    return [features.image_ids[row] for row in (*first, *rest)]


def like(features: Features, identity: str) -> list[tuple[str, float]]:
    """Return all images with their distance to one, the most similar first."""
    distances = np.linalg.norm(features.narrow - features.narrow[features.image_ids.index(identity)], axis=1)
    return [(features.image_ids[row], float(distances[row])) for row in np.argsort(distances, kind="stable")]
