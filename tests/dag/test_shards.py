"""A data set of several shards: files that come, change or go decode their own shards, and the tables are the same."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from helpers import ROOT, planned, snakemake, study, write_config
from pocketscope.config.study import load_config
from pocketscope.core import parquet
from pocketscope.data.packing import pack
from pocketscope.models import networks, pretrained
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.tables import features
from pocketscope.tables.images import IMAGES, read_images

CPU = torch.device("cpu")
TABLES = ("images", "labels", "skipped", "files")


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    for number in range(13):
        draw(tmp_path / "images" / "ab"[number % 2] / f"{number:02d}.png", number)
    return tmp_path


def sharded(folder, size):
    """Write a study of the folder's images, decoded in shards of `size` files; return it, and where it runs."""
    config = study(
        datasets={"mine": {"source": {"kind": "folder", "path": str(folder / "images")}, "image_size": 32}},
        compute={"threads": 1, "device": "cpu", "shard_size": size},
    )
    return config, {"config": write_config(folder / "config", config), "results": folder / "results"}


def test_files_that_come_change_and_go_decode_their_own_shards(folder):
    config, where = sharded(folder, 5)
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
    pack(config["datasets"]["mine"]["source"], folder, **whole, image_size=32, resize="stretch")
    assert [path.read_bytes() for path in whole.values()] == [
        (place / path.name).read_bytes() for path in whole.values()
    ]


def test_what_a_network_sees_of_a_shard_is_seen_once(folder):
    """Images that come are seen alone, and shards change no bit of what is seen."""
    config, where = sharded(folder, 8)
    made = StudyPlan(*load_config(yaml.safe_load(where["config"].read_text()), ROOT), ROOT)
    name, student = made.packed_name("mine"), next(iter(config["students"]))
    target = made.layout.features(name, student)
    snakemake(target, **where)
    shards = {path.name for path in (folder / "results/datasets" / name / "shards").glob("*.arrow")}
    assert shards == {f"{shard}{what}.arrow" for shard in (0, 1) for what in ("", f".features.{student}")}

    images = folder / "results" / made.packed("mine")
    identities = parquet.read(images, IMAGES, columns=["image_id"])["image_id"].to_pylist()
    network = networks.build(made.network(student), 2, ROOT, seed=0)
    features.write(folder / "whole.parquet", pretrained.features(network, read_images(images, identities), 13, CPU))
    assert (folder / "results" / target).read_bytes() == (folder / "whole.parquet").read_bytes()

    for number in range(3):
        draw(folder / "images/a" / f"0-{number}.png", 100 + number)
    assert planned(target, **where) == {"pack_shard": 1, "pack": 1, "features_shard": 1, "features": 1}
