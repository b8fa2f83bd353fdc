"""What the images that a network has learnt look like: it goes into the model file, for `images.familiarity`."""

from typing import Any

import numpy as np
from sklearn.covariance import LedoitWolf

from pocketscope.images.familiarity import Familiar, statistics

FEWEST = 20  # images: with fewer no limit can be told
MOST = 1000  # images: more change little
FOLDS = 5
QUANTILE, MARGIN = 0.99, 1.5  # of distances out of fold: see benchmarks/unlike_images.md


def describe(images: np.ndarray) -> dict[str, Any] | None:
    """Return what images look like, ready for JSON; None where there are fewer than twenty.

    An image is unlike these where its Mahalanobis distance, by a shrunk covariance (Ledoit and Wolf 2004, A
    well-conditioned estimator for large-dimensional covariance matrices), is larger than 1.5 times the 99 % quantile
    of their own, each from the others in five folds.

    Parameters
    ----------
    images
        uint8 (N, size, size, 3), in any order that does not depend on what they show.

    Returns
    -------
    dict or None
        The fields of `Familiar`: `mean`, `scale`, `precision` and `limit`, of six digits.
    """
    if len(images) < FEWEST:
        return None
    found = fit(statistics(images[:MOST]))
    fields = {"mean": found.mean, "scale": found.scale, "precision": found.precision}
    return {name: _short(values) for name, values in fields.items()} | {"limit": float(f"{found.limit:.6g}")}


def fit(described: np.ndarray) -> Familiar:
    """Return what images look like by their statistics, float64 (N, 12), N of `FEWEST` at least."""
    fold = np.arange(len(described)) % FOLDS
    own = np.empty(len(described))
    for number in range(FOLDS):
        own[fold == number] = _fitted(described[fold != number], 1.0).distances_of(described[fold == number])
    return _fitted(described, MARGIN * float(np.quantile(own, QUANTILE)))


def _fitted(described: np.ndarray, limit: float) -> Familiar:
    mean, scale = described.mean(axis=0), described.std(axis=0) + 1e-3
    return Familiar(mean, scale, LedoitWolf().fit((described - mean) / scale).precision_, limit)


def _short(values: np.ndarray) -> Any:
    # Sums in another order differ in the last of sixteen digits: equal studies have equal files.
    return np.vectorize(lambda value: float(f"{value:.6g}"))(values).tolist()
