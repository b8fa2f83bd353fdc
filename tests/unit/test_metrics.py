"""Measures, on cases made by hand."""

import numpy as np
import pytest
from pocketscope import metrics, randomness
from pocketscope.errors import InputError


def measure(predicted, truth, classes, positive=None):
    probabilities = np.array([[0.8 if c == p else 0.2 / (len(classes) - 1) for c in classes] for p in predicted])
    rows = metrics.measure(probabilities, list(truth), list(classes), positive).to_pylist()
    return {(row["metric"], row["class"]): row["value"] for row in rows}


def test_two_classes_have_the_f1_of_the_positive_one():
    found = measure("aabbb", "abbba", "ab", positive="a")
    assert found["f1", None] == found["f1", "a"] == pytest.approx(0.5)
    assert found["accuracy", None] == pytest.approx(0.6)


def test_more_classes_have_the_mean_over_those_that_occur():
    found = measure("aac", "aab", "abcd")
    assert found["f1", None] == pytest.approx((1.0 + 0.0) / 2)  # c and d have no test image
    assert ("f1", "c") not in found
    assert found["images", "a"] == 2


def test_an_empty_test_part_measures_nothing():
    assert metrics.measure(np.zeros((0, 2)), [], ["a", "b"], None).to_pylist() == [
        {"metric": "images", "class": None, "value": 0.0}
    ]


def test_the_positive_class_is_the_one_asked_for_or_the_rarer():
    two = {"classes": ["a", "b"], "positive": "b"}
    assert metrics.positive(None, two) == "b"
    assert metrics.positive("a", two) == "a"
    with pytest.raises(InputError, match="there is no class 'c'"):
        metrics.positive("c", two)
    with pytest.raises(InputError, match="'a' is one of 3 classes"):
        metrics.positive("a", {"classes": ["a", "b", "c"], "positive": None})


def test_streams_differ_by_purpose_and_never_change():
    assert randomness.seed(0, "digits", "k10_s0") == 4137266073
    assert randomness.seed("ab", "c") != randomness.seed("a", "bc")
    ranks = [randomness.rank("test", 0, i) for i in range(2000)]
    assert 0.45 < np.mean(ranks) < 0.55
    assert 0 <= min(ranks) < max(ranks) < 1
