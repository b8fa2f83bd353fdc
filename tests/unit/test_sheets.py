"""Tables that people give, whoever reads them: what spreadsheets write comes out as it was meant."""

import gzip
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pocketscope.core import sheets
from pocketscope.core.errors import InputError
from pocketscope.data import corrections
from pocketscope.data.sources import kinds
from pocketscope.statistics import score_table

FAULTS = Path(__file__).resolve().parents[3] / "shared" / "faults"


def read_source(path):
    """Return the labels of a source table by path."""
    for name in ("0.png", "1.png"):
        (path.parent / name).touch()
    return {r.path: r.label for r in kinds.records({"kind": "table", "path": path.name}, path.parent)}


def read_corrections(path):
    """Return the corrections of two images, of the classes that all tables here have."""
    images = pa.table({"image_id": ["0.png", "1.png"], "paths": [["0.png"], ["1.png"]]})
    labels = pa.table({"image_id": ["0.png", "1.png"], "label": ["grün", "two; words"]})
    asked = {"source": {"kind": "folder", "path": "."}, "classes": None}
    return corrections.read(asked, path, path.parent, images, labels).learnt


LABELS = [["note", "path", "label"], ["x", "0.png", "grün"], ["", "1.png", "two; words"]]
MEANT = {"0.png": "grün", "1.png": "two; words"}


def read_scores(path):
    """Return the scores of a table by method."""
    return dict(score_table.read(path)[["method", "value"]].itertuples(index=False))


def read_costs(path):
    """Return the sizes of networks."""
    return dict(score_table.read_costs(path)[["network", "size_mb"]].itertuples(index=False))


SCORES = [
    ["note", "dataset", "network", "score", "method"],
    ["x", "d", "n", "0.70", "grün"],
    ["", "d", "n", "0.71", "a; b"],
]
COSTS = [["note", "size_mb", "network"], ["x", "70", "grün"], ["", "71", "a; b"]]
FAMILIES = [["note", "network", "family"], ["x", "n0", "grün"], ["", "n1", "a; b"]]
USERS = {
    "source": (read_source, LABELS, MEANT),
    "corrections": (read_corrections, LABELS, MEANT),
    "scores": (read_scores, SCORES, {"grün": 0.7, "a; b": 0.71}),
    "families": (score_table.read_families, FAMILIES, {"n0": "grün", "n1": "a; b"}),
    "costs": (read_costs, COSTS, {"grün": 70.0, "a; b": 71.0}),
}
USED = {"path", "label", "dataset", "network", "score", "method", "size_mb", "family"}


