"""What a source lists, in which order, when its fingerprint changes, and which code it passes through."""

import hashlib
import logging
import os
import pickle
from pathlib import Path

import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import image_files
from helpers import SCRIPTS
from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.data.sources import kinds
from pocketscope.data.sources.paths import top_of
from pocketscope.data.sources.record import TEST
from pocketscope.images import files
from pocketscope.images.decode import decode
from pocketscope.images.pixels import Unreadable
from pocketscope.tables.source_labels import SOURCE_FILES

ODD_NAMES = [" b ", "it's", 'say "x"', "two\nlines", "$HOME", "3rd", "Ärzte-細胞", "x=1", "%s", "-rf", "tab\t", "*?[1]"]


def put(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(path, "PNG")
    return path


def listed(root, **source):
    return list(kinds.records({"kind": "folder", "path": "images"} | source, root))


def reason(record):
    with pytest.raises(Unreadable) as caught:
        record.read()
    return str(caught.value)


@pytest.fixture
def root(tmp_path):
    for seed, name in enumerate(["b/2.png", "b/1.png", "a/deep/er/3.png", "a b/4.png"]):
        put(tmp_path / "images" / name, seed)
    return tmp_path


def test_one_folder_a_class_in_the_order_of_paths(root):
    records = listed(root)
    assert [record.path for record in records] == ["a b/4.png", "a/deep/er/3.png", "b/1.png", "b/2.png"]
    assert [record.label for record in records] == ["a b", "a", "b", "b"]
    assert {(record.group, record.role) for record in records} == {(None, None)}
    assert decode(records[0].read()).shape == (6, 5, 3)


def test_the_folder_may_be_absolute_or_relative(root, tmp_path):
    absolute = list(kinds.records({"kind": "folder", "path": str(root / "images")}, tmp_path / "elsewhere"))
    assert [record.path for record in absolute] == [record.path for record in listed(root)]


def test_records_can_be_sent_to_another_process(root):
    for record in listed(root):
        assert pickle.loads(pickle.dumps(record)).read() == record.read()


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_of_all_kinds(root, name):
    put(root / "images" / name / f"{name}.png")
    (record,) = [record for record in listed(root) if record.label == name]
    assert record.path == f"{name}/{name}.png"
    assert decode(record.read()).shape == (6, 5, 3)


def test_names_that_are_not_utf8_are_told(root):
    put(root / "images" / "b" / os.fsdecode(b"caf\xe9.png"))
    (record,) = [record for record in listed(root) if "caf" in record.path]
    record.path.encode()
    assert "rename" in reason(record)


def test_what_systems_and_people_leave_beside_images(root):
    for name in [
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        ".hidden.png",
        "notes.txt",
        "table.xlsx",
        "1.json",
        "readme.MD",
    ]:
        (root / "images" / "b" / name).write_bytes(b"x")
        (root / "images" / name).write_bytes(b"x")
    put(root / "images" / "__MACOSX" / "b" / "._1.png")
    put(root / "images" / ".git" / "1.png")
    assert len(listed(root)) == 4


def test_images_beside_the_class_folders_are_told_with_the_remedy(root):
    put(root / "images" / "loose.png")
    (record,) = [record for record in listed(root) if record.path == "loose.png"]
    assert record.label is None
    assert "unlabelled" in reason(record)


def test_an_enormous_file_is_not_read(root, monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    assert "larger than" in reason(listed(root)[0])


def test_unlabelled_and_test_folders(root):
    put(root / "new" / "x" / "5.png")
    put(root / "images" / "held out" / "b" / "6.png")
    records = {r.path: (r.label, r.role) for r in listed(root, unlabelled="new", test="images/held out")}
    assert records["../new/x/5.png"] == (None, None)
    assert records["held out/b/6.png"] == ("b", TEST)
    assert len(records) == 6


def test_a_folder_without_labels_may_be_all_there_is(root):
    """People label it in the browser: its folders are no classes, and groups where that is said."""
    records = list(kinds.records({"kind": "folder", "path": None, "unlabelled": "images", "group": "folder"}, root))
    assert [(record.path, record.label, record.group) for record in records] == [
        ("a b/4.png", None, "a b"), ("a/deep/er/3.png", None, "a"), ("b/1.png", None, "b"), ("b/2.png", None, "b"),
    ]  # fmt: skip
    assert top_of({"kind": "folder", "path": None, "unlabelled": "images"}, root) == root / "images"
    with pytest.raises(InputError, match="there is no such folder"):
        list(kinds.records({"kind": "folder", "unlabelled": "nowhere"}, root))


def test_unlabelled_folder_inside_is_no_class(root):
    put(root / "images" / "unlabelled" / "5.png")
    records = {r.path: r.label for r in listed(root, unlabelled="images/unlabelled")}
    assert records["unlabelled/5.png"] is None
    assert len(records) == 5


def test_folders_that_are_no_classes_by_their_names(root):
    put(root / "images" / "Unlabeled" / "5.png")
    with pytest.raises(InputError, match=r"'Unlabeled' is taken for a class.*'unlabelled' of the source"):
        listed(root)
    for name in ("train/a", "train/b", "test/a"):
        put(root / "parted" / name / "1.png")
    with pytest.raises(InputError, match="'test' and 'train' are parts of a data set, not classes; name the one to"):
        listed(root, path="parted")
    assert len(listed(root, path="parted/train", test="parted/test")) == 3


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (
            ["training_set/cats", "training_set/dogs", "test_set/cats", "test_set/dogs"],
            r"the folders 'test_set', 'training_set' would be the classes, and hold folders of the same names, "
            r"'cats', 'dogs'; name the one to learn from by 'path' of the source, and the one to test on by 'test' "
            r"\('training_set' and 'test_set', by their names\); if the folders are classes indeed",
        ),
        (
            [f"seg_{part}/seg_{part}/{kind}" for part in ("train", "test") for kind in ("ice", "sea")]
            + ["seg_pred/seg_pred"],
            r"same names, 'ice', 'sea'; .*\('seg_train/seg_train' and 'seg_test/seg_test', by their names\)",
        ),
        (["seg_train/sea", "seg_train/ice", "seg_test/sea", "seg_test/ice", "seg_pred"], "same names, 'ice', 'sea'"),
        ([f"{kind}/{plant}" for kind in ("color", "grayscale", "segmented") for plant in "abc"], "'a', 'b', 'c'"),
        (
            [f"1025{patient}/{label}" for patient in range(7) for label in (0, 1)],
            "'10254' and more would be the classes",
        ),
        # Patients with one class each
        (
            [f"p{patient}/{patient % 2}" for patient in range(4)],
            "'0', '1'.*set 'group: folder_above' of the source, where they are patients",
        ),
        (
            ["train/a", "train/b", "test/a", "test/b", "more"],
            "'test' and 'train' are parts of a data set by their names",
        ),
        (["train", "val", "other"], "'train' and 'val' are parts of a data set by their names"),
        (
            ["ill/train", "ill/test", "well/train", "well/test"],
            "'test', 'train'; images of all of these would be learnt",
        ),
        (["ill/a", "ill/b", "well/a", "well/b", "dead/c"], "hold folders of the same names, 'a', 'b'"),
        (["xray/train/a", "xray/test/a"], "name 'xray/train' by 'path' of the source, and 'xray/test' by 'test'"),
        (["x/y/train/a", "x/y/val/a"], "'x', which would be the only class; name 'x/y/train' by 'path' of the source"),
        (["x/y/a", "x/y/b"], "name 'x/y' by 'path' of the source, if the classes are the folders inside"),
    ],
)
def test_parts_patients_and_a_folder_too_many_are_no_classes(root, folders, said):
    for seed, folder in enumerate(folders):
        put(root / "tree" / folder / "1.png", seed)
    with pytest.raises(InputError, match=said) as caught:
        listed(root, path="tree")
    named = sorted({folder.split("/")[0] for folder in folders})
    if len(named) > 1:
        assert "if the folders are classes indeed, name them with 'classes'" in str(caught.value)
        records = kinds.records({"kind": "folder", "path": "tree"}, root, named)
        assert {record.label for record in records} == set(named)


