"""The page: complete with everything given, and right and readable with next to nothing."""

import inspect
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import published
import synthetic_study
from pocketscope.report import drawing, figures, page
from pocketscope.report.build import build_report
from pocketscope.report.sections.method import models_section
from pocketscope.statistics import (
    bootstrap,
    comparison,
    decision,
    hypothesis_tests,
    protocols,
    questions,
    recommendation,
    reliable,
    score_table,
)


def table(shape, methods=None, networks=None, seed=0, value=None):
    rng = np.random.default_rng(seed)
    datasets, m, n = shape
    methods = methods or ["supervised", "plain", "data", "model"][:m]
    networks = networks or [f"net{j}" for j in range(n)]
    rows = [
        (f"set{i}", method, network, rng.uniform(0.5, 0.9) if value is None else value)
        for i in range(datasets)
        for method in methods
        for network in networks
    ]
    return score_table.check_scores(
        score_table.overall(pd.DataFrame(rows, columns=["dataset", "method", "network", "f1"]))
    )


def build(folder, scores, costs=None, evidence=None, **given):
    answers = comparison.compare(score_table.most_labelled(scores), protocol=given.get("protocol", "sound"))
    decided = decision.decide(scores, costs, evidence)
    build_report(folder, scores, answers, decided, **given)
    return (folder / "index.html").read_text(), decided.found


