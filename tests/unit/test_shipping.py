"""Which answers are reliable, and the table that people open."""

import csv
import io
import json
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import tiny_models
from helpers import ROOT
from pocketscope.data import corrections
from pocketscope.data.sources.licences import licence_of, link_of
from pocketscope.data.sources.paths import top_of_files
from pocketscope.deploy import answers, answers_page, facts, sheet
from pocketscope.deploy.card import model_card
from pocketscope.inference import onnx_model
from pocketscope.statistics.reliable import Reliable, least_reliable
from pocketscope.tables import answer_sheet


@pytest.mark.parametrize("count", [0, 1, 28])
def test_too_few_test_images_make_nothing_sure(count):
    found = least_reliable(np.full(count, 0.99), np.ones(count, bool), 0.9)
    assert found == Reliable(None, count, count)
    assert least_reliable(np.full(29, 0.99), np.ones(29, bool), 0.9).probability == 0.99


@given(
    answers=st.lists(st.tuples(st.sampled_from([0.4, 0.5, 0.7, 0.9, 1.0]), st.booleans()), max_size=120),
    share=st.sampled_from([0.5, 0.8, 0.9]),
)
@settings(max_examples=100)
def test_equal_probabilities_are_reliable_together_and_the_count_is_true(answers, share):
    probabilities, right = np.array([a for a, _ in answers], float), np.array([b for _, b in answers], bool)
    found = least_reliable(probabilities, right, share)
    if found.probability is not None:
        reliable = probabilities >= found.probability
        assert (found.answered, found.right) == (reliable.sum(), right[reliable].sum())
        assert right[reliable].mean() > share


PATHS = {"x": ["../new/ä, b.png", "../new/copy.png"], "y": ["../new/2.png"], "z": ["ill/3.png"], "w": ["../new/w.png"]}
GIVEN = [
    ("x", [("ill", 0.97), ("well", 0.03)]),
    ("y", [("well", 0.6), ("ill", 0.4)]),
    ("w", [("ill", 0.5), ("well", 0.5)]),
]


def test_answers_stand_by_file_the_least_probable_first_and_can_be_given_back(tmp_path):
    path, top = tmp_path / "answers.csv", tmp_path / "images"
    table = answers.answers_table(GIVEN, PATHS, 0.9, {"w": "well"})
    assert answers.counted(table) == {"answers": 2, "reliable_answers": 1}
    sheet.write_sheet(table, path, str(top))
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    new = tmp_path / "new"
    assert [tuple(row.values()) for row in rows] == [
        (str(new / "2.png"), "well", "0.6000", "ill", "0.4000", "no", "", "", "", "y"),
        (str(new / "ä, b.png"), "ill", "0.9700", "well", "0.0300", "yes", "", "", "", "x"),
        (str(new / "copy.png"), "ill", "0.9700", "well", "0.0300", "yes", "", "", "", "x"),
        (
            str(new / "w.png"),
            "ill",
            "0.5000",
            "well",
            "0.5000",
            "no",
            "",
            "well",
            "",
            "w",
        ),  # done: it stands at the end
    ]
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    path.write_text(path.read_text().replace("0.4000,no,,,,", "0.4000,no,,,ill,"))
    images = pa.table({"image_id": list(PATHS), "paths": list(PATHS.values())})
    labels = pa.table({"image_id": list(PATHS), "label": [None, None, "ill", None]})
    asked = {"source": {"kind": "folder", "path": "images"}, "classes": None}
    assert corrections.read(asked, path, tmp_path, images, labels).learnt == {"y": "ill"}


def test_excel_loses_no_column_that_comes_back():
    assert answer_sheet.COLUMNS.index("label") < len(answer_sheet.COLUMNS) - 1
    row = answer_sheet.row("/a.png", [("ill", 1.0)], reliable=None, image_id="x")  # a model of a single class, untested
    assert [row.get(name, "") for name in answer_sheet.COLUMNS] == ["/a.png", "ill", "1.0000", *[""] * 6, "x"]


