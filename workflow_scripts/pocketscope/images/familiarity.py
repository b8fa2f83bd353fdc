"""How unlike the images that a model has learnt an image is, by twelve simple statistics of its pixels.

Masks, photographs, X-rays or another microscope's images given to a model of cells get a class and often a high
probability. Colours, contrast and texture tell most of them at once (benchmarks/unlike_images.md), without another run
of a network. What looks the same, such as a class that nobody labelled, is not told by them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

STATISTICS = 12


@dataclass(frozen=True)
class Familiar:
    """What the images that a model has learnt look like.

    Attributes
    ----------
    mean, scale
        float64 (12,): of each statistic.
    precision
        float64 (12, 12): the inverse covariance of the scaled statistics.
    limit
        The squared Mahalanobis distance from which on an image is unlike those.
    """

    mean: np.ndarray
    scale: np.ndarray
    precision: np.ndarray
    limit: float

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Familiar":
        """Return what a model file says."""
        return cls(*(np.asarray(plain[key], float) for key in ("mean", "scale", "precision")), float(plain["limit"]))

    def distances(self, images: np.ndarray) -> np.ndarray:
        """Return squared Mahalanobis distances, float64 (N,), of uint8 images (N, size, size, 3)."""
        return self.distances_of(statistics(images))

    def distances_of(self, described: np.ndarray) -> np.ndarray:
        """Return the distances of images by their statistics, float64 (N, 12)."""
        away = (described - self.mean) / self.scale
        return np.einsum("ni,ij,nj->n", away, self.precision, away)

    def unlikeness(self, images: np.ndarray) -> np.ndarray:
        """Return how far images are from what was learnt, float64 (N,): above 1 they are unlike it."""
        return np.sqrt(np.maximum(self.distances(images), 0) / self.limit)


def is_unlike(unlikeness: float | None) -> bool:
    """Return whether what `Familiar.unlikeness` says of an image means that it is unlike; None: nothing is known."""
    return unlikeness is not None and unlikeness > 1


def statistics(images: np.ndarray) -> np.ndarray:
    """Return what describes an image's look, float64 (N, 12), of uint8 images (N, size, size, 3).

    Mean and deviation of each channel (0 to 1), mean saturation; logarithms of the number of colours in steps of 16, of
    the mean difference of neighbouring pixels and of the mean second difference; the share of pixels at black or white;
    how much brighter the middle is.
    """
    found = [_statistics(part) for part in np.array_split(images, max(1, len(images) // 64)) if len(part)]
    return np.concatenate(found) if found else np.zeros((0, STATISTICS))


def _statistics(images: np.ndarray) -> np.ndarray:
    pixels = images.astype(np.float64) / 255
    grey = pixels.mean(axis=3)
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    coarse = (images >> 4).astype(np.int32)
    codes = (coarse[..., 0] << 8 | coarse[..., 1] << 4 | coarse[..., 2]).reshape(len(images), -1)
    low, high = images.shape[1] // 4, -(-3 * images.shape[1] // 4)
    return np.column_stack(
        [
            pixels.mean(axis=(1, 2)),
            pixels.std(axis=(1, 2)),
            (pixels.max(axis=3) - pixels.min(axis=3)).mean(axis=(1, 2)),
            np.log([len(np.unique(row)) for row in codes]),
            np.log(1e-3 + np.abs(down).mean(axis=(1, 2)) + np.abs(across).mean(axis=(1, 2))),
            np.log(1e-3 + np.abs(np.diff(down, axis=1)).mean(axis=(1, 2))),
            ((grey < 0.02) | (grey > 0.98)).mean(axis=(1, 2)),
            grey[:, low:high, low:high].mean(axis=(1, 2)) - grey.mean(axis=(1, 2)),
        ]
    )
