"""Sources that keep many images in one file."""

import hashlib
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pocketscope.core.errors import InputError
from pocketscope.data import packing
from pocketscope.data.sources import kinds, medmnist_source
from pocketscope.data.sources.record import TEST
from pocketscope.images.decode import decode
from pocketscope.images.pixels import Unreadable


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)


def encoded(seed):
    buffer = io.BytesIO()
    Image.fromarray(picture(seed)).save(buffer, "PNG")
    return buffer.getvalue()


# ---- Parquet


def hugging_face(path, labels, *, names=("cat", "dog"), **others):
    cells = [{"bytes": encoded(seed), "path": f"{seed}.png"} for seed in range(len(labels))]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, kind), "label": labels} | others)
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    if names:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)


def listed(root, **source):
    return list(kinds.records({"kind": "parquet", "path": "data"} | source, root))


def test_class_names_come_from_the_schema(tmp_path):
    hugging_face(tmp_path / "data" / "train.parquet", [0, 1, -1, None, 1])
    records = listed(tmp_path)
    assert [record.label for record in records] == ["cat", "dog", None, None, "dog"]
    assert records[4].path == "train.parquet/0000004"
    for seed in (4, 0, 3):
        assert (decode(records[seed].read()) == picture(seed)).all()


def test_labels_without_names(tmp_path):
    hugging_face(tmp_path / "data" / "train.parquet", [3, 1], names=())
    assert [record.label for record in listed(tmp_path)] == ["3", "1"]
    hugging_face(tmp_path / "data" / "train.parquet", ["x", ""], names=())
    assert [record.label for record in listed(tmp_path)] == ["x", None]


@pytest.mark.parametrize("labels", [[[0], [1]], [{"a": 1}, {"a": 2}], [b"x", b"y"]])
def test_several_labels_an_image_are_no_class(tmp_path, labels):
    pq.write_table(
        pa.table({"image": [encoded(0), encoded(1)], "label": labels, "g": [1, 2]}), tmp_path / "one.parquet"
    )
    with pytest.raises(InputError, match=r"the column 'label' contains .*, not one label a row"):
        listed(tmp_path, path="one.parquet")
    assert len(listed(tmp_path, path="one.parquet", label="g")) == 2
    with pytest.raises(InputError, match="not one group a row"):
        listed(tmp_path, path="one.parquet", label="g", group="label")


def test_other_columns_and_bare_bytes(tmp_path):
    table = pa.table({"picture": [encoded(0), None], "y": ["a", "b"], "patient": [7, 8]})
    pq.write_table(table, tmp_path / "one.parquet")
    records = listed(tmp_path, path="one.parquet", image="picture", label="y", group="patient")
    assert [(record.label, record.group) for record in records] == [("a", "7"), ("b", "8")]
    assert (decode(records[0].read()) == picture(0)).all()
    with pytest.raises(Unreadable, match="no image"):
        records[1].read()


def test_several_files_and_a_test_part(tmp_path):
    for name in ("train-0", "train-1", "test-0"):
        hugging_face(tmp_path / "data" / f"{name}.parquet", [0, 1])
    records = listed(tmp_path, test="data/test-*.parquet")
    assert [(record.path, record.role) for record in records] == [
        ("test-0.parquet/0000000", TEST),
        ("test-0.parquet/0000001", TEST),
        ("train-0.parquet/0000000", None),
        ("train-0.parquet/0000001", None),
        ("train-1.parquet/0000000", None),
        ("train-1.parquet/0000001", None),
    ]
    assert list(kinds.files({"kind": "parquet", "path": "data/train-*"}, tmp_path)) == [
        "train-0.parquet",
        "train-1.parquet",
    ]


def test_a_packed_table_can_be_a_source_again(tmp_path):
    paths = {name: tmp_path / "out" / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    hugging_face(tmp_path / "data" / "train.parquet", [0, 1, 0, 1, 0])
    summary = packing.pack(
        {"kind": "parquet", "path": "data"}, tmp_path, **paths, image_size=8, resize="crop", processes=2
    )
    assert summary["classes"] == {"cat": 3, "dog": 2}
    again = listed(tmp_path, path="out/images.parquet", label="role")
    assert decode(again[0].read()).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "nowhere"}, "no such Parquet file"),
        ({"image": "imag"}, r"no column 'imag' \('image'\); did you mean 'image'\?"),
        ({"label": "species"}, r"no column 'species' \('label'\)\. The columns are 'image', 'label'"),
        ({"image": "label"}, "contains int64, not encoded images"),
        ({"path": "bad.parquet"}, "not a Parquet file, or is damaged"),
    ],
)
def test_parquet_that_cannot_be_used(tmp_path, source, message):
    hugging_face(tmp_path / "data" / "train.parquet", [0, 1])
    (tmp_path / "bad.parquet").write_bytes(b"bad")
    with pytest.raises(InputError, match=message):
        listed(tmp_path, **source)


