"""Shards: whatever files they have, and in whatever order these came, the joined tables are those of one packing."""

import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from image_files import dicom
from pocketscope.core.errors import InputError
from pocketscope.data import manifest, packing, preparing, shards
from pocketscope.data.sources import kinds
from pocketscope.data.sources.paths import top_of_files
from pocketscope.tables.shards import files_of

TABLES = ("images", "labels", "skipped", "files", "identities")
FITTED = {"image_size": 8, "resize": "crop", "page": 0}

GONE = -1
# By name, what lies there: the seed of an image (equal seeds are copies), or None for a file that is no image.
FILES = st.dictionaries(
    st.sampled_from(
        [f"{folder}/{name}" for folder in ("images/a", "images/b", "images", "new") for name in ("1.png", "2.bmp", "3")]
    ),
    st.sampled_from([0, 1, 2, 3, 4, 5, None, GONE]),
    max_size=9,
)


def put(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    if seed == GONE:
        path.unlink(missing_ok=True)
    elif seed is None:
        path.write_bytes(b"bad")
    elif path.suffix:
        Image.fromarray(pixels(seed)).save(path)
    else:
        path.write_bytes(dicom(pixels(seed)[..., 0], PatientID=f"p{seed % 3}"))


def pixels(seed):
    return np.repeat(np.random.default_rng(seed).integers(0, 256, (6, 5, 1), dtype=np.uint8), 3, axis=2)


def pack(root, source, out, **options):
    """Pack, and return the bytes of all tables; or the error."""
    folder = root / out / "set-1"
    paths = {name: folder / f"{name}.parquet" for name in TABLES[:4]}
    try:
        summary = packing.pack(source, root, **paths, **FITTED, max_skipped_share=0.5, remembered=folder, **options)
    except InputError as error:
        return str(error)
    return summary, [(folder / f"{name}.parquet").read_bytes() for name in TABLES]


def decode(root, source, classes, size):
    """Decode in shards as the rules do; return the options with which they are joined."""
    path = root / "manifest.parquet"
    before = manifest.read(path)
    entries = kinds.state(source, root, path)
    found = manifest.assign(manifest.members(source, root, entries, classes, before), before, size)
    if not found:
        return {}
    manifest.write(path, found, entries)
    prepare = partial(preparing.prepare, **FITTED, group_by=kinds.header_of_groups(source))
    made = []
    for shard in sorted(set(found.values())):
        made.append(root / f"shards/{shard}.arrow")
        shards.write(made[-1], top_of_files(source, root), sorted(files_of(path, shard)), prepare, 1)
    return {"decoded": made, "manifest": path}


@settings(max_examples=40, deadline=None)
@given(
    waves=st.lists(FILES, min_size=1, max_size=3),
    size=st.integers(1, 5),
    group=st.sampled_from([None, "PatientID"]),
    classes=st.sampled_from([None, ["a", "b"]]),
)
def test_any_shards_give_the_tables_of_one_packing(waves, size, group, classes):
    source = {"kind": "folder", "path": "images", "unlabelled": "new"} | ({"group": group} if group else {})
    with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):  # no power is cut here
        root = Path(folder)
        put(root / "images/a/first.png", 10)
        put(root / "images/b/first", 11)
        put(root / "new/first.bmp", 12)
        for wave in waves:  # files come, are changed, and go
            for name, seed in wave.items():
                put(root / name, seed)
            joined = decode(root, source, classes, size)
        assert pack(root, source, "sharded", classes=classes, **joined) == pack(root, source, "whole", classes=classes)


def test_what_has_been_decoded_is_not_decoded_again(tmp_path, monkeypatch):
    for seed in range(6):
        put(tmp_path / "images" / "ab"[seed % 2] / f"{seed}.png", seed)
    source = {"kind": "folder", "path": "images"}
    joined = decode(tmp_path, source, None, 4)
    put(tmp_path / "images/a/0.png", 20)  # changed since its shard was made
    put(tmp_path / "images/a/later.png", 21)
    read = []
    plain = preparing.prepare
    monkeypatch.setattr(
        preparing, "prepare", lambda record, **options: read.append(record.path) or plain(record, **options)
    )
    assert pack(tmp_path, source, "sharded", **joined) == pack(tmp_path, source, "whole")
    assert read[:2] == ["a/0.png", "a/later.png"]
    assert len(read) == 2 + 7


