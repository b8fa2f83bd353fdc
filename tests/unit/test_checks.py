"""What is counted of a data set, and refused before anything is trained."""

import re

import pyarrow as pa
import pytest

from pocketscope.core.errors import InputError
from pocketscope.data import checks

IMAGES = pa.table(
    {
        "image_id": list("uvwxyz"),
        "paths": [["1"], ["2", "copy"], ["3"], ["4"], ["5"], ["6"]],
        "single_colour": [False] * 6,
        "further_pages": [False] * 6,
        "damage": pa.nulls(6, pa.string()),
    }
)
LABELS = pa.table({"image_id": list("uvwxyz"), "label": ["ill", "ill", "well", "well", "well", None]})


def test_images_and_files_are_counted_and_corrections_counted_in():
    classes, whole = checks.count(IMAGES, LABELS, {"z": "ill", "w": "ill"})
    assert classes.to_pylist() == [
        {"label": "ill", "images": 4, "files": 3},  # files: as the source says
        {"label": "well", "images": 2, "files": 3},
    ]
    assert whole == {"images": 6, "files": 7, "unlabelled": 0}
    assert checks.count(IMAGES, LABELS)[1]["unlabelled"] == 1


@pytest.mark.parametrize(
    ("column", "said"), [("single_colour", "of a single colour"), ("further_pages", "one page of a file with several")]
)
def test_images_that_may_be_wrong_without_a_word_are_remarked(column, said):
    skipped = pa.table({"path": pa.array([], pa.string()), "reason": pa.array([], pa.string())})
    for rows, named in (
        ([1], r"images .* \(1 of 6\): '2'$"),
        ([5, 2, 1, 0], r".* \(4 of 6\): '1', '2', '3' and 1 more$"),
    ):
        place = IMAGES.column_names.index(column)
        images = IMAGES.set_column(place, column, [[row in rows for row in range(6)]])
        _, notes = checks.check_dataset(images, LABELS, skipped, {}, positive=None, expect=None)
        (remark,) = notes["remarks"]
        assert re.match(named, remark)
        assert said in remark


def test_damage_that_was_decoded_is_remarked():
    skipped = pa.table({"path": pa.array([], pa.string()), "reason": pa.array([], pa.string())})
    images = IMAGES.set_column(4, "damage", pa.array([None, "Corrupt b", None, "Corrupt a", None, None]))
    (remark,) = checks.check_dataset(images, LABELS, skipped, {}, positive=None, expect=None)[1]["remarks"]
    assert remark.endswith("(2 of 6): '2', '4'; the decoder says 'Corrupt a' and 1 more")


def test_what_work_goes_on_with_is_remarked():
    skipped = pa.table({"path": [f"{i}.png" for i in range(5)], "reason": ["the file is empty"] * 5})
    asked = {"positive": None, "expect": None}
    _, notes = checks.check_dataset(IMAGES, LABELS, skipped, {"z": "dead", "w": "dead", "v": "well"}, **asked)
    files, new = notes["remarks"]
    assert "'0.png' (the file is empty), '1.png' (the file is empty), '2.png' (the file is empty) and 2 more" in files
    assert new == "class 'dead' is learned but never tested: it has images only in the corrections"
    assert checks.check_dataset(IMAGES, LABELS, skipped.slice(length=0), {}, **asked)[1]["remarks"] == []


def test_the_positive_class_is_the_one_asked_for_or_the_rarer():
    classes, _ = checks.count(IMAGES, LABELS)
    assert checks.positive_class(None, classes) == "ill"
    assert checks.positive_class("well", classes) == "well"
    with pytest.raises(InputError, match="positive: there is no class 'wel'; did you mean 'well'"):
        checks.positive_class("wel", classes)
    equal, _ = checks.count(IMAGES, LABELS, {"z": "ill"})
    assert checks.positive_class(None, equal) == "well"


def test_more_than_two_classes_have_no_positive_one():
    classes, _ = checks.count(IMAGES, LABELS, {"z": "other"})
    assert checks.positive_class(None, classes) is None
    with pytest.raises(InputError, match="'ill' is one of 3 classes"):
        checks.positive_class("ill", classes)


@pytest.mark.parametrize(
    "expected", [None, {"images": 7, "classes": 2}, {"images": None, "classes": {"ill": 3, "well": 3}}]
)
def test_what_was_expected_passes(expected):
    checks.compare(expected, *checks.count(IMAGES, LABELS), skipped=0)
    checks.compare(expected, *checks.count(IMAGES, LABELS, {"z": "dead"}), skipped=0)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"images": 8}, ["7 image files instead of 8 (copies included; 1 more were skipped)"]),
        ({"classes": 3}, ["2 classes instead of 3: 'ill', 'well'"]),
        (
            {"images": 7, "classes": {"ill": 4, "well": 3, "dead": 2}},
            ["class 'dead': 0 image files instead of 2", "class 'ill': 3 image files instead of 4"],
        ),
    ],
)
def test_what_differs_is_said(expected, said):
    with pytest.raises(InputError) as caught:
        checks.compare(expected, *checks.count(IMAGES, LABELS), skipped=1)
    lines = str(caught.value).splitlines()
    assert [line.strip() for line in lines[1:-1]] == said


def test_other_classes_than_those_of_the_pinned_study_are_refused():
    checks.compare_with_pinned(["b", "a"], ["a", "b"])
    for now in (["a"], ["a", "b", "c"], ["a", "beta"]):
        with pytest.raises(InputError, match=r"pinned to has 'a', 'b': `make ship REFRESH=yes`"):
            checks.compare_with_pinned(now, ["a", "b"])
