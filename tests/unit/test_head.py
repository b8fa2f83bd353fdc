"""A head as a logistic regression on frozen features."""

import numpy as np
import pytest
import torch

from pocketscope.models import linear_head, networks
from pocketscope.models.tensors import to_pixels
from pocketscope.training import batches

CPU = torch.device("cpu")
TINY = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "family": "manual", "weights": "none"}


def blobs(per_class, noise, features=30, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    values = rng.normal(0, 1, (classes, features))[labels] + rng.normal(0, noise, (len(labels), features))
    return (values - values.mean(0)) / values.std(), labels


def test_the_strength_is_weaker_where_classes_are_noisy():
    """C is the inverse strength: noise asks for a smaller one."""
    assert linear_head.strength(*blobs(20, noise=8)) < linear_head.strength(*blobs(20, noise=0.1))


def test_a_strong_penalty_is_not_chosen_where_a_class_is_rare():
    """Noise asks for a penalty under which all images are guessed to be of the frequent class."""
    values, labels = blobs(40, noise=8)
    assert linear_head.strength(values, labels) < linear_head.DEFAULT_STRENGTH
    few = linear_head.FEW - 1
    kept = np.r_[np.flatnonzero(labels != 2), np.flatnonzero(labels == 2)[:few]]
    assert linear_head.strength(values[kept], labels[kept]) == linear_head.DEFAULT_STRENGTH
    assert linear_head.strength(np.eye(3), np.arange(3)) == linear_head.DEFAULT_STRENGTH


def test_rotated_features_hold_what_the_regression_needs():
    """The kernel, all that a regression with this penalty sees, is the same."""
    values, _ = blobs(4, noise=1, features=50)
    rotated = linear_head._rotated(values)
    assert rotated.shape == (12, 12)
    assert np.allclose(rotated @ rotated.T, values @ values.T)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_head_has_the_regressions_probabilities(classes):
    """The scale of the features, and two classes as one row, are undone in the weights."""
    rng = np.random.default_rng(0)
    labels = np.arange(6 * classes) % classes
    images = (rng.integers(0, 60, (len(labels), 32, 32, 3)) + 40 * labels[:, None, None, None]).astype(np.uint8)
    classifier = networks.build(TINY, classes, None, seed=0)
    linear_head.fit(classifier, images, batches.one_hot(labels, classes), CPU)
    found = linear_head.features(classifier, images, CPU)
    scaled = (found - found.mean(0)) / found.std()
    regression = linear_head.regression(scaled, labels)
    with torch.no_grad():
        logits = classifier.eval()(to_pixels(torch.from_numpy(images), CPU))
    assert np.allclose(logits.softmax(1).numpy(), regression.predict_proba(scaled), atol=1e-4)


def test_a_class_without_an_image_is_never_guessed():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 32, 32, 3), np.uint8)
    classifier = networks.build(TINY, 5, None, seed=0)
    linear_head.fit(classifier, images, batches.one_hot(np.arange(12) % 3, 5), CPU)
    with torch.no_grad():
        logits = classifier.eval()(to_pixels(torch.from_numpy(images), CPU))
    assert set(logits.argmax(1).tolist()) <= {0, 1, 2}