@pytest.fixture(params=USERS)
def user(request, tmp_path):
    """Return a function that writes rows or text and lets one user of tables read them, the rows and what they mean."""
    read, rows, meant = USERS[request.param]

    def written(text, encoding="utf-8", name="table.csv"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return read(tmp_path / name)

    return written, rows, meant


def as_text(rows, separator=",", end="\n"):
    """Write rows as a spreadsheet does, with quotes where they are needed."""
    quoted = [[f'"{cell}"' if set(cell) & set(",;\t") else cell for cell in row] for row in rows]
    return "".join(separator.join(row) + end for row in quoted)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_separators_line_ends_and_encodings(user, separator, end, encoding):
    read, rows, meant = user
    assert read(as_text(rows, separator, end), encoding) == meant


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_line_for_excel(user, separator):
    read, rows, meant = user
    for end in ("\n", "\r\n"):
        assert read(f"sep={separator}{end}" + as_text(rows, separator, end), "utf-8-sig") == meant


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [[*rows[0], "extra"], *rows[1:]],  # short rows: cells at their end are left out
        lambda rows: [[*rows[0], "extra"], [*rows[1], "e"], *rows[2:]],  # as Excel does, in some blocks of rows
        lambda rows: [*rows, *[[""] * len(rows[0])] * 3],  # rows that were emptied
        lambda rows: [*rows, [], []],
        lambda rows: [[""] * len(rows[0]), [], *rows],  # empty rows above
        lambda rows: [[*row, "", ""] for row in rows],  # empty columns
        lambda rows: [rows[0], *([*row, ""] for row in rows[1:])],  # long rows without anything beyond
        lambda rows: [["", *rows[0]], *([str(i), *row] for i, row in enumerate(rows[1:]))],  # pandas' index
        lambda rows: [[f" {name} " for name in rows[0]], *rows[1:]],
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_that_are_missing_or_empty(user, change, separator):
    read, rows, meant = user
    assert read(as_text(change(rows), separator)) == meant


def test_rows_that_are_too_long_are_refused(user):
    read, rows, _ = user
    with pytest.raises(InputError, match=r"row 2 has 9 cells and the header.*put quotes around"):
        read(as_text([*rows[:2], rows[2] + ["y"] * (9 - len(rows[2]))]))


@pytest.mark.parametrize("name", ["T.CSV", "t.tsv", "t.txt", "t"])
def test_endings(user, name):
    read, rows, meant = user
    assert read(as_text(rows, "\t"), name=name) == meant


@pytest.mark.parametrize("encoding", ["mac_roman", "cp1251", "gbk", "shift_jis"])
def test_what_is_no_windows_1252_is_refused(user, encoding):
    """Excel on a Mac writes Mac Roman; in other countries, their codes."""
    read, rows, _ = user
    note = {"cp1251": "норма", "gbk": "肿瘤细胞", "shift_jis": "腫瘍細胞"}.get(encoding, "weiß")
    rows = [[*rows[0], "remark"], [*rows[1], note], rows[2]]
    text = as_text(rows).replace("grün", "gruen" if encoding != "mac_roman" else "grün")
    with pytest.raises(InputError, match=r"looks like no Windows-1252.*CSV UTF-8"):
        read(text, encoding)


WESTERN = ["weiß", "Ärzte", "é", "3 °C", "10 µm", "l’homme", "œdème — Ü", "±5 % ½", "España ¿sí?"]


@pytest.mark.parametrize("text", WESTERN)
def test_windows_1252_is_said(user, text, caplog):
    read, rows, meant = user
    rows = [[*rows[0], "remark"], [*rows[1], text], rows[2]]
    assert read(as_text(rows), "cp1252") == meant
    assert "is read as Windows-1252, such as" in caplog.text
    caplog.clear()
    read(as_text(rows))
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING and "1252" in r.message]


def test_workbooks_and_damaged_files(user):
    read, rows, _ = user
    with pytest.raises(InputError, match=r"is a workbook.*save it as 'CSV UTF-8'"):
        read(b"PK\x03\x04....")
    with pytest.raises(InputError, match="not a Parquet file, or is damaged"):
        read("x", name="x.PARQUET")
    with pytest.raises(InputError, match=r"line 2.*repair the quotes"):
        read(as_text(rows[:1]) + '"x\n')
    with pytest.raises(InputError, match=r"is empty|missing|wanted|needed"):
        read("\n,,\n")
    with pytest.raises(InputError, match="there is no such file"):
        score_table.read(Path("nothing.csv"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"path,label\n", mtime=0), "is compressed; unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\r\n<!doctype html><html>", "is a page of the web"),
        (b"%PDF-1.7", "is a PDF"),
        (b"RDX3\nX", "is a file of R; write it by write.csv"),
        (b"made by a program\npath,label\na.png,x\n", "the first row should name the columns"),
    ],
)
@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
def test_files_that_are_no_tables_are_named(tmp_path, content, said, name):
    (tmp_path / name).write_bytes(content)
    if name.endswith("parquet") and b"made by" in content:
        said = "is not a Parquet file"
    with pytest.raises(InputError, match=said):
        sheets.read(tmp_path / name)


def test_errors_of_a_spreadsheet(user):
    read, rows, meant = user
    assert read(as_text([[*row, cell] for row, cell in zip(rows, ("rest", "#REF!", "#N/A"), strict=True)])) == meant
    for column in range(1, len(rows[0])):
        with pytest.raises(InputError, match=r"row 1: the .* is '#REF!', an error of the spreadsheet"):
            read(as_text([rows[0], [*rows[1][:column], "#REF!", *rows[1][column + 1 :]], rows[2]]))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas(tmp_path, separator):
    path = tmp_path / "t.csv"
    path.write_text(as_text(SCORES, separator).replace("0.70", "0,7025").replace("0.71", "0,5e-1"))
    assert read_scores(path) == {"grün": 0.7025, "a; b": 0.05}
    path.write_text(as_text(COSTS, separator).replace("70", "1,234"))
    assert read_costs(path) == {"grün": 1.234, "a; b": 71.0}
    # Points and commas: thousands are parted by one of them, and which is not known.
    path.write_text(as_text(COSTS, separator).replace("70", "1,234").replace("71", "71.5"))
    with pytest.raises(InputError, match="'1,234', not a positive number"):
        read_costs(path)
    path.write_text(as_text(COSTS).replace("70", '"1,234"'))
    with pytest.raises(InputError, match="'1,234', not a positive number"):
        read_costs(path)


