"""Predictions of labelled images from pretrained features, by a head that was not fitted to them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pocketscope.distillation import views
from pocketscope.models import linear_head, networks


def frozen(
    classifier: networks.Classifier,
    images: np.ndarray,
    targets: np.ndarray,
    fold: np.ndarray,
    names: Sequence[str],
    strengths: Mapping[str, float],
    device: torch.device,
) -> np.ndarray:
    """Predict each image by a logistic regression on frozen features that was fitted without the image's fold.

    Parameters
    ----------
    classifier
        With pretrained weights; it is not changed.
    images
        uint8 (N, H, W, 3).
    targets, fold
        int64 (N,).
    names, strengths
        See `views.see`; the regression is fitted to the images themselves.
    device
        Where to compute the features.

    Returns
    -------
    numpy.ndarray
        float32 (views, N, classes).
    """
    classifier.to(device, memory_format=torch.channels_last)
    features = {
        name: linear_head.features(
            classifier, images, device, lambda pixels, name=name: views.see(pixels, name, strengths)
        )
        for name in dict.fromkeys(["identity", *names])
    }
    found = np.zeros((len(names), len(images), classifier.head.out_features), np.float32)
    for number in np.unique(fold):
        rest, test = fold != number, fold == number
        mean, scale = features["identity"][rest].mean(axis=0), features["identity"][rest].std() or 1.0
        present = np.unique(targets[rest])
        if len(present) < 2:
            found[:, test, present] = 1.0
            continue
        fitted = linear_head.regression((features["identity"][rest] - mean) / scale, targets[rest])
        for i, name in enumerate(names):
            found[np.ix_([i], test, present)] = fitted.predict_proba((features[name][test] - mean) / scale)
    return found
