"""What is said where labels are probably not as they were meant."""

import pyarrow as pa
import pytest

from helpers import ROOT
from image_files import saved
from pocketscope.core import parquet
from pocketscope.data import checks, packing
from pocketscope.data.label_remarks import label_remarks
from pocketscope.tables.images import IMAGES
from pocketscope.tables.source_labels import SKIPPED, SOURCE_LABELS


def picture(seed):
    import numpy as np

    return saved(np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8), "PNG")


@pytest.fixture
def remarks(tmp_path):
    """Return a function that packs what lies in a folder, and says what `check` says of it."""
    top = tmp_path / "labelled"

    def put(path, seed):
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(picture(seed))

    for i in range(6):
        put(f"{'ab'[i % 2]}/{i}.png", i)
        put(f"../new/{i}.png", 100 + i)

    def said():
        made = {name: tmp_path / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
        source = {"kind": "folder", "path": str(top), "unlabelled": str(tmp_path / "new")}
        packing.pack(source, ROOT, **made, image_size=8, resize="stretch", max_skipped_share=0.5)
        images = parquet.read(made["images"], IMAGES)
        skipped = parquet.read(made["skipped"], SKIPPED)
        given = parquet.read(made["labels"], SOURCE_LABELS)
        classes, about = checks.check_dataset(images, given, skipped, {}, positive=None, expect=None)
        return about["remarks"] + label_remarks(classes, skipped, parquet.notes(made["images"]))

    return put, said


def test_where_all_is_well_nothing_is_said(remarks):
    assert remarks[1]() == []


def test_labelled_images_that_lie_in_the_unlabelled_folder_too(remarks):
    put, said = remarks
    for i in range(6):
        put(f"../new/again {i}.png", i)
    assert said() == [
        "labelled images that are among the unlabelled ones too (6): they count as labelled, and get no answer: "
        "'a/0.png', 'a/2.png', 'a/4.png', 'b/1.png', 'b/3.png' and 1 more"
    ]


def test_copies_among_the_unlabelled_alone_or_the_labelled_alone_are_none(remarks):
    put, said = remarks
    put("../new/copy.png", 100)
    put("a/copy.png", 0)
    assert said() == []


def test_a_folder_without_images_and_a_class_of_one(remarks, tmp_path):
    put, said = remarks
    (tmp_path / "labelled" / "empty").mkdir()
    put("rare/only.png", 50)
    assert said() == [
        "a folder without images, of which no class is made: 'empty'; put images of the class into it, or remove it",
        "class with one image, learned and never tested: 'rare'; label at least one more, better five",
    ]


def test_files_that_cannot_be_used_are_still_named(remarks, tmp_path):
    _, said = remarks
    (tmp_path / "labelled" / "a" / "broken.png").write_bytes(b"no image")
    assert [remark.startswith("files that could not be used") for remark in said()] == [True]


def test_many_classes_of_one_are_counted():
    rows = [{"label": f"c{i}", "images": 1, "files": 1} for i in range(9)]
    nothing = pa.table({"path": pa.array([], pa.string()), "reason": pa.array([], pa.string())})
    (remark,) = label_remarks(pa.Table.from_pylist(rows), nothing, {})
    assert remark.startswith(
        "classes with one image, learned and never tested: 'c0', 'c1', 'c2', 'c3', 'c4' and 4 more;"
    )
