"""Measures, on cases made by hand."""

import numpy as np
import pyarrow as pa
import pytest

from pocketscope.core import parquet, seeds
from pocketscope.core.errors import InputError
from pocketscope.evaluation import metrics
from pocketscope.tables.predictions import PREDICTIONS, predictions_table
from pocketscope.tables.split import TRUTH


def measure(predicted, truth, classes, positive=None):
    probabilities = np.array([[0.8 if c == p else 0.2 / (len(classes) - 1) for c in classes] for p in predicted])
    rows = metrics.measure(probabilities, list(truth), list(classes), positive).to_pylist()
    return {(row["metric"], row["class"]): row["value"] for row in rows}


def test_two_classes_have_the_f1_of_the_positive_one():
    found = measure("aabbb", "abbba", "ab", positive="a")
    assert found["f1", None] == found["f1", "a"] == pytest.approx(0.5)
    assert found["accuracy", None] == pytest.approx(0.6)


def test_more_classes_have_the_mean_over_those_that_occur():
    found = measure("aac", "aab", "abcd")
    assert found["f1", None] == pytest.approx((1.0 + 0.0) / 2)  # c and d have no test image
    assert ("f1", "c") not in found
    assert found["images", "a"] == 2


def test_an_empty_test_part_measures_nothing():
    assert metrics.measure(np.zeros((0, 2)), [], ["a", "b"], None).to_pylist() == [
        {"metric": "images", "class": None, "value": 0.0}
    ]


def test_folds_are_measured_together_and_seeds_apart(tmp_path):
    """Fold 0 holds no image of class b: the mean of the folds' F1 would be 1."""
    answers = {
        "k5_s0_f0": {"i0": ("a", "a"), "i1": ("a", "a")},  # answer, truth
        "k5_s0_f1": {"i2": ("b", "b"), "i3": ("a", "b"), "i4": ("a", "a")},
        "k5_s1_f0": {"i0": ("a", "a"), "i1": ("b", "a"), "i2": ("b", "b")},
    }
    rows, predictions, truths = [], [], {}
    for split, of_split in answers.items():
        ids, (said, truth) = list(of_split), zip(*of_split.values(), strict=True)
        probabilities = np.array([[[c == answer for c in "ab"] for answer in said]], np.float32)
        predictions.append(tmp_path / f"{split}.parquet")
        table = predictions_table(ids, ["identity"], probabilities)
        parquet.write(table, predictions[-1], PREDICTIONS, notes={"classes": ["a", "b"]})
        truths["d", split] = tmp_path / f"truth {split}.parquet"
        parquet.write(pa.table({"image_id": ids, "label": truth}), truths["d", split], TRUTH)
        rows.append({"dataset": "d", "split": split, "method": "m", "network": "n", "precision": "fp32"})
    scores = metrics.score(rows, predictions, truths, {"d": None}).to_pandas()
    f1 = scores[(scores.metric == "f1") & scores["class"].isna()].set_index("split")["value"].to_dict()
    assert f1 == {
        "k5_s0": pytest.approx((6 / 7 + 2 / 3) / 2),
        "k5_s1": pytest.approx((2 / 3 + 2 / 3) / 2),
    }
    first = parquet.read(predictions[0], PREDICTIONS)
    parquet.write(first, predictions[0], PREDICTIONS, notes={"classes": ["a", "c"]})
    with pytest.raises(InputError, match="have different classes"):
        metrics.score(rows, predictions, truths, {"d": None})


def test_streams_differ_by_purpose_and_never_change():
    assert seeds.seed(0, "digits", "k10_s0") == 4137266073
    assert seeds.seed("ab", "c") != seeds.seed("a", "bc")
    ranks = [seeds.rank("test", 0, i) for i in range(2000)]
    assert 0.45 < np.mean(ranks) < 0.55
    assert 0 <= min(ranks) < max(ranks) < 1
