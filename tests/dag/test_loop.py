"""What new files and labels plan after a finished `ship`, and after a refresh: the table of docs/data.md.

Images are packed for real. The other files are empty, and recorded as made: what a dry run plans does not depend on
what is in them.
"""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from helpers import CATALOGUE, planned, snakemake, study, write_config
from pocketscope.__main__ import main
from pocketscope.core import files
from pocketscope.journal import deeds
from pocketscope.journal.store import Journal

TRAINED = {"method": "supervised", "network": "shufflenet_v2_x0_5", "precision": "fp32"}
TAUGHT = TRAINED | {"method": "plain"}
ANSWERED = {"answers_table": 1, "answers_page": 1, "ship": 1}
NEW = {"pack_new": 1, "answer_new": 1} | ANSWERED
# What is trained anew in the split `ship` once more labels are known: teacher and student; or the student alone.
CORRECTED = {
    "split": 1,
    "train": 2,
    "predict": 1,
    "pseudo_label": 1,
    "quantize": 1,
    "reliability": 1,
    "answer": 1,
} | ANSWERED


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Return a folder with images, a study of them, and results as a finished `make ship` leaves them."""
    os.environ["POCKETSCOPE_PIN"] = "yes"
    folder = tmp_path_factory.mktemp("shipped")
    for number in range(12):
        draw(folder / "images" / "ab"[number % 2] / f"{number}.png", number)
    for number in range(4):
        draw(folder / "new" / f"{number}.png", 100 + number)
    config = configured(folder)
    where = {"config": config, "results": folder / "results"}
    snakemake("--until", "pack", "--", "ship", **where)
    finish(folder / "results", where)
    yield folder
    del os.environ["POCKETSCOPE_PIN"]


def configured(folder, **changes):
    source = {"kind": "folder", "path": str(folder / "images"), "unlabelled": str(folder / "new")}
    dataset = {"source": source, "image_size": 32, "labels": str(folder / "labels.sqlite")}
    return write_config(folder, study(datasets={"mine": dataset}, split={"labelled": ["all"]}, **changes), CATALOGUE)


def finish(results, where):
    """Make the files of a study that are missing, have all jobs recorded as finished, and pin what `ship` would."""
    recommended = {"mine": TRAINED | {"candidate": "supervised/shufflenet_v2_x0_5", "passing": [], "undecided": []}}
    recommended["mine"]["undecided"] = ["plain/shufflenet_v2_x0_5"]  # the test cannot tell: the default method ships
    files.write_text(results / "small/statistics/recommendation.json", json.dumps({"datasets": recommended}))
    for _ in range(2):  # what follows from the recommendation is known the second time
        for line in snakemake("--summary", "ship", **where).stdout.splitlines():
            path = results / line.split("\t")[0]
            if path.parent != results and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.mkdir() if path.name in ("figures", "tables") else path.touch()
        snakemake("--touch", "--forceall", "ship", **where)
    snakemake("ship", "--forcerun", "ship", **where)
    assert (results / "small/history.json").is_file()


@pytest.fixture
def copied(shipped, tmp_path):
    """Return a copy that a test may change, at the same place for the study: its paths are in no parameter but one."""
    kept = tmp_path / "kept"
    shutil.copytree(shipped, kept, symlinks=True)
    yield shipped
    shutil.rmtree(shipped)
    shutil.copytree(kept, shipped, symlinks=True)


def plan(folder, target, refreshed=False):
    if refreshed:
        assert main(["refresh", "--configfile", str(folder / "config.yaml"), "--results", str(folder / "results")]) == 0
    return planned(target, config=folder / "config.yaml", results=folder / "results")


def correct(folder, name, category):
    from pocketscope.images import codec, decode

    identity = codec.content_id(decode.decode((folder / name).read_bytes(), page=0))
    with Journal(folder / "labels.sqlite") as journal:
        if category not in journal.categories():
            journal.append([deeds.add(f"add {category}", "ann", category)])
        journal.append([deeds.label(name, "ann", [deeds.Label(identity, f"../{name}", category)])])


def test_what_was_shipped_is_pinned_and_nothing_is_left_to_do(shipped):
    pinned = json.loads((shipped / "results/small/history.json").read_text())["datasets"]["mine"]
    assert pinned["candidate"] == TAUGHT
    assert plan(shipped, "ship") == {}
    assert plan(shipped, "all") == {}


CHANGES = {
    "new unlabelled": lambda folder: draw(folder / "new/later.png", 50),
    "new labelled": lambda folder: draw(folder / "images/a/later.png", 51),
    "changed": lambda folder: draw(folder / "new/0.png", 52),
    "deleted": lambda folder: (folder / "new/0.png").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_files_that_change_train_nothing_until_a_refresh(copied, change):
    CHANGES[change](copied)
    assert plan(copied, "all") == {}
    assert plan(copied, "ship") == ({} if change == "deleted" else NEW)
    everything = plan(copied, "ship", refreshed=True)
    assert {"pack", "check", "split", "train", "recommend", "answer"} <= set(everything)
    assert "pack_new" not in everything


def test_a_label_trains_what_ships_and_nothing_of_the_study(copied):
    correct(copied, "new/0.png", "a")
    assert plan(copied, "all") == {}
    assert plan(copied, "ship") == CORRECTED
    refreshed = plan(copied, "ship", refreshed=True)
    assert {"check", "split", "train", "recommend"} <= set(refreshed)
    assert "pack" not in refreshed


def test_a_label_that_is_taken_back_plans_nothing(copied):
    correct(copied, "new/0.png", "a")
    with Journal(copied / "labels.sqlite") as journal:
        journal.undo("undo", "ann")
    assert plan(copied, "ship") == {}
