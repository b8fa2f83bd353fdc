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
        asked = {"source": {"kind": "folder", "path": "images"}, "classes": classes}
        return corrections.read(asked, tmp_path / "back.csv", tmp_path, IMAGES, labels).learnt

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


@pytest.mark.parametrize(
    ("classes", "written", "meant"),
    [
        (["01", "02"], "1", "01"),
        (["001", "002"], "2", "002"),
        (["true", "false"], "TRUE", "true"),
        (["true", "false"], "WAHR", "true"),
        (["true", "false"], "FAUX", "false"),
        (["1.5", "2.5"], "1,5", "1.5"),
        (["1.5", "2.5"], "01. Mai", None),
        (["1:2", "3:4"], "01:02:00", None),
        (["1-2", "3-4"], "1月2日", None),
        (["1-2", "3-4"], "2-Jan", None),
        (["1-2", "3-4"], "02. Jan", None),
        (["MARCH1", "SEPT2"], "01.03.2026", None),
        (["MARCH1", "SEPT2"], "1-Mär", None),
        (["1/2", "3/4"], "2026-02-01", None),
        (["123456789012", "123456789013"], "1.23457E+11", None),
    ],
)
def test_a_label_that_a_spreadsheet_changed_begins_no_class(read, classes, written, meant):
    labels = pa.table({"image_id": list("xyz"), "label": [*classes, None]})
    message = f"did you mean '{meant}'" if meant else "looks like a date or a number that a spreadsheet made"
    with pytest.raises(InputError, match=f"row 1: there is no class '.*{message}"):
        read(f'path,label\n../new/3.png,"{written}"\nwell/2.png,"{written}"\n', labels)
    dated = pa.table({"image_id": list("xyz"), "label": ["2-Jan", "3-Jan", None]})
    assert read("path,label\n../new/3.png,2-Jan\n", dated) == {"z": "2-Jan"}


@pytest.mark.parametrize("written", ["dead", "grade 2", "T1", "Mai 3x", "WAHR", "x-ray", "2 cm", "1e5"])
def test_other_labels_begin_a_class(read, written):
    assert read(f"path,label\n../new/3.png,{written}\nwell/2.png,{written}\n") == {"y": written, "z": written}


def test_errors_of_a_spreadsheet_are_no_classes(read, caplog):
    rows = "../new/3.png,{0}\nwell/2.png,{0}\nill/1.png,well\n"
    assert read("path,label\n" + rows.format("#N/A")) == {"x": "well"}
    assert "2 cells '#N/A' in the column 'label' are taken for no label" in caplog.text
    with pytest.raises(InputError, match="row 1: the label is '#REF!', an error of the spreadsheet"):
        read("path,label\n" + rows.format("#REF!"))


def test_without_corrections(tmp_path):
    assert corrections.read(None, None, tmp_path, IMAGES, LABELS) == corrections.Given(LABELS)


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
