"""Resampling of one dataset's test units, and the recommendation that rests on it."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from pocketscope.core.errors import InputError
from pocketscope.statistics import bootstrap, recommendation, score_table
from pocketscope.tables.decision import DIFFERENCES


def simulate(*, rows=3, seeds=2, images=200, classes=3, units=None, accuracy=(0.9, 0.85, 0.6), seed=0):
    """Predictions right with a given probability, else of any class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, images)
    right = rng.random((rows, seeds, images)) < np.array(accuracy)[:rows, None, None]
    predicted = np.where(right, truth, rng.integers(0, classes, (rows, seeds, images)))
    units = np.arange(images) if units is None else units
    return bootstrap.Predicted(
        [f"plain/n{i}" for i in range(rows)],
        [f"s{i}" for i in range(seeds)],
        [f"c{i}" for i in range(classes)],
        [str(i) for i in range(images)],
        predicted,
        truth,
        units,
    )


@pytest.mark.parametrize("positive", [None, 1])
def test_point_is_scikit_learns_f1(positive):
    data = simulate(classes=2 if positive else 3)
    result = bootstrap.bootstrap(data, positive=positive, samples=10)
    kind = {"average": "macro"} if positive is None else {"pos_label": 1}
    for i in range(3):
        expected = [f1_score(data.truth, data.predicted[i, j], **kind) for j in range(2)]
        assert result.per_seed[i] == pytest.approx(expected)
    assert result.point == pytest.approx(result.per_seed.mean(axis=1))


def test_a_resample_scores_what_it_drew_and_out_of_it_what_it_left():
    data = simulate(images=40)
    result = bootstrap.bootstrap(data, samples=5, seed=3)
    weights = np.random.default_rng([3, 0]).multinomial(40, np.full(40, 1 / 40), size=5)
    for b in range(5):
        drawn = np.repeat(np.arange(40), weights[b])
        left = np.flatnonzero(weights[b] == 0)
        for chosen, scores in ((drawn, result.inside), (left, result.outside)):
            labels = np.unique(data.truth[chosen])
            expected = [
                f1_score(data.truth[chosen], data.predicted[0, j, chosen], labels=labels, average="macro")
                for j in range(2)
            ]
            assert scores[b, 0] == pytest.approx(np.mean(expected), abs=1e-6)


def test_blocks_of_rows_change_nothing(monkeypatch):
    data = simulate()
    whole = bootstrap.bootstrap(data, samples=20)
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", 1)
    by_row = bootstrap.bootstrap(data, samples=20)
    for one, other in zip(whole[1:5], by_row[1:5], strict=True):
        np.testing.assert_array_equal(one, other)


def test_groups_are_the_unit_and_widen_the_interval():
    """Ten patients whose 20 images succeed or fail together carry the information of ten, not of 200."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(10), 20)
    data = simulate(rows=1, seeds=1)
    fails = rng.random(10) < 0.4
    predicted = np.where(fails[patients], (data.truth + 1) % 3, data.truth)[None, None]
    grouped = bootstrap.bootstrap(data._replace(predicted=predicted, units=patients), samples=500)
    single = bootstrap.bootstrap(data._replace(predicted=predicted), samples=500)
    assert (grouped.unit, grouped.units, single.unit) == ("group", 10, "image")
    assert np.ptp(bootstrap.interval(grouped)[0]) > 2.5 * np.ptp(bootstrap.interval(single)[0])


def test_few_units_expand_the_interval_as_students_curve_does():
    """The expanded interval of a mean of ten units has the width of the t interval, the plain one four fifths of it."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(20):
        values = pd.DataFrame({"plain/n0": rng.normal(0.7, 0.05, 10)})
        low, high = bootstrap.interval(bootstrap.over_datasets(values, samples=4000))[0]
        ratios.append((high - low) / (2 * 2.262 * values["plain/n0"].std(ddof=1) / np.sqrt(10)))
    assert np.mean(ratios) == pytest.approx(1, abs=0.06)
    assert bootstrap.tail(10**6, 0.05) == pytest.approx(0.025, rel=1e-3)


def test_five_units_allow_no_recommendation():
    values = pd.DataFrame(0.6 + np.random.default_rng(0).random((5, 1)) + [0.0, -0.001, -0.2], columns=COSTS.index)
    found = recommendation.recommend(bootstrap.over_datasets(values), COSTS)
    assert (found["candidate"], found["outcome"], found["units_needed"]) == ("plain/n0", "undecided", 6)
    assert "too few" in found["text"]


