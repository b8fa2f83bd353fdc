"""A user's folder with odd names and truly unlabelled images: answers out, corrections in."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from helpers import planned, snakemake, study, write_config
from pocketscope.core import parquet
from pocketscope.inference import onnx_model
from pocketscope.tables.images import load_images
from pocketscope.tables.scores import SCORES
from pocketscope.tables.split import SPLIT

CLASSES = {0: "it's $HOME", 1: 'two\nlines "x"', 2: "3rd Ä細胞"}
EACH = 24


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Run the chain, up to what ships, on a folder of images and one of images without a label."""
    folder = tmp_path_factory.mktemp("a user's disk")
    digits = load_digits()
    for digit, name in CLASSES.items():
        for number, image in enumerate(digits.images[digits.target == digit][: EACH + 6]):
            kind = f"images/{name}" if number < EACH else "new/Übung, 1"
            place = folder / kind / f"{digit} {number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15).astype(np.uint8)).save(place)
    shutil.copy(folder / "new/Übung, 1/2 24.png", folder / "new/copy.png")
    (folder / "new/broken.png").write_bytes(b"broken")
    snakemake("ship", config=write_config(folder, asked(folder)), results=folder / "results")
    return folder


def asked(folder, **changes):
    source = {"kind": "folder", "path": str(folder / "images"), "unlabelled": str(folder / "new")}
    datasets = {"mine": {"source": source, "image_size": 32, "symmetries": [], "expect": {"classes": 3}} | changes}
    return study(
        datasets=datasets,
        split={"labelled": ["all"], "evaluation": "crossvalidation", "folds": 2},
        methods={"supervised": {"labels": "human"}},
        students={"shufflenet_v2_x0_5": ["fp32"]},
    )


