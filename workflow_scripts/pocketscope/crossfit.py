"""Predictions of labelled images by classifiers that were not trained on them, where there is no validation part."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from pocketscope import networks, prediction, training, views


def folds(labels: Sequence[str], groups: Sequence[str], count: int, seed: int) -> np.ndarray:
    """Return each image's fold, int64 (N,), 0 to count - 1: classes are spread evenly, groups stay together.

    Parameters
    ----------
    labels, groups
        Of N images; an image without a group is a group of its own.
    count, seed
        How many folds, and what draws them.
    """
    largest = Counter(labels).most_common(1)[0][1]
    splitter = StratifiedGroupKFold(min(count, largest, len(set(groups))), shuffle=True, random_state=seed)
    fold = np.zeros(len(labels), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer images than folds is missing in some of them
        for number, (_, members) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups)):
            fold[members] = number
    return fold


def units(image_ids: Sequence[str], split: pa.Table) -> list[str]:
    """Return of each image its group, or itself where it has none."""
    group_of = dict(zip(split["image_id"].to_pylist(), split["group"].to_pylist(), strict=True))
    return [image_id if group_of[image_id] is None else f"group {group_of[image_id]}" for image_id in image_ids]


@torch.inference_mode()
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
    classifier.to(device, memory_format=torch.channels_last).eval()
    shown = torch.from_numpy(images).permute(0, 3, 1, 2)
    features = {}
    for name in dict.fromkeys(["identity", *names]):
        parts = (part.to(device).float() / 255 for part in shown.split(training.BATCH_WITHOUT_GRADIENTS))
        seen = [classifier.features(views.see(part, name, strengths)).cpu() for part in parts]
        features[name] = torch.cat(seen).double().numpy()
    found = np.zeros((len(names), len(images), classifier.head.out_features), np.float32)
    for number in np.unique(fold):
        rest, test = fold != number, fold == number
        mean, scale = features["identity"][rest].mean(axis=0), features["identity"][rest].std() or 1.0
        present = np.unique(targets[rest])
        if len(present) < 2:
            found[:, test, present] = 1.0
            continue
        head = LogisticRegression(C=training.HEAD_PENALTY, max_iter=1000)
        head.fit((features["identity"][rest] - mean) / scale, targets[rest])
        for i, name in enumerate(names):
            found[np.ix_([i], test, present)] = head.predict_proba((features[name][test] - mean) / scale)
    return found


def join(predictions: Sequence[pa.Table], kept: Sequence[Sequence[str]]) -> pa.Table:
    """Return out-of-fold predictions from those of fold teachers.

    Parameters
    ----------
    predictions
        Of each fold teacher (schema prediction.PROBABILITIES).
    kept
        Of each the images that it was trained on; of two teachers that did not see an image the first one speaks.
    """
    everything = set().union(*map(set, kept))
    parts, done = [], set()
    for table, known in zip(predictions, kept, strict=True):
        unseen = everything - set(known) - done
        done |= unseen
        parts.append(table.filter(np.isin(table["image_id"].to_numpy(zero_copy_only=False).astype(str), list(unseen))))
    return pa.concat_tables(parts).cast(prediction.PROBABILITIES)