def test_names_that_look_like_numbers_stay_as_they_are(tmp_path):
    (tmp_path / "t.csv").write_text("dataset,method,network,score\n01,None,1.0,0.5\n")
    assert score_table.read(tmp_path / "t.csv").iloc[0][["dataset", "method", "network"]].tolist() == [
        "01",
        "None",
        "1.0",
    ]


@pytest.mark.parametrize("empty", ["", "NA"])
def test_a_class_called_na_is_not_the_overall_score(tmp_path, empty):
    """Unless the program wrote NA for want of a class."""
    rows = f"d,m,n,f1,0.5,{empty}\n" + ("d,m,n,f1,0.9,NA\n" if not empty else "") + "d,m,n,f1,0.7,a\n"
    (tmp_path / "t.csv").write_text("dataset,method,network,metric,value,class\n" + rows)
    assert score_table.read(tmp_path / "t.csv")["value"].tolist() == [0.5]


def test_a_column_of_the_metric_precision_is_no_number_format(tmp_path):
    (tmp_path / "t.csv").write_text("dataset;method;network;f1;precision\nd;m;n;0,5;0,25\n")
    assert score_table.read(tmp_path / "t.csv")["precision"].tolist() == ["fp32"]
    (tmp_path / "t.csv").write_text("dataset,method,network,f1,precision\nd,m,n,0.5,int8\n")
    assert score_table.read(tmp_path / "t.csv")["precision"].tolist() == ["int8"]


def test_scores_from_most_of_europe():
    path = FAULTS / "compare_tables" / "semicolon.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    scores = score_table.read(path)
    assert scores.iloc[0].tolist() == ["d0", "all", "A", "n0", "fp32", 0.705]
    assert len(scores) == scores["dataset"].nunique() * 2 * 3


def test_a_column_named_twice(user, caplog):
    read, rows, meant = user
    for name in rows[0]:
        twice = as_text([[*row, cell] for row, cell in zip(rows, (name, "x", "y"), strict=True)])
        if name in USED:
            with pytest.raises(InputError, match=f"2 columns are called '{name}'; rename or remove"):
                read(twice)
        else:
            assert read(twice) == meant
    assert not caplog.records
    for alike in (f"{rows[0][-1].upper()} ", f"{rows[0][-1]}.1"):
        assert read(as_text([[*rows[0], alike], *([*row, "z"] for row in rows[1:])])) == meant
        assert f"the column '{rows[0][-1]}' is used, and '{alike.strip()}' is not" in caplog.text


def test_two_columns_called_label_in_parquet(tmp_path):
    table = pa.Table.from_arrays([pa.array(["0.png"]), pa.array(["a"]), pa.array(["b"])], ["path", "label", "label"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match="2 columns are called 'label'"):
        read_source(tmp_path / "t.parquet")


def test_two_raters_in_one_table():
    folder = FAULTS / "column_named_twice"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    with pytest.raises(InputError, match=r"labels\.csv: 2 columns are called 'label'"):
        list(kinds.records({"kind": "table", "path": "labels.csv"}, folder))


def test_answers_that_excel_saved():
    """The file of the report: from row 16 on, the last column's empty cells are left out."""
    folder = FAULTS / "excel_drops_trailing_commas"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    names = [f"../new/{i}.png" for i in range(30)]
    images = pa.table({"image_id": names, "paths": [[name] for name in names]})
    labels = pa.table({"image_id": [*names, "a", "b"], "label": [None] * 30 + ["a", "b"]})
    asked = {"source": {"kind": "folder", "path": "img"}, "classes": None}
    assert corrections.read(asked, folder / "corrections.csv", folder, images, labels).learnt == {
        "../new/2.png": "b",
        "../new/3.png": "b",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"image": "/data/upload/1/a.png", "choice": "ill"}]', "is JSON, not a table; export the labels as CSV"),
        ('{"images": [], "annotations": []}', "is JSON"),
        ('<?xml version="1.0"?><annotations/>', "is XML, not a table"),
    ],
)
def test_exports_of_programs_for_annotations_are_named(tmp_path, text, said):
    (tmp_path / "result.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        sheets.read(tmp_path / "result.csv")
