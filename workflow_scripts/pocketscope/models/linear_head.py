"""A linear head as a logistic regression on the features of a network that stays as it is.

With the strength of its penalty by cross-validation this alone is a method, `frozen`, the way of FrImCla (García-
Domínguez et al. 2021); and it is where fine-tuning starts, so that the random gradients of a new head do not spoil
pretrained layers (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features").
"""

import logging
from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from pocketscope.models import networks, tensors

log = logging.getLogger(__name__)


FOLDS = 5
STRENGTHS = 10.0 ** np.arange(-3, 3)  # C, the inverse strength, on features of variance 1
# A strong penalty gives all images to the frequent classes, and a class of fewer images than this cannot object in the
# folds: then the strength is not chosen (benchmarks/linear_head.md).
FEW = 10
DEFAULT_STRENGTH = 1.0
SAMPLE = 1000  # images that choose the strength; the regression itself takes all


def fit(classifier: networks.Classifier, images: np.ndarray, targets: np.ndarray, device: torch.device) -> float:
    """Set the head of `classifier` to the logistic regression of the targets on its features.

    Parameters
    ----------
    classifier
        Its backbone stays as it is. It is left in evaluation mode.
    images
        uint8 (N, H, W, 3).
    targets
        float (N, classes); each image counts as its most probable class. A class without an image is never guessed.
    device
        Where the classifier is.

    Returns
    -------
    float
        The scale of the features: one standard deviation, over all of them.
    """
    found, labels = features(classifier, images, device), targets.argmax(axis=1)
    # One scale for all features. With one each, features that hardly vary get huge weights, and the rounding of an int8
    # network in them outweighs the rest.
    mean, scale, present = found.mean(axis=0), float(found.std()) or 1.0, np.unique(labels)
    if len(present) < 2:
        return scale  # nothing to tell apart
    scaled = (found - mean) / scale
    fitted = regression(scaled, labels)
    # Two classes are one row: their difference.
    coefficients = fitted.coef_ if len(present) > 2 else np.vstack([-fitted.coef_, fitted.coef_]) / 2
    intercepts = fitted.intercept_ if len(present) > 2 else np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2
    weight = np.zeros(classifier.head.weight.shape)
    bias = np.full(len(weight), intercepts.min() - 5.0)
    weight[present] = coefficients / scale
    bias[present] = intercepts - weight[present] @ mean
    with torch.no_grad():
        classifier.head.weight.copy_(torch.from_numpy(weight))
        classifier.head.bias.copy_(torch.from_numpy(bias))
    return scale


@torch.no_grad()
def features(
    classifier: networks.Classifier,
    images: np.ndarray,
    device: torch.device,
    view: Callable[[torch.Tensor], torch.Tensor] = lambda pixels: pixels,
) -> np.ndarray:
    """Return the pooled features, float64 (N, features), of uint8 images (N, H, W, 3) under a view."""
    classifier.eval()
    parts = tensors.batches(tensors.to_tensor(images, device), device)
    found = [classifier.features(view(part)).cpu() for part in parts]
    return torch.cat(found).double().numpy()


def regression(features: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """Return a fitted logistic regression with the strength of `strength`; parameters as there."""
    return _regression(strength(features, labels)).fit(features, labels)


def strength(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the inverse strength C of the penalty that has the least log loss on held-out folds.

    It is `DEFAULT_STRENGTH` where a class has fewer than `FEW` images.

    Parameters
    ----------
    features
        float (N, features), of variance 1.
    labels
        int (N,).
    """
    counts = np.bincount(labels)
    if counts[counts > 0].min() < FEW:
        return DEFAULT_STRENGTH
    kept = np.arange(len(labels))
    if len(kept) > SAMPLE:
        kept = np.sort(np.random.default_rng(0).permutation(kept)[:SAMPLE])
        kept = kept[np.bincount(labels[kept], minlength=len(counts))[labels[kept]] > 1]
    if len(np.unique(labels[kept])) < 2:
        return DEFAULT_STRENGTH
    folds = min(FOLDS, np.bincount(labels[kept])[np.unique(labels[kept])].min())
    splits = StratifiedKFold(folds, shuffle=True, random_state=0)
    reduced = _rotated(features[kept])
    losses: list[float] = []
    for c in STRENGTHS:
        tried = cross_val_score(_regression(c, 1e-3), reduced, labels[kept], cv=splits, scoring="neg_log_loss")
        losses.append(-tried.mean())
        if losses[-1] > min(losses):  # weaker penalties overfit more, and their fits take longest
            break
    chosen = float(STRENGTHS[int(np.argmin(losses))])
    log.info("head: C = %g of a logistic regression, log loss %.3f in %d folds", chosen, min(losses), folds)
    return chosen


def _regression(c: float, tolerance: float = 1e-4) -> LogisticRegression:
    return LogisticRegression(C=c, tol=tolerance, max_iter=1000)


def _rotated(features: np.ndarray) -> np.ndarray:
    # The penalty does not change under a rotation: with fewer images than features, as many axes as images hold all.
    if len(features) >= features.shape[1]:
        return features
    left, scales, _ = np.linalg.svd(features, full_matrices=False)
    return left * scales
