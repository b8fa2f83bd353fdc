"""Which answers are reliable, and the table that people open."""

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import ROOT
from pocketscope.data import corrections
from pocketscope.data.sources.paths import top_of_files
from pocketscope.deploy import answers, answers_page, sheet
from pocketscope.deploy.card import model_card
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
    table = answers.answers_table(GIVEN, PATHS, Reliable(0.9, 40, 39), {"w": "well"})
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


def test_images_that_are_no_files_keep_the_names_of_their_source():
    assert sheet.place("3/0012", None) == "3/0012"
    assert top_of_files({"kind": "digits"}, ROOT) is None
    assert top_of_files({"kind": "folder", "path": "../mine"}, ROOT) == str(ROOT.parent / "mine")
    assert top_of_files({"kind": "table", "path": "a/t.csv", "images": None}, ROOT) == str(ROOT / "a")


def test_no_answer_for_an_unlike_image_is_reliable(tmp_path):
    table = answers.answers_table(GIVEN, PATHS, Reliable(0.5, 40, 39), unlike={"x": 2.5, "y": 0.4})
    sheet.write_sheet(table, tmp_path / "answers.csv", str(tmp_path))
    with (tmp_path / "answers.csv").open(encoding="utf-8-sig", newline="") as file:
        told = {row["image_id"]: (row["reliable"], row["unlike"]) for row in csv.DictReader(file)}
    assert told == {"x": ("no", "2.50"), "y": ("yes", "0.40"), "w": ("yes", "")}


def test_nothing_is_sure_without_a_threshold():
    table = answers.answers_table([("x", [("a", 1.0)])], {"x": ["1.png"]}, Reliable(None, 3, 3))
    assert table["reliable"].to_pylist() == [False]
    assert len(answers.answers_table([], {}, Reliable(None, 0, 0))) == 0


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


@pytest.mark.parametrize(
    ("reliable", "precision", "said"),
    [
        (Reliable(0.87, 40, 39), "fp32", "a probability of 0.8700 or more is reliable. 40 test images have"),
        (Reliable(None, 20, 15), "int8", "No answer is called reliable. 15 of 20 test images were answered correctly"),
    ],
)
def test_the_card_says_what_the_model_is(reliable, precision, said):
    text = model_card(
        {
            "dataset": "cells",
            "study": "mine",
            "candidate": {"method": "plain", "network": "tiny", "precision": precision},
        }
        | {"classes": ["a", 'say "b"'], "image_size": 64, "resize": "crop", "human": 120, "pseudo": 80, "f1": 0.876}
        | {"positive": None, "tested": 44, "reliable": reliable, "share": 0.9, "answers": 300, "reliable_answers": 200}
        | {"same": 98, "compared": 100, "recommendation": {}, "known": "39 of 44 test images are right"}
    )
    for part in (said, "F1 87.6 (mean over the classes) on 44 test images", "uint8 (N, 64, 64, 3)", "`crop`",
                 '1. "say \\"b\\""', "120 images with human labels", "98 of 100 images"):  # fmt: skip
        assert part in text
    assert ("the same file" in text) == (precision == "int8")
    assert "The configuration names this candidate." in text
    assert "39 of 44 test images are right" in text


def test_the_card_of_a_recommended_model_leads_with_what_is_not_known():
    told = "11 of 11 test images are right: accuracy between 72 and 100 % (95 % confidence)."
    recommendation = {
        "text": "It scores best.",
        "tested": {"text": told},
        "f1_lower": 0.6,
        "f1_upper": 1,
        "level": 0.95,
    }
    about = {"dataset": "cells", "study": "mine", "candidate": {}, "classes": ["a", "b"], "image_size": 64}
    about |= {"resize": "crop", "human": 12, "pseudo": 0, "f1": 1.0, "positive": None, "tested": 11, "same": 1}
    about |= {"reliable": Reliable(None, 11, 11), "share": 0.9, "answers": 3, "reliable_answers": 0, "compared": 1}
    text = model_card(about | {"recommendation": recommendation, "known": ""})
    assert "It scores best." in text
    assert f"## How good it is\n\n{told}\n\nF1 100.0 (mean over the classes; between 60.0 and 100.0 with 95 %" in text