def test_differences_find_the_worse_row_and_not_the_equal_one():
    data = simulate(accuracy=(0.9, 0.9, 0.5))
    frame = bootstrap.differences(bootstrap.bootstrap(data), [("plain/n0", "plain/n2"), ("plain/n0", "plain/n1")])
    assert frame["verdict"].tolist() == ["plain/n0 is better", "no difference shown"]
    assert (frame["lower"] <= frame["difference"]).all()
    assert (frame["difference"] <= frame["upper"]).all()
    assert (frame["lower_with_seeds"] < frame["lower"]).all()
    assert list(frame.columns) == DIFFERENCES.names[1:]


def test_identical_predictions_differ_by_nothing():
    data = simulate(rows=2, seeds=1, accuracy=(0.8, 0.8))
    data = data._replace(predicted=np.stack([data.predicted[0], data.predicted[0]]))
    line = bootstrap.differences(bootstrap.bootstrap(data), [("plain/n0", "plain/n1")]).iloc[0]
    assert (line["difference"], line["lower"], line["upper"], line["p"]) == (0, 0, 0, 1)
    assert np.isnan(line["lower_with_seeds"])


def test_seeds_do_not_multiply_the_images():
    once = simulate(rows=1, seeds=1)
    tenfold = once._replace(predicted=np.repeat(once.predicted, 10, axis=1), seeds=[f"s{i}" for i in range(10)])
    narrow, wide = (np.ptp(bootstrap.interval(bootstrap.bootstrap(data))[0]) for data in (tenfold, once))
    assert narrow == pytest.approx(wide)


def test_a_class_without_a_prediction_and_one_without_an_image():
    data = simulate(rows=1, seeds=1, classes=3)
    predicted = np.where(data.predicted == 2, 0, data.predicted)
    result = bootstrap.bootstrap(data._replace(predicted=predicted, classes=["a", "b", "c", "d"]), samples=50)
    assert np.isfinite(result.inside).all()
    assert result.point[0] == pytest.approx(f1_score(data.truth, predicted[0, 0], average="macro"))


def test_few_images_of_a_class_are_remarked():
    assert "unreliable" in bootstrap.reliability_remark(bootstrap.bootstrap(simulate(images=24), samples=5))
    assert bootstrap.reliability_remark(bootstrap.bootstrap(simulate(images=300), samples=5)) is None


def test_align_orders_images_and_names_what_is_missing():
    truth = pd.DataFrame({"image_id": ["b", "a", "c"], "label": ["y", "x", "x"]})
    frame = pd.DataFrame({"image_id": ["c", "a", "b"], "probabilities": [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]})
    data = bootstrap.align({("m/n", "s0"): frame}, truth, ["x", "y"], {"a": "p", "b": "p"})
    assert data.images == ["a", "b", "c"]
    assert data.predicted[0, 0].tolist() == [1, 1, 0]
    assert data.truth.tolist() == [0, 1, 0]
    assert data.units[0] == data.units[1] != data.units[2]
    with pytest.raises(InputError, match="'m/o' has no predictions for the split 's0'"):
        bootstrap.align({("m/n", "s0"): frame, ("m/n", "s1"): frame, ("m/o", "s1"): frame}, truth, ["x", "y"])
    with pytest.raises(InputError, match="no prediction of a"):
        bootstrap.align({("m/n", "s0"): frame, ("m/o", "s0"): frame[frame["image_id"] != "a"]}, truth, ["x", "y"])


COSTS = pd.DataFrame(
    {"size_mb": [40.0, 10.0, 5.0], "latency_ms": [30.0, 10.0, 5.0]}, index=[f"plain/n{i}" for i in range(3)]
)


def test_the_cheapest_row_within_the_margin_is_recommended():
    data = simulate(images=3000, accuracy=(0.90, 0.90, 0.6))
    found = recommendation.recommend(bootstrap.bootstrap(data, samples=500), COSTS, margin=4)
    assert (found["candidate"], found["outcome"]) == ("plain/n1", "cheaper")
    assert (found["size_mb"], found["latency_ms"]) == (10, 10)
    assert found["difference_lower"] > -0.04
    json.dumps(found)


def test_too_few_images_are_said_to_be_too_few():
    data = simulate(images=60, accuracy=(0.90, 0.86, 0.6), seed=2)
    found = recommendation.recommend(bootstrap.bootstrap(data, samples=500), COSTS, margin=3)
    assert found["outcome"] == "undecided"
    assert found["candidate"] == found["best_candidate"]
    assert "are too few to decide" in found["text"]
    assert found["units_needed"] > 60


