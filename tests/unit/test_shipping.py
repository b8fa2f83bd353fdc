"""Which answers are reliable, and the table that people open."""

import csv

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pocketscope.data import corrections
from pocketscope.deploy import answers
from pocketscope.deploy.card import model_card
from pocketscope.statistics.reliable import Reliable, least_reliable


def test_sure_is_what_the_test_part_shows():
    probabilities = np.linspace(0.99, 0.5, 50)
    right = (np.arange(50) < 48) & (np.arange(50) != 3)
    found = least_reliable(probabilities, right, 0.9)
    # One wrong answer among the first: the bound passes 0.9 where 46 images were answered, and falls at the 49th.
    assert (found.answered, found.right) == (48, 47)
    assert found.probability == probabilities[47]
    assert stats.binomtest(47, 48, 0.9, alternative="greater").pvalue <= 0.05
    assert stats.binomtest(47, 49, 0.9, alternative="greater").pvalue > 0.05


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


def test_answers_stand_by_file_the_least_probable_first_and_can_be_given_back(tmp_path):
    paths = {"x": ["new/ä, b.png", "new/copy.png"], "y": ["new/2.png"], "z": ["ill/3.png"]}
    given = [("x", "ill", 0.97), ("y", "well", 0.6)]
    table = tmp_path / "answers.csv"
    assert answers.write_answers(table, given, paths, Reliable(0.9, 40, 39)) == 1
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row.values()) for row in rows] == [
        ("new/2.png", "well", "0.6000", "no", ""),
        ("new/ä, b.png", "ill", "0.9700", "yes", ""),
        ("new/copy.png", "ill", "0.9700", "yes", ""),
    ]
    table.write_text(table.read_text().replace("no,", "no,ill"))
    images = pa.table({"image_id": list(paths), "paths": list(paths.values())})
    labels = pa.table({"image_id": ["x", "y", "z"], "label": [None, None, "ill"]})
    asked = {"path": "answers.csv", "source": {"kind": "folder", "path": "images"}, "classes": None}
    assert corrections.read(asked, tmp_path, images, labels) == {"y": "ill"}


def test_nothing_is_sure_without_a_threshold(tmp_path):
    table = tmp_path / "answers.csv"
    assert answers.write_answers(table, [("x", "a", 1.0)], {"x": ["1.png"]}, Reliable(None, 3, 3)) == 0
    assert ",no," in table.read_text()


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
        | {"same": 98, "compared": 100, "recommendation": None}
    )
    for part in (said, "F1 87.6 (mean over the classes) on 44 test images", "uint8 (N, 64, 64, 3)", "`crop`",
                 '1. "say \\"b\\""', "120 images with human labels", "98 of 100 images"):  # fmt: skip
        assert part in text
    assert ("the same file" in text) == (precision == "int8")
