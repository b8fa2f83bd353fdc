"""`pocketscope compare` as a person calls it: what it reads, what it refuses, and what it says."""

import json

import numpy as np
import pandas as pd
import pytest

import published
from pocketscope.__main__ import main
from pocketscope.core.errors import InputError
from pocketscope.report import results
from pocketscope.statistics import comparison, named_tests, score_table

METHODS = ["supervised", "plain", "data"]
NETWORKS = ["ResNet 50", "ResNet 18"]


@pytest.fixture
def scores():
    """Ten data sets on which `data` is the best method and the larger network is a little better."""
    rng = np.random.default_rng(0)
    rows = [
        (
            f"d{i}",
            method,
            network,
            round(0.5 + i / 50 + m / 20 + (network == "ResNet 50") / 200 + rng.normal(0, 0.01), 4),
        )
        for i in range(10)
        for m, method in enumerate(METHODS)
        for n, network in enumerate(reversed(NETWORKS))
    ]
    return pd.DataFrame(rows, columns=["dataset", "method", "network", "score"])


@pytest.fixture
def costs(tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text("network,size_mb\nResNet 50,90\nResNet 18,40\n")
    return path


def run(tmp_path, frame, *arguments, name="scores.csv"):
    """Return the exit code; results go to `out`."""
    frame.to_csv(tmp_path / name, index=False)
    return main(["compare", str(tmp_path / name), "--out", str(tmp_path / "out"), *map(str, arguments)])


def test_percent_is_recognised_and_changes_no_answer(tmp_path, scores, costs, capsys):
    said = {}
    for factor in (1, 100):
        assert run(tmp_path, scores.assign(score=scores["score"] * factor), "--timing", costs) == 0
        told = capsys.readouterr()
        said[factor] = (tmp_path / "out" / "recommendation.json").read_text(), told.out
        assert ("read as percent" in told.err) == (factor == 100)
    first, second = (json.loads(said[factor][0]) for factor in (1, 100))
    assert first["overall"]["candidate"] == second["overall"]["candidate"]
    assert first["overall"]["f1"] == pytest.approx(second["overall"]["f1"])
    assert said[1][1] == said[100][1]
    assert "read as percent" in (tmp_path / "out" / "report" / "index.html").read_text()


@pytest.mark.parametrize("factor", [1e300, 1e-12, -1])
def test_scores_on_no_known_scale_are_refused_unless_their_scale_is_said(tmp_path, scores, factor, capsys):
    moved = scores.assign(score=scores["score"] * factor)
    assert run(tmp_path, moved) == 1
    assert "--full-score" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    if factor > 0:
        moved.to_csv(tmp_path / "scores.csv", index=False)
        found = score_table.read(tmp_path / "scores.csv", full_score=factor)
        assert found["value"].to_numpy() == pytest.approx(scores["score"].to_numpy())


def test_a_wide_table_is_a_long_one(tmp_path, scores):
    part = scores[scores["network"] == "ResNet 50"]
    wide = part.pivot_table(index="dataset", columns="method", values="score")[METHODS]
    for header in ("dataset", "", "Data set"):
        wide.rename_axis(header or None).to_csv(tmp_path / "wide.csv")
        found = score_table.read(tmp_path / "wide.csv")
        assert found["value"].tolist() == pytest.approx(part["score"].tolist())
        assert found["method"].tolist() == part["method"].tolist()
        assert list(score_table.candidates(found).index) == METHODS
    by_network = scores.pivot_table(index=["dataset", "method"], columns="network", values="score").reset_index()
    by_network.to_csv(tmp_path / "wide.csv", index=False)
    found = score_table.read(tmp_path / "wide.csv").set_index(["dataset", "method", "network"])["value"]
    assert found.sort_index().tolist() == pytest.approx(
        scores.set_index(["dataset", "method", "network"])["score"].sort_index().tolist()
    )


def test_a_published_wide_table_needs_no_preparation(tmp_path, capsys):
    path = published.path("garcia2008_accuracy.csv")
    out = tmp_path / "out"
    assert main(["compare", str(path), "--out", str(out), "--test", "friedman", "--post-hoc", "bergmann-hommel"]) == 0
    pairs = pd.read_csv(out / "pairs.csv")
    pairs = pairs[pairs["subject"] == "mean over networks"].set_index(["first", "second"])["p_adjusted"]
    assert pairs.loc[("C4.5", "CN2")] == pytest.approx(0.0383, abs=5e-5)
    assert pairs.loc[("Kernel", "CN2")] == pytest.approx(0.0115, abs=5e-5)
    assert "Friedman chi2(4) = 39.91" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--alpha", "5"],
        ["--alpha", "nan"],
        ["--margin", "nan"],
        ["--margin", "-1"],
        ["--test-share", "1"],
        ["--full-score", "0"],
        ["--test", "anow"],
        ["--questions", "method"],
    ],
)
def test_a_wrong_number_or_name_is_a_wrong_command_line(tmp_path, scores, arguments):
    with pytest.raises(SystemExit, match="2"):
        run(tmp_path, scores, *arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "text", "arguments", "said"),
    [
        ("t.csv", None, ["--timing", "{file}"], "no such file"),
        ("t.csv", "network,size_mb\nResNet 50,-3\n", ["--timing", "{file}"], "size_mb of 'ResNet 50' is '-3', not a"),
        ("f.csv", "network,family\n", ["--families", "{file}"], "no network has a family"),
        ("f.csv", "network,family\nvgg,old\n", ["--families", "{file}"], "none of its networks"),
        (None, None, ["--control", "dada"], "did you mean 'data'"),
        (None, None, ["--gains", "--baseline", "supervized"], "did you mean 'supervised'"),
        (None, None, ["--post-hoc", "li"], "Li compares with a control"),
        (None, None, ["--post-hoc", "shaffer", "--control", "data"], "Shaffer, static adjusts for all pairs"),
        (None, None, ["--post-hoc", "nemenyi", "--test", "quade"], "Friedman's mean ranks"),
        (None, None, ["--test", "corrected-t"], "there are 10 data sets"),
    ],
)
def test_wrong_inputs_are_said_before_anything_is_written(tmp_path, scores, capsys, file, text, arguments, said):
    path = tmp_path / file if file else None
    if text is not None:
        path.write_text(text)
    assert run(tmp_path, scores, *(str(path) if a == "{file}" else a for a in arguments)) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_of_the_folder_is_said(tmp_path, scores, capsys):
    (tmp_path / "out").write_text("x")
    assert run(tmp_path, scores) == 1
    assert "out is a file" in capsys.readouterr().err


