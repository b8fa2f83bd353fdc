"""The page: complete with everything given, and right and readable with next to nothing."""

import csv
import inspect
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import published
import synthetic_study
from helpers import study
from pocketscope.config.base import plain
from pocketscope.config.messages import validate
from pocketscope.config.study import Config
from pocketscope.report import drawing, exports, figures, methods_text, page, references, studied, words
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
    classes = pd.DataFrame([("cells", "basophil", 9, 9, 9)], columns=["dataset", "label", "images", "files", "human"])
    roles = pd.DataFrame([("cells", "k25_s0", 75, 0, 9, 9)], columns=["dataset", "split", *studied.ROLES])
    more = synthetic_study.extras() | {"about": {"settings": settings(), "classes": classes, "roles": roles}}
    page, found = build(folder, scores, synthetic_study.costs(), given, **more)
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
    beside = {link for link in outline.loaded if link.startswith(("tables/", "figures/"))}
    assert set(outline.loaded) == beside  # links to what lies beside the page, and nothing that it needs
    assert all((full[0] / link).is_file() for link in beside)
    assert outline.silent == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))
    assert len(page) < 5e6
    assert "Not shown, and why" not in page
    assert "nan" not in re.sub(r"<(script|style|svg).*?</\1>", "", page, flags=re.DOTALL).lower().split()


def text_of(page):
    """Return a page's text: words that are explained are elements of their own."""
    return " ".join(re.sub(r"<[^>]+>", "", re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)).split())


def test_every_recommendation_is_on_the_page_and_how_far_its_answers_are_reliable(full):
    _, page, found = full
    table = re.search(r'id="recommendations".*?</table>', page, re.DOTALL)[0]
    for chosen in (*found["datasets"].values(), found["overall"]):
        assert chosen["candidate"] in table
    # Of some data sets no answer may be shown to be reliable; what was tested is said of each.
    told = re.findall(r"(?:or more are reliable|No answer is reliable)\. \d+ of (\d+) test images", text_of(page))
    assert told == ["240", "240"]
    assert "that at least 90 % of the answers with this or a higher probability are" in text_of(page)


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
    assert re.search(r"No answer is reliable. \d+ of 24 test images were answered correctly", text_of(page))


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
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        build(folder, scores)
        made.append({file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()})
    assert made[0] == made[1]
    assert {".html", ".svg", ".pdf", ".csv", ".tex"} <= {path.suffix for path in made[0]}


def test_every_table_is_a_csv_with_all_digits_and_latex(full):
    folder, page, found = full
    names = set(re.findall(r'<table id="([^"]+)"', page))
    for ending in ("csv", "tex"):
        assert {path.stem for path in (folder / "tables").glob(f"*.{ending}")} == names
    with (folder / "tables/recommendations.csv").open(newline="") as file:
        rows = {row["Data set"]: row for row in csv.DictReader(file)}
    assert float(rows["cells"]["F1 × 100"]) == 100 * found["datasets"]["cells"]["f1"]
    written = (folder / "tables/quantising.tex").read_text()
    assert r"mobilenet\_v2 &" in written
    assert written.count(r" \\") == 1 + len(synthetic_study.NETWORKS)