def test_what_people_said_is_what_the_source_does_not_and_stays_among_the_answers():
    roles = ["labelled", "labelled", "labelled", "unlabelled", "labelled"]
    split = pa.table({"image_id": list("abcde"), "role": roles, "label": ["ill", "ill", "well", None, "well"]})
    source = pa.table({"image_id": list("abcd"), "label": ["ill", None, "ill", None]})
    assert answers.to_answer(split, source) == (["d", "b", "c", "e"], {"b": "ill", "c": "well", "e": "well"})
    old = pa.table({"image_id": list("abcd"), "label": ["sick", None, "sick", None]})
    assert answers.to_answer(split, old, {"sick": "ill"}) == answers.to_answer(split, source)


def test_images_that_are_no_files_keep_the_names_of_their_source():
    assert sheet.place("3/0012", None) == "3/0012"
    assert top_of_files({"kind": "digits"}, ROOT) is None
    assert top_of_files({"kind": "folder", "path": "../mine"}, ROOT) == str(ROOT.parent / "mine")
    assert top_of_files({"kind": "table", "path": "a/t.csv", "images": None}, ROOT) == str(ROOT / "a")


def test_no_answer_for_an_unlike_image_is_reliable(tmp_path):
    table = answers.answers_table(GIVEN, PATHS, 0.5, unlike={"x": 2.5, "y": 0.4})
    sheet.write_sheet(table, tmp_path / "answers.csv", str(tmp_path))
    with (tmp_path / "answers.csv").open(encoding="utf-8-sig", newline="") as file:
        told = {row["image_id"]: (row["reliable"], row["unlike"]) for row in csv.DictReader(file)}
    assert told == {"x": ("no", "2.50"), "y": ("yes", "0.40"), "w": ("yes", "")}


def test_nothing_is_sure_without_a_threshold():
    table = answers.answers_table([("x", [("a", 1.0)])], {"x": ["1.png"]}, None)
    assert table["reliable"].to_pylist() == [False]
    assert len(answers.answers_table([], {}, None)) == 0


def page_of(folder, images, **options):
    path = folder / "answers.html"
    count = answers_page.write_page(path, images, ["a", "b"], **{"title": "cells", "total": len(images)} | options)
    return count, path.read_text(encoding="utf-8")


def image_of(path="/new/1.png", name="a", probability=0.75, said=None, reliable=False):
    small = answers_page.thumbnail(np.zeros((40, 40, 3), np.uint8))
    two = [(name, probability), ("b", 1 - probability)]
    return answers_page.Shown(path, Path(path).as_uri(), two, reliable, said, small)


def test_names_of_files_and_classes_are_text_on_the_page_never_markup(tmp_path):
    odd = "\"><script>alert(1)</script><b title='[[sections]]'>&amp;"
    count, text = page_of(tmp_path, [image_of(path=f"/new/{odd}.png", name=odd, said=odd)], title=odd)
    assert count == 1
    found = Elements(text)
    assert found.tags.count("script") == 1
    assert found.tags.count("li") == 1
    (card,) = found.attributes["li"]
    assert (card["data-path"], card["data-answer"], card["data-said"]) == (f"/new/{odd}.png", odd, odd)
    assert text.count("[[sections]]") >= 3  # a name that looks like a mark of the template stays what it is
    assert 'data-path="/new/?.png"' in page_of(tmp_path, [image_of(path="/new/\udcff.png")])[1]  # no UTF-8


def test_the_page_says_what_it_leaves_out(tmp_path, monkeypatch):
    images = [image_of(path=f"/new/{i}.png") for i in range(30)]
    assert "more are in the table" not in page_of(tmp_path, images)[1]
    monkeypatch.setattr(answers_page, "MOST_IMAGES", 12)
    count, text = page_of(tmp_path, images)
    assert count == text.count("<li ") == 12
    assert "18 more are in the table beside it" in text
    monkeypatch.setattr(answers_page, "MOST_BYTES", 3000)
    count, text = page_of(tmp_path, images)
    assert count == text.count("<li ") < 12


