"""What is decided from scores and predictions: exact in small cases, and the same when it is read back."""

import itertools
import json
import math

import pandas as pd
import pytest

import synthetic_study
from pocketscope.core.errors import InputError
from pocketscope.statistics import bootstrap, decision, reliable, score_table


def table(values):
    """A checked score table from F1 by method and network, a value for each data set."""
    rows = [(f"set{i}", method, network, f1) for (method, network), of in values.items() for i, f1 in enumerate(of)]
    frame = pd.DataFrame(rows, columns=["dataset", "method", "network", "f1"])
    return score_table.check_scores(score_table.overall(frame))


def four_images(second_seed):
    """Test predictions of two candidates on four images: `plain/n` errs on the last one with its first seed."""
    ids, certain = ["a", "b", "c", "d"], {"x": [0.9, 0.1], "y": [0.2, 0.8]}

    def predicted(answers):
        return pd.DataFrame({"image_id": ids, "probabilities": [certain[answer] for answer in answers]})

    predictions = {
        ("supervised/n", "k5_s0"): predicted("xxxx"),
        ("supervised/n", "k5_s1"): predicted("xxxx"),
        ("plain/n", "k5_s0"): predicted("xxyx"),
        ("plain/n", "k5_s1"): predicted(second_seed),
    }
    truth = pd.DataFrame({"image_id": [*ids, "e"], "label": list("xxyyx")})
    return bootstrap.Evidence(predictions, truth, ["x", "y"])


@pytest.fixture(scope="module")
def full():
    given = {
        "cells": synthetic_study.evidence("cells", ["a", "b", "c"], ["k25_s0", "k25_s1"], images=90),
        "moles": synthetic_study.evidence("moles", ["benign", "ill"], ["k25_s0", "k25_s1"])._replace(positive=1),
    }
    return given, decision.decide(synthetic_study.scores(given), synthetic_study.costs(), given)


def test_what_int8_costs_is_told_of_each_network_that_is_measured_in_both_precisions():
    ids = [str(number) for number in range(200)]
    truth = pd.DataFrame({"image_id": ids, "label": ["x", "y"] * 100})

    def predicted(wrong):
        sure = [[0.9, 0.1] if (number % 2 == 0) != (number < wrong) else [0.1, 0.9] for number in range(200)]
        return pd.DataFrame({"image_id": ids, "probabilities": sure})

    errors = {("a", "fp32"): 0, ("a", "int8"): 20, ("b", "fp32"): 8}
    names = {key: score_table.candidate_name("plain", *key) for key in errors}
    predictions = {(names[key], "k5_s0"): predicted(wrong) for key, wrong in errors.items()}
    rows = [("d", "plain", *key, 1 - wrong / 200) for key, wrong in errors.items()]
    frame = pd.DataFrame(rows, columns=["dataset", "method", "network", "precision", "f1"])
    scores = score_table.check_scores(score_table.overall(frame))
    given = {"d": bootstrap.Evidence(predictions, truth, ["x", "y"])}
    (line,) = decision.decide(scores, evidence=given).found["datasets"]["d"]["int8"]
    assert (line["method"], line["network"]) == ("plain", "a")
    assert line["difference"] == pytest.approx(0.1)
    assert 0.04 < line["lower"] < 0.1 < line["upper"] < 0.17


def test_what_is_written_is_what_is_read(full, tmp_path):
    _, decided = full
    written = decision.write(decided, tmp_path)
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    again = decision.read(tmp_path)
    assert again.found == decided.found == json.loads((tmp_path / "recommendation.json").read_text())
    for one, other in zip(decided[1:], again[1:], strict=True):
        assert len(one)
        pd.testing.assert_frame_equal(one, other)
    assert pd.read_csv(tmp_path / "reliable.csv")["answered"].tolist() == decided.reliable["answered"].tolist()


