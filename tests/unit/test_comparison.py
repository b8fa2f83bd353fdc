"""Both protocols on published numbers, and what must hold of any score table."""

import argparse
import itertools
import json
import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import published
from pocketscope.cli import compare
from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.statistics import comparison, score_table
from pocketscope.tables.comparison import ALL_ALIKE, DIFFERENT, FOR_READING, PAIRS, TOO_FEW

FAMILIES = {
    **dict.fromkeys(["fbnet", "mixnet", "mnasnet"], "nas"),
    **dict.fromkeys(["mobilenet_v2", "resnet18", "squeezenet", "shufflenet"], "manual"),
    **dict.fromkeys(["resnet18_int8", "resnet50_int8"], "quantised"),
}


def table(values, methods=None, networks=None):
    """A score table from an array datasets x methods x networks."""
    values = np.asarray(values, dtype=float)
    methods = methods or [f"m{j}" for j in range(values.shape[1])]
    networks = networks or [f"n{j}" for j in range(values.shape[2])]
    names = itertools.product([f"d{i}" for i in range(values.shape[0])], methods, networks)
    rows = [(*name, value) for name, value in zip(names, values.ravel(), strict=True)]
    frame = pd.DataFrame(rows, columns=["dataset", "method", "network", "score"])
    return score_table.check_scores(score_table.overall(frame))


def pick(frame, **keys):
    for column, value in keys.items():
        frame = frame[frame[column] == value]
    return frame


@pytest.fixture(scope="module")
def study():
    return score_table.read(published.path("published_results.csv"))


@pytest.fixture(scope="module")
def paper(study):
    return comparison.compare(study, protocol="paper", families=FAMILIES)


def test_paper_prints_what_the_paper_prints(paper):
    networks = pick(paper.omnibus, question="networks").set_index("subject")["statistic"].round(2)
    assert networks[["supervised", "plain", "data", "model", "model_data"]].tolist() == [
        15.98,
        14.39,
        16.92,
        12.07,
        17.19,
    ]
    families = pick(paper.omnibus, question="families").set_index("subject")
    assert families["statistic"].round(1)[["supervised", "model_data", "fixmatch"]].tolist() == [13.0, 7.5, 6.1]
    assert set(families["test"]) == {"Quade"}
    assert families.loc["supervised", "p"] < 0.001

    methods = pick(paper.pairs, question="methods", subject="mean over networks").set_index("second")
    assert set(methods["first"]) == {"data"}
    assert {name: round(float(z), 1) for name, z in methods["statistic"].items()} == {
        "supervised": 2.6,
        "plain": 0.9,
        "model": 3.0,
        "model_data": 2.8,
        "fixmatch": 4.7,
        "mixmatch": 5.6,
    }
    assert set(methods.index[methods["better"].isna()]) == {"plain"}


def test_published_means_and_gains(study):
    cells = score_table.cells(study) * 100
    means = cells.mean()
    assert round(means["data", "mixnet"], 1) == 84.7
    assert round(means["plain", "resnet18"], 1) == 84.2
    assert round(means["supervised", "resnet50"], 1) == 82.6
    by_method = means.groupby(level="method").mean()
    gains = (by_method - by_method["supervised"]).round(1)
    printed = {"plain": 1.6, "data": 2.4, "model": -2.0, "model_data": -1.9, "fixmatch": -11.9, "mixmatch": -17.3}
    for method, gain in printed.items():
        assert gains[method] == pytest.approx(gain, abs=0.11)


def test_sound_counts_errors_over_the_main_questions_and_gives_details_no_verdict(study):
    answers = comparison.compare(study)
    networks = pick(answers.pairs, question="networks", subject="supervised")
    assert (len(networks), set(networks["verdict"])) == (66, {FOR_READING})
    assert networks["better"].isna().all()
    main = answers.pairs[answers.pairs["verdict"] != FOR_READING]
    assert set(zip(main["question"], main["subject"], strict=True)) == {
        ("methods", "mean over networks"), ("networks", "mean over methods")
    }  # fmt: skip
    assert (len(main), main["smallest_p"].unique().tolist()) == (21 + 66, [2.0**-9])
    # What ten of ten data sets say, by far more than they vary, is shown among 87 pairs.
    methods = pick(main, question="methods").set_index(["first", "second"])
    assert methods.loc[("supervised", "data"), "better"] == "data"
    assert methods.loc[("data", "mixmatch"), "p_adjusted"] == 2.0**-9
    # A declared control leaves fewer comparisons, and no adjusted p-value is larger for it.
    with_control = pick(comparison.compare(study, controls=["data", "resnet50"]).pairs, question="methods")
    with_control = pick(with_control, subject="mean over networks").set_index("second")
    assert set(with_control["first"]) == {"data"}
    assert set(with_control.index[with_control["better"].notna()]) == {"supervised", "fixmatch", "mixmatch"}
    assert with_control.loc["model", "p_adjusted"] < methods.loc[("data", "model"), "p_adjusted"]


