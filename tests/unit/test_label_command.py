"""`pocketscope label`: tables of people into the journal, and back."""

import numpy as np
import pytest
import yaml
from PIL import Image

from helpers import study
from pocketscope.__main__ import main
from pocketscope.core import sheets
from pocketscope.journal.store import Journal

ANSWERS = "\ufeffpath,class,probability,reliable,label\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a study of six images of two classes and three without a label, one of them a copy."""
    names = [f"images/{label}/{i}.png" for label in ("ill", "well") for i in range(3)] + ["new/1.png", "new/2.png"]
    for value, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 20 * value, np.uint8)).save(tmp_path / name)
    (tmp_path / "new/copy.png").write_bytes((tmp_path / "new/1.png").read_bytes())
    source = {"kind": "folder", "path": "images", "unlabelled": "new"}
    config = study(datasets={"mine": {"source": source, "image_size": 16}}, catalogue="networks.yaml")
    (tmp_path / "networks.yaml").write_text(
        yaml.safe_dump(
            {"shufflenet_v2_x0_5": {"library": "torchvision", "name": "x", "family": "manual", "weights": "none"}}
        )
    )
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def label(*arguments):
    return main(["label", "--configfile", "study.yaml", *arguments])


def held(here):
    with Journal(here / "labels/mine.sqlite") as journal:
        return {said.path: said.name for said in journal.current()}


def test_two_rounds_accumulate_whatever_the_order_of_columns(here, capsys):
    (here / "one.csv").write_text(ANSWERS + "../new/1.png,ill,0.5,no,well\n../new/2.png,ill,0.6,no,\n")
    (here / "two.csv").write_text("label;probability;path\nill;0.4;../new/2.png\n;0.9;../new/1.png\n")
    assert label("--from", "one.csv", "--who", "ann") == 0
    assert label("--from", "two.csv", "one.csv", "--who", "ben") == 0
    assert held(here) == {"../new/1.png": "well", "../new/2.png": "ill"}
    assert "one.csv: 0 labels appended, 1 known already" in capsys.readouterr().out
    with Journal(here / "labels/mine.sqlite") as journal:
        first, second = sorted(journal.current(), key=lambda said: said.path)
    assert (first.who, first.guess_shown, second.who, second.guess_shown) == ("ann", True, "ben", False)
    assert len(first.sha256) == 64


def test_a_file_that_moves_keeps_its_label(here):
    (here / "one.csv").write_text("path,label\n../new/1.png,well\n")
    label("--from", "one.csv")
    (here / "new/1.png").rename(here / "new/moved.png")
    (here / "copy.csv").write_text("path,label\n../new/copy.png,well\n")
    label("--from", "copy.csv")  # a copy of it: the same image, said already
    assert held(here) == {"../new/1.png": "well"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n../new/1.png,il\n", "row 1: there is no class 'il'; did you mean 'ill'"),
        ("path,label\n../new/1.png,ill\n../new/copy.png,well\n", "rows 1 and 2 contradict each other"),
        (ANSWERS.replace(",label", "") + "../new/1.png,ill,1,no\n", "there is no column 'label'"),
        ("path,label\n../new/9.png,ill\n", "name images that are not in the data set"),
    ],
)
def test_a_table_that_is_wrong_is_not_taken_in(here, capsys, text, message):
    (here / "good.csv").write_text("path,label\n../new/2.png,ill\n")
    (here / "bad.csv").write_text(text)
    assert label("--from", "good.csv", "bad.csv") == 1
    assert message in capsys.readouterr().err
    assert held(here) == {}


def test_undo_redo_and_history(here, capsys):
    (here / "one.csv").write_text("path,label\n../new/1.png,well\nimages/ill/0.png,well\n".replace("images/", ""))
    label("--from", "one.csv", "--who", "ann")
    assert label("--undo", "--who", "ben") == 0
    assert "there is nothing of ben to undo" in capsys.readouterr().out
    label("--undo", "--who", "ann")
    assert "took back what ann did" in capsys.readouterr().out
    assert held(here) == {}
    label("--redo", "--who", "ann")
    assert held(here) == {"../new/1.png": "well", "ill/0.png": "well"}
    capsys.readouterr()
    label("--history", "ill/0.png")
    assert "ann  ill/0.png: ill -> well" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_what_was_exported_gives_a_fresh_clone_the_same_labels(here, ending, capsys):
    (here / "one.csv").write_text("path,label\n../new/1.png,well\n")
    label("--from", "one.csv", "--who", "ann")
    label("--export", f"out.{ending}")
    assert "written" in capsys.readouterr().out
    label("--export", f"out.{ending}")
    assert "is up to date" in capsys.readouterr().out
    first = (here / f"out.{ending}").read_bytes()
    (here / "labels").rename(here / "elsewhere")
    assert label("--from", f"out.{ending}", "--who", "ben") == 0
    label("--export", f"again.{ending}")
    assert (here / f"again.{ending}").read_bytes() == first
    assert sheets.read(here / f"again.{ending}").rows[0]["who"] == "ann"
