"""What lies in the packed tables, what is skipped and why, and what is refused."""

import hashlib
import io
import json
import os
import signal
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image

from image_files import dicom, tiff
from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.data import packing, preparing
from pocketscope.data.sources import kinds
from pocketscope.data.sources.record import TEST
from pocketscope.images import codec, decode
from pocketscope.images.resize import to_square
from pocketscope.tables.images import IMAGES, load_images, read_images
from pocketscope.tables.source_labels import SKIPPED, SOURCE_FILES, SOURCE_LABELS

TABLES = {
    "images": IMAGES,
    "labels": SOURCE_LABELS,
    "skipped": SKIPPED,
    "files": SOURCE_FILES,
}


def picture(seed, shape=(9, 12)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def fingerprint(source, root, known=None):
    return kinds.fingerprint(source, kinds.state(source, root, known))


def put(path, seed, form="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path, form)


@pytest.fixture
def root(tmp_path):
    for seed in range(12):
        put(tmp_path / "images" / f"class {seed % 3}" / f"{seed}.png", seed)
    return tmp_path


def pack(root, source=None, out="out", **options):
    source = {"kind": "folder", "path": "images"} | (source or {})
    options = {"image_size": 8, "resize": "crop"} | options
    paths = {name: root / out / f"{name}.parquet" for name in TABLES}
    summary = packing.pack(source, root, **paths, **options)
    return summary, {name: parquet.read(path, TABLES[name]).to_pylist() for name, path in paths.items()}


def test_every_image_is_there_once_with_its_label(root):
    summary, found = pack(root)
    assert summary == {
        "images": 12,
        "unlabelled": 0,
        "test": 0,
        "duplicates": 0,
        "skipped": 0,
        "classes": {"class 0": 4, "class 1": 4, "class 2": 4},
    }
    labels = {row["image_id"]: row["label"] for row in found["labels"]}
    for row in found["images"]:
        (path,) = row["paths"]
        original = picture(int(path.split("/")[1].removesuffix(".png")))
        assert row["image_id"] == codec.content_id(original)
        assert labels[row["image_id"]] == path.split("/")[0]
        assert (row["width"], row["height"], row["group"], row["role"]) == (12, 9, None, None)
        assert row["image"]["path"] == path
        assert (codec.decode_packed(row["image"]["bytes"]) == to_square(original, 8, "crop")).all()
    identities = [row["image_id"] for row in found["images"]]
    assert identities == sorted(identities) == [row["image_id"] for row in found["labels"]]


def test_images_of_a_single_colour_are_marked_and_kept(root):
    folder = root / "images" / "class 0"
    hot = np.full((9, 12, 3), 40, np.uint8)
    Image.fromarray(hot).save(folder / "blank.png")
    hot[8, 11, 2] = 41
    Image.fromarray(hot).save(folder / "hot.png")  # at the size of 8 that is packed it may look blank
    found = pack(root)[1]["images"]
    assert [row["paths"] for row in found if row["single_colour"]] == [["class 0/blank.png"]]
    assert len(found) == 14


def test_images_of_files_with_further_pages_are_marked(root):
    folder = root / "images" / "class 0"
    stack = np.stack([picture(seed)[..., 0] for seed in (60, 61)])
    (folder / "stack.tif").write_bytes(tiff(stack, photometric="minisblack"))
    (folder / "page.tif").write_bytes(tiff(stack[1], photometric="minisblack"))
    (folder / "film.dcm").write_bytes(dicom(stack[:, ::-1].copy()))
    (folder / "frame.dcm").write_bytes(dicom(stack[1, ::-1].copy()))
    pyramid = io.BytesIO()
    with tifffile.TiffWriter(pyramid) as writer:  # a smaller copy is no further image
        writer.write(picture(62), photometric="rgb")
        writer.write(picture(62)[::2, ::2], photometric="rgb", subfiletype=1)
    (folder / "pyramid.tif").write_bytes(pyramid.getvalue())
    marked = [row["paths"][0] for row in pack(root)[1]["images"] if row["further_pages"]]
    assert sorted(marked) == ["class 0/film.dcm", "class 0/stack.tif"]


def test_what_the_tables_carry_beside_their_rows(root):
    pack(root)
    path = root / "out" / "images.parquet"
    assert parquet.notes(path) == {"image_size": 8, "resize": "crop", "page": 0}
    hugging_face = json.loads(pq.read_schema(path).metadata[b"huggingface"])
    assert hugging_face["info"]["features"]["image"] == {"_type": "Image"}


def test_bytes_do_not_depend_on_the_number_of_processes(root, monkeypatch):
    monkeypatch.setattr(preparing, "_CHUNK", 2)
    (root / "images" / "class 0" / "bad.png").write_bytes(b"bad")
    put(root / "images" / "class 0" / "again.png", 0)

    def digests(out, processes):
        pack(root, out=out, processes=processes)
        return [hashlib.sha256((root / out / f"{name}.parquet").read_bytes()).hexdigest() for name in TABLES]

    assert digests("one", 1) == digests("two", 2)


def test_row_groups_are_small(root, monkeypatch):
    monkeypatch.setattr(packing, "ROW_GROUP", 5)
    pack(root)
    metadata = pq.read_metadata(root / "out" / "images.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [5, 5, 2]


def test_identity_and_labels_do_not_depend_on_size_and_fit(root):
    _, small = pack(root, out="small")
    _, large = pack(root, out="large", image_size=16, resize="pad")
    assert small["labels"] == large["labels"]


def test_unusable_files_are_skipped_with_the_reason_and_the_rest_goes_on(root):
    (root / "images" / "class 0" / "bad.png").write_bytes(b"bad")
    (root / "images" / "class 1" / "broken.png").symlink_to(root / "nowhere")
    put(root / "images" / "loose.png", 50)
    summary, found = pack(root, max_skipped_share=0.5)
    assert summary["images"] == 12
    assert summary["skipped"] == 3
    reasons = {row["path"]: row["reason"] for row in found["skipped"]}
    assert list(reasons) == ["class 0/bad.png", "class 1/broken.png", "loose.png"]
    assert "readable formats are" in reasons["class 0/bad.png"]
    assert reasons["class 1/broken.png"] == "cannot be opened (No such file or directory)"
    assert "beside the class folders" in reasons["loose.png"]


def test_too_many_skipped_is_an_error_that_names_them(root):
    for index in range(7):
        (root / "images" / "class 0" / f"bad{index}.png").write_bytes(b"bad")
    with pytest.raises(InputError) as caught:
        pack(root, max_skipped_share=0.2)
    assert "7 of 19 images cannot be used, more than the allowed share of 0.2" in str(caught.value)
    assert "class 0/bad4.png: no image" in str(caught.value)
    assert "and 2 more" in str(caught.value)
    assert list((root / "out").iterdir()) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_reader_that_is_not_installed_ends_the_packing(root, monkeypatch, processes):
    put(root / "images" / "class 0" / "scan.tif", 50, "TIFF")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    monkeypatch.delitem(sys.modules, "pocketscope.images.tiff", raising=False)
    with pytest.raises(InputError, match=r"class 0/scan.tif: to read it needs .*'tifffile'.*'formats'"):
        pack(root, processes=processes)


def test_a_class_that_lost_all_its_images(root, caplog):
    (root / "images" / "lost").mkdir()
    (root / "images" / "lost" / "1.png").write_bytes(b"bad")
    pack(root)
    assert "class 'lost': none of its images can be used" in caplog.text


def test_a_killed_process_is_an_error_and_not_a_wait_without_end(root, monkeypatch):
    monkeypatch.setattr(decode, "decode", lambda data, page: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(InputError, match="was killed, most likely because memory ran out"):
        pack(root, processes=2)


# ---- duplicates


def test_copies_are_one_image_with_all_its_paths(root):
    put(root / "images" / "class 0" / "again.bmp", 0, "BMP")
    summary, found = pack(root)
    assert (summary["images"], summary["duplicates"]) == (12, 1)
    (row,) = [row for row in found["images"] if len(row["paths"]) > 1]
    assert row["paths"] == ["class 0/0.png", "class 0/again.bmp"]


def test_copies_of_different_classes_are_skipped(root):
    put(root / "images" / "class 1" / "again.png", 0)
    summary, found = pack(root, max_skipped_share=0.5)
    assert summary["images"] == 11
    assert [row["path"] for row in found["skipped"]] == ["class 0/0.png", "class 1/again.png"]
    assert "class 0/0.png ('class 0'), class 1/again.png ('class 1')" in found["skipped"][0]["reason"]


def test_a_labelled_copy_gives_the_unlabelled_its_label(root):
    put(root / "new" / "0.png", 0)
    put(root / "new" / "20.png", 20)
    summary, found = pack(root, {"unlabelled": "new"})
    assert (summary["images"], summary["unlabelled"]) == (13, 1)
    (row,) = [row for row in found["images"] if len(row["paths"]) > 1]
    assert row["paths"] == ["../new/0.png", "class 0/0.png"]
    assert {r["image_id"]: r["label"] for r in found["labels"]}[row["image_id"]] == "class 0"


def test_a_copy_in_the_test_folder_takes_the_image_out_of_training(root):
    put(root / "held" / "class 0" / "0.png", 0)
    put(root / "held" / "class 1" / "30.png", 30)
    summary, found = pack(root, {"test": "held"})
    assert summary["test"] == 2
    (row,) = [row for row in found["images"] if len(row["paths"]) > 1]
    assert row["role"] == TEST


# ---- what is refused


def test_labels_that_differ_only_in_case_or_spaces(root):
    put(root / "images" / "Class  0" / "x.png", 40)
    with pytest.raises(InputError, match=r"'Class  0' \(1 images\) and 'class 0' \(4 images\) differ only in case"):
        pack(root)
    assert pack(root, classes=["class 0", "class 1"])[0]["classes"] == {"class 0": 4, "class 1": 4}


def test_labels_that_are_one_number_written_in_two_ways(root):
    put(root / "images" / "0.5" / "x.png", 40)
    put(root / "images" / "0,50" / "y.png", 41)
    with pytest.raises(InputError, match=r"'0,50' \(1 images\) and '0.5' \(1 images\) differ only in.*a number"):
        pack(root)


def test_a_folder_without_an_image_is_told(root):
    (root / "images" / "empty").mkdir()
    (root / "images" / "texts").mkdir()
    (root / "images" / "texts" / "notes.txt").write_text("x")
    (root / "images" / ".hidden").mkdir()
    put(root / "images" / "apart" / "new" / "20.png", 20)
    before = fingerprint({"kind": "folder", "path": "images"}, root)
    summary, found = pack(root, {"unlabelled": "images/apart/new"}, max_skipped_share=0.2)
    assert sorted(summary["classes"]) == ["class 0", "class 1", "class 2"]
    assert {row["path"] for row in found["skipped"]} == {"empty/", "texts/"}
    assert all("a folder without images" in row["reason"] for row in found["skipped"])
    (root / "images" / "empty").rmdir()
    assert fingerprint({"kind": "folder", "path": "images"}, root) == before


def test_labels_for_testing_alone_are_none_to_learn_from(root):
    names = [path.relative_to(root).as_posix() for path in (root / "images").rglob("*.png")]
    (root / "labels.csv").write_text("path,label,role\n" + "".join(f"{name},x,test\n" for name in names))
    with pytest.raises(InputError, match="no labelled images to learn from, only for testing"):
        pack(root, {"kind": "table", "path": "labels.csv"})


def test_classes_to_keep(root):
    put(root / "new" / "20.png", 20)
    summary, _ = pack(root, {"unlabelled": "new"}, classes=["class 2", "class 0"])
    assert summary["classes"] == {"class 0": 4, "class 2": 4}
    assert summary["unlabelled"] == 1


def test_a_class_that_does_not_exist_is_named_with_the_nearest(root):
    with pytest.raises(InputError, match="names 'Clas 1', which has no images; did you mean 'class 1'"):
        pack(root, classes=["class 0", "Clas 1"])


def test_one_class_only(root):
    with pytest.raises(InputError, match="of one class, 'class 0'"):
        pack(root, classes=["class 0"])


def test_no_labelled_image(tmp_path):
    put(tmp_path / "images" / "1.png", 1)
    with pytest.raises(InputError, match="no labelled images to learn from; put images of each class into a folder"):
        pack(tmp_path)


def test_a_class_of_the_test_folder_only(root):
    put(root / "held" / "class 9" / "1.png", 33)
    with pytest.raises(InputError, match=r"'class 9'.*only images for testing"):
        pack(root, {"test": "held"})


def test_nothing_is_written_into_the_user_s_folder(root):
    before = {path: path.stat().st_mtime_ns for path in (root / "images").rglob("*")}
    pack(root)
    assert {path: path.stat().st_mtime_ns for path in (root / "images").rglob("*")} == before


def test_odd_class_names_and_300_classes(tmp_path):
    names = ["a b", "it's", "two\nlines", "$HOME", "3rd", "Ä細胞", 'q"', *(f"c{index}" for index in range(293))]
    for seed, name in enumerate(names):
        put(tmp_path / "images" / name / f"{name}.png", seed)
    summary, found = pack(tmp_path)
    assert sorted(summary["classes"]) == sorted(names)
    assert {row["paths"][0] for row in found["images"]} == {f"{name}/{name}.png" for name in names}


# ---- the files table and reading back


def test_the_files_table_serves_as_index(root):
    pack(root)
    source = {"kind": "folder", "path": "images"}
    assert fingerprint(source, root, root / "out" / "files.parquet") == fingerprint(source, root)


def test_digits(tmp_path):
    paths = {name: tmp_path / f"{name}.parquet" for name in TABLES}
    summary = packing.pack({"kind": "digits"}, tmp_path, **paths, image_size=8, resize="stretch")
    assert summary["images"] == 1797
    assert len(summary["classes"]) == 10


def test_images_come_back_in_the_order_asked_for(root, monkeypatch):
    monkeypatch.setattr(packing, "ROW_GROUP", 5)
    _, found = pack(root)
    path = root / "out" / "images.parquet"
    stored = {row["image_id"]: codec.decode_packed(row["image"]["bytes"]) for row in found["images"]}
    asked = [*list(stored)[::-2], list(stored)[3], list(stored)[3]]
    loaded = load_images(path, asked)
    assert loaded.dtype == np.uint8
    assert (loaded == np.stack([stored[identity] for identity in asked])).all()
    streamed = dict(read_images(path, asked))
    assert sorted(streamed) == sorted(set(asked))
    assert all((streamed[identity] == stored[identity]).all() for identity in streamed)
    assert load_images(path, []).shape == (0, 8, 8, 3)


def test_only_row_groups_with_wanted_rows_are_read(root, monkeypatch):
    monkeypatch.setattr(packing, "ROW_GROUP", 3)
    _, found = pack(root)
    read = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, group, **o: read.append(group) or original(self, group, **o)
    )
    list(read_images(root / "out" / "images.parquet", [found["images"][7]["image_id"]]))
    assert read == [2]


def test_an_image_that_is_not_there(root):
    pack(root)
    with pytest.raises(InputError, match="lacks 1 of the 1 requested images, such as nobody"):
        load_images(root / "out" / "images.parquet", ["nobody"])
