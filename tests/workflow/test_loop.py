"""Images come, labels come: what ships answers and learns, from one round to the next, and no label is lost."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from helpers import planned, snakemake, study, write_config
from pocketscope.__main__ import main
from pocketscope.core import parquet
from pocketscope.journal import deeds
from pocketscope.journal.store import Journal
from pocketscope.tables.split import SPLIT

NAMED = {"method": "supervised", "network": "shufflenet_v2_x0_5", "precision": "fp32"}


def draw(folder, digit, numbers, kind):
    images = load_digits()
    for number, image in zip(numbers, images.images[images.target == digit][numbers], strict=True):
        path = folder / kind / f"{digit} {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Ship a named candidate, correct an answer, correct another one, bring new images; return the folder."""
    os.environ["POCKETSCOPE_PIN"] = "yes"  # as `make ship` does
    folder = tmp_path_factory.mktemp("loop")
    for digit in range(2):
        draw(folder, digit, range(12), f"images/{digit}")
        draw(folder, digit, range(12, 15), "new")
    source = {"kind": "folder", "path": str(folder / "images"), "unlabelled": str(folder / "new")}
    dataset = {"source": source, "image_size": 32, "symmetries": [], "labels": str(folder / "labels.sqlite")}
    config = study(
        datasets={"mine": dataset},
        split={"labelled": ["all"]},
        methods={"supervised": {"labels": "human"}},
        ship={"candidate": NAMED},
    )
    where = {"config": write_config(folder, config), "results": folder / "results"}
    snakemake("ship", **where)
    shutil.copy(folder / "results/small/runs/mine/kall_s0/split.parquet", folder / "study.parquet")
    for name in ("0 12.png", "1 13.png"):
        rows = [row | {"label": name[0]} for row in answers(folder) if row["path"].endswith(f"/{name}")]
        with (folder / "back.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ["label", *(column for column in rows[0] if column != "label")])
            table.writeheader()
            table.writerows(rows)
        assert main(["label", "--configfile", str(where["config"]), "--from", str(folder / "back.csv")]) == 0
    snakemake("ship", **where)
    draw(folder, 0, range(15, 17), "new")
    draw(folder, 1, range(15, 16), "images/1")
    (folder / "new/broken.png").write_bytes(b"broken")
    before = {path: path.stat().st_mtime_ns for path in (folder / "results/small/runs").rglob("model.*")}
    snakemake("ship", **where)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # no network is another one
    yield folder, where
    del os.environ["POCKETSCOPE_PIN"]


def answers(folder):
    with (folder / "results/small/ship/mine/answers.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_two_rounds_of_corrections_are_both_learnt_from_and_stay_among_the_answers(shipped):
    folder, _ = shipped
    said = {row["path"].rsplit("/", 1)[1]: row["said"] for row in answers(folder) if row["said"]}
    assert said == {"0 12.png": "0", "1 13.png": "1", "1 15.png": "1"}
    split = parquet.read(folder / "results/small/runs/mine/ship/split.parquet", SPLIT).to_pylist()
    assert sum(row["role"] == "labelled" for row in split) == 24 + 2
    card = (folder / "results/small/ship/mine/README.md").read_text(encoding="utf-8")
    assert "People have given or changed 2 labels since" in card


def test_the_study_stays_as_it_was_pinned(shipped):
    folder, _ = shipped
    assert (folder / "results/small/runs/mine/kall_s0/split.parquet").read_bytes() == (
        folder / "study.parquet"
    ).read_bytes()
    pinned = json.loads((folder / "results/small/history.json").read_text())["datasets"]["mine"]
    assert (pinned["candidate"], pinned["labels"]) == (NAMED, None)


def test_new_images_are_answered_beside_the_others(shipped):
    folder, where = shipped
    names = sorted(row["path"].rsplit("/", 1)[1] for row in answers(folder))
    unlabelled = [path.name for path in (folder / "new").iterdir() if path.name != "broken.png"]
    assert names == sorted([*unlabelled, "1 15.png"])
    probabilities = [float(row["probability"]) for row in answers(folder) if not row["said"]]
    assert probabilities == sorted(probabilities)
    page = (folder / "results/small/ship/mine/answers.html").read_text(encoding="utf-8")
    assert page.count("<li ") == len(names)
    assert planned("ship", **where) == {}


def test_a_class_that_the_pinned_study_does_not_know_is_refused_before_anything_is_trained(shipped):
    """It comes last: the label stays in the journal."""
    folder, where = shipped
    row = next(row for row in answers(folder) if not row["said"])
    with Journal(folder / "labels.sqlite") as journal:
        journal.append([deeds.add("add", "ann", "seven")])
        journal.append([deeds.label("one", "ann", [deeds.Label(row["image_id"], row["path"], "seven")])])
    refused = snakemake("ship", check=False, **where)
    assert refused.returncode
    assert "make ship REFRESH=yes" in refused.stdout + refused.stderr
    assert "rule train:" not in refused.stdout + refused.stderr
