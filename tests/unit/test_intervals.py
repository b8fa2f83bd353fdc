"""Intervals of few test images: exact where there is a formula, and never ending where the sample happens to."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pocketscope.statistics import intervals


@pytest.mark.parametrize(("right", "tested"), [(0, 5), (1, 1), (3, 10), (11, 11), (190, 200)])
def test_clopper_pearson_is_scipys(right, tested):
    expected = stats.binomtest(right, tested).proportion_ci(method="exact")
    assert intervals.clopper_pearson(right, tested) == pytest.approx((expected.low, expected.high))


def test_eleven_of_eleven_right():
    found = intervals.accuracy(np.ones(11))
    assert (found.right, found.tested, found.more) == (11, 11, 29)
    assert [found.lower, found.more_lower] == pytest.approx([0.025 ** (1 / 11), 0.025 ** (1 / 40)])
    assert found.upper == found.more_upper == 1
    assert intervals.in_words(found) == (
        "11 of 11 test images are right: accuracy between 72 and 100 % (95 % confidence). "
        "29 more, all right, would make it 91 to 100 %."
    )


def test_what_is_narrow_asks_for_no_more():
    found = intervals.accuracy(np.arange(1000) > 20)
    assert (found.more, found.more_lower) == (None, None)
    assert intervals.in_words(found).endswith("accuracy between 96.8 and 98.7 % (95 % confidence).")


def test_random_weights_give_clopper_and_pearsons_interval():
    """Two equal answers to each image are no longer counted by the formula, and must give the same."""
    right = np.array([1.0] * 17 + [0.0] * 3)
    found = intervals.accuracy(2 * right, np.full(20, 2))
    assert [found.lower, found.upper] == pytest.approx(intervals.clopper_pearson(17, 20), abs=0.01)


def test_groups_count_by_how_they_differ():
    """Ten patients of 20 images that are right or wrong together are ten answers, not 200."""
    together, apart = np.array([20.0] * 8 + [0] * 2), np.full(10, 16.0)
    wide, narrow = (intervals.accuracy(right, np.full(10, 20)) for right in (together, apart))
    assert [wide.lower, wide.upper] == pytest.approx(intervals.clopper_pearson(8, 10), abs=0.02)
    assert narrow.upper - narrow.lower < 0.6 * (wide.upper - wide.lower)
    assert "(in 10 groups)" in intervals.in_words(wide, groups=10)


def brute_force(hits, errors, extra, steps, of):
    """Try all divisions of the extra weight over three classes."""
    found = []
    for a, b in itertools.product(range(steps + 1), repeat=2):
        if a + b <= steps:
            found.append(of(hits, errors, np.array([a, b, steps - a - b]) / steps * extra))
    return found


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0.1, 20), min_size=6, max_size=6), st.floats(0.1, 5))
def test_the_unit_more_does_its_worst_and_its_best(weights, extra):
    hits, errors = np.array(weights[:3]), np.array(weights[3:])

    def with_errors(h, e, x):  # each wrong answer is an error of two classes, and no class takes more than all
        return np.mean(2 * h / (2 * h + e + 2 * x)) if (2 * x <= extra + 1e-9).all() else np.inf

    def with_hits(h, e, x):
        return np.mean(2 * (h + x) / (2 * (h + x) + e))

    worst = min(brute_force(hits, errors, extra, 60, with_errors))
    best = max(brute_force(hits, errors, extra, 60, with_hits))
    assert intervals.worst_f1(hits[None], errors[None], np.array([extra]))[0] == pytest.approx(worst, abs=0.003)
    assert intervals.best_f1(hits[None], errors[None], np.array([extra]))[0] == pytest.approx(best, abs=0.003)


def test_of_a_class_that_nobody_saw_anything_may_be():
    hits, errors, extra = np.array([[5.0, 0]]), np.array([[1.0, 0]]), np.array([1.0])
    assert intervals.worst_f1(hits, errors, extra)[0] < 0.5
    assert intervals.best_f1(hits, errors, extra)[0] == pytest.approx((12 / 13 + 1) / 2)
