"""Resampling of one dataset's test units, and the recommendation that rests on it."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from pocketscope.core.errors import InputError
from pocketscope.statistics import bootstrap, differences, recommendation, score_table


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


def test_scores_lie_between_those_with_one_wrong_and_one_right_unit_more():
    result = bootstrap.bootstrap(simulate(images=40), samples=50)
    assert (result.low < result.high).all()
    without = (result.point + result.bias)[None]
    assert (result.low.mean(axis=0) < without).all()
    assert (result.high.mean(axis=0) > without).all()


def test_what_was_chosen_without_a_fold_is_scored_on_it():
    """A rule that always takes one row scores what that row scores; folds hold each unit once."""
    data = simulate(images=40)
    result = bootstrap.bootstrap(data, samples=5)
    folds = len(result.choice.inside)
    for row in range(3):
        assert result.choice.score(np.full(folds, row)) == pytest.approx(result.point[row], abs=1e-6)
    values = pd.DataFrame(np.random.default_rng(0).random((7, 2)), columns=["a/x", "b/x"])
    over = bootstrap.over_datasets(values)
    assert over.choice.score(np.ones(len(over.choice.inside), dtype=int)) == pytest.approx(values["b/x"].mean())


def test_blocks_of_rows_change_nothing(monkeypatch):
    data = simulate()
    whole = bootstrap.bootstrap(data, samples=20)
    monkeypatch.setattr(bootstrap, "BLOCK_CELLS", 1)
    by_row = bootstrap.bootstrap(data, samples=20)
    for one, other in zip(whole[1:5], by_row[1:5], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


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


def test_the_interval_over_data_sets_is_students():
    rng = np.random.default_rng(0)
    values = pd.DataFrame({"plain/n0": rng.normal(0.7, 0.05, 10), "plain/n1": rng.normal(0.7, 0.05, 10)})
    result = bootstrap.over_datasets(values, samples=100_000)
    low, high = bootstrap.interval(result)[0]
    reach = stats.t.ppf(0.975, 9) * values["plain/n0"].std(ddof=1) / np.sqrt(10)
    mean = values["plain/n0"].mean()
    assert [low, high] == pytest.approx([mean - reach, mean + reach], abs=0.03 * reach)
    paired = values["plain/n0"] - values["plain/n1"]
    line = bootstrap.difference(result, [0], [1])
    reach = stats.t.ppf(0.975, 9) * paired.std(ddof=1) / np.sqrt(10)
    assert [line["lower"], line["upper"]] == pytest.approx([paired.mean() - reach, paired.mean() + reach], abs=0.002)


def test_two_data_sets_have_no_interval_and_say_so():
    values = pd.DataFrame({"plain/n0": [0.7, 0.9], "plain/n1": [0.6, 0.8]})
    found = recommendation.recommend(bootstrap.over_datasets(values), COSTS)
    assert (found["f1_lower"], found["f1_upper"], found["difference_lower"]) == (None, None, None)
    assert found["remark"] == "2 data sets are too few for an interval over data sets."
    json.dumps(found, allow_nan=False)


def test_five_units_allow_no_recommendation():
    values = pd.DataFrame(0.6 + np.random.default_rng(0).random((5, 1)) + [0.0, -0.001, -0.2], columns=COSTS.index)
    found = recommendation.recommend(bootstrap.over_datasets(values), COSTS)
    assert (found["candidate"], found["outcome"], found["units_needed"]) == ("plain/n0", "undecided", 6)
    assert "too few" in found["text"]


def test_differences_find_the_worse_row_and_not_the_equal_one():
    data = simulate(accuracy=(0.9, 0.9, 0.5))
    frame = differences.with_reference(bootstrap.bootstrap(data), "plain/n0").set_index("candidate")
    assert frame.loc[["plain/n2", "plain/n1"], "verdict"].tolist() == ["plain/n0 is better", "no difference shown"]
    assert (frame["lower"] <= frame["difference"]).all()
    assert (frame["difference"] <= frame["upper"]).all()
    assert (frame["lower_with_seeds"] < frame["lower"]).all()
    assert frame["verdict_with_seeds"].isna().all()  # two seeds are too few to tell of trainings


def test_methods_differ_where_trainings_agree_and_not_where_they_scatter():
    """Two rows, four seeds, the same mean difference: shown as files both times, as methods once."""
    rng = np.random.default_rng(0)
    shares = {"steady": [(0.9, 0.75)] * 4, "scattered": [(0.99, 0.5), (0.99, 0.6), (0.72, 0.99), (0.9, 0.91)]}
    found = {}
    for name, per_seed in shares.items():
        data = simulate(rows=2, seeds=4, images=400, classes=2)
        right = rng.random((2, 4, 400)) < np.array(per_seed).T[..., None]
        data = data._replace(predicted=np.where(right, data.truth, 1 - data.truth))
        found[name] = differences.with_reference(bootstrap.bootstrap(data), "plain/n0").iloc[0]
    assert {name: line["verdict"] for name, line in found.items()} == dict.fromkeys(shares, "plain/n0 is better")
    assert found["steady"]["verdict_with_seeds"] == "plain/n0 is better"
    assert found["scattered"]["verdict_with_seeds"] == "no difference shown"


def test_a_declared_control_needs_fewer_comparisons_and_data_sets_share_the_errors():
    result = bootstrap.bootstrap(simulate(rows=12, images=120, accuracy=(0.9, 0.86, 0.78, *[0.8] * 9)), samples=200)
    p = [
        differences.with_reference(result, "plain/n0", **how).set_index("candidate").loc["plain/n2", "p_adjusted"]
        for how in ({"declared": True}, {}, {"families": 10})
    ]
    assert p[0] < p[1] < p[2]
    assert p[2] == pytest.approx(1 - (1 - p[1]) ** 10)


def test_equal_predictions_on_few_images_do_not_show_that_nothing_is_lost():
    """Of eleven images, all answered alike, the 12th may tell: Beta(1, 11) says in how many."""
    truth = np.array([0, 1] * 5 + [0])
    data = simulate(rows=2, seeds=1, images=11, classes=2)._replace(truth=truth, predicted=np.stack([truth[None]] * 2))
    result = bootstrap.bootstrap(data)
    line = differences.with_reference(result, "plain/n0").iloc[0]
    assert (line["difference"], line["p"], line["verdict"]) == (0, 1, "no difference shown")
    assert line["lower"] < -0.2
    assert line["upper"] > 0.2
    assert np.isnan(line["lower_with_seeds"])
    found = recommendation.recommend(result, COSTS)
    assert found["tested"]["text"] == (
        "11 of 11 test images are right: accuracy between 72 and 100 % (95 % confidence). "
        "29 more, all right, would make it 91 to 100 %."
    )
    assert (found["candidate"], found["ties"]) == ("plain/n1", ["plain/n0"])  # it is the cheaper one
    assert "plain/n1 and plain/n0 score alike" in found["text"]
    assert found["f1_lower"] < 0.8
    assert found["f1_upper"] == 1


def test_seeds_do_not_multiply_the_images():
    once = simulate(rows=1, seeds=1)
    tenfold = once._replace(predicted=np.repeat(once.predicted, 10, axis=1), seeds=[f"s{i}" for i in range(10)])
    narrow, wide = (np.ptp(bootstrap.interval(bootstrap.bootstrap(data))[0]) for data in (tenfold, once))
    assert narrow == pytest.approx(wide)


def test_a_class_without_a_prediction_and_one_without_an_image():
    data = simulate(rows=1, seeds=1, classes=3)
    predicted = np.where(data.predicted == 2, 0, data.predicted)
    seen = bootstrap.bootstrap(data._replace(predicted=predicted), samples=500)
    unseen = bootstrap.bootstrap(data._replace(predicted=predicted, classes=["a", "b", "c", "d"]), samples=500)
    assert np.isfinite(unseen.low).all()
    for result in (seen, unseen):
        assert result.point[0] == pytest.approx(f1_score(data.truth, predicted[0, 0], average="macro"))
    # Of the fourth class nothing is known: a quarter of macro F1 may be 0 or 1.
    (low, high), (low_of_four, high_of_four) = (bootstrap.interval(result)[0] for result in (seen, unseen))
    assert [low_of_four, high_of_four] == pytest.approx([3 / 4 * low, 3 / 4 * high + 1 / 4], abs=0.02)
    assert bootstrap.remark(seen) is None
    assert "No test image shows 'd'" in bootstrap.remark(unseen)


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(5)), st.integers(0, 30))
def test_no_verdict_depends_on_the_order_of_rows(order, seed):
    """Ties for best, equal prices, equal predictions: whichever row comes first, the same is said."""
    data = simulate(rows=3, seeds=3, images=60, accuracy=(0.95, 0.9, 0.6), seed=seed)
    predicted = data.predicted[[0, 1, 2, 0, 1]]
    names = [f"plain/n{i}" for i in range(5)]
    costs = pd.DataFrame({"size_mb": [8.0, 4, 4, 8, 4], "latency_ms": [8.0, 4, 4, 8, 4]}, index=names)
    ids = [f"{i:03d}" for i in range(60)]
    frames = {
        (name, f"s{j}"): pd.DataFrame({"image_id": ids, "probabilities": list(np.eye(3)[predicted[i, j]])})
        for i, name in enumerate(names)
        for j in range(3)
    }
    truth = pd.DataFrame({"image_id": ids, "label": [data.classes[t] for t in data.truth]})

    def judged(rows):
        keys = [(names[i], f"s{j}") for i in rows for j in range(3)]
        result = bootstrap.bootstrap(bootstrap.align({k: frames[k] for k in keys}, truth, data.classes), samples=100)
        found = recommendation.recommend(result, costs.iloc[list(rows)], margin=4)
        return found, differences.with_reference(result, found["candidate"])

    (found, lines), (again, lines_again) = judged(range(5)), judged(order)
    assert found == again
    pd.testing.assert_frame_equal(lines, lines_again)


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
    assert (found["candidate"], found["ties"]) == ("plain/small", ["plain/big"])
    values["plain/big"] += [0.001, 0.0011, 0.0012, 0.001, 0.0011, 0.0012]
    found = recommendation.recommend(bootstrap.over_datasets(values), costs)
    assert (found["candidate"], found["outcome"]) == ("plain/small", "cheaper")
    assert "plain/small is the smallest candidate that is" in found["text"]  # whether the fastest, nobody knows


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


def test_where_others_may_be_better_the_cheaper_twin_of_the_best_is_taken():
    """Two files that agree on all but one of 2,000 images, and a third that errs elsewhere and may be as good."""
    truth = np.arange(2000) % 2
    predicted = np.stack([truth[None]] * 3)
    for row, wrong in enumerate((slice(0, 200), slice(0, 201), slice(200, 410))):
        predicted[row, 0, wrong] = 1 - truth[wrong]
    data = simulate(images=2000, classes=2, seeds=1)._replace(truth=truth, predicted=predicted)
    found = recommendation.recommend(bootstrap.bootstrap(data), COSTS, margin=1)
    assert (found["best_candidate"], found["candidate"]) == ("plain/n0", "plain/n1")
    assert (found["outcome"], found["passing"]) == ("undecided", ["plain/n0"])
    assert found["difference_lower"] > -0.01
    assert "plain/n0 scores best, and plain/n1, which is cheaper, loses at most" in found["text"]
