"""What became of unlabelled images, on a case made by hand."""

import numpy as np
import pyarrow as pa
import pytest

from pocketscope.distillation import audit, vote
from pocketscope.tables.label_set import human_labels
from pocketscope.tables.online_pseudo_labels import ONLINE_PSEUDO_LABELS

CLASSES = ["cat", "dog"]
ABOUT = {"method": "plain", "round": 1}


def proposed(cat, threshold=0.6):
    array = np.array([cat, np.subtract(1, cat)]).T[None].astype(np.float32)
    image_ids = np.array([f"u{i}" for i in range(len(cat))], object)
    found = vote.propose(image_ids, array, CLASSES, "mean_probability")
    return vote.accept(found, "threshold", threshold, 0.5)


def test_counts_and_accuracies_by_class():
    truth = {"u0": "cat", "u1": "dog", "u2": "dog"}  # nobody knows u3
    total, cat, dog = audit.classes(proposed([0.9, 0.7, 0.2, 0.55]), CLASSES, truth, **ABOUT).to_pylist()
    assert (total["given"], total["accepted"], total["known"]) == (4, 3, 3)
    assert total["accuracy"] == pytest.approx(2 / 3)
    assert (cat["given"], cat["accepted"], cat["accuracy"]) == (3, 2, 0.5)
    assert (dog["given"], dog["accepted"], dog["accuracy"]) == (1, 1, 1.0)
    assert cat["confidence"] == pytest.approx(0.8)


def test_without_any_truth_there_is_no_accuracy():
    total = audit.classes(proposed([0.9, 0.7]), CLASSES, {}, **ABOUT).to_pylist()[0]
    assert total["accuracy"] is None
    assert total["accepted"] == 2
    assert len(audit.coverage(proposed([0.9, 0.7]), {}, **ABOUT)) == 0


def test_a_collapse_is_in_the_table():
    total = audit.classes(proposed([0.9, 0.7, 0.45]), CLASSES, {}, **ABOUT).to_pylist()[0]
    assert "collapse into one class" in total["remark"]
    nothing = audit.classes(proposed([]).slice(0, 0), CLASSES, {}, **ABOUT).to_pylist()[0]
    assert "no unlabelled image is left" in nothing["remark"]


def test_accuracy_against_coverage_at_every_threshold():
    truth = {"u0": "cat", "u1": "dog", "u2": "dog", "u3": "cat"}
    curve = audit.coverage(proposed([0.9, 0.75, 0.25, 0.55]), truth, **ABOUT).to_pydict()
    # Two images share a confidence of 0.75: one right, one wrong.
    assert curve["threshold"] == pytest.approx([0.9, 0.75, 0.55])
    assert curve["coverage"] == [0.25, 0.75, 1.0]
    assert curve["accuracy"] == pytest.approx([1, 2 / 3, 3 / 4])


def test_the_most_suspicious_label_comes_first_and_the_truth_is_not_asked():
    found = audit.review(proposed([0.99, 0.65, 0.9, 0.02, 0.55]), CLASSES, {f"u{i}": [f"a/{i}.png"] for i in range(5)})
    assert found["path"][0] == "a/1.png"
    assert sorted(found["path"]) == ["a/0.png", "a/1.png", "a/2.png", "a/3.png"]  # u4 was not accepted
    assert list(found.columns) == ["path", "class", "confidence", "agreement", "quality", "label"]
    assert found["quality"].is_monotonic_increasing
    assert set(found["label"]) == {""}  # a person's; given back as it is, it corrects nothing
    assert audit.review(proposed([0.55]), CLASSES, {"u0": ["x"]}).empty


def test_only_labels_that_a_method_ended_with_are_reviewed():
    """Round 2 labelled anew: what round 1 said of these images is no label any more."""
    first, second = proposed([0.99, 0.65, 0.9]), proposed([0.55, 0.99, 0.02])
    people, how = human_labels(["l0"], ["cat"]), {"targets": "hard", "temperature": 1.0}
    labels = vote.extend(people, second, round_number=2, **how)
    assert audit.kept({1: first, 2: second}, labels).equals(second.filter(second["accepted"]))
    labels = vote.extend(people, first, round_number=1, **how)
    assert audit.kept({1: first, 2: second}, labels).equals(first.filter(first["accepted"]))


def test_guesses_are_counted_by_network_and_epoch():
    rows = [("u0", 1, "cat", 0.9, True), ("u1", 1, "cat", 0.7, False), ("u0", 3, "cat", 0.99, True),
            ("u1", 3, "dog", 0.98, True)]  # fmt: skip
    names = ONLINE_PSEUDO_LABELS.names
    guesses = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=ONLINE_PSEUDO_LABELS)
    found = audit.epochs(guesses, CLASSES, {"u0": "cat", "u1": "cat"}, "fixmatch", "resnet18").to_pylist()
    first, last = (row for row in found if row["class"] is None)
    assert (first["method"], first["network"], first["epoch"], first["round"]) == ("fixmatch", "resnet18", 1, None)
    assert (first["given"], first["accepted"], first["accuracy"], first["accuracy_of_given"]) == (2, 1, 1.0, 1.0)
    assert "a collapse into one class" in first["remark"]
    assert (last["epoch"], last["accepted"], last["accuracy"], last["remark"]) == (3, 2, 0.5, None)