def test_costs_that_match_nothing_are_a_warning(tmp_path, scores, capsys):
    (tmp_path / "costs.csv").write_text("network,size_mb\nResNet50,90\nResNet 18,40\n")
    assert run(tmp_path, scores, "--timing", tmp_path / "costs.csv") == 0
    said = capsys.readouterr().err
    assert "has no costs of ResNet 50" in said
    assert "ResNet50 is not among the scores" in said


def test_errors_name_the_columns_that_the_file_has(tmp_path):
    (tmp_path / "scores.csv").write_text("data,method,network,f1,precision\nd,m,n,0.5,0.4\n")
    with pytest.raises(InputError, match="the column 'dataset' is missing; did you mean 'data'"):
        score_table.read(tmp_path / "scores.csv")
    (tmp_path / "scores.csv").write_text("where,method,network,f1,precision\nd,m,n,0.5,0.4\n")
    with pytest.raises(InputError, match=r"the columns are where, method, network, f1, precision$"):
        score_table.read(tmp_path / "scores.csv")


def test_the_control_is_heeded_by_every_protocol_and_may_be_the_worse_one(scores):
    checked = score_table.check_scores(score_table.overall(scores))
    for asked in ({"protocol": "sound"}, {"protocol": "paper"}, {"named": named_tests.Named("quade", "finner")}):
        pairs = comparison.compare(checked, controls=["supervised"], **asked).pairs
        pairs = pairs[(pairs["question"] == "methods") & (pairs["subject"] == "mean over networks")]
        assert pairs["first"].tolist() == ["supervised"] * 2
        assert pairs["better"].tolist() == ["plain", "data"] or asked.get("protocol") == "paper"
        assert pairs["better"].iloc[1] == "data"
    by_name = comparison.compare(checked, controls=["data/ResNet 18"]).pairs
    assert set(by_name.loc[by_name["question"] == "rows", "first"]) == {"data/ResNet 18"}


