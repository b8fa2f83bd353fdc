"""Names of all kinds, and what becomes of a study when its images change after it was made."""

import csv
import json
import shutil

import numpy as np
import onnx
import pytest
from PIL import Image

from helpers import clone, planned, snakemake, study, write_config
from pocketscope.core import parquet
from pocketscope.tables.images import IMAGES
from pocketscope.tables.scores import SCORES

CLASSES = [
    'it\'s "quoted"',
    "$HOME $(touch pwned) `touch pwned`; touch pwned",
    "</script><script>alert(1)</script>",
    "two\nlines {wildcards} %s \\frac$x$",
    "Zelltod β 細胞 🦠",
]
FILES = [
    "a 'b' \"c\" {n}.png",
    "$HOME $(touch pwned) {n}.png",
    "<script>{n}.png",
    "two\nlines {n}.png",
    "β 細胞 🦠 {n}.png",
]
EACH = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a study of such names, all below a folder with such a name."""
    folder = tmp_path_factory.mktemp("names")
    images = folder / "my $(touch pwned) 'images' & {x}"
    images.mkdir()
    draw = np.random.default_rng(0)
    with (images / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label"])
        for number, (label, name) in enumerate(zip(CLASSES, FILES, strict=True)):
            for n in range(EACH):
                pixels = draw.integers(0, 60, (16, 16, 3)) + 40 * number
                Image.fromarray(pixels.astype(np.uint8)).save(images / name.replace("{n}", str(n)))
                table.writerow([name.replace("{n}", str(n)), label])
    clone(folder / "checkout")
    config = study(
        datasets={"odd": {"source": {"kind": "table", "path": str(images / "labels.csv")}, "image_size": 32}},
        methods={"supervised": {"labels": "human"}, "plain": {"teachers": ["shufflenet_v2_x0_5"], "threshold": 0.0}},
    )
    snakemake(config=write_config(folder, config), results=folder / "results", root=folder / "checkout")
    return folder, images


def plan(folder, results=None):
    where = {"results": results or folder / "results", "root": folder / "checkout"}
    return planned(config=folder / "config.yaml", **where)


def test_names_come_through_tables_logs_models_and_the_report_as_they_are(made):

    folder, images = made
    results = folder / "results"
    assert not [*folder.rglob("pwned")]  # no shell has read them
    scores = parquet.read(results / "small/scores.parquet", SCORES).to_pandas()
    assert sorted(set(scores["class"].dropna())) == sorted(CLASSES)
    with (results / "small/scores.csv").open(newline="") as file:
        assert {row["class"] for row in csv.DictReader(file)} - {""} == set(CLASSES)
    (dataset,) = (results / "datasets").iterdir()
    paths = parquet.read(dataset / "images.parquet", IMAGES)["paths"].to_pylist()
    assert sorted(path for (path,) in paths) == sorted(str(file.name) for file in images.glob("*.png"))
    (model,) = (results / "small/runs/odd/k4_s0/human").rglob("model.fp32.onnx")
    (about,) = onnx.load(model).metadata_props
    assert json.loads(about.value)["classes"] == sorted(CLASSES)
    log = (results / "small/logs/pseudo_label/odd.k4_s0.plain.r1.log").read_text()
    assert all(name in log for name in CLASSES)
    page = (results / "small/report/index.html").read_text(encoding="utf-8")
    assert "alert(1)" in page
    assert "<script>alert" not in page
    for name in ("it&#39;s &#34;quoted&#34;", "$HOME $(touch", "&lt;/script&gt;&lt;script&gt;", "細胞 🦠", "\\frac$x$"):
        assert name in page, name


def test_moved_results_and_source_images_that_are_gone_make_nothing_again(made, tmp_path):
    folder, images = made
    shutil.copytree(folder / "results", tmp_path / "elsewhere", symlinks=True)
    assert plan(folder, tmp_path / "elsewhere") == {}
    images.rename(folder / "gone")
    try:
        assert plan(folder) == {}
    finally:
        (folder / "gone").rename(images)


def test_a_source_image_that_changes_later_is_packed_again_and_one_that_is_gone_is_named(made):
    folder, images = made
    one = min(images.glob("*.png"))
    kept = one.read_bytes()
    try:
        Image.new("RGB", (16, 16)).save(one)
        counts = plan(folder)
        assert {"pack", "split", "train", "evaluate"} <= set(counts)
        one.unlink()
        where = {"config": folder / "config.yaml", "results": folder / "results", "root": folder / "checkout"}
        done = snakemake("--dry-run", check=False, **where)
        assert done.returncode
        assert f"1 of {len(FILES) * EACH} files do not exist" in done.stdout + done.stderr
        assert one.name in done.stdout + done.stderr
    finally:
        one.write_bytes(kept)