def test_a_page_of_equal_methods_seldom_claims_a_difference():
    """20 pages of three methods and three networks on eight data sets: 1 is expected to be wrong, 5 are rare."""
    rng, claimed = np.random.default_rng(0), 0
    for _ in range(20):
        level = rng.random((8, 1, 1)) / 4 + 0.5
        answers = comparison.compare(table(level + rng.normal(0, 0.02, (8, 3, 3))))
        claimed += answers.pairs["better"].notna().any()
        assert (answers.omnibus["verdict"] == DIFFERENT).any() == answers.pairs["better"].notna().any()
    assert claimed < 5


def test_few_datasets_allow_no_verdict():
    answers = comparison.compare(table(np.random.default_rng(0).random((2, 3, 1))))
    omnibus = pick(answers.omnibus, question="methods", subject="mean over networks").iloc[0]
    assert omnibus["smallest_p"] == pytest.approx(1 / 6)
    assert omnibus["verdict"] == TOO_FEW
    assert set(pick(answers.pairs, subject="mean over networks")["verdict"]) == {TOO_FEW}


def test_no_p_lies_below_what_ranks_can_reach():
    answers = comparison.compare(table(np.arange(6.0)[None, :, None] + np.arange(2)[:, None, None] / 10))
    omnibus = pick(answers.omnibus, question="methods", subject="n0").iloc[0]
    assert np.isinf(omnibus["statistic"])
    assert omnibus["p"] == omnibus["smallest_p"] == pytest.approx(1 / 720)


def test_one_dataset_is_skipped_with_the_reason():
    answers = comparison.compare(table(np.random.default_rng(0).random((1, 3, 4))))
    assert answers.omnibus.empty
    assert answers.pairs.empty
    assert "need more than one" in pick(answers.skipped, question="methods")["reason"].iloc[0]


def test_one_network_and_one_method_say_so():
    answers = comparison.compare(table(np.random.default_rng(0).random((8, 1, 1)), ["plain"], ["tiny"]))
    reasons = answers.skipped.set_index("question")["reason"]
    assert "only 'tiny'" in reasons["networks"]
    assert "only 'plain'" in reasons["methods"]
    assert reasons["families"] == "no network families are declared"


@pytest.mark.parametrize("protocol", comparison.PROTOCOLS)
def test_identical_scores(protocol):
    answers = comparison.compare(table(np.full((6, 3, 5), 0.5)), protocol=protocol)
    assert (answers.omnibus["p"] == 1).all()
    assert answers.pairs["better"].isna().all()
    if protocol == "sound":
        assert set(answers.omnibus["verdict"]) == {ALL_ALIKE}


def test_two_groups_are_told_by_their_pair():
    values = np.random.default_rng(0).random((8, 1, 1))
    answers = comparison.compare(table(np.concatenate([values, values + 0.1], axis=1)))
    omnibus = pick(answers.omnibus, question="methods").iloc[0]
    assert omnibus["p"] == pytest.approx(2 / 2**8)
    assert omnibus["verdict"] == DIFFERENT
    assert answers.pairs["better"].dropna().tolist() == ["m1"]  # over the mean; the one network is a detail


def test_precisions_are_rows_and_a_question():
    rng = np.random.default_rng(0)
    fp32 = table(rng.random((7, 2, 3)))
    int8 = fp32.assign(precision="int8", value=fp32["value"] - 0.01)
    answers = comparison.compare(
        score_table.check_scores(pd.concat([fp32, int8])), families={"n0": "manual", "n1": "nas"}
    )
    rows = {"n0", "n1", "n2", "n0 int8", "n1 int8", "n2 int8"}
    assert set(pick(answers.groups, question="networks")["group"]) == rows
    assert set(pick(answers.pairs, question="precisions", subject="mean over methods")["better"]) == {"fp32"}
    assert set(pick(answers.groups, question="families")["group"]) == {"manual", "nas", "quantised"}


