"""What comes unpacked from programs that people label with: read, or named with what to do."""

import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pocketscope.core.errors import InputError
from pocketscope.data import group_remarks
from pocketscope.data.sources import kinds
from pocketscope.data.sources.paths import top_of
from pocketscope.data.sources.record import TEST
from pocketscope.images.pixels import Unreadable

LABELS = ["cat", "dog", "cat", "dog"]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def put(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = sum(map(ord, name))
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(path)


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")


def listed(root, kind, path, **source):
    records = list(kinds.records({"kind": kind, "path": path} | source, root))
    for record in records:
        record.read()
    return {record.path.rsplit("/", 1)[-1].split(".")[0]: record.label for record in records}


def refused(root, kind, path, **source):
    with pytest.raises(InputError) as caught:
        listed(root, kind, path, **source)
    return str(caught.value)


FOUR = {f"im{i}": label for i, label in enumerate(LABELS)}


# ---- Roboflow


def test_roboflow_folders(root):
    put(
        root,
        *(f"{part}/{label}/{label}_jpg.rf.0a.jpg" for part in ("train", "valid", "test") for label in FOUR.values()),
    )
    write(root, "README.roboflow.txt", "exported")
    said = refused(root, "folder", ".")
    assert "('train' and 'test', by their names; to learn from 'valid' too, move its images into the first)" in said
    records = list(kinds.records({"kind": "folder", "path": "train", "test": "test"}, root))
    parts = {(label, role) for label in ("cat", "dog") for role in (TEST, None)}
    assert {(record.label, record.role) for record in records} == parts


def test_roboflow_csv(root, caplog):
    put(root, *(f"train/im{i}.rf.0a.jpg" for i in range(4)))
    rows = [f"im{i}.rf.0a.jpg, {int(label == 'cat')}, {int(label == 'dog')}" for i, label in enumerate(LABELS)]
    write(root, "train/_classes.csv", "\n".join(["filename, cat, dog", *rows]))
    assert f"'source: {{kind: table, path: {root / 'train/_classes.csv'}}}'" in refused(root, "folder", "train")
    assert listed(root, "table", "train/_classes.csv") == FOUR
    assert "there is no column 'path'; 'filename' is taken for it" in caplog.text


# ---- Teachable Machine


def test_teachable_machine(root):
    names = ["Class 1-samples", "Class 2-samples"]
    put(root, *(f"samples/{name}/{i}.jpg" for name in names for i in range(2)))
    records = kinds.records({"kind": "folder", "path": "samples"}, root)
    assert [record.label for record in records] == [name for name in names for _ in range(2)]
    (root / "packed").mkdir()
    for name in names:
        with zipfile.ZipFile(root / "packed" / f"{name}.zip", "w") as archive:
            archive.write(root / "samples" / name / "0.jpg", "0.jpg")
    said = refused(root, "folder", "packed")
    assert "holds archives alone, such as 'Class 1-samples.zip'; unpack them, each into a folder" in said
    put(root, "packed/a/1.jpg")
    records = {record.path: record for record in kinds.records({"kind": "folder", "path": "packed"}, root)}
    with pytest.raises(Exception, match="an archive, not an image: unpack it"):
        records["Class 1-samples.zip"].read()


# ---- QuPath


def test_tiles_of_qupath(root):
    tiles = [f"slide {s}.svs [d=1,x={x},y=0,w=512,h=512]" for s in range(4) for x in (0, 512, 1024)]
    put(root, *(f"{('Tumor', 'Stroma')[i % 2]}/{tile}.jpg" for i, tile in enumerate(tiles)))
    put(root, f"Tumor/{tiles[0]}-labelled.png", "Tumor/pre-labelled.png")
    records = {record.path: record for record in kinds.records({"kind": "folder", "path": "."}, root)}
    with pytest.raises(Exception, match=r"a mask of 'Tumor/slide 0.svs \[d=1,.*\.jpg' by its name"):
        records[f"Tumor/{tiles[0]}-labelled.png"].read()
    assert records["Tumor/pre-labelled.png"].read()
    paths = [path for path in sorted(records) if not path.endswith("labelled.png")]
    labels = [records[path].label for path in paths]
    remark = group_remarks.suggestion(paths, labels, [None] * len(paths), {})
    assert "\"group: '<group> [*]'\"" in remark
    grouped = kinds.records({"kind": "folder", "path": ".", "group": "<group> [*]"}, root)
    assert {record.group for record in grouped} == {f"slide {s}.svs" for s in range(4)} | {None}


@pytest.mark.parametrize(
    ("tile", "mask", "mode"),
    [(".jpg", ".png", "RGB"), (".tif", ".png", "P"), (".tif", ".png", "L"), (".png", ".tif", "RGB")],
)
def test_masks_of_qupath_may_have_the_name_of_their_tile(root, tile, mask, mode):
    stem = "Tumor/slide [d=2,x=0,y=512,w=512,h=512]"
    put(root, stem + tile, stem + mask, "Stroma/slide [x=0,y=0,w=512,h=512].jpg", "Tumor/a.jpg", "Tumor/a.png")
    png = root / (stem + ".png")
    Image.open(png).convert(mode).save(png)
    records = {record.path: record for record in kinds.records({"kind": "folder", "path": "."}, root)}
    assert len(records) == 5
    with pytest.raises(Exception, match=r"a mask of .* by its name"):
        records.pop(stem + mask).read()
    assert all(record.read() for record in records.values())


def test_masks_beside_their_images_are_no_images_of_the_class(root):
    put(root, "benign/b (1).png", "benign/b (1)_mask.png", "benign/b (1)_mask_1.png", "benign/a_mask.png")
    put(root, "other/ISIC_1.jpg", "other/ISIC_1_segmentation.png")
    records = kinds.records({"kind": "folder", "path": "."}, root)
    skipped = set()
    for record in records:
        try:
            record.read()
        except Unreadable:
            skipped.add(record.path)
    assert skipped == {"benign/b (1)_mask.png", "benign/b (1)_mask_1.png", "other/ISIC_1_segmentation.png"}


@pytest.mark.parametrize("names", [("images", "masks"), ("Img", "labels"), ("image", "Ground truth")])
def test_images_and_their_masks_are_no_classes(root, names):
    put(root, *(f"{name}/{i}.png" for name in names for i in range(3)))
    assert "are images and what was drawn on them, not classes" in refused(root, "folder", ".")
    put(root, "other class/1.png")
    assert len(listed(root, "folder", ".")) == 3


def test_versions_of_one_image_by_roboflow_are_remarked(root):
    names = [f"train/{label}/scan_{i}_jpg.rf.{n:032x}.jpg" for i, label in enumerate(LABELS * 4) for n in range(3)]
    remark = group_remarks.suggestion(names, [name.split("/")[1] for name in names], [None] * len(names), {})
    assert "\"group: '<group>.rf.*'\"" in remark


# ---- CVAT and Datumaro


def test_imagenet_folders_of_cvat_and_datumaro(root):
    put(root, *(f"one/{label}/{label}_{i}.jpg" for i, label in enumerate(LABELS)))
    assert sorted(listed(root, "folder", "one").values()) == sorted(LABELS)
    put(root, *(f"parts/{part}/{label}/{i}.jpg" for part in ("train", "val") for i, label in enumerate(LABELS)))
    assert "('train' and 'val', by their names)" in refused(root, "folder", "parts")


def test_lists_of_imagenet(root):
    put(root, *(f"images/im{i}.jpg" for i in range(3)), "images/im3. and more.jpg")
    write(root, "synsets.txt", "cat\ndog\n")
    write(root, "default.txt", 'im0.jpg 0\nim1.jpg 1\n\nim2.jpg 0\n"im3. and more".jpg 1\n')
    assert "labels seem to be in 'default.txt'" in refused(root, "folder", ".")
    assert listed(root, "table", "default.txt") == FOUR
    for line, said in (("im0.jpg 2", "line 1: 'im0.jpg 2' is not a path and"), ("im0.jpg 0 1", "'cat' and 'dog'")):
        write(root, "default.txt", line)
        assert said in refused(root, "table", "default.txt")


def cvat(*images):
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{"".join(images)}</annotations>'


def tagged(name, *tags, subset="default", more=""):
    inside = "".join(f'<tag label="{tag}" source="manual"></tag>' for tag in tags)
    return f'<image id="0" name="{name}" subset="{subset}" width="4" height="4">{inside}{more}</image>'


def test_cvat_for_images(root):
    put(root, *(f"images/im{i}.jpg" for i in range(4)))
    write(
        root,
        "annotations.xml",
        cvat(*(tagged(f"im{i}.jpg", *label) for i, label in enumerate([["cat"], ["dog"], [], []]))),
    )
    assert "labels seem to be in 'annotations.xml'" in refused(root, "folder", ".")
    assert listed(root, "table", "annotations.xml") == FOUR | {"im2": None, "im3": None}
    write(
        root, "annotations.xml", cvat(*(tagged(f"im{i}.jpg", "cat", subset=("train", "Test")[i % 2]) for i in range(4)))
    )
    records = list(kinds.records({"kind": "table", "path": "annotations.xml"}, root))
    assert [record.role for record in records] == [None, TEST] * 2


BOX = '<box label="cell" xtl="0" ytl="0" xbr="2" ybr="2"></box>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (cvat(tagged("a.jpg", "cat", "dog")), "image 'a.jpg': has the labels 'cat' and 'dog': an image has one class"),
        (cvat(tagged("a.jpg", more=BOX)), "no image has a label of its own (boxes and outlines are not read"),
        (cvat('<track id="0" label="cell"></track>'), "is XML of a kind that is not read"),
        ("<annotation><filename>a.jpg</filename></annotation>", "is XML of a kind that is not read"),  # Pascal VOC
        (cvat("<image"), "is not XML, or damaged"),
    ],
)
def test_xml_without_a_label_an_image(root, text, said):
    write(root, "labels.xml", text)
    assert said in refused(root, "table", "labels.xml")


