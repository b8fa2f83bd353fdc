"""What the decision and the page take from a study's runs."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.data import near_duplicates
from pocketscope.evaluation import evidence as measured
from pocketscope.report import evidence
from pocketscope.statistics import bootstrap, recommendation, score_table
from pocketscope.tables.audit import AUDIT, COVERAGE
from pocketscope.tables.classes import CLASSES
from pocketscope.tables.history import HISTORY
from pocketscope.tables.near_duplicates import ACROSS

PREDICTIONS = pa.schema([("image_id", pa.string()), ("view", pa.string()), ("probabilities", pa.list_(pa.float32()))])
LABELS = pa.schema([("image_id", pa.string()), ("label", pa.string()), ("source", pa.string())])
TRUTH = pa.schema([("image_id", pa.string()), ("label", pa.string())])
SPLIT = pa.schema([("image_id", pa.string()), ("role", pa.string()), ("group", pa.string())])


def write(path, schema, notes=None, **columns):
    parquet.write(pa.table(columns, schema=schema), path, schema, notes=notes)
    return str(path)


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for split in ("k25_s0_f0", "k25_s0_f1", "k25_s1_f0", "k25_s1_f1", "k10_s0_f0"):
        ids = [f"i{j}" for j in range(20) if j % 2 == int(split[-1])]
        truth = [("sick", "well")[int(i[1:]) % 3 == 0] for i in ids]
        folder = tmp_path / split
        common = {
            "truth": write(folder / "truth.parquet", TRUTH, image_id=ids, label=truth),
            "split_table": write(
                folder / "split.parquet",
                SPLIT,
                image_id=[*ids, "u0", "u1"],
                role=["test"] * len(ids) + ["unlabelled"] * 2,
                group=[f"p{int(i[1:]) // 4}" for i in ids] + ["p0", None],
            ),
        }
        for precision in ("fp32", "int8"):
            p = rng.random(len(ids))
            path = folder / "tiny" / f"test.{precision}.parquet"
            probabilities = np.stack([p, 1 - p], axis=1).tolist()
            write(
                path,
                PREDICTIONS,
                {"classes": ["sick", "well"]},
                image_id=ids,
                view=["identity"] * len(ids),
                probabilities=probabilities,
            )
            rows.append(
                {"dataset": "d", "split": split, "method": "plain", "network": "tiny", "precision": precision}
                | {"predictions": str(path), **common}
            )
    return rows


def test_folds_are_one_seed_and_few_labels_are_left_out(study):
    given = measured.gather(study, {"d": "sick"})["d"]
    assert set(given.predictions) == {(f"plain/tiny{p}", f"k25_s{s}") for p in ("", " int8") for s in (0, 1)}
    assert all(len(frame) == 20 for frame in given.predictions.values())
    assert given.positive == 0
    data = bootstrap.align(given.predictions, given.truth, given.classes, given.groups)
    assert data.predicted.shape == (2, 2, 20)
    assert len(set(data.units)) == 5


def test_evidence_carries_a_recommendation(study):
    given = measured.gather(study, {})
    rows = [(*(row[key] for key in score_table.KEYS), 0.5) for row in study]
    scores = score_table.check_scores(pd.DataFrame(rows, columns=score_table.COLUMNS))
    found, resamples = recommendation.for_study(scores, evidence=given)
    assert found["overall"] is None
    assert resamples["d"].unit == "group"
    assert found["datasets"]["d"]["network"] == "tiny"


def test_other_classes_are_refused(study, tmp_path):
    path = tmp_path / "other.parquet"
    write(
        path,
        PREDICTIONS,
        {"classes": ["well", "sick"]},
        image_id=["i0"],
        view=["identity"],
        probabilities=[[0.5, 0.5]],
    )
    with pytest.raises(InputError, match="different classes"):
        measured.gather([*study[:-2], {**study[0], "precision": "int4", "predictions": str(path)}], {})


def test_striking_images_are_the_surest_of_each_class():
    truth, answer = ["sick", "sick", "well", "sick"], ["sick", "sick", "well", "well"]
    answers = pd.DataFrame({"image_id": list("abcd"), "truth": truth, "answer": answer})
    picked = evidence.striking(answers.assign(confidence=[0.9, 0.8, 0.7, 0.6]))
    assert [(one["kind"], one["image_id"]) for one in picked] == [
        ("Correct and confident", "a"), ("Correct and confident", "c"),
        ("Correct and confident", "b"), ("Wrong and confident", "d"),
    ]  # fmt: skip


def test_automatic_labels_are_means_over_splits(tmp_path):
    audits, curves = [], []
    for seed, right in enumerate((1.0, 0.5)):
        total = {"method": "plain", "round": 1, "class": None, "given": 4, "accepted": 2, "confidence": 0.9, "known": 2}
        total |= {"accuracy": right, "accuracy_of_given": 0.5, "remark": "a collapse" if seed else None}
        table = pa.Table.from_pylist([total, total | {"class": "sick", "remark": None}], schema=AUDIT)
        audits.append(str(tmp_path / f"audit{seed}.parquet"))
        parquet.write(table, audits[-1], AUDIT)
        curve = {"method": ["plain"] * 2, "round": [1] * 2, "threshold": [0.9, 0.5], "coverage": [0.5, 1.0]}
        curves.append(str(tmp_path / f"coverage{seed}.parquet"))
        parquet.write(pa.table(curve | {"accuracy": [right, 0.5]}, schema=COVERAGE), curves[-1], COVERAGE)
    about = [("d", "k4_s0"), ("d", "k4_s1")]
    lines, mean = evidence.automatic_labels(audits, curves, about)
    assert lines.to_dict("records") == [
        {"dataset": "d", "method": "plain", "round": 1, "epoch": None, "coverage": 0.5, "accuracy": 0.75,
         "accuracy_of_given": 0.5, "remark": "a collapse"}
    ]  # fmt: skip
    at = dict(zip(mean["coverage"].round(2), mean["accuracy"], strict=True))
    assert (at[0.5], at[1.0]) == (0.75, 0.5)
    assert at[0.75] == pytest.approx(0.625)
    assert evidence.automatic_labels([], [], []) == (None, None)


def test_history_is_long(tmp_path):
    schema = pa.schema([("epoch", pa.int32()), ("train_loss", pa.float64()), ("validation_accuracy", pa.float64())])
    path = write(
        tmp_path / "history.parquet",
        schema,
        epoch=[1, 2],
        train_loss=[1.0, 0.5],
        validation_accuracy=[None, 0.8],
    )
    frame = evidence.history("tiny", path)
    assert sorted(frame["quantity"]) == ["training loss", "training loss", "validation accuracy"]


def test_test_images_that_are_nearly_training_images_are_counted_once(tmp_path):
    rows = [("x", "a", "test", "labelled"), ("x", "b", "test", "unlabelled"), ("c", "y", "labelled", "test")]
    pairs = [
        {"image_id": one, "other": other, "distance": 3, "role": role, "other_role": of_other}
        | {"path": f"{one}.png", "other_path": f"{other}.png", "split": "k5_s0"}
        for one, other, role, of_other in rows
    ]
    for name, some in (("cells", pairs), ("none", [])):
        table = pa.Table.from_pylist(some, schema=ACROSS)
        parquet.write(table, tmp_path / name, ACROSS)
    (said,) = evidence.flattered({"cells": tmp_path / "cells", "none": tmp_path / "none"})
    assert said.startswith("cells: 2 test images are nearly the same as an image that is learned from")


def test_both_images_of_a_pair_count_where_they_are_tested_in_turn(tmp_path):
    pairs = pa.Table.from_pylist([{"image_id": "x", "other": "y", "distance": 3}], schema=near_duplicates.PAIRS)
    images = pa.table({"image_id": ["x", "y"], "paths": [["x.png"], ["y.png"]]})
    folds = {"k5_s0_f0": {"x": "test", "y": "labelled"}, "k5_s0_f1": {"x": "labelled", "y": "test"}}
    for name, splits in (("turns", folds), ("together", {"k5_s0_f0": {"x": "test", "y": "test"}})):
        table = near_duplicates.across_parts(pairs, images, splits)
        parquet.write(table, tmp_path / name, ACROSS)
    (said,) = evidence.flattered({name: tmp_path / name for name in ("turns", "together")})
    assert said.startswith("turns: 2 test images are nearly the same")


def test_a_training_that_collapsed_is_named(tmp_path):
    def told(name, kept, validation_loss=None):
        path = tmp_path / "cells" / "k5_s0" / name / "history.parquet"
        path.parent.mkdir(parents=True)
        rows = [
            {"epoch": i, "stage": "all", "step": i, "kept": i == kept, "validation_loss": validation_loss}
            for i in range(3)
        ]
        parquet.write(pa.Table.from_pylist(rows, schema=HISTORY), path, HISTORY)
        return str(path)

    paths = [told("whole", 2), told("collapsed", 1), told("judged", 1, 0.5)]
    (said,) = evidence.collapsed(paths)
    assert "/k5_s0/collapsed: the training run collapsed. The weights of its epoch 1 were kept" in said


def test_what_is_remarkable_of_a_data_set_is_said_with_its_name(tmp_path):
    for name, said in (("cells", ["one thing", "another"]), ("moles", [])):
        notes = {"remarks": said}
        write(tmp_path / name, CLASSES, notes, label=["a"], images=[1], files=[1])
    paths = {name: tmp_path / name for name in ("cells", "moles")}
    assert evidence.remarks_of_datasets(paths) == ["cells: one thing.", "cells: another."]


def test_timings_are_freed_of_drift_and_costs_are_what_ships(tmp_path):
    """The second network was timed while the machine was half as fast, as the reference model beside it tells."""
    schema = pa.schema(
        [("runtime", pa.string()), ("precision", pa.string()), ("image_size", pa.int32()), ("threads", pa.int32())]
        + [(name, pa.float64()) for name in ("latency_ms", "latency_p5_ms", "latency_p95_ms", "images_per_second")]
        + [(name, pa.float64()) for name in ("file_mb", "training_step_ms")]
    )
    paths = []
    for network, slow in (("a", 1.0), ("b", 2.0), ("c", 1.0)):
        rows = [("pytorch", "fp32", 1, 40.0), ("onnxruntime", "fp32", 1, 20.0), ("onnxruntime", "int8", 1, 5.0)]
        rows += [("onnxruntime", "int8", 2, 3.0), ("reference", "fp32", 1, 10.0), ("reference", "fp32", 2, 6.0)]
        columns = {
            "runtime": [row[0] for row in rows],
            "precision": [row[1] for row in rows],
            "image_size": [224] * len(rows),
            "threads": [row[2] for row in rows],
            **{name: [slow * row[3] for row in rows] for name in schema.names[4:7]},
            "images_per_second": [100 / slow] * len(rows),
            "file_mb": [{"fp32": 8.0, "int8": 2.0}[row[1]] for row in rows],
            "training_step_ms": [None] * len(rows),
        }
        paths.append(write(tmp_path / f"{network}.parquet", schema, **columns))
    timed = measured.timings(paths)
    assert "reference" not in set(timed["runtime"])
    assert (timed.groupby(["runtime", "precision", "threads"])["latency_ms"].nunique() == 1).all()  # noqa: PD101
    assert set(timed["images_per_second"]) == {100.0}
    costs = measured.costs(timed).set_index(["network", "precision"])
    assert costs.loc[("b", "int8")].to_dict() == {"size_mb": 2.0, "latency_ms": 5.0}
    assert costs.loc[("b", "fp32")].to_dict() == {"size_mb": 8.0, "latency_ms": 20.0}
    assert len(costs) == 6
