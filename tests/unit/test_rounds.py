"""A round of distillation, on teachers and splits made by hand."""

import numpy as np
import pyarrow as pa
import pytest

from pocketscope.config.base import plain
from pocketscope.config.methods import Method
from pocketscope.core.errors import InputError
from pocketscope.distillation import calibration, rounds
from pocketscope.distillation.held_out import held_out, validation_score
from pocketscope.tables.label_set import human_labels
from pocketscope.tables.predictions import PREDICTIONS, predictions_table
from pocketscope.tables.split import SPLIT
from pocketscope.tables.teachers import believed

CLASSES = ["cat", "dog"]
OPEN = [f"u{i}" for i in range(4)]
HELD_OUT = [f"v{i}" for i in range(20)]


def split(validation=HELD_OUT):
    rows = [("l0", "labelled", "cat"), ("l1", "labelled", "dog")]
    rows += [(image, "validation", CLASSES[i % 2]) for i, image in enumerate(validation)]
    rows += [(image, "unlabelled", None) for image in OPEN]
    columns = dict(zip(["image_id", "role", "label"], zip(*rows, strict=True), strict=True))
    return pa.table(columns | {"group": pa.nulls(len(rows), pa.string())}, schema=SPLIT)


def predicted(open_=(0.9, 0.8, 0.3, 0.1), right=0.8, views=("identity",), worse=None, images=None):
    """Return what a teacher says: the probability of 'cat' of each open image, of the true class of all others."""
    image_ids = ["l0", "l1", *HELD_OUT, *(OPEN if images is None else images)]
    cat = [right, 1 - right] + [right if i % 2 == 0 else 1 - right for i in range(len(HELD_OUT))] + list(open_)
    cube = np.stack([np.array([cat, np.subtract(1, cat)]).T for _ in views])
    if worse:
        cube[views.index(worse), : 2 + len(HELD_OUT)] = cube[views.index(worse), : 2 + len(HELD_OUT), ::-1]
    return predictions_table(image_ids, list(views), cube.astype(np.float32))


def label(teachers, labels=None, round_number=1, before=(), parts=None, views=("identity",), **settings):
    method = plain(Method(teachers=["one"], **settings))
    labels = labels or human_labels(["l0", "l1"], CLASSES)
    even = [1.0] * len(teachers)
    return rounds.label(teachers, even, labels, parts or split(), CLASSES, method, list(views), round_number, before)


def calibrate(views=("identity",), temperatures=True, drop_views=False, **tables):
    """Return what is made of teachers by their predictions of the validation set."""
    unseen = {name: held_out(table, split()) for name, table in tables.items()}
    asked = {"temperatures": temperatures, "drop_views": drop_views}
    return calibration.calibrate(unseen, split(), CLASSES, list(views), **asked)


def given(labels):
    table = labels.to_pydict()
    return dict(zip(table["image_id"], table["label"], strict=True))


def test_accepted_labels_join_those_of_people():
    labels, proposed = label([predicted()], threshold=0.75)
    assert given(labels) == {"l0": "cat", "l1": "dog", "u0": "cat", "u1": "cat", "u3": "dog"}
    assert proposed["accepted"].to_pylist() == [True, True, False, True]


def test_labelled_and_validation_images_are_never_labelled_by_teachers():
    _, proposed = label([predicted()], threshold=0.0)
    assert proposed["image_id"].to_pylist() == OPEN


def test_teachers_count_alike():
    labels, _ = label([predicted(), predicted(open_=(0.0, 0.8, 0.3, 0.1))], threshold=0.5)
    assert given(labels)["u0"] == "dog"


def test_each_teachers_votes_are_scaled_by_its_own_temperature():
    """Of two that contradict one another the one that is made less sure loses."""
    one, other = predicted(open_=(0.9, 0.8, 0.3, 0.1)), predicted(open_=(0.2, 0.8, 0.3, 0.1))
    method = plain(Method(teachers=["one", "other"], threshold=0.0))
    people = human_labels(["l0", "l1"], CLASSES)
    for temperatures, first in (([1.0, 1.0], "cat"), ([4.0, 0.5], "dog")):
        labels, proposed = rounds.label([one, other], temperatures, people, split(), CLASSES, method, ["identity"], 1)
        assert given(labels)["u0"] == first
    by_hand = (0.9**0.25 / (0.9**0.25 + 0.1**0.25) + 0.2**2 / (0.2**2 + 0.8**2)) / 2
    assert proposed["confidence"][0].as_py() == pytest.approx(1 - by_hand, abs=1e-6)