def test_datumaro(root):
    put(root, *(f"images/default/im{i}.jpg" for i in range(4)))
    items = [
        {"id": f"im{i}", "annotations": [{"type": "label", "label_id": i % 2}], "image": {"path": f"im{i}.jpg"}}
        for i in range(4)
    ]
    names = [{"name": "cat", "parent": ""}, {"name": "dog", "parent": ""}]
    write(root, "annotations/default.json", {"categories": {"label": {"labels": names}}, "items": items})
    assert listed(root, "table", "annotations/default.json", images="images") == FOUR
    assert listed(root, "table", "annotations/default.json") == FOUR  # it is known where its images lie


def test_parts_of_datumaro_and_roboflow_are_tested_on_where_they_are_named(root):
    names = {"categories": {"label": {"labels": [{"name": "cat"}, {"name": "dog"}]}}}
    for part in ("train", "test"):
        put(root, *(f"images/{part}/{i}.jpg" for i in range(4)), *(f"{part}/{i}.jpg" for i in range(4)))
        marks = [[{"type": "label", "label_id": i % 2}] for i in range(4)]
        items = [{"id": f"{i}", "annotations": found, "image": {"path": f"{i}.jpg"}} for i, found in enumerate(marks)]
        write(root, f"annotations/{part}.json", names | {"items": items})
        rows = [f"{i}.jpg, {1 - i % 2}, {i % 2}" for i in range(4)]
        write(root, f"{part}/_classes.csv", "\n".join(["filename, cat, dog", *rows]))
    for path, top in (("annotations/{}.json", root / "images"), ("{}/_classes.csv", root)):
        source = {"kind": "table", "path": path.format("train"), "test": path.format("test")}
        assert top_of(source, root) == top
        found = {record.path: (record.label, record.role) for record in kinds.records(source, root)}
        assert found == {
            f"{part}/{i}.jpg": (label, role)
            for part, role in (("train", None), ("test", TEST))
            for i, label in enumerate(LABELS)
        }
        listed_files = kinds.files(source, root)
        assert {str(place) for place in listed_files.values()} >= {str(root / source[key]) for key in ("path", "test")}
        assert len(listed_files) == 10
        arrived = kinds.arrived(source, root, kinds.state(source, root), {})
        assert set(arrived) == set(found)  # and not the tables