def test_a_label_beyond_the_names(tmp_path):
    hugging_face(tmp_path / "data" / "train.parquet", [0, 5])
    with pytest.raises(InputError, match="row 1 has the label 5, but the classes are 0 to 1"):
        listed(tmp_path)


def test_a_damaged_part_is_unreadable_and_the_others_are_not(tmp_path):
    hugging_face(tmp_path / "data" / "train.parquet", [0, 1, 0, 1])
    records = listed(tmp_path)
    path = tmp_path / "data" / "train.parquet"
    with pq.ParquetFile(path) as file:
        start = file.metadata.row_group(0).column(0).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    with pytest.raises(Unreadable, match="part of the Parquet file is damaged"):
        records[0].read()
    assert (decode(records[3].read()) == picture(3)).all()


# ---- MedMNIST


@pytest.fixture(params=[np.savez, np.savez_compressed], ids=["stored", "compressed"])
def npz(request, tmp_path):
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in {"train": 6, "val": 2, "test": 4}.items():
        arrays[f"{split}_images"] = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 2)[:, None].astype(np.uint8)
    request.param(tmp_path / "small.npz", **arrays)
    return arrays


def medmnist(root, **source):
    return list(kinds.records({"kind": "medmnist", "name": "breastmnist", "path": "small.npz"} | source, root))


def test_official_splits_become_roles(npz, tmp_path):
    records = medmnist(tmp_path)
    assert len(records) == 12
    assert {(record.path.split("/")[0], record.role) for record in records} == {
        ("train", None),
        ("val", None),
        ("test", TEST),
    }
    assert {record.label for record in records} == {"malignant", "normal, benign"}
    for record in [*records, records[0]]:
        split, index = record.path.split("/")
        assert (decode(record.read())[..., 1] == npz[f"{split}_images"][int(index)]).all()


def test_a_damaged_npz(npz, tmp_path):
    records = medmnist(tmp_path)
    data = bytearray((tmp_path / "small.npz").read_bytes())
    start = data.index(b"train_images.npy") + 300
    data[start : start + 50] = bytes(50)
    (tmp_path / "small.npz").write_bytes(data)
    train = [record for record in records if record.path.startswith("train")]
    with pytest.raises(Unreadable, match="part of the file is damaged"):
        [record.read() for record in train]


def test_medmnist_is_packed(npz, tmp_path):
    paths = {name: tmp_path / "out" / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    source = {"kind": "medmnist", "name": "breastmnist", "path": "small.npz"}
    summary = packing.pack(source, tmp_path, **paths, image_size=28, resize="crop", processes=2)
    assert (summary["images"], summary["test"]) == (12, 4)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"name": "BreastMNST"}, r"no set 'BreastMNST'; did you mean 'breastmnist'\?"),
        ({"name": "organmnist3d"}, "contains volumes"),
        ({"name": "chestmnist"}, "several labels each"),
        ({"path": "nowhere.npz"}, "no such file"),
        ({"path": "bad.npz"}, "not a file of MedMNIST, or is damaged"),
        ({"path": None, "size": 30}, "has no size 30"),
    ],
)
def test_medmnist_that_cannot_be_used(tmp_path, source, message):
    (tmp_path / "bad.npz").write_bytes(b"bad")
    with pytest.raises(InputError, match=message):
        medmnist(tmp_path, **source)


def test_download(npz, tmp_path, monkeypatch):
    remote = (tmp_path / "small.npz").rename(tmp_path / "remote.npz")
    information = medmnist_source._medmnist("breastmnist")
    monkeypatch.setattr(medmnist_source._medmnist_module(), "DEFAULT_ROOT", str(tmp_path / "medmnist"))
    monkeypatch.setitem(information, "url_64", remote.as_uri())
    with pytest.raises(InputError, match=r"could not be downloaded .its MD5 is .*name the file by 'path'"):
        medmnist(tmp_path, path=None, size=64)
    assert list((tmp_path / "medmnist").iterdir()) == []
    monkeypatch.setitem(information, "MD5_64", hashlib.md5(remote.read_bytes()).hexdigest())
    assert len(medmnist(tmp_path, path=None, size=64)) == 12
    remote.unlink()
    assert len(medmnist(tmp_path, path=None, size=64)) == 12
    paths = {name: tmp_path / "out" / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    source = {"kind": "medmnist", "name": "breastmnist", "size": 64, "path": None}
    packing.pack(source, tmp_path, **paths, image_size=28, resize="crop")
    known = kinds.fingerprint(source, kinds.state(source, tmp_path, paths["files"]))
    assert known == kinds.fingerprint(source, kinds.state(source, tmp_path))
    monkeypatch.setitem(information, "url", remote.as_uri())
    with pytest.raises(InputError, match=r"could not be downloaded .*No such file"):
        medmnist(tmp_path, path=None)


def test_published_sets_are_told_apart_without_a_download():
    fingerprints = {
        kinds.fingerprint({"kind": "medmnist", "name": name, "size": size}, {})
        for name in ("breastmnist", "bloodmnist")
        for size in (28, 64)
    }
    assert len(fingerprints) == 4
