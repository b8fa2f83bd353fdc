"""Tables that list images: what is read from them, and what is refused."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pocketscope.core.errors import InputError
from pocketscope.data.sources import kinds
from pocketscope.data.sources.record import TEST


@pytest.fixture
def root(tmp_path):
    for name in ["a.png", "b, c.png", "deep/d.png", "e.png"]:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((3, 3, 3), len(name), np.uint8)).save(path)
    return tmp_path


def table(root, text, encoding="utf-8", name="labels.csv"):
    (root / "data" / name).write_bytes(text.encode(encoding))


def listed(root, **source):
    found = kinds.records({"kind": "table", "path": "data/labels.csv"} | source, root)
    return {record.path: (record.label, record.group, record.role) for record in found}


def test_path_label_group_and_role(root):
    table(root, 'path,label,group,role\na.png,x,p1,\n"b, c.png",y,p1,train\ndeep/d.png,,p2,\ne.png,y,,Test\n')
    assert listed(root) == {
        "a.png": ("x", "p1", None),
        "b, c.png": ("y", "p1", None),
        "deep/d.png": (None, "p2", None),
        "e.png": ("y", None, TEST),
    }
    record = next(kinds.records({"kind": "table", "path": "data/labels.csv"}, root))
    assert record.read() == (root / "data" / "a.png").read_bytes()


def test_a_second_table_lists_what_is_tested_on(root):
    table(root, "path,label\na.png,x\ndeep/d.png,y\n")
    table(root, "image,dx,role\ne.png,x,train\n", name="test.csv")
    columns = {"path": None, "label": "dx"}
    with pytest.raises(InputError, match=r"labels.csv: there is no column 'dx'"):
        listed(root, test="data/test.csv", columns=columns)
    table(root, "path,label\ne.png,x\n", name="test.csv")
    found = listed(root, test="data/test.csv")
    assert found == {"a.png": ("x", None, None), "deep/d.png": ("y", None, None), "e.png": ("x", None, TEST)}
    table(root, "path,label\nd.png,x\n", name="deep/test.csv")
    with pytest.raises(InputError, match=r"lists images that labels.csv lists too:\s+'deep/d.png'"):
        listed(root, test="data/deep/test.csv")
    with pytest.raises(InputError, match=r"'test' of a table source"):
        listed(root, test="data/gone.csv")


def test_images_to_validate_on_are_learnt_from(root):
    table(root, "path,label,role\na.png,x,val\ndeep/d.png,y,Validation\ne.png,y,test\n")
    assert [role for _, _, role in listed(root).values()] == [None, None, TEST]


def test_columns_may_have_capitals_and_bars_between_them(root):
    table(root, "Path|LABEL\na.png|x\ne.png|y\n")
    assert listed(root) == {"a.png": ("x", None, None), "e.png": ("y", None, None)}


def test_columns_of_other_names_and_columns_that_do_not_matter(root):
    table(root, "file,age,diagnosis,patient\na.png,3,x,7\ne.png,4,y,7\n")
    columns = {"path": "file", "label": "diagnosis", "group": "patient", "role": None}
    assert listed(root, columns=columns) == {"a.png": ("x", "7", None), "e.png": ("y", "7", None)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
def test_what_spreadsheets_write(root, encoding, separator):
    rows = [["path", "label"], ["a.png", "grün"], ["e.png", "two words"]]
    table(root, "\r\n".join(separator.join(row) for row in rows) + "\r\n\r\n", encoding)
    assert listed(root) == {"a.png": ("grün", None, None), "e.png": ("two words", None, None)}


def test_the_first_line_may_name_the_separator(root):
    """Excel reads, and some programs write, a line for it before the header."""
    table(root, 'sep=;\r\npath;label\r\na.png;"x;y"\r\ne.png;z\r\n')
    assert listed(root) == {"a.png": ("x;y", None, None), "e.png": ("z", None, None)}


def test_labels_that_are_numbers_or_missing(root):
    table(root, 'path,label\na.png,1.0\n"b, c.png", \ndeep/d.png,NaN\ne.png,02\n')
    assert [label for label, _, _ in listed(root).values()] == ["1", None, None, "02"]


def test_labels_that_are_all_numbers_are_told(root, caplog):
    with caplog.at_level(logging.WARNING):
        table(root, "path,label\na.png,1\ne.png,x\n")
        listed(root)
        assert not caplog.text
        table(root, "path,label\na.png,1\ne.png,2.0\n")
        listed(root)
        assert "labels.csv: all labels are numbers, 2 different ones such as '1'" in caplog.text


def test_parquet_tables(root):
    rows = {"path": ["a.png", "deep/d.png", "e.png"], "label": [1.0, None, float("nan")], "extra": [1, 2, 3]}
    pq.write_table(pa.table(rows), root / "data" / "labels.parquet")
    assert listed(root, path="data/labels.parquet") == {
        "a.png": ("1", None, None),
        "deep/d.png": (None, None, None),
        "e.png": (None, None, None),
    }


def test_the_images_may_lie_elsewhere(root):
    (root / "labels.csv").write_text("path,label\na.png,x\n")
    assert listed(root, path="labels.csv", images="data") == {"a.png": ("x", None, None)}


def test_quotes_newlines_and_dollars_in_names(root):
    name = "two\nlines \"$HOME\" 'x'.png"
    (root / "data" / "a.png").rename(root / "data" / name)
    table(root, 'path,label\n"' + name.replace('"', '""') + '",$x\n')
    assert listed(root) == {name: ("$x", None, None)}


def test_the_same_path_twice(root):
    table(root, "path,label,group\na.png,x,\n./a.png,,p\ne.png,y,\n")
    assert listed(root)["a.png"] == ("x", "p", None)
    table(root, "path,label\na.png,x\ne.png,y\ndeep/../a.png,y\n")
    with pytest.raises(InputError, match=r"rows 1 and 3 contradict each other in the label of a\.png: 'x' and 'y'"):
        listed(root)


def test_paths_out_of_the_folder(root):
    Image.new("RGB", (3, 3)).save(root / "secret.png")
    table(root, "path,label\na.png,x\n../secret.png,y\n")
    with pytest.raises(InputError, match=r"1 of 2 paths point outside .*data:\n  row 2: '\.\./secret\.png'\n.*outside"):
        listed(root)
    assert "../secret.png" in listed(root, outside=True)
    table(root, f"path,label\n{root / 'data' / 'a.png'},x\n")
    assert listed(root) == {"a.png": ("x", None, None)}


def test_missing_files_are_counted_and_the_first_named(root):
    table(root, "path,label\na.png,x\n" + "".join(f"no{i}.png,y\n" for i in range(8)))
    with pytest.raises(InputError) as caught:
        listed(root)
    assert "8 of 9 files do not exist:\n  row 2: 'no0.png'\n" in str(caught.value)
    assert "and 3 more" in str(caught.value)
    table(root, "path,label\ndeep\\d.png,x\n")
    with pytest.raises(InputError, match="separated by '/'"):
        listed(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n", "has no row"),
        ("", r"labels\.csv: is empty; begin with the column names, path and label"),
        (
            "path,labels\na.png,x\n",
            r"no column 'label' for the label; did you mean 'labels'\?.*rename one, or name it with",
        ),
        ("slide,label\na.png,x\n", "no column 'path' for the path.*The columns are 'slide', 'label'"),
        ("file,image,label\na.png,a.png,x\n", "no column 'path' for the path"),
        ("file,dx\na.png,x\n", r"did you mean 'dx'\?.*'columns' of the source \(columns: {label: dx}\)"),
        ('image,choice\na.png,"{""choices"": [""x"", ""y""]}"\n', "row 1: the label is .*an image has one class"),
        ("path,label\n,x\n", "row 1 has no path"),
        ("path,label\na.png,x,y\n", "row 1 has 3 cells and the header 2"),
        ('path,label\na.png,"x\n', "repair the quotes"),
        ("path,label,role\na.png,x,query\n", "row 1 has the role 'query'; the roles are 'test'"),
    ],
)
def test_tables_that_cannot_be_meant(root, text, message):
    table(root, text)
    with pytest.raises(InputError, match=message):
        listed(root)


def test_other_files_than_tables(root):
    with pytest.raises(InputError, match="no such file"):
        listed(root, path="data/nothing.csv")
    table(root, "x", name="x.parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        listed(root, path="data/x.parquet")


def test_long_numbers_that_were_cut_short_are_refused(root):
    for text in ("path,label\na.png,1.23457E+11\n", 'path,label,group\na.png,x,"1,2E+15"\n'):
        table(root, text)
        with pytest.raises(InputError, match=r"row 1: the .* is a long number that a program cut short"):
            listed(root)
    pq.write_table(pa.table({"path": ["a.png"], "label": ["x"], "group": [1.5e17]}), root / "data" / "labels.parquet")
    with pytest.raises(InputError, match=r"the group '1\.5e\+17' is a long number"):
        listed(root, path="data/labels.parquet")


@pytest.mark.parametrize("text", ["#N/A", "#NV", "#N/D", "#SAKNAS!", " #n/a "])
def test_what_a_spreadsheet_looked_up_and_did_not_find_is_no_label(root, text, caplog):
    table(root, f"path,label,group\na.png,x,p\ne.png,{text},{text}\ndeep/d.png,y,\n")
    assert listed(root)["e.png"] == (None, None, None)
    assert f"1 cells '{text.lstrip()}' in the column 'label' are taken for no label" in caplog.text
    assert "in the column 'group' are taken for none" in caplog.text
    for column in ("path", "role"):
        row = {"path": "a.png", "label": "x", "role": "", column: text.strip()}
        table(root, "path,label,role\n" + ",".join(row.values()) + "\n")
        with pytest.raises(InputError, match=rf"row 1: the {column} is '{text.strip()}', an error of the spreadsheet"):
            listed(root)


@pytest.mark.parametrize("column", ["path", "label", "group", "role"])
@pytest.mark.parametrize(
    "text", ["#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#WERT!", "#¿NOMBRE?", "Err:502", "########"]
)
def test_other_errors_of_a_spreadsheet_are_refused(root, column, text):
    row = {"path": "e.png", "label": "x", "group": "", "role": "", column: text}
    table(root, f"path,label,group,role\na.png,x,p,\n{','.join(row.values())}\n")
    with pytest.raises(InputError, match=rf"row 2: the {column} is .*an error of the spreadsheet"):
        listed(root)


def test_a_class_that_is_called_na(root, caplog):
    table(root, "path,label\na.png,NA\ne.png,ADH\ndeep/d.png,\n")
    assert listed(root)["a.png"] == (None, None, None)
    assert "1 cells 'NA' in the column 'label' are taken for no label; if that is a class, name all" in caplog.text
    caplog.clear()
    source = {"kind": "table", "path": "data/labels.csv"}
    found = {record.path: record.label for record in kinds.records(source, root, ["NA", "ADH"])}
    assert found == {"a.png": "NA", "deep/d.png": None, "e.png": "ADH"}
    assert not caplog.text
    pq.write_table(pa.table({"image": [b"1", b"2", b"3"], "label": ["NA", "ADH", None]}), root / "na.parquet")
    source = {"kind": "parquet", "path": "na.parquet"}
    assert [record.label for record in kinds.records(source, root, ["NA", "ADH"])] == ["NA", "ADH", None]
    assert not caplog.text
    assert [record.label for record in kinds.records(source, root)] == [None, "ADH", None]
    assert "1 labels 'NA' are taken for none" in caplog.text


def test_tables_of_na_and_of_a_failed_lookup(caplog):
    folder = Path(__file__).resolve().parents[3] / "shared" / "faults" / "na_and_excel_errors"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    records = list(kinds.records({"kind": "table", "path": "vlookup.csv"}, folder))
    assert [record.label for record in records] == [None, "a", "b", "a", "b", None]
    assert "2 cells '#N/A'" in caplog.text
    records = list(kinds.records({"kind": "table", "path": "na.csv"}, folder, ["NA", "ADH", "DCIS"]))
    assert [record.label for record in records] == ["NA", "NA", "ADH", "ADH", "DCIS", "DCIS"]


@pytest.mark.parametrize(("no", "yes"), [("0", "1"), ("0.0", "1.0"), ("False", "True")])
def test_a_column_of_0_and_1_for_each_class(root, caplog, no, yes):
    """The ground truth of HAM10000 and of ISIC's challenges comes so, with ids for paths."""
    text = f"image,lesion,MEL,NV,BCC\na,l1,{no},{yes},{no}\ne,l1,{yes},{no},{no}\ndeep/d,l2,{no},{no},{no}\n"
    table(root, text)
    columns = {"path": "image", "group": "lesion"}
    assert listed(root, columns=columns) == {
        "a.png": ("NV", "l1", None),
        "deep/d.png": (None, "l2", None),
        "e.png": ("MEL", "l1", None),
    }
    assert "3 columns hold 0 and 1, and are taken for the classes: 'MEL', 'NV', 'BCC'" in caplog.text
    table(root, text.replace(",", ";").replace(".0", ",0"))
    assert listed(root, columns=columns)["a.png"] == ("NV", "l1", None)
    rows = {"path": ["a.png", "e.png"], "x": [0, 1], "y": [1.0, 0.0]}
    pq.write_table(pa.table(rows), root / "data" / "labels.parquet")
    assert listed(root, path="data/labels.parquet") == {"a.png": ("y", None, None), "e.png": ("x", None, None)}


