"""A data set of several shards: files that come, change or go decode their own shards, and the tables are the same."""

import shutil

import numpy as np
import pytest
from PIL import Image

from helpers import planned, snakemake, study, write_config
from pocketscope.data.packing import pack

TABLES = ("images", "labels", "skipped", "files")


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for number in range(13):
        draw(tmp_path / "images" / "ab"[number % 2] / f"{number:02d}.png", number)
    return tmp_path


def test_files_that_come_change_and_go_decode_their_own_shards(folder):
    source = {"kind": "folder", "path": str(folder / "images")}
    config = study(
        datasets={"mine": {"source": source, "image_size": 32}},
        compute={"threads": 1, "device": "cpu", "shard_size": 5},
    )
    where = {"config": write_config(folder / "config", config), "results": folder / "results"}
    # Jobs of a group run apart from the plan, as a cluster's do.
    packing = ["--until", "pack", "--groups", "pack_shard=shards", "--group-components", "shards=2", "--", "all"]
    snakemake(*packing, **where)
    (place,) = (folder / "results/datasets").iterdir()
    made = {path.name: path.stat().st_mtime_ns for path in (place / "shards").glob("*.arrow")}
    assert set(made) == {"0.arrow", "1.arrow", "2.arrow"}

    shutil.copy(place / "files.parquet", place / "snapshot.parquet")  # a study is pinned to it
    for number in range(3):
        draw(folder / "images/a" / f"0-{number}.png", 100 + number)
    (place / "shards").rename(folder / "kept")  # whoever needs the space may delete them
    assert planned(*packing, **where) == {}
    (folder / "kept").rename(place / "shards")

    (place / "snapshot.parquet").unlink()
    draw(folder / "images/a/00.png", 50)
    (folder / "images/a/02.png").unlink()
    draw(folder / "images/c/00.png", 51)
    assert planned(*packing, **where) == {"pack_shard": 2, "pack": 1}
    snakemake(*packing, **where)
    now = {path.name: path.stat().st_mtime_ns for path in (place / "shards").glob("*.arrow")}
    assert {name for name, when in now.items() if when != made.get(name)} == {"0.arrow", "3.arrow"}

    whole = {name: folder / f"whole/{name}.parquet" for name in TABLES}
    pack(source, folder, **whole, image_size=32, resize="stretch")
    assert [path.read_bytes() for path in whole.values()] == [
        (place / path.name).read_bytes() for path in whole.values()
    ]
