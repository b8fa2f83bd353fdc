"""Labels that come back: which are taken, and which are refused."""

import pyarrow as pa
import pytest

from pocketscope.core.errors import InputError
from pocketscope.data import corrections

IMAGES = pa.table({"image_id": list("xyz"), "paths": [["ill/1.png"], ["well/2.png"], ["../new/3.png", "../new/4.png"]]})
LABELS = pa.table({"image_id": list("xyz"), "label": ["ill", "well", None]})
ANSWERS = "path,class,probability,reliable,label\n"


@pytest.fixture
def read(tmp_path):
    def read(text, labels=LABELS, classes=None):
        (tmp_path / "back.csv").write_text(text, encoding="utf-8-sig")
        asked = {"path": "back.csv", "source": {"kind": "folder", "path": "images"}, "classes": classes}
        return corrections.read(asked, tmp_path, IMAGES, labels)

    return read


def test_answers_come_back_and_rows_without_a_label_say_nothing(read):
    rows = "../new/3.png,ill,0.51,no,well\n../new/4.png,ill,0.51,no,\nill/1.png,ill,,,NaN\n"
    assert read(ANSWERS + rows) == {"z": "well"}


def test_spreadsheets_absolute_paths_and_other_ways_of_writing_a_path(read, tmp_path):
    assert read("path;label\r\nwell/2.png;ill\r\n") == {"y": "ill"}
    assert read(f"path,label\n{tmp_path}/new/3.png,ill\n./ill/1.png,well\n") == {"z": "ill", "x": "well"}


def test_classes_whose_names_mean_something_else_in_a_table(read):
    odd = pa.table({"image_id": list("xyz"), "label": ["1.0", "NA", None]})
    assert read("path,label\nill/1.png,NA\n../new/3.png,1.0\nwell/2.png,\n", odd) == {"x": "NA", "z": "1.0"}


def test_a_new_class_begins_with_two_images(read):
    two = "path,label\n../new/3.png,dead\n../new/4.png,dead\n"
    with pytest.raises(InputError, match=r"row 1: there is no class 'dead'.*a new class needs at least 2 images"):
        read(two)  # copies of one
    assert read(two + "well/2.png,dead\n") == {"y": "dead", "z": "dead"}
    with pytest.raises(InputError, match="'classes' lists the classes to keep"):
        read(two + "well/2.png,dead\n", classes=["ill", "well"])
    with pytest.raises(InputError, match="row 1: there is no class 'ILL'; did you mean 'ill'"):
        read("path,label\n../new/3.png,ILL\nwell/2.png,ILL\n")


def test_without_corrections(tmp_path):
    assert corrections.read(None, tmp_path, IMAGES, LABELS) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ANSWERS + "../new/3.png,ill,0.51,no,\n", "no row has a label; write the right class into the column 'label'"),
        ("path,label\nill/1.png,il\n", "row 1: there is no class 'il'; did you mean 'ill'"),
        (
            "path,label\nill/1.png,ill\nno.png,ill\n",
            r"1 rows with a label name images that are not in the data set:\n  row 2: 'no",
        ),
        ("path,label\n../new/3.png,ill\n../new/4.png,well\n", "rows 1 and 2 contradict each other about one image"),
        ("path,class\nill/1.png,ill\n", "there is no column 'label'"),
    ],
)
def test_what_is_refused(read, text, message):
    with pytest.raises(InputError, match=message):
        read(text)