def test_temperature_is_each_teachers_own_and_moves_confidence():
    """Right in all cases at 0.8: it may be surer. The other teacher is wrong in a third: it is to be less sure."""
    flipped = predicted(right=0.99).to_pylist()
    for row in flipped[2:22:3]:
        row["probabilities"] = row["probabilities"][::-1]
    about = calibrate(modest=predicted(), rash=pa.Table.from_pylist(flipped, schema=PREDICTIONS))
    found = {row["teacher"]: row for row in about.to_pylist()}
    assert found["modest"]["temperature"] < 1 < found["rash"]["temperature"]
    for row in found.values():
        assert row["calibrated_loss"] < row["loss"]
        assert row["calibrated_error"] < row["calibration_error"]
    temperatures, views = believed(about)
    assert temperatures == {name: row["temperature"] for name, row in found.items()}
    assert views == ["identity"]
    assert set(calibrate(one=predicted(), temperatures=False)["temperature"].to_pylist()) == {1.0}


def test_a_view_that_held_out_images_show_to_be_harmful_does_not_vote():
    views = ("identity", "gamma", "box_blur")
    one, two = predicted(views=views, worse="gamma"), predicted(views=views)
    about = calibrate(views, one=one, two=one)
    assert about["votes"].to_pylist() == [True] * 6  # a list of views is taken as it is
    about = calibrate(views, drop_views=True, one=one, two=one)
    assert about["votes"].to_pylist() == [True, False, True] * 2
    assert believed(about)[1] == ["identity", "box_blur"]
    assert set(about["images"].to_pylist()) == {20}
    assert believed(calibrate(views, drop_views=True, one=two))[1] == list(views)


def test_a_label_once_given_stays_unless_each_round_labels_anew():
    first, _ = label([predicted()], threshold=0.75)
    changed = [predicted(open_=(0.1, 0.8, 0.9, 0.1))]
    kept, proposed = label(changed, first, round_number=2, threshold=0.75, rounds=3)
    assert given(kept)["u0"] == "cat"
    assert proposed["image_id"].to_pylist() == ["u2"]
    anew, _ = label(changed, first, round_number=2, threshold=0.75, rounds=3, stop="rounds")
    assert given(anew)["u0"] == "dog"


def test_rounds_stop_when_the_teachers_do_not_improve(caplog):
    first, _ = label([predicted()], threshold=0.75)
    options = {"round_number": 2, "threshold": 0.5, "rounds": 3, "stop": "no_improvement"}
    same, proposed = label([predicted(right=0.7)], first, before=[predicted(right=0.8)], **options)
    assert same.equals(first)
    assert not len(proposed)
    assert "stopped" in caplog.text
    more, _ = label([predicted(right=0.9)], first, before=[predicted(right=0.8)], **options)
    assert len(more) > len(first)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_with_nothing_left_or_nothing_accepted_the_labels_stay(threshold, caplog):
    everything, _ = label([predicted()], threshold=0.0)
    known = everything if threshold == 0.0 else human_labels(["l0", "l1"], CLASSES)
    labels, _ = label([predicted()], known, round_number=2, threshold=threshold)
    assert labels.equals(known)
    assert ("no unlabelled image is left" if threshold == 0.0 else "no prediction was confident enough") in caplog.text


def test_without_held_out_images_nothing_is_calibrated(caplog):
    asked = {"temperatures": True, "drop_views": True}
    unseen = {"one": predicted().slice(0, 0)}
    about = calibration.calibrate(unseen, split(validation=[]), CLASSES, ["identity"], **asked)
    assert about["temperature"].to_pylist() == [1.0]
    assert about["loss"].to_pylist() == [None]
    assert about["votes"].to_pylist() == [True]
    assert "nothing is calibrated" in caplog.text


def test_predictions_out_of_fold_stand_in_where_no_image_validates():
    seen, folds = predicted(), predicted(right=0.6)
    assert held_out(seen, split(), folds)["image_id"].to_pylist() == HELD_OUT
    assert held_out(seen, split(validation=[]), folds).equals(folds)
    assert not len(held_out(seen, split(validation=[])))


def test_rounds_go_on_where_no_image_can_end_them(caplog):
    first, _ = label([predicted()], threshold=0.75)
    options = {"round_number": 2, "threshold": 0.5, "rounds": 3, "stop": "no_improvement"}
    parts = split(validation=[])
    more, _ = label([predicted(right=0.7)], first, before=[predicted(right=0.8)], parts=parts, **options)
    assert len(more) > len(first)
    assert "no validation set to stop the rounds by" in caplog.text


def test_teachers_of_other_images_are_refused():
    with pytest.raises(InputError, match="predicted different images"):
        label([predicted(), predicted(images=["x0", "x1", "x2", "x3"])])


def test_the_better_of_two_teachers_has_the_greater_merit():
    def merit(**options):
        return validation_score(held_out(predicted(**options), split()), split(), CLASSES)

    assert merit(right=0.9) > merit(right=0.6) > merit(right=0.3)
    with pytest.raises(InputError, match="no validation set"):
        validation_score(predicted().slice(0, 0), split(), CLASSES)
