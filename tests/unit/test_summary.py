"""What a run ends with on the terminal."""

import json

import pyarrow as pa
import pytest

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.report import summary
from pocketscope.tables.classes import CLASSES
from pocketscope.tables.scores import SCORES


def test_f1_names_its_class_and_remarks_follow(tmp_path, capsys):
    row = {"split": "k25_s0", "method": "plain", "network": "tiny", "precision": "fp32", "metric": "f1", "class": None}
    rows = [row | {"dataset": "cells", "value": 0.875}, row | {"dataset": "digits", "value": 0.5}]
    positive = {"cells": "[ill]", "digits": None}
    parquet.write(pa.Table.from_pylist(rows), tmp_path / "scores.parquet", SCORES, notes={"positive": positive})
    classes = pa.Table.from_pylist([{"label": "[ill]", "images": 1, "files": 1}])
    place = tmp_path / "runs/cells/classes.parquet"
    parquet.write(classes, place, CLASSES, notes={"remarks": ["'[b].png' (the file is empty)"]})
    summary.show(tmp_path)
    shown = capsys.readouterr().out
    titles = " ".join(shown.split())  # as narrow as the table
    assert "cells: F1 of '[ill]' in percent, 25 labelled images per class, one split" in titles
    assert "digits: F1 in percent" in titles
    assert "87.5" in shown
    assert "cells: '[b].png' (the file is empty).\n" in shown


@pytest.mark.parametrize(("rows", "told"), [("a.png,x\n", "Look through"), ("", "so there are no answers")])
def test_what_to_do_next_knows_a_table_without_answers(tmp_path, capsys, rows, told):
    place = tmp_path / "ship/cells/answers.csv"
    place.parent.mkdir(parents=True)
    place.write_text(f"path,class\n{rows}", encoding="utf-8-sig")
    summary.show(tmp_path)
    steps = capsys.readouterr().out.partition("What to do next:")[2]
    assert told in steps
    assert str(place.parent) in steps


def test_it_leads_with_what_is_not_known(tmp_path, capsys):
    (tmp_path / "statistics").mkdir()
    (tmp_path / "ship/cells").mkdir(parents=True)
    (tmp_path / "ship/cells/answers.csv").write_text("path,class\n")
    told = {"cells": {"tested": {"text": "11 of 11 are right."}, "text": "It scores best."}}
    (tmp_path / "statistics/recommendation.json").write_text(json.dumps({"datasets": told}))
    summary.show(tmp_path)
    assert "cells: 11 of 11 are right. It scores best.\n" in capsys.readouterr().out


def test_a_terminal_breaks_sentences_between_words_and_no_path(tmp_path, capsys, monkeypatch):
    (tmp_path / "statistics").mkdir()
    (tmp_path / "ship/cells").mkdir(parents=True)
    (tmp_path / "ship/cells/answers.csv").write_text("path,class\n")
    told = {"cells": {"tested": {"text": "11 of 11 are right."}, "text": "model/shufflenet_scratch int8 scores best."}}
    (tmp_path / "statistics/recommendation.json").write_text(json.dumps({"datasets": told}))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    summary.show(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["cells: 11 of 11 are right.", "model/shufflenet_scratch int8 scores"]
    assert all(len(line) <= 40 or str(tmp_path) in line for line in lines)


def test_a_run_that_failed_shows_no_scores_of_an_earlier_one(tmp_path, capsys):
    summary.show(tmp_path, complete=False)
    assert capsys.readouterr().out == f"What is done is in {tmp_path}\n"


def test_without_scores(tmp_path):
    with pytest.raises(InputError, match="there are no scores yet; run snakemake"):
        summary.show(tmp_path)