def test_the_upper_bound_does_not_compete():
    values = np.random.default_rng(0).random((7, 3, 2))
    scores = table(values, ["supervised", "plain", "full"])
    alone = scores[~((scores["method"] == "full") & (scores["network"] == "n1"))]
    answers = comparison.compare(score_table.check_scores(alone))
    assert set(pick(answers.groups, question="methods")["group"]) == {"supervised", "plain"}


def test_sixty_networks():
    answers = comparison.compare(table(np.random.default_rng(0).random((5, 2, 60))))
    assert len(pick(answers.pairs, question="networks", subject="m0")) == 60 * 59 / 2


def test_pairs_that_look_normal_get_anova():
    values = np.random.default_rng(0).normal(0.8, 0.01, (10, 3, 1))
    answers = comparison.compare(table(values), protocol="paper")
    row = pick(answers.omnibus, question="methods", subject="n0").iloc[0]
    assert row["test"] == "ANOVA"
    assert min(row["shapiro_p"], row["levene_p"]) > 0.05


scores_strategy = st.tuples(st.integers(2, 6), st.integers(2, 4), st.integers(2, 4)).flatmap(
    lambda shape: st.lists(st.integers(0, 20), min_size=math.prod(shape), max_size=math.prod(shape)).map(
        lambda cells: np.array(cells).reshape(shape) / 4
    )
)


@given(scores_strategy, st.integers(0, 3), st.randoms(use_true_random=False), st.sampled_from(comparison.PROTOCOLS))
@settings(max_examples=12)
def test_order_and_a_constant_change_no_answer(values, constant, random, protocol):
    scores = table(values)
    order = list(range(len(scores)))
    random.shuffle(order)
    moved = scores.iloc[order].assign(value=lambda frame: frame["value"] + constant)
    first = comparison.compare(scores, protocol=protocol, controls=["m0"])
    second = comparison.compare(moved, protocol=protocol, controls=["m0"])
    for keys, name, columns in [
        (["question", "subject", "group"], "groups", ["rank"]),
        (["question", "subject"], "omnibus", ["statistic", "p"]),
    ]:
        left, right = (getattr(answers, name).set_index(keys).sort_index() for answers in (first, second))
        for column in columns:
            np.testing.assert_allclose(left[column], right[column], atol=1e-6, rtol=1e-6)


@given(scores_strategy)
@settings(max_examples=8)
def test_a_dominated_method_is_never_better(values):
    worst = values.min(axis=1, keepdims=True) - 1
    answers = comparison.compare(table(np.concatenate([values, worst], axis=1)))
    methods = pick(answers.pairs, question="methods")
    assert f"m{values.shape[1]}" not in set(methods["better"].dropna())


@pytest.mark.parametrize("bad", [math.nan, math.inf, "high"])
def test_a_cell_without_a_number_is_named(bad, tmp_path):
    frame = table(np.random.default_rng(0).random((3, 2, 2)))
    frame["value"] = frame["value"].astype(object)
    frame.loc[5, "value"] = bad
    frame.to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(InputError, match=r"dataset 'd1', method 'm0', network 'n1'.*not a number"):
        score_table.read(tmp_path / "scores.csv")


def test_a_missing_and_a_doubled_cell_are_named():
    frame = table(np.random.default_rng(0).random((3, 2, 2)))
    with pytest.raises(InputError, match="dataset 'd0', method 'm1', network 'n1' is missing"):
        score_table.check_scores(frame.drop(index=3))
    with pytest.raises(InputError, match="dataset 'd0', method 'm0', network 'n0' is given twice"):
        score_table.check_scores(pd.concat([frame, frame.iloc[:1]]))


def test_wrong_columns_are_named(tmp_path):
    (tmp_path / "scores.csv").write_text("datasets,method,network,score\na,b,c,1\n")
    with pytest.raises(InputError, match="'dataset' is missing; did you mean 'datasets'"):
        score_table.read(tmp_path / "scores.csv")
    (tmp_path / "scores.csv").write_text("dataset,method,network,auc\na,b,c,1\n")
    with pytest.raises(InputError, match="score or f1"):
        score_table.read(tmp_path / "scores.csv")
    with pytest.raises(InputError, match="no such file"):
        score_table.read(tmp_path / "score.csv")


def test_an_unknown_control_is_refused_with_the_nearest():
    scores = table(np.random.default_rng(0).random((3, 2, 2)), ["supervised", "plain"])
    with pytest.raises(InputError, match="did you mean 'supervised'"):
        comparison.compare(scores, controls=["supervized"])