# ---- Label Studio


def task(i, label, **more):
    chosen = [{"type": "choices", "from_name": "sort", "value": {"choices": [label]}}]
    return {
        "id": i,
        "data": {"image": f"/data/upload/3/0a1b2c3{i}-im{i}.jpg"},
        "annotations": [{"result": chosen} | more],
    }


@pytest.mark.parametrize("form", ["csv", "min", "json"])
@pytest.mark.parametrize("prefix", [True, False], ids=["uploaded", "original"])
def test_label_studio(root, form, prefix):
    put(root, *(f"images/{f'0a1b2c3{i}-' if prefix else ''}im{i}.jpg" for i in range(4)))
    tasks = [task(i, label) for i, label in enumerate(LABELS)]
    rows = [{"image": each["data"]["image"], "id": each["id"], "choice": LABELS[each["id"]]} for each in tasks]
    lines = [",".join(map(str, row.values())) for row in rows]
    content = {"csv": "\n".join(["image,id,choice", *lines]), "min": rows, "json": tasks}[form]
    name = "result.csv" if form == "csv" else "result.json"
    write(root, name, content)
    found = listed(root, "table", name, images="images")
    assert {path.rpartition("-")[2]: label for path, label in found.items()} == FOUR


def test_files_that_label_studio_served_from_the_disk(root):
    put(root, *(f"set 1/im{i}.jpg" for i in range(4)))
    rows = [{"image": f"/data/local-files/?d=mine/set%201/im{i}.jpg", "choice": LABELS[i]} for i in range(4)]
    write(root, "result.json", rows)
    assert listed(root, "table", "result.json") == FOUR
    write(root, "result.json", [row | {"image": f"https://x.org/mine/set 1/im{i}.jpg"} for i, row in enumerate(rows)])
    assert listed(root, "table", "result.json") == FOUR