def test_a_stretched_image_gets_its_proportions_back():
    stretched = np.zeros((64, 64, 3), np.uint8)
    size = Image.open(io.BytesIO(answers_page.thumbnail(stretched, (100, 200)))).size
    assert size == (answers_page.SIDE, answers_page.SIDE // 2)


class Elements(HTMLParser):
    """The elements of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.setdefault(tag, []).append(dict(attributes))


PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]])
TRUTH = ["ill", "ill", "ill", "well", "well"]


def test_scores_have_exact_intervals_and_name_the_errors():
    found = facts.scores(PROBABILITIES, TRUTH, ["ill", "well"], None)
    # Clopper and Pearson (1934): 4 of 5 lies between 28.4 and 99.5 %, as R's binom.test says.
    assert found["accuracy"] == pytest.approx({"value": 0.8, "lower": 0.28358, "upper": 0.99495}, abs=1e-5)
    assert found["f1"] == pytest.approx(0.8)
    assert found["classes"]["ill"]["recall"]["value"] == pytest.approx(2 / 3)
    assert found["classes"]["well"]["precision"]["value"] == pytest.approx(2 / 3)
    assert found["confusions"] == [{"true": "ill", "predicted": "well", "images": 1}]
    assert facts.share(0, 0) == {"value": None, "lower": None, "upper": None}
    json.dumps(found, allow_nan=False)


def about_card(reliable, precision="fp32", **more):
    scores = facts.scores(PROBABILITIES, TRUTH, ["ill", "well"], None)
    decided = {"f1": 0.8, "f1_lower": 0.3, "f1_upper": 0.99, "f1_corrected": 0.7, "unit": "image", "text": "Take it."}
    labels = {"label": ["ill", "ill", "well"], "source": ["human", "pseudo", "human"]}
    return {
        "dataset": "cells", "study": "mine",
        "candidate": {"method": "plain", "network": "tiny", "precision": precision},
        "file": {"image_size": 64, "resize": "crop", "resampling": "bilinear", "network": "x", "licence": "MIT"},
        "data_licence": "CC0", "data_link": "https://example.org/cells", "classes": ["ill", "well"],
        "learnt": facts.learnt(labels),
        "scores": facts.of_study({"scores": scores, "known": ""}, decided)["scores"],
        "other_scores": None, "temperature": 1.5,
        "reliable": reliable._asdict() | {
            "share": 0.9, "level": 0.95, "folds": 4, "images": 44, "right_of_images": 41, "more_labels": 9,
            "calibration_error": {"before": 0.084, "after": 0.02},
            "class_shares": {
                "ill": {"labelled": 0.5, "unlabelled": 0.25}, "well": {"labelled": 0.5, "unlabelled": None},
            },
        },
        "known": "5 test images: between 28 and 99 % right",
        "answers": 300, "reliable_answers": 200, "same": 98, "compared": 100, "recommendation": "Take it.",
        "instead_of": {},
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("reliable", "said"),
    [
        (Reliable(0.87, 40, 39), "a probability of 0.8700 or more is reliable. 40 of the labelled images have"),
        (Reliable(None, 20, 15), "At least 9 more labelled images are needed to show it"),
    ],
)
def test_the_card_leads_with_what_is_known_and_says_what_is_not(reliable, said):
    text = model_card(about_card(reliable))
    assert text.startswith("# cells: tiny\n\n**5 test images: between 28 and 99 % right**\n")
    for part in (said, "uint8 (N, 64, 64, 3)", "`crop`", "| ill | 1 | 1 |", "98 of 100 images",
                 "licence CC0, https://example.org/cells |",
                 "41 of 44 labelled images were answered correctly", "temperature of 1.50",
                 "8.4 % before and 2.0 % after", "| ill | 50.0 % | 25.0 % |", "| well | 50.0 % | – |",
                 "80.0 % (28.4 to 99.5)", "80.0 (30.0 to 99.0)", "Corrected for the choice, F1 is 70.0",
                 "ill answered as well (1).", "Anything certain of well: it has 2 test images.", "licence MIT",
                 "model.fp32.onnx` | the model in fp32: this one is recommended",
                 "not measured by this study"):  # fmt: skip
        assert part in text
    for section in ("Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
                    "Ethical considerations", "What was not shown", "Where it runs"):  # fmt: skip
        assert f"\n## {section}\n" in text


def test_the_card_of_a_candidate_that_the_configuration_names_claims_no_interval_of_f1():
    odd = "a|b\n<c>"
    scores = facts.scores(np.zeros((0, 2)), [], [odd, "well"], None)
    card = about_card(Reliable(None, 0, 0), "int8", scores=scores, classes=[odd, "well"], recommendation=None)
    text = model_card(card)
    assert "| int8 | 0 | – | – |" in text
    assert "| a\\|b &lt;c> | 0 |" in text  # a row of a table stays one row
    assert "model.int8.onnx` | the model in int8: this one is recommended" in text


def test_the_card_says_why_fp32_ships_where_int8_was_recommended_and_what_int8_loses():
    lost = {"method": "plain", "network": "tiny", "difference": 0.021, "lower": 0.012, "upper": 0.03}
    decided = {"method": "plain", "network": "tiny", "precision": "int8", "candidate": "plain/tiny int8"}
    given = {
        "recommendation": None,
        "instead_of": decided | {"int8": [lost | {"network": "other"}, lost]},
        "pinned": None,
    }
    text = model_card(about_card(Reliable(None, 0, 0), **given))
    assert "recommends `plain` in `int8`, and shows that the rounding to int8 loses more than a point of F1" in text
    assert text.count("points of F1 against fp32") == 1
    assert "int8 loses 2.1 points of F1 against fp32 (1.2 to 3.0 with 95 % confidence)" in text


def test_a_model_file_says_what_is_known_of_it_and_computes_as_before(tmp_path):
    folder = tiny_models.ship(tmp_path, precisions=["fp32"])
    known = {"reliable": {"probability": 0.8}, "scores": {"f1": 0.5}, "study": "Übung"}
    facts.write_model(folder / "model.fp32.onnx", folder / "again.onnx", known)
    before, after = (onnx_model.open_model(folder / name, threads=1) for name in ("model.fp32.onnx", "again.onnx"))
    images = tiny_models.noise(8)
    assert (onnx_model.probabilities(before, images) == onnx_model.probabilities(after, images)).all()
    assert after.about == before.about | known
    assert (before.reliable_from, after.reliable_from) == (None, 0.8)
    assert before.about["normalisation"]["in_the_graph"]
    assert len(before.about["normalisation"]["mean"]) == 3
    facts.write_model(
        folder / "again.onnx", folder / "none.onnx", {"reliable": {"probability": None}, "temperature": 2}
    )
    scaled = onnx_model.open_model(folder / "none.onnx", threads=1)
    assert scaled.reliable_from == math.inf
    roots = np.sqrt(onnx_model.probabilities(before, images))
    np.testing.assert_allclose(
        onnx_model.probabilities(scaled, images), roots / roots.sum(axis=1, keepdims=True), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("dataset", "licence"),
    [
        ({"source": {"kind": "folder"}, "licence": "CC0"}, "CC0"),
        ({"source": {"kind": "folder"}, "licence": None}, None),
        ({"source": {"kind": "digits"}, "licence": None}, "CC BY 4.0"),
        ({"source": {"kind": "medmnist", "name": "dermamnist"}, "licence": None}, "CC BY-NC 4.0"),
        ({"source": {"kind": "medmnist", "name": "nothing"}, "licence": None}, None),
    ],
)
def test_the_licence_of_images_is_the_users_or_that_of_the_published_set(dataset, licence):
    assert licence_of(dataset) == licence


@pytest.mark.parametrize(
    ("kind", "link", "told"),
    [
        ("folder", None, None),
        ("folder", "10.5281/zenodo.1", "https://doi.org/10.5281/zenodo.1"),
        ("digits", None, "https://doi.org/10.24432/C50P49"),
        ("digits", "https://example.org/mine", "https://example.org/mine"),
    ],
)
def test_where_images_are_published_is_what_the_user_says_or_what_is_known(kind, link, told):
    assert link_of({"source": {"kind": kind}, "link": link}) == told