def answers(folder):
    with (folder / "results/small/ship/mine/answers.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_each_unlabelled_file_is_answered_by_the_model_that_ships(shipped):
    given = answers(shipped)
    files = {path.relative_to(shipped).as_posix() for path in (shipped / "new").rglob("*.png")}
    assert {row["path"] for row in given} == {str(shipped / name) for name in files - {"new/broken.png"}}
    assert [float(row["probability"]) for row in given] == sorted(float(row["probability"]) for row in given)
    assert {row["reliable"] for row in given} <= {"yes", "no"}
    assert {(row["said"], row["label"]) for row in given} == {("", "")}
    model = onnx_model.open_model(shipped / "results/small/ship/mine/model.fp32.onnx", threads=1)
    assert model.classes == sorted(CLASSES.values())
    (images,) = (shipped / "results/datasets").glob("mine-*/images.parquet")
    found = onnx_model.probabilities(model, load_images(images, [row["image_id"] for row in given]))
    assert [model.classes[index] for index in found.argmax(axis=1)] == [row["class"] for row in given]
    assert [model.classes[index] for index in np.argsort(-found)[:, 1]] == [row["second_class"] for row in given]
    thumbnails = (shipped / "results/small/ship/mine/answers.html").read_text(encoding="utf-8")
    assert thumbnails.count("<li ") == len(given)
    page = (shipped / "results/small/ship/mine/README.md").read_text(encoding="utf-8")
    assert f"{3 * EACH} images with human labels" in page
    assert "18 images" in page


def test_what_ships_leaves_by_a_rule(shipped):
    where = {"config": shipped / "config.yaml", "results": shipped / "results"}
    kinds = ["small/exports/mine/bioimageio", "small/exports/mine/imagej"]  # the page for phones fetches a runtime
    snakemake(*kinds, **where)
    assert list((shipped / "results" / kinds[0]).glob("*.zip"))
    assert list((shipped / "results" / kinds[1]).glob("*.ijm"))
    assert planned(*kinds, **where) == {}


def roles(results):
    """Return the role of each image in each split."""
    found = {}
    for path in (results / "small/runs/mine").glob("*/split.parquet"):
        split = parquet.read(path, SPLIT).to_pandas()
        found[path.parent.name] = dict(zip(split.image_id, split.role, strict=True))
    return found


def images_with(role, of_split):
    return {image_id for image_id, has in of_split.items() if has == role}


def test_what_ships_learnt_from_every_label_and_the_study_tested_on_each_once(shipped):
    found = roles(shipped / "results")
    assert set(found) == {"kall_s0_f0", "kall_s0_f1", "ship"}
    labelled = images_with("labelled", found["ship"])
    assert len(labelled) == 3 * EACH
    tested = [images_with("test", found[name]) for name in ("kall_s0_f0", "kall_s0_f1")]
    assert not tested[0] & tested[1]
    assert tested[0] | tested[1] == labelled
    assert all(len(images_with("unlabelled", of_split)) == 18 for of_split in found.values())
    scores = parquet.read(shipped / "results/small/scores.parquet", SCORES).to_pandas()
    assert set(scores.split) == {"kall_s0"}
    assert scores.value[(scores.metric == "images") & scores["class"].isna()].tolist() == [3 * EACH]
    page = (shipped / "results/small/ship/mine/README.md").read_text(encoding="utf-8")
    assert f"of {3 * EACH} test images are right" in page
    model = onnx_model.open_model(shipped / "results/small/ship/mine/model.fp32.onnx", threads=1)
    assert model.about["scores"]["test_images"] == 3 * EACH
    assert model.about["learnt"]["human"] == {name: EACH for name in CLASSES.values()}
    assert model.about["recommended"]
    quantised = onnx_model.open_model(shipped / "results/small/ship/mine/model.int8.onnx", threads=1)
    assert "scores" not in quantised.about  # the study did not measure it
    assert not quantised.about["recommended"]


def test_corrections_are_learnt_from_and_no_test_image_moves(shipped, tmp_path):
    before = roles(shipped / "results")
    rows = answers(shipped)
    for row in rows[:7]:
        row["label"] = CLASSES[int(row["path"].rsplit("/", 1)[-1].replace("copy", "2")[0])]
    with (tmp_path / "answers.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    config = write_config(tmp_path, asked(shipped, labels=str(tmp_path / "answers.csv")))
    results = shutil.copytree(shipped / "results", tmp_path / "results")
    again = planned("ship", config=config, results=results)
    assert again["split"] == 3
    assert again["train"] == 2  # what ships is trained when it is known again
    assert "pack" not in again
    snakemake("--until", "split", "--", "ship", config=config, results=results)
    after = roles(results)
    corrected = {row["path"].replace("copy", "Übung, 1/2 24") for row in rows[:7]}
    for name, of_split in after.items():
        assert images_with("test", of_split) == images_with("test", before[name])
        assert len(images_with("unlabelled", of_split)) == 18 - len(corrected)


def test_what_is_only_checked_trains_nothing_again(shipped):
    config = write_config(shipped / "other", asked(shipped, positive=None, expect={"images": 91}))
    tables = {"check": 1, "scores": 1, "compare": 1, "recommend": 1, "report": 1}
    assert planned(config=config, results=shipped / "results") == tables


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"positive": "3rd"}, "positive: there is no class '3rd'; did you mean '3rd Ä細胞'"),
        ({"expect": {"images": 100}}, "91 image files instead of 100 (copies included; 1 more were skipped)"),
        ({"labels": "table.csv"}, "row 1: there is no class 'it'"),
    ],
)
def test_what_is_wrong_stops_before_anything_is_trained(shipped, tmp_path, changes, told):
    results = tmp_path / "results"
    shutil.copytree(shipped / "results/datasets", results / "datasets")
    if "labels" in changes:
        (tmp_path / "table.csv").write_text("path,label\n../new/copy.png,it\n")
        changes = {"labels": str(tmp_path / "table.csv")}
    done = snakemake(config=write_config(tmp_path, asked(shipped, **changes)), results=results, check=False)
    assert done.returncode
    assert told in done.stdout + done.stderr
    assert {path.name for path in (results / "small/logs").iterdir()} <= {"check", "split"}  # whichever was first
