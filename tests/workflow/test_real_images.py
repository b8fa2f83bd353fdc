"""The chain on a slice of real images, as they lie in their folders."""

import os
import random
from pathlib import Path

import pytest

from helpers import ROOT, snakemake, study, write_config
from pocketscope.core import parquet
from pocketscope.tables.images import IMAGES
from pocketscope.tables.scores import SCORES
from pocketscope.tables.split import SPLIT

SHARED = ROOT.parent / "shared" / "data"
EACH = 24  # images per class


@pytest.fixture
def slices(tmp_path):
    """Link a few images of each class of two real sets: binary JPEG, and many classes of PNG, some of them rare."""
    if not SHARED.is_dir():
        if os.environ.get("CI") and SHARED.parent.is_dir():
            pytest.fail(f"{SHARED} is missing")
        pytest.skip("the folder of real image sets, shared/data beside the checkout, is not there")
    for name in ("beepollen", "cellcycle"):
        for folder in sorted(path for path in (SHARED / name).iterdir() if path.is_dir()):
            target = tmp_path / "images" / name / folder.name
            target.mkdir(parents=True)
            files = sorted(folder.iterdir())
            for file in random.Random(0).sample(files, min(EACH, len(files))):
                (target / file.name).symlink_to(file)
    return tmp_path


def listing(folder):
    """Return size and time of change of all that lies in a folder."""
    found = {path: path.stat() for path in folder.rglob("*")}
    return {path: (status.st_size, status.st_mtime_ns) for path, status in found.items()}


def test_real_images_go_through_the_whole_chain(slices):

    names = ("beepollen", "cellcycle")
    config = study(
        datasets={
            name: {"source": {"kind": "folder", "path": str(slices / "images" / name)}, "image_size": 32}
            for name in names
        },
        split={"labelled": [6]},
        students={"shufflenet_v2_x0_5": ["fp32", "int8"]},
    )
    before = listing(slices / "images")
    snakemake(config=write_config(slices, config), results=slices / "results")
    assert listing(slices / "images") == before  # nothing is written there

    scores = parquet.read(slices / "results/small/scores.parquet", SCORES).to_pandas()
    f1 = scores[(scores.metric == "f1") & scores["class"].isna()]
    assert len(f1) == 2 * 2 * 2  # data sets, methods, precisions
    assert f1.value.between(0, 1).all()
    for name, count, classes in (("beepollen", 2 * EACH, 2), ("cellcycle", 6 * EACH + 15, 7)):
        (folder,) = (slices / "results/datasets").glob(f"{name}-*")
        images = parquet.read(folder / "images.parquet", IMAGES, columns=["image_id", "paths"])
        assert sum(map(len, images["paths"].to_pylist())) == count
        split = parquet.read(slices / f"results/small/runs/{name}/k6_s0/split.parquet", SPLIT).to_pandas()
        assert len(set(split.label.dropna())) == classes
        assert (split.role == "labelled").sum() == 6 * classes
    assert Path(slices / "results/small/logs").is_dir()