class Outline(HTMLParser):
    """Collects ids, headings, images without a text, and what would be loaded from elsewhere."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.levels, self.silent, self.loaded = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if (tag == "img" and not attributes.get("alt")) or (tag == "svg" and not attributes.get("aria-label")):
            self.silent.append(tag)
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name) or ""
            if value and not value.startswith(("#", "data:")):
                self.loaded.append(value)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    given = {
        "cells": synthetic_study.evidence("cells", ["basophil", "eosinophil", "neutrophil"], ["k25_s0", "k25_s1"]),
        "moles": synthetic_study.evidence("moles", ["benign", "malignant"], ["k25_s0", "k25_s1"])._replace(positive=1),
    }
    scores = synthetic_study.scores(given)
    fewer = scores.assign(split=scores["split"].str.replace("k25", "k10"), value=scores["value"] - 0.05)
    folder = tmp_path_factory.mktemp("full")
    scores = pd.concat([scores, fewer])
    page, found = build(folder, scores, synthetic_study.costs(), given, **synthetic_study.extras())
    return folder, page, found


def test_the_class_that_f1_is_of_is_named(full):
    _, page, found = full
    said = "F1 is that of one of two classes: &#39;malignant&#39; (moles). For the other data sets, it is the mean"
    assert said in page
    scores = pd.DataFrame({"dataset": ["cells", "moles"], "split": ["k25_s0", "k25_s0"]})
    cards = models_section({"found": found, "scores": scores})["blocks"]
    assert [card["facts"]["F1 is that of"] for card in cards] == ["all classes, mean", "malignant"]


@pytest.mark.parametrize(("count", "named"), [(2, 2), (30, 30), (31, 16), (300, 30)])
def test_no_more_classes_are_named_in_a_figure_than_can_be_read(count, named):
    drawn = figures.confusion(np.eye(count), [f"c{i}" for i in range(count)])
    for axis in (drawn.axes[0].xaxis, drawn.axes[0].yaxis):
        names = [text.get_text() for text in axis.get_ticklabels()]
        assert len(names) == named
        assert [f"c{place:g}" for place in axis.get_ticklocs()] == names


def test_the_cost_of_int8_and_all_timings_are_shown(full):
    """The loss is that of the score table; every form of every network has its line."""
    _, page, _ = full
    quantised = re.search(r'id="quantising".*?</table>', page, re.DOTALL)[0]
    timed = re.search(r'id="timings".*?</table>', page, re.DOTALL)[0]
    for network in synthetic_study.NETWORKS:
        assert network in quantised
        assert timed.count(network) == 3
    assert "PyTorch, eager, fp32" in timed
    assert "ONNX Runtime, int8" in timed


def test_points_lost_by_int8_are_those_of_pairs_of_files(tmp_path):
    rows = [
        ("a", "supervised", "net", "fp32", 0.80), ("a", "supervised", "net", "int8", 0.79),
        ("b", "supervised", "net", "fp32", 0.70), ("b", "supervised", "net", "int8", 0.67),
        ("a", "supervised", "other", "fp32", 0.90), ("b", "supervised", "other", "fp32", 0.90),
    ]  # fmt: skip
    columns = ["dataset", "method", "network", "precision", "f1"]
    page, _ = build(tmp_path, score_table.check_scores(score_table.overall(pd.DataFrame(rows, columns=columns))))
    quantised = re.search(r'id="quantising".*?</table>', page, re.DOTALL)[0]
    assert re.findall(r">\s*([^<>\s][^<>]*?)\s*</td>", quantised) == ["net", "75.0", "73.0", "+2.0", "+3.0", "2"]


def test_page_is_whole_and_self_contained(full):
    _, page, _ = full
    outline = Outline(page)
    assert outline.loaded == []
    assert outline.silent == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert len(page) < 5e6
    assert "Not shown, and why" not in page
    assert "nan" not in re.sub(r"<(script|style|svg).*?</\1>", "", page, flags=re.DOTALL).lower().split()


def test_every_recommendation_is_on_the_page_and_how_far_its_answers_are_reliable(full):
    _, page, found = full
    table = re.search(r'id="recommendations".*?</table>', page, re.DOTALL)[0]
    for chosen in (*found["datasets"].values(), found["overall"]):
        assert chosen["candidate"] in table
    told = re.findall(r"a probability of ([\d.]+) or more are reliable. (\d+) of (\d+) test images", page)
    assert [tested for _, _, tested in told] == ["240", "240"]
    assert "with 95 % confidence, that at least 90 % of the answers with this or a higher probability are" in page


def test_the_page_decides_nothing(tmp_path, monkeypatch):
    """It is drawn from tables that are read back: no resampling, no test and no cost is computed again."""
    given = {"cells": synthetic_study.evidence("cells", ["basophil", "eosinophil", "neutrophil"], ["k25_s0"])}
    scores = synthetic_study.scores(given)
    decision.write(decision.decide(scores, synthetic_study.costs(), given), tmp_path)
    comparison.write(comparison.compare(scores), tmp_path)

    def fails(*_, **__):
        raise AssertionError("the page computes")

    for module in (bootstrap, recommendation, reliable, hypothesis_tests, protocols, questions):
        for name, member in vars(module).items():
            if inspect.isfunction(member) and member.__module__ == module.__name__:
                monkeypatch.setattr(module, name, fails)
    monkeypatch.setattr(decision, "decide", fails)
    monkeypatch.setattr(comparison, "compare", fails)
    extras = synthetic_study.extras()
    build_report(tmp_path / "report", scores, comparison.read(tmp_path), decision.read(tmp_path), **extras)
    assert (tmp_path / "report/figures/resampled-cells.svg").is_file()


def test_where_no_answer_is_reliable_the_page_says_so(tmp_path):
    given = {"cells": synthetic_study.evidence("cells", ["a", "b", "c"], ["k25_s0"], images=24)}
    page, _ = build(tmp_path, synthetic_study.scores(given), evidence=given)
    assert re.search(r"No answer is reliable. \d+ of 24 test images were answered correctly", page)


def test_every_figure_is_a_file_of_its_own(full):
    folder, page, _ = full
    names = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert {
        "heat-map",
        "trade-off-size-mb",
        "confusion-cells",
        "reliability-moles",
        "learning-curve",
        "coverage-cells",
    } <= names
    assert all(f'id="figure-{name}"' in page for name in names)


def test_equal_inputs_give_equal_bytes(tmp_path):
    scores = table((6, 3, 4))
    assert build(tmp_path / "a", scores)[0] == build(tmp_path / "b", scores)[0]


@pytest.mark.parametrize("protocol", comparison.PROTOCOLS)
@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 1, 1), "There is one candidate"),
        ((1, 3, 3), "One data set without its test predictions gives no interval"),
        ((2, 3, 3), "Two data sets are too few for an interval over data sets"),
        ((6, 1, 4), "no other method was run"),
        ((6, 4, 1), "nothing to compare it with"),
    ],
)
def test_small_tables_say_what_does_not_apply(shape, said, protocol, tmp_path):
    page, _ = build(tmp_path, table(shape), protocol=protocol)
    assert said in page
    assert Outline(page).silent == []


def test_identical_scores(tmp_path):
    page, found = build(tmp_path, table((5, 3, 3), value=0.75))
    assert "All groups score alike" in page
    assert found["overall"]["f1_lower"] == found["overall"]["f1_upper"] == pytest.approx(0.75)


def test_no_baseline(tmp_path):
    page, _ = build(tmp_path, table((6, 2, 2), methods=["a", "b"]))
    assert "no candidate was trained on the labelled images alone" in page


def test_sixty_networks(tmp_path):
    page, _ = build(tmp_path, table((6, 2, 60)))
    assert len(page) < 5e6
    assert "more rows are in the tables next to this page" in page


def test_names_are_escaped(tmp_path):
    page, _ = build(tmp_path, table((4, 2, 3), networks=["<b>", "a&b", 'q"']), title="<script>x</script>")
    assert "<b>" not in page
    assert "<script>x" not in page


def test_the_published_study(tmp_path):
    scores = score_table.read(published.path("published_results.csv"))
    page, found = build(tmp_path, scores)
    assert found["overall"]["best_candidate"] == "data/mixnet"
    assert len(page) < 5e6


def test_captions_for_the_workflow_report_are_the_pages():
    """`snakemake --report` takes them from a template that knows a figure by how its file's name begins."""
    from types import SimpleNamespace

    import jinja2

    template = jinja2.Template((Path(__file__).parents[2] / "captions" / "figure.rst").read_text())
    begins = {"gains": "gain-digits", "rank_diagram": "rank-networks"}
    for caption, text in drawing.CAPTIONS.items():
        wildcards = SimpleNamespace(figure=begins.get(caption, caption.replace("_", "-")))
        rendered = template.render(snakemake=SimpleNamespace(wildcards=wildcards))
        assert " ".join(rendered.split()) == text


def test_pixels_are_encoded():
    pixels = np.zeros((8, 8, 3), np.uint8)
    assert page.image_source(pixels).startswith("data:image/jpeg;base64,")


def test_cliques_join_only_what_no_pair_tells_apart():
    different = {frozenset(pair) for pair in ("ac", "ad")}
    assert figures._cliques(list("abcd"), different) == [(0, 1), (1, 3)]
    assert figures._cliques(list("abc"), {frozenset(p) for p in ("ab", "bc", "ac")}) == []


def test_the_front_holds_what_no_cheaper_row_beats():
    assert figures._front(np.array([1, 2, 3, 4]), np.array([0.5, 0.4, 0.6, 0.6])) == [0, 2]
