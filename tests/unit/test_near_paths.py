"""Paths in tables that are nearly those of files: taken where there is no doubt, and otherwise named."""

import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest

from pocketscope.core.errors import InputError
from pocketscope.data import corrections
from pocketscope.data.sources import kinds

FAULTS = Path(__file__).resolve().parents[3] / "shared" / "faults" / "paths_that_nearly_match"
NFC, NFD = (unicodedata.normalize(form, "Präparat {}.png") for form in ("NFC", "NFD"))


@pytest.fixture(params=["source", "corrections"])
def read(request, tmp_path):
    """Return a function that makes files, and reads a table of paths, as a source or as corrections."""

    def from_source(files, paths):
        for name in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        records = kinds.records({"kind": "table", "path": "labels.csv"}, tmp_path)
        return [record.path for record in sorted(records, key=lambda record: record.label)]

    def from_corrections(files, paths):
        images = pa.table({"image_id": files, "paths": [[name] for name in files]})
        labels = pa.table(
            {"image_id": [*files, *paths], "label": [None] * len(files) + [f"c{i}" for i in range(len(paths))]}
        )
        asked = {"source": {"kind": "folder", "path": "."}, "classes": None}
        found = corrections.read(asked, tmp_path / "labels.csv", tmp_path, images, labels).learnt
        return sorted(found, key=found.get)

    def written(files, paths):
        rows = "".join(f'"{path}",c{number}\n' for number, path in enumerate(paths))
        (tmp_path / "labels.csv").write_text("path,label\n" + rows)
        return {"source": from_source, "corrections": from_corrections}[request.param](files, paths)

    return written


@pytest.mark.parametrize(
    ("asked", "file", "differs"),
    [  # {} is the number of the image
        ("img_{}.jpg", "IMG_{}.JPG", "capitals"),
        ("IMG_{}.jpg", "IMG_{}.JPG", "capitals"),
        ("A/img_{}.JPG", "a/img_{}.jpg", "capitals"),
        (NFC, NFD, "the Unicode of its letters"),
        (NFD, NFC, "the Unicode of its letters"),
        (f"Ä/{NFC}", f"{unicodedata.normalize('NFD', 'Ä')}/{NFD}", "the Unicode of its letters"),
        ("ISIC_{}", "ISIC_{}.jpg", "the ending that is left out"),
        ("p.{}", "p.{}.jpg", "the ending that is left out"),
        ("ISIC_{}", "part/deep/ISIC_{}.jpg", "a sub-folder, the ending that is left out"),
        ("ISIC_{}.jpg", "part/ISIC_{}.jpg", "a sub-folder"),
        ("a\\{}.png", "a/{}.png", "backslashes"),
        ("C:\\Users\\x\\scans\\a\\{}.png", "a/{}.png", "backslashes, the folders of another computer"),
        ("D:/scans/{}.png", "{}.png", "the folders of another computer"),
        ("/home/somebody/scans/a/{}.png", "a/{}.png", "the folders of another computer"),
        ("/home/somebody/scans/A/{}.PNG", "a/{}.png", "capitals, the folders of another computer"),
        ("{}.png", "00{}.png", "leading zeros"),
        ("{}", "s/00{}.png", "a sub-folder, leading zeros, the ending that is left out"),
    ],
)
def test_near_misses_of_one_kind_are_taken_and_one_alone_is_named(read, caplog, asked, file, differs):
    files = [file.format(number) for number in (1, 2, 3)]
    assert read(files, [asked.format(number) for number in (1, 2, 3)]) == files
    said = f"3 paths differ from the files' in {differs}, and are taken for them, such as {asked.format(1)!r} for"
    assert said in caplog.text
    with pytest.raises(InputError) as caught:
        read(files, [files[0], files[1], asked.format(3)])
    assert f"(there is {files[2]!r}; what differs: {differs})" in str(caught.value)


def test_some_rows_may_need_less(read):
    """Names of plain letters are the same in both ways of writing the others; some files lie in no sub-folder."""
    files = ["x.png", NFD.format(1), NFD.format(2)]
    assert read(files, ["x.png", NFC.format(1), NFC.format(2)]) == files
    files = ["i1.jpg", "s/i2.jpg", "s/i3.jpg"]
    assert read(files, ["i1", "i2", "i3"]) == files


@pytest.mark.parametrize(
    ("files", "asked", "named"),
    [
        (["a.jpg", "a.png", "b.jpg"], ["a", "b"], "(there are 'a.jpg' and 'a.png')"),
        (["p/1.jpg", "q/1.jpg", "p/2.jpg"], ["1.jpg", "2.jpg"], "(there are 'p/1.jpg' and 'q/1.jpg')"),
        (["A.JPG", "b.jpg"], ["a.jpg", "b"], "(there is 'A.JPG'; what differs: capitals)"),  # of two kinds
        (["A.jpg", "B.jpg"], ["a.jpg", "A.JPG"], "(there is 'A.jpg'"),  # two for one
        (["A.jpg", "B.jpg"], ["A.jpg", "a.jpg", "b.jpg"], "(there is 'A.jpg'"),  # listed already
        (["A.jpg", "B.jpg"], ["a.jpg", "b.jpg", "c.jpg"], "(there is 'B.jpg'"),  # and one is not there at all
        (["a.png", "b.png"], ["a.jpg", "b.jpg"], "(there is 'a.png'; what differs: the ending)"),
        (["1.png", "2.png"], ["x/1.png", "x/2.png"], "(there is '1.png'; what differs: folders above)"),
    ],
)
def test_what_is_in_doubt_is_named(read, files, asked, named):
    with pytest.raises(InputError) as caught:
        read(files, asked)
    assert named in str(caught.value)


@pytest.mark.parametrize("asked", ["q/1.png", "3.png", "../1.png", "1", "p/1/1.png"])
def test_what_is_not_near(read, asked):
    files = ["p/1.png", "p/1.jpg", "q/2.png"]
    with pytest.raises(InputError) as caught:
        read(files, ["q/2.png", asked])
    assert "taken" not in str(caught.value)
    assert "what differs" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("no_ending.csv", [f"part_1/ISIC_{i}.jpg" for i in range(3)]),
        ("case.csv", [f"IMG_{i}.JPG" for i in range(3)]),
        ("nfc.csv", [NFD.format(i) for i in range(3)]),
    ],
)
def test_the_tables_of_the_reports(name, files):
    if not FAULTS.is_dir():
        pytest.skip(f"{FAULTS} is not there")
    records = list(kinds.records({"kind": "table", "path": name}, FAULTS))
    assert [record.path for record in records] == files
    assert [record.label for record in records] == ["a", "b", "a"]
