"""Tests of many pairs at once: exact for one, and no more false differences than promised for many."""

import itertools

import numpy as np
import pytest
from scipy import stats

from pocketscope.statistics import simultaneous


def test_one_pair_is_the_exact_permutation_test_of_paired_differences():
    differences = np.array([1.2, -0.3, 0.8, 2.0, 0.4, -0.1, 0.9])
    found = simultaneous.step_down(np.stack([differences, np.zeros(7)], axis=1), [(0, 1)])
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert found.p[0] == found.p_adjusted[0] == pytest.approx(expected.pvalue)
    assert found.statistic[0] == pytest.approx(differences.sum() / np.sqrt((differences**2).sum()))


def test_discordant_pairs_give_mcnemars_exact_test():
    """Of 100 images two files differ on 12: ten times to the good of the first."""
    parts = np.zeros((100, 2))
    parts[:10, 0] = parts[10:12, 1] = 1
    found = simultaneous.step_down(parts, [(0, 1)], samples=40_000)
    assert found.p[0] == pytest.approx(stats.binomtest(10, 12).pvalue, abs=0.005)


def test_adjusted_p_is_that_of_the_largest_and_steps_down():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(9, 4)) + np.array([2, 0, 0, 0.3])
    pairs = simultaneous.all_pairs(4)
    found = simultaneous.step_down(values, pairs)
    signs = np.array(list(itertools.product([1, -1], repeat=9)))
    each = values[:, pairs[:, 0]] - values[:, pairs[:, 1]]
    drawn = np.abs(signs @ each) / np.sqrt((each**2).sum(axis=0))
    seen = np.abs(found.statistic)
    order, before = np.argsort(-seen), 0.0
    for step, pair in enumerate(order):
        rest = order[step:]
        before = max(before, float((drawn[:, rest].max(axis=1) >= seen[pair] - 1e-9).mean()))
        assert found.p_adjusted[pair] == pytest.approx(before)
        assert found.p[pair] == pytest.approx((drawn[:, pair] >= seen[pair] - 1e-9).mean())
    # Pairs that say the same again cost nothing.
    twice = simultaneous.step_down(np.hstack([values, values]), np.concatenate([pairs, pairs + 4]))
    assert twice.p_adjusted[:6] == pytest.approx(found.p_adjusted)


def test_equal_groups_and_none():
    found = simultaneous.step_down(np.ones((5, 2)), [(0, 1)])
    assert (found.statistic[0], found.p[0], found.p_adjusted[0]) == (0, 1, 1)
    assert len(simultaneous.step_down(np.ones((5, 1)), simultaneous.all_pairs(1)).p) == 0
    assert simultaneous.with_control(3, 1).tolist() == [[0, 1], [2, 1]]


@pytest.mark.parametrize("trainings", [False, True])
def test_twelve_equal_groups_are_told_apart_no_more_often_than_promised(trainings):
    """200 test sets of 24 images: some difference is claimed in at most 5 of 100, give or take chance."""
    rng, claimed = np.random.default_rng(0), 0
    pairs = simultaneous.all_pairs(12)
    for _ in range(200):
        ability = rng.normal(0, 0.3, (12, 3)) if trainings else np.zeros((12, 3))
        right = rng.normal(1, 1, 24)[:, None, None] + ability + rng.normal(0, 0.7, (24, 12, 3)) > 0
        seeds = simultaneous.trainings(right.mean(axis=0)) if trainings else None
        parts = right.mean(axis=2) if trainings else right[..., 0]
        claimed += simultaneous.step_down(parts / 24, pairs, seeds, samples=400).p_adjusted.min() < 0.05
    assert claimed <= 18  # 10 are expected, and more than 18 come once in 200 times


def test_variances_are_pooled_where_they_agree_and_kept_where_they_do_not():
    rng = np.random.default_rng(0)
    alike = simultaneous.trainings(rng.normal(0, 0.02, (60, 4)))
    assert alike.weight > 20
    assert alike.total == pytest.approx(np.full(60, 0.02**2), rel=0.5)
    unlike = simultaneous.trainings(rng.normal(0, 1, (60, 4)) * np.repeat([0.001, 0.1], 30)[:, None])
    assert unlike.weight < 2
    assert np.median(unlike.total[:30]) < 0.5 * np.median(unlike.total[30:])
    two = simultaneous.trainings([[0.8, 0.82, 0.9], [0.7, 0.75, 0.71]])
    assert two.freedom == pytest.approx(2)
    assert two.total.sum() == pytest.approx(np.var([0.1, 0.07, 0.19], ddof=1))  # that of the paired differences
