"""Votes and acceptance, on cases made by hand."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketscope.core.errors import InputError
from pocketscope.distillation import vote
from pocketscope.tables.label_set import by_people, human_labels
from pocketscope.tables.predictions import arrange_views, predictions_table
from pocketscope.training import batches
from pocketscope.training.batches import load_examples

CLASSES = ["cat", "dog", "fox"]


def propose(probabilities, how="mean_probability"):
    """Return candidates of one prediction, (N, 3), or of several, (predictions, N, 3)."""
    array = np.asarray(probabilities, dtype=np.float32)
    array = array if array.ndim == 3 else array[None]
    return vote.propose(np.array([f"i{i}" for i in range(array.shape[1])], object), array, CLASSES, how)


def test_mean_probability_takes_the_class_of_the_highest_mean_and_its_mean():
    winners, confidences = vote.vote(np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.5, 0.4]]]), "mean_probability")
    assert winners.tolist() == [1]
    assert confidences[0] == pytest.approx(0.45)


def test_majority_takes_the_most_common_class_and_the_mean_of_all_own_maxima():
    votes = np.array([[[0.9, 0.1, 0.0]], [[0.3, 0.4, 0.3]], [[0.3, 0.4, 0.3]]])
    winners, confidences = vote.vote(votes, "majority")
    assert winners.tolist() == [1]  # two of three, though cat's mean is higher
    assert confidences[0] == pytest.approx((0.9 + 0.4 + 0.4) / 3)


def test_a_tie_goes_to_the_higher_mean_probability():
    winners, _ = vote.vote(np.array([[[0.6, 0.4, 0.0]], [[0.1, 0.9, 0.0]]]), "majority")
    assert winners.tolist() == [1]


def test_even_a_sure_minority_does_not_outweigh_a_vote():
    votes = np.array([[[1.0, 0.0, 0.0]]] * 2 + [[[0.3, 0.4, 0.3]]] * 3)
    assert vote.vote(votes, "majority")[0].tolist() == [1]


def test_acceptance_is_strictly_above_the_threshold():
    found = vote.accept(propose([[0.5, 0.5, 0], [0.25, 0.75, 0]]), "threshold", 0.5, 0.5)
    assert found["accepted"].to_pylist() == [False, True]
    assert found["label"].to_pylist() == ["cat", "dog"]


def test_what_was_known_stays_and_what_is_accepted_follows():
    found = vote.accept(propose([[0.5, 0.5, 0], [0.25, 0.75, 0]]), "threshold", 0.5, 0.5)
    known = human_labels(["known"], ["cat"])
    labels = vote.extend(known, found, round_number=2, targets="hard", temperature=1.0)
    assert labels.slice(0, 1).equals(known)
    assert labels.slice(1).to_pylist() == [
        {"image_id": "i1", "label": "dog", "confidence": 0.75, "source": "pseudo", "round": 2, "probabilities": None}
    ]
    assert by_people(labels).equals(known)


def test_soft_targets_are_the_mean_probabilities_sharpened():
    found = vote.accept(propose([[0.6, 0.3, 0.1], [1.0, 0.0, 0.0]]), "threshold", 0.5, 0.5)
    none = human_labels([], [])
    plain = vote.extend(none, found, round_number=1, targets="soft", temperature=1.0)
    assert plain["probabilities"].to_pylist()[0] == pytest.approx([0.6, 0.3, 0.1])
    sharp = vote.extend(none, found, round_number=1, targets="soft", temperature=0.5)
    assert sharp["probabilities"].to_pylist()[0] == pytest.approx([0.36 / 0.46, 0.09 / 0.46, 0.01 / 0.46])
    assert sharp["probabilities"].to_pylist()[1] == [1.0, 0.0, 0.0]  # a class of probability 0 keeps it


def test_each_class_gets_the_surest_share_of_its_own_predictions():
    """Dogs, of which the teachers are never very sure, are learned too."""
    sure, unsure = [0.9, 0.1, 0], [0.45, 0.55, 0]
    proposed = propose([sure, [0.8, 0.2, 0], [0.95, 0.05, 0], [0.7, 0.3, 0], unsure, [0.4, 0.6, 0]])
    found = vote.accept(proposed, "top_share_per_class", 0.5, 0.5)
    assert found["accepted"].to_pylist() == [True, False, True, False, False, True]
    assert not vote.accept(proposed, "top_share_per_class", 0.6, 0.5)["accepted"].to_pylist()[5]  # the floor


def test_a_class_that_is_given_to_one_image_is_learned_too():
    proposed = propose([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.4, 0.6, 0]])
    assert vote.accept(proposed, "top_share_per_class", 0.5, 0.3)["accepted"].to_pylist() == [True, False, True]


@given(st.lists(st.tuples(*[st.floats(0.01, 1)] * 3), min_size=1, max_size=30), st.floats(0.01, 1), st.floats(0, 1))
def test_no_class_gets_more_than_its_share_nor_any_below_the_floor(rows, share, floor):
    array = np.array(rows)
    proposed = propose(array / array.sum(axis=1, keepdims=True))
    found = vote.accept(proposed, "top_share_per_class", floor, share).to_pandas()
    assert (found.loc[found["accepted"], "confidence"] > floor).all()
    for _, given_ in found.groupby("label"):
        assert given_["accepted"].sum() <= max(1, share * len(given_) + 0.5)
        if given_["accepted"].any():
            left_out = given_.loc[~given_["accepted"], "confidence"]
            assert (left_out <= given_.loc[given_["accepted"], "confidence"].min()).all() or (left_out <= floor).any()


@pytest.mark.parametrize(
    ("probabilities", "threshold", "said"),
    [
        ([[0.4, 0.3, 0.3]], 0.8, "no prediction was confident enough"),
        ([[1.0, 0.0, 0.0]], 1.0, "no prediction was confident enough"),
        ([[0.9, 0.1, 0.0], [0.1, 0.6, 0.3]], 0.8, "a collapse into one class"),
        ([[0.9, 0.1, 0], [0.1, 0.6, 0.3], [0, 0, 1]], 0.8, "'dog' was predicted for 1 images and accepted for none"),
        ([[0.9, 0.1, 0], [0.1, 0.9, 0]], 0.8, "no image was predicted as 'fox'"),
    ],
)
def test_what_went_wrong_is_said(probabilities, threshold, said):
    found = vote.accept(propose(probabilities), "threshold", threshold, 0.5)
    assert said in "; ".join(vote.round_remarks(found, CLASSES))


def test_teachers_who_always_disagree_are_named():
    found = propose([[[0.9, 0.1, 0]] * 4, [[0.1, 0.9, 0]] * 4])
    assert found["agreement"].to_pylist() == [0.5] * 4
    assert "more than half of the teachers' votes" in "; ".join(vote.round_remarks(found, CLASSES))


def test_predictions_come_back_as_they_went_in():
    seen = np.random.default_rng(0).random((2, 5, 3), dtype=np.float32)
    table = predictions_table(list("abcde"), ["identity", "gamma"], seen)
    assert table["image_id"].to_pylist()[:3] == ["a", "a", "b"]
    image_ids, arranged = arrange_views(table, ["gamma", "identity"])
    assert image_ids.tolist() == list("abcde")
    assert np.array_equal(arranged, seen[::-1])
    assert isinstance(table, pa.Table)


def test_a_view_that_was_not_predicted_is_named():
    table = predictions_table(["a"], ["identity"], np.ones((1, 1, 3), np.float32))
    with pytest.raises(InputError, match="the view 'gamma' is missing"):
        arrange_views(table, ["gamma"])


def test_a_network_learns_soft_targets_where_the_label_set_has_them(monkeypatch):

    monkeypatch.setattr(batches, "load_pixels", lambda _, image_ids: np.zeros((len(image_ids), 2, 2, 3), np.uint8))
    found = vote.accept(propose([[0.6, 0.3, 0.1]]), "threshold", 0.5, 0.5)
    labels = vote.extend(human_labels(["known"], ["dog"]), found, round_number=1, targets="soft", temperature=1.0)
    loaded = load_examples("packed", labels, CLASSES)
    assert loaded.targets.tolist() == [[0, 1, 0], pytest.approx([0.6, 0.3, 0.1])]
    assert loaded.human.tolist() == [True, False]
