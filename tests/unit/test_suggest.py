"""What to label next, the exam, and the forecast of more labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketscope.suggest import exam, forecast, head, order


def blobs(counts, axes=8, seed=0, spread=0.3):
    """Return points around one centre each, and which centre."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(counts)), counts)
    centres = 4 * np.eye(len(counts), axes)
    return (centres[of] + spread * rng.normal(size=(len(of), axes))).astype(np.float32), of


def ids(count):
    return [f"image {number:03d}" for number in range(count)]


# ---- order


def test_the_start_shows_one_of_each_kind():
    points, of = blobs([40, 30, 20, 10])
    chosen = order.typical(points, np.zeros(100, bool), 4)
    assert sorted(of[chosen]) == [0, 1, 2, 3]


def test_the_start_is_typical_and_not_at_the_edge():
    points, of = blobs([50, 50])
    points[0] = points[of == 0].mean(axis=0) + 2.0  # far from its cluster
    chosen = order.typical(points, np.zeros(100, bool), 2)
    assert 0 not in chosen


def test_what_is_labelled_is_not_asked_for_again():
    points, _ = blobs([20, 20])
    labelled = np.zeros(40, bool)
    labelled[:25] = True
    chosen = order.typical(points, labelled, 30)
    assert len(chosen) == len(set(chosen)) == 15
    assert not labelled[chosen].any()


def test_the_smallest_margin_comes_first_and_not_ten_alike():
    points = np.array([[0.0, 0], [0.01, 0], [0.02, 0], [5, 5], [9, 9]])
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.55, 0.45], [1.0, 0.0]])
    labelled = np.zeros(5, bool)
    alike = order.between_classes(points, labelled, probabilities, 2, diverse=False)
    apart = order.between_classes(points, labelled, probabilities, 2)
    assert set(alike) <= {0, 1, 2}
    assert 3 in apart


def test_margins_are_of_the_two_most_probable():
    assert order.margin(np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])) == pytest.approx([0.2, 1.0])
    assert order.margin(np.ones((2, 1))) == pytest.approx([1, 1])


def test_axes_keep_distances():
    points, _ = blobs([30, 30], axes=6)
    kept = order.reduced(points, 6)
    wanted = np.linalg.norm(points[0] - points[1:], axis=1)
    assert np.linalg.norm(kept[0] - kept[1:], axis=1) == pytest.approx(wanted, rel=1e-4)


# ---- head


def test_guesses_follow_the_labels_and_exam_images_are_not_asked_for():
    points, of = blobs([40, 40])
    features = head.prepared(ids(80), points)
    labels = {ids(80)[number]: "ab"[of[number]] for number in (0, 1, 2, 40, 41, 42)}
    guesses = head.guess(features, labels)
    right = guesses.probabilities.argmax(axis=1) == of
    assert guesses.classes == ["a", "b"]
    assert right.all()
    skipped = {ids(80)[5], ids(80)[50]}
    asked = head.to_label_next(features, labels, guesses, skip=skipped)
    assert sorted(asked) == sorted(set(ids(80)) - labels.keys() - skipped)


@pytest.mark.parametrize("labels", [{}, {"image 000": "a"}, {"image 000": "a", "image 001": "a"}])
def test_without_two_classes_there_is_no_guess_but_an_order(labels):
    points, _ = blobs([10, 10])
    features = head.prepared(ids(20), points)
    assert head.guess(features, labels) is None
    assert len(head.to_label_next(features, labels, None)) == 20 - len(labels)


def test_the_most_similar_image_is_the_image_itself():
    points, of = blobs([10, 10])
    found = head.like(head.prepared(ids(20), points), ids(20)[3])
    assert found[0] == (ids(20)[3], 0.0)
    assert {of[ids(20).index(one)] for one, _ in found[:10]} == {of[3]}


# ---- exam


def test_width_of_few_images_by_hand():
    assert exam.width(11, accuracy=1.0) == pytest.approx(1 - 0.025 ** (1 / 11))  # all right: closed form
    assert exam.size_for(0.2) == 46
    assert max(exam.width(images) for images in range(46, 200)) <= 0.2 < exam.width(45)


@given(st.integers(15, 200), st.integers(1, 80), st.integers(0, 10_000))
def test_an_exam_is_random_and_leaves_most_to_learn_from(images, size, seed):
    drawn = exam.draw(ids(images), size, seed=seed)
    assert len(set(drawn)) == len(drawn) == min(size, images // 3)


@given(st.lists(st.integers(1, 12), min_size=6, max_size=30), st.integers(0, 10_000))
def test_a_group_is_tested_on_or_learnt_from(sizes, seed):
    group_of = {f"{group}-{number}": str(group) for group, size in enumerate(sizes) for number in range(size)}
    drawn = set(exam.draw(list(group_of), 10, group_of, seed=seed))
    for group in set(group_of.values()):
        inside = {image for image, of in group_of.items() if of == group}
        assert inside <= drawn or not inside & drawn


def test_every_image_is_drawn_as_often_as_any_other():
    counts = dict.fromkeys(ids(30), 0)
    for seed in range(600):
        for one in exam.draw(ids(30), 10, seed=seed):
            counts[one] += 1
    assert 150 < min(counts.values()) <= max(counts.values()) < 250


# ---- forecast


def test_a_curve_rises_where_labels_help_and_the_forecast_with_it():
    rng = np.random.default_rng(1)
    of = np.repeat([0, 1, 2], 40)
    points = (1.2 * np.eye(3, 60)[of] + rng.normal(size=(120, 60))).astype(np.float32)
    found = forecast.curve(points, [f"class {one}" for one in of])
    assert found.labels.tolist() == [21, 42, 63, 84]
    assert found.f1[-1] > found.f1[0]
    assert found.slope > 0
    near, far = (forecast.forecast(found, 120, more) for more in (30, 75))
    assert 0 < near.gain < far.gain
    assert near.lower <= near.gain <= near.upper


def test_where_all_is_right_more_labels_bring_nothing():
    points, of = blobs([12, 12])
    found = forecast.curve(points, [str(one) for one in of])
    assert found.f1[-1] == pytest.approx(100)
    assert forecast.forecast(found, 24, 100).gain < 2


@pytest.mark.parametrize("labels", [[], ["a"] * 5, ["a"] * 5 + ["b"] * 2])
def test_too_few_labels_have_no_curve(labels):
    assert forecast.curve(np.zeros((len(labels), 3), np.float32), labels) is None


# ---- slips


def test_a_slip_is_found_among_clear_labels():
    from pocketscope.suggest import doubt

    points, of = blobs([20, 20, 20])
    labels = [str(one) for one in of]
    assert doubt.suspicious(points, labels) == []
    labels[5] = "2"
    (first, *_) = doubt.suspicious(points, labels)
    assert first.row == 5
    assert first.instead != labels[5]  # what it looks like
    assert first.probability > 0.5
    assert doubt.suspicious(points[:6], labels[:6]) == []  # too few to say