def test_a_best_row_without_a_rival():
    data = simulate(images=2000, accuracy=(0.95, 0.5, 0.4))
    found = recommendation.recommend(bootstrap.bootstrap(data, samples=300), COSTS)
    assert (found["outcome"], found["undecided"], found["units_needed"]) == ("best", [], None)


def test_without_costs_the_best_is_recommended():
    found = recommendation.recommend(bootstrap.bootstrap(simulate(images=500), samples=200))
    assert found["outcome"] == "unpriced"
    assert found["size_mb"] is None


def test_the_choice_among_equals_is_corrected_downwards():
    """Of twelve rows of equal worth the best looks better than it is; corrected, it does not."""
    raw, corrected = [], []
    for seed in range(15):
        data = simulate(rows=12, seeds=1, images=60, accuracy=(0.7,) * 12, seed=seed)
        found = recommendation.recommend(bootstrap.bootstrap(data, samples=200, seed=seed))
        raw.append(found["f1"])
        corrected.append(found["f1_corrected"])
    worth = 0.7 + 0.3 / 3
    assert np.mean(raw) > worth + 0.03
    assert abs(np.mean(corrected) - worth) < 0.03


def test_over_datasets():
    rng = np.random.default_rng(0)
    level = rng.random(10)[:, None] / 4
    values = pd.DataFrame(0.6 + level + [0.0, -0.005, -0.2] + rng.normal(0, 0.002, (10, 3)), columns=COSTS.index)
    result = bootstrap.over_datasets(values)
    assert result.point == pytest.approx(values.mean().to_numpy())
    found = recommendation.recommend(result, COSTS)
    assert (found["candidate"], found["unit"], found["units"]) == ("plain/n1", "dataset", 10)


def test_cost_is_relative_and_infinite_where_unknown():
    prices = recommendation.cost(["plain/n0", "plain/n1", "plain/n2", "plain/n3"], COSTS)
    assert prices[2] == 1
    assert prices[1] == pytest.approx(2)
    assert prices[3] == np.inf


@pytest.mark.parametrize(
    ("size", "latency", "expected"),
    [
        ([100, 2, np.nan], [5, np.nan, np.nan], [50, 1, np.inf]),  # the size is known of all that have a cost
        ([100, np.nan, np.nan], [5, 10, np.nan], [1, 2, np.inf]),
        ([100, 50, np.nan], [np.nan, 1, 3], [2, 1, np.inf]),  # neither is, and of both as much: the size
        ([100, np.nan, np.nan], [np.nan, 1, 3], [np.inf, 1, 3]),  # neither is, and of more rows the latency
        ([np.nan] * 3, [np.nan] * 3, [np.inf] * 3),
    ],
)
def test_only_costs_that_are_known_of_all_priced_rows_count(size, latency, expected):
    rows = ["a/x", "a/y", "a/z"]
    costs = pd.DataFrame({"size_mb": size, "latency_ms": latency}, index=rows)
    assert recommendation.cost(rows, costs) == pytest.approx(expected)


def test_a_row_whose_latency_is_unknown_can_be_the_cheaper_one():
    costs = pd.DataFrame({"size_mb": [100, 2.0], "latency_ms": [5, np.nan]}, index=["plain/big", "plain/small"])
    values = pd.DataFrame({"plain/big": [0.9] * 6, "plain/small": [0.9] * 6})
    found = recommendation.recommend(bootstrap.over_datasets(values), costs)
    assert (found["candidate"], found["outcome"]) == ("plain/small", "cheaper")
    assert "plain/small is the smallest candidate that loses" in found["text"]  # whether the fastest, nobody knows


def candidates(keys):
    return score_table.candidates(pd.DataFrame(keys, columns=["method", "network", "precision"]))


def test_costs_of_two_runtimes_are_refused():
    twice = pd.DataFrame({"network": ["n0", "n0"], "latency_ms": [1.0, 2.0]})
    with pytest.raises(InputError, match="'n0' at fp32 are given twice"):
        recommendation.candidate_costs(candidates([("plain", "n0", "fp32")]), twice)


def test_resamples_without_a_positive_image_do_no_harm():
    """Of five test images one is positive: a third of the resamples hold none, and F1 is undefined in them."""
    truth, right = np.array([0, 0, 0, 0, 1]), np.array([[[0, 0, 0, 0, 1]], [[0, 0, 0, 0, 0]]])
    names = [str(i) for i in range(5)]
    data = bootstrap.Predicted(["a/x", "b/x"], ["s0"], ["no", "yes"], names, right, truth, np.arange(5))
    found = recommendation.recommend(bootstrap.bootstrap(data, positive=1, samples=200))
    assert found["candidate"] == "a/x"
    json.dumps(found, allow_nan=False)
