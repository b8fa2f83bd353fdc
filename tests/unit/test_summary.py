"""What a run ends with on the terminal."""

import pyarrow as pa
import pytest
from pocketscope import checks, metrics, summary, tables
from pocketscope.errors import InputError


def test_f1_names_its_class_and_remarks_follow(tmp_path, capsys):
    row = {"split": "k25_s0", "method": "plain", "network": "tiny", "precision": "fp32", "metric": "f1", "class": None}
    rows = [row | {"dataset": "cells", "value": 0.875}, row | {"dataset": "digits", "value": 0.5}]
    positive = {"cells": "[ill]", "digits": None}
    tables.write(pa.Table.from_pylist(rows), tmp_path / "scores.parquet", metrics.SCORES, notes={"positive": positive})
    classes = pa.Table.from_pylist([{"label": "[ill]", "images": 1, "files": 1}])
    place = tmp_path / "runs/cells/classes.parquet"
    tables.write(classes, place, checks.CLASSES, notes={"remarks": ["'[b].png' (the file is empty)"]})
    summary.show(tmp_path)
    shown = capsys.readouterr().out
    titles = " ".join(shown.split())  # as narrow as the table
    assert "cells: F1 of '[ill]' in percent, 25 labelled a class, one split" in titles
    assert "digits: F1 in percent" in titles
    assert "87.5" in shown
    assert "cells: '[b].png' (the file is empty).\n" in shown


def test_without_scores(tmp_path):
    with pytest.raises(InputError, match="there are no scores yet; run snakemake"):
        summary.show(tmp_path)
