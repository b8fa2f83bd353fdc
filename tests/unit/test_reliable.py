"""What few labelled images show of a model's answers: bounds, class shares, and what is told of the one that ships."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pocketscope.core.temperature import scale
from pocketscope.deploy import facts, reliability
from pocketscope.statistics.label_shift import class_shares
from pocketscope.statistics.reliable import Reliable, fewest, least_reliable, lower_bound, more_needed


def answers(*wrong, images):
    """Return falling probabilities, and that the answers of these ranks are wrong."""
    return np.linspace(0.99, 0.5, images), ~np.isin(np.arange(images), wrong)


def test_more_and_more_answers_are_looked_at_until_too_many_are_wrong():
    # Of 120 images the 46, 61, 76, 89 and 103 most probable are looked at, where 1, 2, 3, 4 and 5 may be wrong.
    probabilities, right = answers(3, 50, 70, 77, 80, 81, 90, images=120)
    found = least_reliable(probabilities, right, 0.9)
    assert (found.answered, found.right) == (76, 73)
    assert found.probability == probabilities[75]
    assert stats.binomtest(73, 76, 0.9, alternative="greater").pvalue <= 0.05
    assert stats.binomtest(83, 89, 0.9, alternative="greater").pvalue > 0.05
    # Right answers below do not make up for what was seen before: it is not the best of many bounds.
    assert least_reliable(*answers(3, 5, 50, images=300), 0.9).answered == 300
    assert least_reliable(*answers(*range(9), images=300), 0.9) == Reliable(None, 300, 291)


def test_the_fewest_images_are_those_of_the_bound():
    assert [fewest(share) for share in (0.5, 0.8, 0.9, 0.95, 0.99)] == [5, 14, 29, 59, 299]
    for share in (0.5, 0.8, 0.9):
        few = fewest(share)
        assert lower_bound(few, few) >= share > lower_bound(few - 1, few - 1)
    # Clopper and Pearson's own: 18 of 20, one-sided 95 %.
    assert lower_bound(18, 20) == pytest.approx(stats.binomtest(18, 20, alternative="greater").proportion_ci().low)


def test_a_false_promise_is_as_rare_as_it_says():
    """Exact 86 % over all answers, whatever the order: at most one draw in twenty calls any of them reliable."""
    random = np.random.default_rng(0)
    for images in (50, 120, 250):
        draws = [least_reliable(random.random(images), random.random(images) < 0.895, 0.9) for _ in range(400)]
        assert np.mean([draw.probability is not None for draw in draws]) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_classes_that_are_frequent_where_answers_are_given_count_for_more():
    probabilities, right = answers(60, 61, images=100)
    weights = np.ones(100)
    assert least_reliable(probabilities, right, 0.9, weights) == least_reliable(probabilities, right, 0.9)
    weights[[60, 61]] = 10  # the class that the model gets wrong is ten times as frequent
    assert (
        least_reliable(probabilities, right, 0.9, weights).answered < least_reliable(probabilities, right, 0.9).answered
    )
    weights[[60, 61]] = 0.1  # and never makes more reliable than the images themselves show
    assert least_reliable(probabilities, right, 0.9, weights) == least_reliable(probabilities, right, 0.9)


@pytest.mark.parametrize(
    ("wrong", "images", "more"),
    [
        ((), 11, 18),
        ((), 24, 5),
        ((), 0, 29),
        ((20, 38), 40, 18),  # none wrong in the surer half: 58 labels have 29 there
        ((5,), 40, 51),  # one wrong: of 91 labels half are 46
        (range(0, 40, 4), 40, 190),
    ],
)
def test_it_is_said_how_many_labels_are_missing(wrong, images, more):
    assert more_needed(*answers(*wrong, images=images), 0.9) == more


@given(st.integers(0, 2**32 - 1), st.lists(st.floats(0.05, 1), min_size=2, max_size=5))
@settings(max_examples=25, deadline=None)
def test_class_shares_are_those_of_the_images(seed, wanted):
    """Of a model whose probabilities are true under equal shares."""
    random, shares = np.random.default_rng(seed), np.array(wanted) / np.sum(wanted)
    classes, count = len(shares), 4000
    truth = random.choice(classes, count, p=shares)
    seen = random.normal(size=(count, classes)) + 3 * np.eye(classes)[truth]
    density = np.exp(-((seen[:, None, :] - 3 * np.eye(classes)) ** 2).sum(axis=2) / 2)
    found = class_shares(density / density.sum(axis=1, keepdims=True), np.full(classes, 1 / classes))
    assert found.sum() == pytest.approx(1)
    assert np.abs(found - shares).max() < 0.05


def test_a_class_without_labels_has_no_share():
    seen = np.array([[0.7, 0.0, 0.3], [0.1, 0.0, 0.9]])
    assert class_shares(seen, np.array([0.5, 0.0, 0.5]))[1] == 0
    assert class_shares(np.zeros((0, 2)), np.array([0.25, 0.75])).tolist() == [0.25, 0.75]


def two_classes(random, images, accuracy, sharpness):
    """Return probabilities of two classes, and the truth: answers are right as often as their probabilities say."""
    logits = random.normal(size=images) * accuracy
    truth = (random.random(images) < 1 / (1 + np.exp(-logits))).astype(int)
    second = 1 / (1 + np.exp(-sharpness * logits))
    return np.stack([1 - second, second], axis=1).astype(np.float32), truth


def test_a_surer_model_claims_no_more_than_its_folds():
    """The shipped model learnt from more labels: its probabilities are nearer to 1, and no more often right for it."""
    random = np.random.default_rng(1)
    seen, truth = two_classes(random, 200, accuracy=4, sharpness=2)
    pool, _ = two_classes(random, 500, accuracy=4, sharpness=2)
    folds = reliability.Folds(seen, truth, np.stack([pool] * 4))
    learnt = reliability.measure(folds, ["a", "b"], 0.9)
    assert learnt["temperature"] > 1.5
    assert learnt["calibration_error"]["after"] < learnt["calibration_error"]["before"]
    assert (learnt["images"], learnt["folds"], learnt["level"], learnt["more_labels"]) == (200, 4, 0.95, 0)
    same = reliability.transfer(folds, learnt, pool)
    surer = reliability.transfer(folds, learnt, scale(pool, 0.5))
    assert same["temperature"] == pytest.approx(learnt["temperature"], rel=1e-3)
    assert surer["temperature"] == pytest.approx(2 * learnt["temperature"], rel=1e-3)
    claimed = (pool.max(axis=1) >= learnt["reliable"]["probability"]).sum()
    for model, found in ((pool, same), (scale(pool, 0.5), surer)):
        assert (scale(model, found["temperature"]).max(axis=1) >= found["probability"]).sum() == claimed
    said = facts.reliable(learnt | {"models": {"int8": surer}}, "int8")
    assert said["temperature"] == surer["temperature"]
    assert said["reliable"]["probability"] == surer["probability"]
    assert {"answered", "right", "share", "level", "images", "folds", "class_shares"} <= said["reliable"].keys()


def test_without_unlabelled_images_the_folds_speak_for_themselves():
    random = np.random.default_rng(1)
    seen, truth = two_classes(random, 200, accuracy=4, sharpness=2)
    folds = reliability.Folds(seen, truth, np.zeros((4, 0, 2), np.float32))
    learnt = reliability.measure(folds, ["a", "b"], 0.9)
    assert learnt["class_shares"]["a"]["unlabelled"] is None
    found = reliability.transfer(folds, learnt, np.zeros((0, 2), np.float32))
    assert found["temperature"] == learnt["temperature"]
    claimed = (scale(seen, found["temperature"]).max(axis=1) >= found["probability"]).sum()
    assert claimed == learnt["reliable"]["answered"]


@pytest.mark.parametrize("images", [0, 1, 11])
def test_few_labels_claim_nothing_and_say_how_many_are_missing(images):
    seen = np.tile(np.float32([0.9, 0.1]), (images, 1))
    pool = np.tile(np.float32([0.8, 0.2]), (2, 40, 1))
    learnt = reliability.measure(reliability.Folds(seen, np.zeros(images, int), pool), ["a", "b"], 0.9)
    assert learnt["reliable"] == {"probability": None, "answered": images, "right": images}
    assert learnt["more_labels"] == 29 - images
    assert (
        reliability.transfer(reliability.Folds(seen, np.zeros(images, int), pool), learnt, pool[0])["probability"]
        is None
    )