def test_images_that_a_table_lists_are_found_by_shards(tmp_path):
    for seed in range(6):
        put(tmp_path / "pictures" / f"{seed % 2}" / f"{seed}.png", seed)
    rows = [f"{seed % 2}/{seed}.png,{'ab'[seed % 2]}\n" for seed in range(6)]
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(rows))
    source = {"kind": "table", "path": "labels.csv", "images": "pictures"}
    joined = decode(tmp_path, source, None, 4)
    assert [pa.ipc.open_file(path).read_all().num_rows for path in joined["decoded"]] == [4, 2]
    assert pack(tmp_path, source, "sharded", **joined) == pack(tmp_path, source, "whole")


def test_equal_files_give_equal_shards_and_a_shard_that_was_cut_is_named(tmp_path):
    for seed in range(6):
        put(tmp_path / "images" / "ab"[seed % 2] / f"{seed}.png", seed)
    source = {"kind": "folder", "path": "images"}
    made = decode(tmp_path, source, None, 4)["decoded"]
    before = [path.read_bytes() for path in made]
    assert [path.read_bytes() for path in decode(tmp_path, source, None, 4)["decoded"]] == before
    for cut in (before[1][:-100], b""):
        made[1].write_bytes(cut)
        with pytest.raises(InputError, match=r"1.arrow: cut short or damaged .*; delete it and run again"):
            shards.Shards(made, {})


# ---- the manifest

NAMES = st.sets(st.integers(0, 400).map("{:03d}".format), max_size=200)


@given(waves=st.lists(NAMES, min_size=1, max_size=5), size=st.integers(1, 40))
def test_files_stay_in_their_shards(waves, size):
    before = {}
    for there in waves:
        found = manifest.assign(there, before, size)
        assert set(found) == (there if len(there) > size else set())
        if found:
            assert all(found[name] == before[name] for name in there & before.keys())
            assert max(Counter(found.values()).values()) <= size
            remade = {found[name] for name in there - before.keys()} & set(before.values())
            assert len(remade) <= 1  # of the shards that there were
            before = found


def test_files_that_come_are_decoded_with_few_others():
    first = manifest.assign([f"{number:05d}" for number in range(5000)], {}, 2048)
    assert Counter(first.values()) == {0: 2048, 1: 2048, 2: 904}
    later = manifest.assign([*first, *(f"a{number}" for number in range(30))], first, 2048)
    assert Counter(later.values()) == {0: 2048, 1: 2048, 2: 904, 3: 30}
    last = manifest.assign([*later, *(f"0{number}" for number in range(30))], later, 2048)
    assert Counter(last.values()) == {0: 2048, 1: 2048, 2: 904, 3: 60}


def test_a_manifest_is_read_as_it_was_written_and_begun_anew_where_it_is_damaged(tmp_path, caplog):
    path = tmp_path / "manifest.parquet"
    assert manifest.read(path) == {}
    entries = {name: (1, 2, name * 64, "other") for name in "abct"}
    given_ = {"c": 0, "a": 0, "b": 1}
    manifest.write(path, given_, entries)
    assert list(manifest.read(path).items()) == list(given_.items())
    assert kinds.recorded(path) == entries
    assert files_of(path, 0) == {name: entries[name] for name in "ca"}
    written = path.stat().st_mtime_ns
    manifest.write(path, given_, entries)
    assert path.stat().st_mtime_ns == written
    path.write_bytes(b"cut")
    assert manifest.read(path) == {}
    assert "the files are given to shards anew" in caplog.text
    manifest.write(path, given_, entries)
    assert manifest.read(path) == given_


def test_classes_that_are_left_out_are_in_no_shard(tmp_path):
    for seed in range(9):
        put(tmp_path / "images" / "abc"[seed % 3] / f"{seed}.png", seed)
    source = {"kind": "folder", "path": "images"}
    entries = kinds.state(source, tmp_path)
    assert len(manifest.members(source, tmp_path, entries, None, ())) == 9
    found = manifest.members(source, tmp_path, entries, ["a", "c"], ())
    assert {path[0] for path in found} == {"a", "c"}
    (tmp_path / "images").rename(tmp_path / "away")
    assert manifest.members(source, tmp_path, entries, ["a", "c"], found) == found
    assert manifest.members({"kind": "digits"}, tmp_path, {"x": (1, 1, "1", "other")}, None, ()) == []