@pytest.mark.parametrize(
    "folders",
    [
        ["ill/p1", "ill/p2", "well/p3", "well/p4"],  # patients inside classes
        ["ill/p1", "ill/p2", "ill/p3", "well/p3", "well/p4"],  # one of whom has images of both
        ["ill/SOB", "well/SOB"],
        ["ill", "well", "dead/a", "dead/b"],
        [*(f"class{i}/patient{j}" for i in range(5) for j in range(i, 20, 5))],
        ["train", "car", "bus"],  # vehicles
        ["test positive", "test negative"],
        ["ill"],  # too few classes, which is said later
    ],
)
def test_folders_inside_classes_that_are_no_classes(root, folders):
    for seed, folder in enumerate(folders):
        put(root / "tree" / folder / "1.png", seed)
    assert {record.label for record in listed(root, path="tree")} == {folder.split("/")[0] for folder in folders}


def test_parts_that_are_named_may_hold_the_same_folders(root):
    for folder in ("train/a/x", "train/b/y", "test/a/x", "test/b/x", "test/a/y", "test/b/y"):
        put(root / "tree" / folder / "1.png")
    assert len(listed(root, path="tree/train", test="tree/test")) == 6


@pytest.mark.parametrize("name", ["kaggle", "patients", "nested"])
def test_trees_as_kaggle_sets_come(name):
    folder = Path(__file__).resolve().parents[3] / "shared" / "faults" / "parts_taken_for_classes"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    with pytest.raises(InputError, match="by 'path' of the source"):
        listed(folder, path=name)
    if name == "nested":
        assert listed(folder, path="nested/chest_xray/train", test="nested/chest_xray/test")


