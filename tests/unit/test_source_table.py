"""Tables that list images: what is read from them, and what is refused."""

import logging

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
        ("file,label\na.png,x\n", "no column 'path' for the path.*The columns are 'file', 'label'"),
        ("path,label\n,x\n", "row 1 has no path"),
        ("path,label\na.png,x,y\n", "row 1 has 3 cells and the header 2"),
        ('path,label\na.png,"x\n', "repair the quotes"),
        ("path,label,role\na.png,x,valid\n", "row 1 has the role 'valid'; the roles are 'test'"),
    ],
)
def test_tables_that_cannot_be_meant(root, text, message):
    table(root, text)
    with pytest.raises(InputError, match=message):
        listed(root)


def test_other_files_than_tables(root):
    with pytest.raises(InputError, match="no such file"):
        listed(root, path="data/nothing.csv")
    table(root, "path,label\na.png,grün\n", "latin-1")
    with pytest.raises(InputError, match="CSV UTF-8"):
        listed(root)
    table(root, "x", name="x.parquet")
    with pytest.raises(InputError, match="not a Parquet file"):
        listed(root, path="data/x.parquet")


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