def test_equal_inputs_give_equal_bytes(full, tmp_path):
    given, decided = full
    again = decision.decide(synthetic_study.scores(given), synthetic_study.costs(), given)
    for one, other in zip(decision.write(decided, tmp_path / "a"), decision.write(again, tmp_path / "b"), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_scores_alone_give_gains_and_costs_over_data_sets(tmp_path):
    """Gains of 0.1, 0.2 and 0.3: mean 0.2, deviation 0.1, and Student's t with two degrees of freedom 4.303."""
    scores = table(
        {("supervised", "n"): [0.5, 0.5, 0.5], ("supervised", "m"): [0.5, 0.5, 0.5],
         ("plain", "n"): [0.6, 0.7, 0.8], ("plain", "m"): [0.6, 0.7, 0.8]}
    )  # fmt: skip
    costs = pd.DataFrame({"network": ["n", "m"], "size_mb": [8.0, 4.0]})
    decision.write(decision.decide(scores, costs), tmp_path)
    decided = decision.read(tmp_path)
    (gain,) = decided.gains.to_dict("records")
    assert (gain["method"], gain["baseline"], gain["unit"], gain["units"]) == ("plain", "supervised", "dataset", 3)
    assert pd.isna(gain["dataset"])
    reach = 4.302653 * 0.1 / math.sqrt(3)
    assert [gain[key] for key in ("difference", "lower", "upper")] == pytest.approx([0.2, 0.2 - reach, 0.2 + reach])
    costs = decided.costs.set_index("candidate")
    assert costs.loc["plain/m", ["f1", "size_mb", "cost"]].tolist() == pytest.approx([0.7, 4, 1])
    assert costs.loc["plain/n", "cost"] == pytest.approx(2)
    assert costs["latency_ms"].isna().all()
    assert decided.found["datasets"] == {}
    assert (len(decided.differences), len(decided.answers), len(decided.reliable)) == (0, 0, 0)
    assert decided.found["best_mean"]["candidate"] == decided.found["overall"]["best_candidate"] == "plain/m"
    assert decided.found["overall"]["ties"] == ["plain/n"]
    assert decided.found["best_mean"]["f1"] == pytest.approx(0.7)


def test_one_data_set_without_predictions_has_a_best_mean_and_no_recommendation():
    decided = decision.decide(table({("supervised", "n"): [0.5], ("plain", "n"): [0.6]}))
    assert (decided.found["overall"], decided.found["datasets"]) == (None, {})
    assert decided.found["best_mean"] == {
        "candidate": "plain/n", "method": "plain", "network": "n", "precision": "fp32", "f1": 0.6,
    }  # fmt: skip
    assert decided.gains.empty
    assert decided.costs["cost"].isna().all()


def test_the_answers_are_the_recommended_candidates_of_every_seed_where_the_truth_is_known():
    scores = pd.DataFrame(
        [
            ("set0", split, method, "n", "fp32", 0.5)
            for split in ("k5_s0", "k5_s1")
            for method in ("supervised", "plain")
        ],
        columns=score_table.COLUMNS,
    )
    decided = decision.decide(scores, evidence={"set0": four_images("xxyy")})
    chosen = decided.found["datasets"]["set0"]
    assert chosen["candidate"] == "plain/n"
    assert (chosen["classes"], chosen["positive"]) == (["x", "y"], None)
    answers = decided.answers
    assert answers["image_id"].tolist() == list("abcd") * 2
    assert answers["split"].tolist() == ["k5_s0"] * 4 + ["k5_s1"] * 4
    assert "".join(answers["truth"]) == "xxyy" * 2
    assert "".join(answers["answer"]) == "xxyx" + "xxyy"
    assert answers["confidence"].tolist() == [0.9, 0.9, 0.8, 0.9, 0.9, 0.9, 0.8, 0.8]
    # The first seed's alone: four images, three of them right, are too few to call any answer reliable.
    (line,) = decided.reliable.to_dict("records")
    assert (line["tested"], line["answered"], line["right"]) == (4, 4, 3)
    assert math.isnan(line["probability"])
    (line,) = decided.differences.to_dict("records")
    assert (line["dataset"], line["candidate"], line["reference"]) == ("set0", "supervised/n", "plain/n")
    gain = chosen["gain"]  # the other way round
    assert (gain["reference"], gain["difference"]) == ("supervised/n", pytest.approx(-line["difference"]))
    on_units = decided.gains.iloc[0]
    assert (on_units["dataset"], on_units["method"], on_units["units"]) == ("set0", "plain", 4)
    assert [on_units[key] for key in ("difference", "lower", "upper")] == pytest.approx(
        [gain[key] for key in ("difference", "lower", "upper")]
    )


def test_coverage_is_what_the_shipped_model_is_told(full):
    """Of the first seed's answers, by the rule that `answer` goes by."""
    given, decided = full
    for line in decided.reliable.itertuples():
        of_first = decided.answers[
            (decided.answers["dataset"] == line.dataset) & (decided.answers["split"] == "k25_s0")
        ]
        right = (of_first["answer"] == of_first["truth"]).to_numpy()
        found = reliable.least_reliable(of_first["confidence"].to_numpy(), right, 0.9)
        assert (line.probability, line.answered, line.right) == tuple(found)
        assert line.tested == len(of_first) == len(given[line.dataset].truth)
        assert line.candidate == decided.found["datasets"][line.dataset]["candidate"]


def test_upper_bounds_do_not_compete_and_few_labels_do_not_count():
    rows = [("set0", split, method, "n", "fp32", f1) for split, method, f1 in (
        ("k5_s0", "supervised", 0.9), ("k10_s0", "supervised", 0.5),
        ("k5_s0", "plain", 0.3), ("k10_s0", "plain", 0.6),
        ("k5_s0", "full", 1.0), ("k10_s0", "full", 1.0),
    )]  # fmt: skip
    decided = decision.decide(score_table.check_scores(pd.DataFrame(rows, columns=score_table.COLUMNS)))
    assert dict(zip(decided.costs["candidate"], decided.costs["f1"], strict=True)) == {
        "supervised/n": 0.5,
        "plain/n": 0.6,
    }
    assert decided.found["best_mean"]["candidate"] == "plain/n"


def test_names_are_never_taken_apart():
    """A network with a blank, a method with a slash or called None: each keeps its keys, its costs and its gain."""
    values = {
        (method, network): [base + i / 100 for i in range(6)]
        for base, (method, network) in zip(
            (0.9, 0.8, 0.7, 0.6), itertools.product(["None", "a/b c"], ["ResNet 50", "ResNet 18"]), strict=True
        )
    }
    costs = pd.DataFrame({"network": ["ResNet 50", "ResNet 18"], "size_mb": [90.0, 40.0]})
    decided = decision.decide(table(values), costs, baseline="a/b c")
    assert decided.costs[["method", "network", "precision", "size_mb"]].to_numpy().tolist() == [
        ["None", "ResNet 50", "fp32", 90.0],
        ["None", "ResNet 18", "fp32", 40.0],
        ["a/b c", "ResNet 50", "fp32", 90.0],
        ["a/b c", "ResNet 18", "fp32", 40.0],
    ]
    overall = decided.found["overall"]
    assert (overall["method"], overall["network"], overall["size_mb"]) == ("None", "ResNet 50", 90.0)
    assert overall["gain"]["difference"] == pytest.approx(0.2)
    assert decided.found["best_mean"]["network"] == "ResNet 50"


def test_two_candidates_of_one_name_are_refused():
    values = {("a", "b/c"): [0.5] * 3, ("a/b", "c"): [0.5] * 3, ("a", "c"): [0.5] * 3, ("a/b", "b/c"): [0.5] * 3}
    with pytest.raises(InputError, match="both called 'a/b/c'"):
        table(values)