def test_columns_of_0_and_1_that_are_not_the_classes(root):
    table(root, "path,MEL,NV,male\na.png,0,1,0\ne.png,1,0,1\n")
    with pytest.raises(InputError, match="row 2 has 1 in 'MEL' and 'male': an image has one class"):
        listed(root)
    for text in ("path,MEL,age\na.png,1,33\n", "path,x,y\na.png,0.9,0.1\n", "path,x,y\n"):
        table(root, text)
        with pytest.raises(InputError, match="no column 'label'"):
            listed(root)
    table(root, "path,MEL,NV,label\na.png,1,0,x\n")  # a column of labels is what it says
    assert listed(root) == {"a.png": ("x", None, None)}


def test_measurements_are_no_classes(root):
    for index in range(30):
        Image.new("RGB", (3, 3)).save(root / "data" / f"{index}.png")
    table(root, "path,label\n" + "".join(f"{index}.png,0.{index + 1}7\n" for index in range(30)))
    with pytest.raises(InputError, match=r"30 different numbers such as 0\.107, which are measurements"):
        listed(root)


def test_fingerprint_is_of_the_table_and_its_images(root):
    source = {"kind": "table", "path": "data/labels.csv"}
    table(root, "path,label\na.png,x\n")
    before = kinds.fingerprint(source, kinds.state(source, root))
    (root / "data" / "e.png").write_bytes(b"not listed")
    assert kinds.fingerprint(source, kinds.state(source, root)) == before
    (root / "data" / "a.png").write_bytes(b"listed")
    assert kinds.fingerprint(source, kinds.state(source, root)) != before