@pytest.mark.parametrize("test", [name for name in named_tests.TESTS if name != "corrected-t"])
@pytest.mark.parametrize("post_hoc", named_tests.POST_HOCS)
def test_every_test_goes_with_every_post_hoc_that_it_can_have(scores, test, post_hoc):
    checked = score_table.check_scores(score_table.overall(scores))
    controls = ["supervised"] if post_hoc in named_tests.OF_CONTROLS else []
    if post_hoc == "nemenyi" and test not in ("friedman", "iman-davenport"):
        return
    found = comparison.compare(checked, controls=controls, named=named_tests.Named(test, post_hoc), only=["methods"])
    pairs = found.pairs[found.pairs["subject"] == "mean over networks"]
    assert len(pairs) == (2 if controls else 3)
    assert pairs.loc[pairs["second"] == "data", "better"].iloc[0] == "data"
    assert (pairs["p_adjusted"] >= pairs["p"] - 1e-9).all() or post_hoc == "nemenyi"
    assert found.pairs["test"].iloc[0].endswith(named_tests.IN_WORDS[post_hoc])


def test_several_seeds_on_one_data_set():
    rng = np.random.default_rng(0)
    rows = [
        ("cells", f"s{seed}", method, "n", 0.8 + m / 20 + rng.normal(0, 0.003))
        for seed in range(5)
        for m, method in enumerate(("supervised", "plain"))
    ]
    frame = pd.DataFrame(rows, columns=["dataset", "split", "method", "network", "score"])
    scores = score_table.check_scores(score_table.overall(frame))
    pairs = comparison.compare(scores, named=named_tests.Named("corrected-t", test_share=0.25)).pairs
    first = pairs.iloc[0]
    wide = frame.pivot_table(index="split", columns="method", values="score")
    difference = (wide["supervised"] - wide["plain"]).to_numpy()
    t = difference.mean() / np.sqrt((1 / 5 + 1 / 3) * difference.var(ddof=1))
    assert (first["statistic"], first["better"]) == (pytest.approx(t), "plain")
    with pytest.raises(InputError, match="two seeds or more"):
        comparison.compare(scores[scores["split"] == "s0"], named=named_tests.Named("corrected-t"))


def test_gains_are_a_question(scores):
    checked = score_table.check_scores(score_table.overall(scores))
    found = comparison.compare(checked, gains_over="supervised")
    groups = found.groups[found.groups["question"] == "gains"].set_index(["subject", "group"])["mean"]
    wide = scores.pivot_table(index="dataset", columns=["method", "network"], values="score")
    assert groups["data", "ResNet 18"] == pytest.approx(
        (wide["data", "ResNet 18"] - wide["supervised", "ResNet 18"]).mean()
    )
    assert set(groups.index.get_level_values("subject")) == {"plain", "data", "mean over methods"}


def test_friedman_iman_davenport_and_quade_whatever_the_number_of_groups(scores):
    tests = comparison.compare(score_table.check_scores(score_table.overall(scores))).tests
    for _, part in tests.groupby(["question", "subject"]):
        assert {"Friedman", "Iman-Davenport", "Quade", "Friedman, aligned ranks"} <= set(part["test"])


def test_the_results_in_words_latex_and_csv(tmp_path, scores, capsys):
    scores["method"] = scores["method"].replace("plain", "plain_50%")
    assert run(tmp_path, scores, "--control", "data") == 0
    told, out = capsys.readouterr().out, tmp_path / "out"
    words = (out / "results.txt").read_text()
    assert "data is significantly better than" in words
    assert words.splitlines()[0] in told
    assert "Quade F(2, 18)" in told
    latex = (out / "results.tex").read_text()
    assert r"plain\_50\%" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    table = pd.read_csv(out / "results.csv")
    assert table[table["question"] == "methods"]["group"].tolist()[0] == "data"
    assert table["p_adjusted"].notna().sum() == 2


def test_paragraphs_say_that_few_data_sets_cannot_tell(scores):
    few = scores[scores["dataset"].isin(["d0", "d1", "d2"])]
    answers = comparison.compare(score_table.check_scores(score_table.overall(few)))
    assert "cannot give a p-value below 0.25: there is no verdict" in results.paragraphs(answers, 0.05)[0]