def test_the_workflows_long_table_is_read(tmp_path):
    frame = table(np.random.default_rng(0).random((3, 2, 2))).assign(metric="f1", **{"class": None})
    per_class = frame.assign(**{"class": "a"}, value=0.0)
    other = frame.assign(metric="accuracy", value=1.0)
    pd.concat([frame, per_class, other]).to_parquet(tmp_path / "scores.parquet")
    scores = score_table.read(tmp_path / "scores.parquet")
    assert len(scores) == 12
    assert scores["value"].tolist() == pytest.approx(frame["value"].tolist())
    assert (score_table.read(tmp_path / "scores.parquet", metric="accuracy")["value"] == 1).all()


def test_splits_are_averaged_and_count_as_one_dataset():
    frame = table(np.random.default_rng(0).random((6, 2, 2)))
    seeds = pd.concat([frame.assign(split=f"s{i}", value=frame["value"] + i / 8) for i in range(3)])
    once, thrice = comparison.compare(frame), comparison.compare(score_table.check_scores(seeds))
    pd.testing.assert_frame_equal(once.omnibus, thrice.omnibus)


def test_odd_scores_are_remarked(study):
    assert "10 of 840 scores are exactly 0" in " ".join(score_table.score_remarks(study))
    odd = table([[[0.5, 0.7]], [[0.5, 5601]]])
    assert "5601" in " ".join(score_table.score_remarks(odd))


def compare_from_the_command_line(*arguments):
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    compare.main(parser.parse_args([str(argument) for argument in arguments]))


def test_command_writes_tables_that_can_be_read_back(tmp_path):
    table(np.random.default_rng(0).random((6, 3, 5))).to_csv(tmp_path / "scores.csv", index=False)
    (tmp_path / "families.csv").write_text("network,family\nn0,nas\nn1,manual\n")
    out = tmp_path / "out"
    compare_from_the_command_line(tmp_path / "scores.csv", "--out", out, "--families", tmp_path / "families.csv")
    for name, schema in zip(("groups", "omnibus", "pairs", "skipped", "tests"), comparison.SCHEMAS, strict=True):
        assert parquet.read(out / f"{name}.parquet", schema).num_rows == len(pd.read_csv(out / f"{name}.csv"))
    assert pq.read_schema(out / "pairs.parquet").names == PAIRS.names


def test_command_says_what_it_found_and_where_it_lies(tmp_path, capsys):
    scores = table(np.random.default_rng(0).random((6, 2, 2)) / 2 + 0.3)
    scores.loc[0, "value"] = 0.0
    scores.to_csv(tmp_path / "scores.csv", index=False)
    compare_from_the_command_line(tmp_path / "scores.csv", "--out", tmp_path / "out")
    told = capsys.readouterr()
    found = json.loads((tmp_path / "out/recommendation.json").read_text())["overall"]
    assert found["text"] in told.out
    assert "10 tables" in told.out
    assert f"The report is {tmp_path}/out/report/index.html" in told.out
    assert "scores.csv: 1 of 24 scores are exactly 0" in told.err
    assert "warning" not in told.out


def test_command_says_why_one_data_set_brings_no_recommendation(tmp_path, capsys):
    table(np.random.default_rng(0).random((1, 2, 2))).to_csv(tmp_path / "scores.csv", index=False)
    compare_from_the_command_line(tmp_path / "scores.csv", "--out", tmp_path / "out")
    assert "No candidate is recommended: the scores of one data set" in capsys.readouterr().out


def test_pairs_of_the_main_questions_have_posteriors_over_three_data_sets_or_more():
    rng = np.random.default_rng(0)
    scores = 0.7 + rng.normal(0, 0.01, (8, 2, 3)) + np.array([0.0, 0.1])[None, :, None]
    pairs = comparison.compare(table(scores), margin=1.0).pairs
    columns = list(comparison.POSTERIOR)
    (methods,) = pick(pairs, question="methods", subject="mean over networks")[columns].to_numpy().tolist()
    assert sum(methods) == pytest.approx(1)
    assert max(methods[0], methods[2]) > 0.99  # 10 points are more than the margin
    networks = pick(pairs, question="networks", subject="mean over methods")
    assert (networks[columns].sum(axis=1) - 1).abs().max() < 1e-9
    other = pairs[(pairs["question"] == "networks") & (pairs["subject"] != "mean over methods")]
    assert len(other)
    assert other[columns].isna().all(axis=None)
    few = comparison.compare(table(scores[:2])).pairs
    assert few[columns].isna().all(axis=None)
