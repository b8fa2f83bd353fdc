"""Temperatures and calibration errors, against cases computed by hand and data of a known temperature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketscope.core.temperature import scale
from pocketscope.distillation import calibration


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def drawn(count, true_temperature, seed=0):
    """Return overconfident probabilities, and classes drawn from the honest ones."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=4, size=(count, 4))
    honest = softmax(logits / true_temperature)
    return softmax(logits), np.array([random.choice(4, p=row) for row in honest])


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(0.5, 5))
def test_scaling_is_a_softmax_of_divided_logits(logits, temperature):
    array = np.array(logits)
    assert scale(softmax(array), temperature) == pytest.approx(softmax(array / temperature), abs=1e-9)


def test_a_probability_of_nought_stays():
    assert scale(np.array([1.0, 0.0]), 2.0).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("true", [1.5, 2.5, 4.0])
def test_a_known_temperature_is_found(true):
    assert calibration.temperature(*drawn(2000, true)) == pytest.approx(true, rel=0.1)


def test_the_temperature_stays_within_its_bounds():
    probabilities, _ = drawn(500, 1.0)
    assert calibration.temperature(probabilities, probabilities.argmin(axis=1)) <= 5.0
    unsure = scale(probabilities, 5.0)
    assert calibration.temperature(unsure, unsure.argmax(axis=1)) >= 0.5


def test_few_images_move_the_temperature_little():
    """Twenty images that are all right would drive it to the bound without a prior."""
    probabilities = np.tile([0.6, 0.4], (20, 1))
    found = calibration.temperature(probabilities, np.zeros(20, dtype=int))
    assert 0.5 < found < 1.0


def test_without_enough_images_or_gain_the_temperature_is_one():
    probabilities, truth = drawn(8, 3.0)
    assert calibration.temperature(probabilities, truth) == 1.0
    calibrated = drawn(2000, 1.0, seed=3)
    assert calibration.temperature(*calibrated) == pytest.approx(1.0, abs=0.05)


def test_calibration_lowers_the_calibration_error():
    probabilities, truth = drawn(3000, 2.5)
    found = calibration.temperature(probabilities, truth)
    before = calibration.expected_calibration_error(probabilities, truth)
    after = calibration.expected_calibration_error(scale(probabilities, found), truth)
    assert after < before / 3


def test_the_calibration_error_of_a_case_by_hand():
    # Two images at 0.9, one of them right: a gap of 0.4; two at 0.6, both right: a gap of 0.4.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert calibration.expected_calibration_error(probabilities, np.array([0, 1, 0, 0])) == pytest.approx(0.4)


def test_a_view_is_worse_only_beyond_two_standard_errors():
    random = np.random.default_rng(0)
    identity = random.random(50)
    assert calibration.worse_than_identity(identity + 0.5 + 0.1 * random.random(50), identity)
    assert not calibration.worse_than_identity(identity + random.normal(scale=0.5, size=50), identity)
    assert not calibration.worse_than_identity(identity - 0.5, identity)
    assert not calibration.worse_than_identity(identity, identity)