def test_latex_reads_what_a_name_may_hold():
    assert exports.latex("50 % of $a_b & {c} <d> #1 ~^\\") == (
        r"50 \% of \$a\_b \& \{c\} $<$d$>$ \#1 \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )


def test_rows_that_the_page_leaves_out_are_in_the_files():
    block = page.table("t", "many", pd.DataFrame({"a": range(1500)}), {"a": ("A", str)})
    assert len(block["rows"]) == page.TABLE_ROWS
    assert len(exports.as_csv(block).splitlines()) == 1501
    assert "500 more rows" in exports.as_latex(block)
    assert r"\begin{longtable}" in exports.as_latex(block)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed (pdflatex)")
def test_latex_sets_every_table_no_wider_than_a_line(full, tmp_path):
    tables = sorted((full[0] / "tables").glob("*.tex"))
    wide = pd.DataFrame({f"a long name of column {i}": ["a value of some length"] * 3 for i in range(9)})
    pages = pd.DataFrame({"key": [f"training.augmentation.{i}" for i in range(60)], "value": ["many words " * 20] * 60})
    for name, frame in {"wide": wide, "pages": pages}.items():
        block = page.table(name, name, frame, {column: column for column in frame})
        (tmp_path / f"{name}.tex").write_text(exports.as_latex(block))
        tables.append(tmp_path / f"{name}.tex")
    text = r"\documentclass{article}\usepackage{booktabs,longtable,graphicx}\begin{document}"
    (tmp_path / "all.tex").write_text(text + "".join(rf"\input{{{path}}}" for path in tables) + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    for _ in range(2):  # a table over pages learns its columns' widths from the first run
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_words_are_explained_where_they_first_stand_and_nowhere_else():
    given = (
        '<html><body><h2>F1 of splits</h2><p title="F1">F1 &amp; F1 of teachers.</p><button>int8</button>'
        f"<svg><text>int8</text></svg><p>int8</p>{words.PLACE}<script>F1</script></body></html>"
    )
    found = words.explain(given)
    assert re.findall(r'popovertarget="word-([\w-]+)">([^<]*)<', found) == [
        ("f1", "F1"), ("teacher", "teachers"), ("int8", "int8")
    ]  # fmt: skip
    assert '<h2>F1 of splits</h2><p title="F1"><button' in found
    assert found.count("popover id=") == found.count("<dt>") == 3
    assert words.explain("<p>F1</p>") == "<p>F1</p>"


def test_the_page_explains_ten_words_and_says_when_it_was_made(full):
    _, page, _ = full
    explained = re.findall(r'popovertarget="word-([\w-]+)"', page)
    assert len(explained) == len(set(explained)) >= 10
    assert {"f1", "int8", "split", "pseudo-label", "holm", "quade"} & set(explained)
    assert not re.search(r"Made by pocketscope [\d.]+ on", page)  # no date was given


def settings(**changes):
    config = plain(validate(Config, study(**changes), "configuration"))
    networks = {"shufflenet_v2_x0_5": {"library": "torchvision", "name": "shufflenet_v2_x0_5", "weights": "none"}}
    networks["shufflenet_v2_x0_5"]["licence"] = None
    return {"config": config, "networks": networks, "licences": dict.fromkeys(config["datasets"], "CC0")}


def test_the_methods_are_those_of_the_configuration(tmp_path):
    methods = {
        "supervised": {"labels": "human"},
        "plain": {"teachers": ["shufflenet_v2_x0_5"], "threshold": 0.7, "rounds": 3, "calibration": "temperature"},
        "fixmatch": {"labels": "consistency", "algorithm": "fixmatch"},
        "full": {"labels": "full"},
    }
    asked = settings(
        methods=methods, students={"shufflenet_v2_x0_5": ["fp32", "int8"]}, split={"labelled": [4], "seeds": [0, 1]}
    )
    told = " ".join(methods_text.paragraphs(asked, "Pairs by Holm."))
    for part in ("4 per class were labelled, in 2 random draws", "confidence above 0.7", "up to 3 rounds",
                 "temperature scaling", "'fixmatch' was FixMatch", "'full', an upper bound",
                 "started from random weights", "quantised", "32 × 32 pixels", "Pairs by Holm."):  # fmt: skip
        assert part in told
    assert "ImageNet" not in told
    keys = {work.key for work in references.cited([told])}
    assert {"sohn2020", "guo2017", "holm1979", "ma2018", "loshchilov2019"} <= keys
    assert not {"berthelot2019", "deng2009", "he2016"} & keys
    assert "quantised" not in " ".join(methods_text.paragraphs(settings(), ""))


def test_what_was_studied_is_on_the_page_and_can_be_cited(tmp_path):
    classes = pd.DataFrame([("digits", "<0>", 178, 179, 4)], columns=["dataset", "label", "images", "files", "human"])
    roles = pd.DataFrame([("digits", "k4_s0", 12, 0, 388, 139)], columns=["dataset", "split", *studied.ROLES])
    about = {"settings": settings(), "classes": classes, "roles": roles}
    page, _ = build(tmp_path, table((6, 2, 2)), about=about, date="2026-01-02")
    assert "&lt;0&gt;" in page
    assert "on 2026-01-02" in page
    assert "CC0" in page
    assert "training.steps" in page
    keys = set(re.findall(r"^@\w+\{(\w+),", (tmp_path / "references.bib").read_text(), re.MULTILINE))
    cited = re.findall(r"\\cite\{([^}]*)\}", (tmp_path / "methods.tex").read_text())
    assert keys == {key for part in cited for key in part.split(",")}


def test_settings_tell_no_place_of_a_file():
    config = {"source": {"kind": "folder", "path": "/home/me/cells"}, "labelled": ["all"], "test": None}
    assert studied.flat(config) == [("source.kind", "folder"), ("labelled", "all")]


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
    assert said in text_of(page)
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
    page, _ = build(tmp_path, table((4, 2, 3), networks=["<u>", "a&b", 'q"']), title="<script>x</script>")
    assert "<u>" not in page
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