def test_tasks_that_were_skipped_or_not_done_have_no_label(root):
    put(root, *(f"im{i}.jpg" for i in range(4)))
    open_task = task(2, "cat") | {"annotations": []}
    write(root, "result.json", [task(0, "cat"), task(1, "dog", was_cancelled=True), open_task, task(3, "dog")])
    assert listed(root, "table", "result.json") == FOUR | {"im1": None, "im2": None}


def test_of_several_questions_one_is_named(root):
    put(root, *(f"im{i}.jpg" for i in range(4)))
    tasks = [task(i, label) for i, label in enumerate(LABELS)]
    for each in tasks:
        each["annotations"][0]["result"].append(
            {"type": "choices", "from_name": "sharp", "value": {"choices": ["yes"]}},
        )
    write(root, "result.json", tasks)
    assert "no column 'label' for the label" in refused(root, "table", "result.json")
    assert listed(root, "table", "result.json", columns={"label": "sort"}) == FOUR


def two_opinions():
    first = task(0, "cat")
    first["annotations"] += task(0, "dog")["annotations"]
    return [first]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (two_opinions(), "task 0: has the labels 'cat' and 'dog': an image has one class"),
        ([{"id": 0, "data": {"image": "a.jpg"}, "annotations": []}], "no task has a choice (boxes and outlines"),
        ([task(0, "cat") | {"data": {"front": "a.jpg", "back": "b.jpg"}}], "none of 'front', 'back' is called 'image'"),
        ([{"image": "a.jpg", "choice": {"choices": ["a", "b"]}}], "row 1: the label is"),
        ({"images": [], "annotations": [], "categories": []}, "COCO"),
        ({"version": "5", "shapes": []}, "is JSON of a kind that is not read"),
        ("[{", "is not JSON, or damaged"),
    ],
)
def test_json_that_says_no_class_of_each_image(root, content, said):
    write(root, "result.json", content)
    assert said in refused(root, "table", "result.json")


# ---- others


def test_an_object_a_line(root):
    put(root, *(f"im{i}.jpg" for i in range(4)))
    lines = [json.dumps({"file_name": f"im{i}.jpg", "label": label}) for i, label in enumerate(LABELS)]
    write(root, "metadata.jsonl", "\n".join(lines) + "\n\n")
    assert listed(root, "table", "metadata.jsonl") == FOUR
    write(root, "metadata.jsonl", "\n".join([*lines, "{"]))
    assert "metadata.jsonl: line 5 is not JSON" in refused(root, "table", "metadata.jsonl")


def test_tables_whose_columns_are_called_otherwise(root):
    put(root, *(f"im{i}.jpg" for i in range(4)))
    write(
        root, "metadata.csv", "\n".join(["file_name,label", *(f"im{i}.jpg,{label}" for i, label in enumerate(LABELS))])
    )
    assert listed(root, "table", "metadata.csv") == FOUR
    columns = {"image": [f"im{i}" for i in range(4)], "MEL": [1.0, 0.0] * 2, "NV": [0.0, 1.0] * 2}
    pq.write_table(pa.table(columns), root / "truth.parquet")  # as ISIC has it
    assert listed(root, "table", "truth.parquet") == {f"im{i}": ("MEL", "NV")[i % 2] for i in range(4)}
