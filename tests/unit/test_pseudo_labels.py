"""Votes and acceptance, on cases made by hand."""

import numpy as np
import pyarrow as pa
import pytest
from pocketscope import prediction, pseudo_labels
from pocketscope.errors import InputError

CLASSES = ["cat", "dog", "fox"]


def teacher(image_ids, views, probabilities):
    return prediction.table(image_ids, views, np.asarray(probabilities, dtype=np.float32))


def accept(predictions, labels=None, **options):
    labels = labels if labels is not None else pseudo_labels.human(["known"], ["cat"])
    asked = {"views": ["identity"], "how": "mean_probability", "threshold": 0.5, "round_number": 1} | options
    return pseudo_labels.accept(predictions, labels, CLASSES, **asked)


def test_mean_probability_takes_the_class_of_the_highest_mean_and_its_mean():
    winners, confidences = pseudo_labels.vote(np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.5, 0.4]]]), "mean_probability")
    assert winners.tolist() == [1]
    assert confidences[0] == pytest.approx(0.45)


def test_majority_takes_the_most_common_class_and_the_mean_of_all_own_maxima():
    votes = np.array([[[0.9, 0.1, 0.0]], [[0.3, 0.4, 0.3]], [[0.3, 0.4, 0.3]]])
    winners, confidences = pseudo_labels.vote(votes, "majority")
    assert winners.tolist() == [1]  # two of three, though cat's mean is higher
    assert confidences[0] == pytest.approx((0.9 + 0.4 + 0.4) / 3)


def test_a_tie_goes_to_the_higher_mean_probability():
    winners, _ = pseudo_labels.vote(np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.9, 0.0]]]), "majority")
    assert winners.tolist() == [1]


def test_even_a_sure_minority_does_not_outweigh_a_vote():
    votes = np.array([[[1.0, 0.0, 0.0]]] * 2 + [[[0.3, 0.4, 0.3]]] * 3)
    assert pseudo_labels.vote(votes, "majority")[0].tolist() == [1]


def test_acceptance_is_strictly_above_the_threshold_and_keeps_what_was_known():
    predicted = teacher(["x", "y", "known"], ["identity"], [[[0.5, 0.5, 0], [0.25, 0.75, 0], [0, 1, 0]]])
    labels = accept([predicted], threshold=0.5)
    assert labels.select(["image_id", "label", "source", "round"]).to_pylist() == [
        {"image_id": "known", "label": "cat", "source": "human", "round": 0},
        {"image_id": "y", "label": "dog", "source": "pseudo", "round": 1},
    ]
    assert labels["confidence"].to_pylist() == [1.0, 0.75]
    assert labels["probabilities"].to_pylist() == [None, [0.25, 0.75, 0.0]]


def test_only_the_chosen_views_vote_and_teachers_count_alike():
    one = teacher(["x"], ["identity", "gamma"], [[[0.9, 0.1, 0]], [[0, 0, 1]]])
    two = teacher(["x"], ["identity", "gamma"], [[[0.2, 0.8, 0]], [[0, 0, 1]]])
    assert accept([one, two])["label"].to_pylist()[-1] == "cat"
    assert accept([one, two], views=["identity", "gamma"], threshold=0.4)["label"].to_pylist()[-1] == "fox"


@pytest.mark.parametrize(
    ("probabilities", "threshold", "said"),
    [
        ([0.4, 0.3, 0.3], 0.8, "no label was sure enough"),
        ([1.0, 0.0, 0.0], 1.0, "no label was sure enough"),
        ([0.9, 0.1, 0.0], 0.8, "collapse into one class"),
    ],
)
def test_what_went_wrong_is_in_the_log(probabilities, threshold, said, caplog):
    accept([teacher(["x"], ["identity"], [[probabilities]])], threshold=threshold)
    assert said in caplog.text


@pytest.mark.parametrize("image_ids", [[], ["known"]])
def test_with_nothing_left_to_label_the_labels_stay(image_ids, caplog):
    labels = pseudo_labels.human(["known"], ["cat"])
    predicted = teacher(image_ids, ["identity"], np.full((1, len(image_ids), 3), 1 / 3))
    assert accept([predicted], labels).equals(labels)
    assert "no unlabelled image is left" in caplog.text


def test_teachers_of_other_images_are_refused():
    with pytest.raises(InputError, match="differ in their images"):
        accept([teacher([name], ["identity"], [[[1, 0, 0]]]) for name in "xy"])


def test_predictions_come_back_as_they_went_in():
    seen = np.random.default_rng(0).random((2, 5, 3), dtype=np.float32)
    table = prediction.table(list("abcde"), ["identity", "gamma"], seen)
    assert table["image_id"].to_pylist()[:3] == ["a", "a", "b"]
    assert np.array_equal(prediction.array(table).reshape(5, 2, 3), seen.transpose(1, 0, 2))
    assert isinstance(table, pa.Table)