def test_links_are_followed_but_not_in_circles(root):
    put(root / "disk" / "far.png", 9)
    (root / "images" / "b" / "linked.png").symlink_to(root / "disk" / "far.png")
    (root / "images" / "c").symlink_to(root / "disk")
    (root / "images" / "b" / "circle").symlink_to(root / "images")
    (root / "images" / "b" / "broken.png").symlink_to(root / "nowhere.png")
    records = {r.path: r for r in listed(root)}
    assert set(records) - {"a b/4.png", "a/deep/er/3.png", "b/1.png", "b/2.png"} == {
        "b/linked.png",
        "c/far.png",
        "b/broken.png",
    }
    assert records["b/linked.png"].read() == records["c/far.png"].read()
    with pytest.raises(OSError, match=r"broken\.png"):
        records["b/broken.png"].read()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "imags"}, "imags: there is no such folder"),
        ({"path": "images/b/1.png"}, "is a file, not a folder"),
        ({"path": "empty"}, "contains no images; put one folder per class"),
        ({"unlabelled": "nowhere"}, "no such folder .'unlabelled'"),
        ({"test": "images"}, "named twice"),
        ({"test": "empty"}, "empty: contains no images .'test' of a folder source.; correct it or leave it out"),
        ({"unlabelled": "empty"}, "empty: contains no images .'unlabelled' of a folder source"),
    ],
)
def test_folders_that_are_not_there(root, source, message):
    (root / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        listed(root, **source)


def test_the_folder_that_paths_start_from(root):
    assert top_of({"kind": "folder", "path": "images"}, root) == root / "images"
    assert top_of({"kind": "table", "path": "tables/labels.csv"}, root) == root / "tables"
    assert top_of({"kind": "table", "path": "labels.csv", "images": "images"}, root) == root / "images"
    assert top_of({"kind": "digits"}, root) == root


def test_digits():
    records = list(kinds.records({"kind": "digits"}, None))
    assert len(records) == 1797
    assert {record.label for record in records} == set("0123456789")
    image = decode(records[0].read())
    assert image.shape == (8, 8, 3)
    assert image.max() == 239  # 15 of 16
    assert records[0].path == "0/0000"


# ---- fingerprint


FOLDER = {"kind": "folder", "path": "images"}


def fingerprint(root, known=None):
    return kinds.fingerprint(FOLDER, kinds.state(FOLDER, root, known))


def index(root, path):
    rows = [
        dict(zip(SOURCE_FILES.names, (path, *entry), strict=True)) for path, entry in kinds.state(FOLDER, root).items()
    ]
    parquet.write(pa.Table.from_pylist(rows, schema=SOURCE_FILES), path, SOURCE_FILES)
    return path


def test_fingerprint_is_of_content(root):
    before = fingerprint(root)
    os.utime(root / "images" / "b" / "1.png", ns=(1, 1))
    assert fingerprint(root) == before
    put(root / "images" / "b" / "1.png", 99)
    changed = fingerprint(root)
    assert changed != before
    put(root / "images" / "b" / "1.png", 1)
    assert fingerprint(root) == before
    (root / "images" / "b" / "1.png").rename(root / "images" / "b" / "one.png")
    assert fingerprint(root) != before


def test_fingerprint_with_an_index_reads_only_what_changed(root, monkeypatch):
    before = fingerprint(root)
    known = index(root, root / "files.parquet")
    read = []
    really = kinds._read
    monkeypatch.setattr(kinds, "_read", lambda place: read.append(place) or really(place))
    assert fingerprint(root, known) == before
    assert read == []
    os.utime(root / "images" / "b" / "1.png", ns=(1, 1))
    assert fingerprint(root, known) == before
    assert [os.path.basename(name) for name in read] == ["1.png"]  # noqa: PTH119
    put(root / "images" / "b" / "7.png", 7)
    assert fingerprint(root, known) != before


def test_the_digest_is_of_the_whole_file_however_large_it_is_or_many_there_are(tmp_path):
    contents = {f"{number}": b"\x89PNG" + bytes([number % 251]) * number for number in range(600)}
    contents["large"] = os.urandom(2**21 + 1)
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    surveyed = kinds.survey({name: str(tmp_path / name) for name in contents})
    assert {name: entry[2] for name, entry in surveyed.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in contents.items()
    }


def test_fingerprint_outlives_the_images(root, caplog):
    before = fingerprint(root)
    known = index(root, root / "files.parquet")
    (root / "images").rename(root / "gone")
    with caplog.at_level(logging.WARNING):
        assert fingerprint(root, known) == before
    assert "no such folder" in caplog.text
    with pytest.raises(InputError, match="no such folder"):
        fingerprint(root, root / "no-index.parquet")


def test_a_damaged_index_is_no_index(root):
    (root / "files.parquet").write_bytes(b"cut short")
    assert fingerprint(root, root / "files.parquet") == fingerprint(root)


def test_an_index_hides_no_fault_of_a_source_that_is_there(root):
    known = index(root, root / "files.parquet")
    with pytest.raises(InputError, match=r"no such folder \('unlabelled'"):
        kinds.state(FOLDER | {"unlabelled": "nowhere"}, root, known)
    (root / "labels.csv").write_text("path,label\nimages/b/1.png,x\nimages/b/nothing.png,y\n")
    with pytest.raises(InputError, match="1 of 2 files do not exist"):
        kinds.state({"kind": "table", "path": "labels.csv"}, root, known)


def test_the_digits_are_known_by_a_file_of_scikit_learn():
    assert list(kinds.state({"kind": "digits"}, None)) == ["digits.csv.gz"]


# ---- which modules packing does not run


def lacking(source, root, known=None):
    return {name.removeprefix("pocketscope.") for name in kinds.not_needed(source, kinds.state(source, root, known))}


OTHERS = {f"data.sources.{kind}_source" for kind in kinds.KINDS}
DECODERS = {"images.tiff", "images.dicom", "images.codestreams"}


def test_a_decoder_counts_once_one_file_needs_it_and_as_long_as_one_does(root):
    folder = (OTHERS - {"data.sources.folder_source"}) | {"data.sources.groups"}
    assert lacking(FOLDER, root) == folder | DECODERS
    grey = np.zeros((4, 4), np.uint8)
    (root / "images/b/scan.png").write_bytes(image_files.tiff(grey))  # its bytes tell, as they do when it is decoded
    assert lacking(FOLDER, root) == folder | (DECODERS - {"images.tiff"})
    (root / "images/b/film").write_bytes(image_files.dicom(grey))
    coded = {"images.codestreams"}
    assert lacking(FOLDER, root) == folder | coded
    known = index(root, root / "files.parquet")
    assert lacking(FOLDER, root, known) == folder | coded
    (root / "images/b/film").unlink()
    assert lacking(FOLDER, root, known) == folder | (DECODERS - {"images.tiff"})
    (root / "images/a/slide.jp2").write_bytes(imagecodecs.jpeg2k_encode(grey))
    assert lacking(FOLDER, root, known) == folder | {"images.dicom"}
    (root / "images/a/slide.jp2").unlink()
    put(root / "images/b/scan.png", 3)
    assert lacking(FOLDER, root, known) == folder | DECODERS
    (root / "images").rename(root / "gone")
    assert lacking(FOLDER, root, known) == folder | coded


def test_images_inside_archives_may_need_any_decoder_and_arrays_need_none(root):
    pq.write_table(pa.table({"image": [b"II*\0"], "label": ["a"]}), root / "set.parquet")
    assert not lacking({"kind": "parquet", "path": "set.parquet"}, root) & DECODERS
    assert lacking({"kind": "digits"}, root) == (OTHERS - {"data.sources.digits_source"}) | DECODERS | {
        "data.sources.groups"
    }
    assert lacking({"kind": "medmnist", "name": "bloodmnist"}, root) >= DECODERS


def test_what_is_said_not_to_run_does_not(root, python):
    """Packed in a process of its own, which says what it has imported."""
    pq.write_table(pa.table({"path": ["b/1.png"], "label": ["a"]}), root / "images/labels.parquet")
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from pocketscope.data import preparing
from pocketscope.data.sources import kinds
for record in kinds.records({source}, Path()):
    assert not isinstance(preparing.prepare(record, image_size=8, resize="stretch", page=0), str), record
print(*(set(sys.modules) & set(kinds.not_needed({source}, kinds.state({source}, Path())))))
"""
    by_name = FOLDER | {"group": "<group>.png"}
    for source in ({"kind": "digits"}, FOLDER, by_name, {"kind": "table", "path": "images/labels.parquet"}):
        process = python(code.replace("{source}", repr(source)), str(SCRIPTS), cwd=root)
        assert process.communicate()[0] == "\n"
        assert process.returncode == 0


def test_nothing_is_written_into_the_user_s_folder(root):
    before = sorted(root.rglob("*"))
    listed(root)
    fingerprint(root)
    assert sorted(root.rglob("*")) == before


def test_an_archive_is_to_be_unpacked(root):
    (root / "converted.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="unpack it, and name the folder"):
        listed(root, path="converted.zip")
