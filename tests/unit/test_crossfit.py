"""Out-of-fold predictions: no image is predicted by what it taught."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pocketscope.core.errors import InputError
from pocketscope.distillation import cross_fit, folds
from pocketscope.models import networks
from pocketscope.tables.predictions import predictions_table
from pocketscope.tables.split import SPLIT

ENTRY = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "weights": "none", "options": {}}


@pytest.mark.filterwarnings("ignore:The least populated class")
@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=40), st.integers(2, 6), st.data())
def test_groups_stay_together_and_every_image_has_one_fold(labels, count, data):
    groups = data.draw(
        st.lists(st.sampled_from([f"g{i}" for i in range(9)]), min_size=len(labels), max_size=len(labels))
    )
    if len(set(groups)) < 2:
        with pytest.raises(InputError, match="one group"):
            folds.assign(labels, groups, count, 0)
        return
    fold = folds.assign(labels, groups, count, 0)
    assert 1 < len(set(fold)) <= count
    for group in set(groups):
        assert len({f for f, g in zip(fold, groups, strict=True) if g == group}) == 1


def test_classes_are_spread_over_the_folds():
    labels = ["a"] * 10 + ["b"] * 5
    fold = folds.assign(labels, [str(i) for i in range(15)], 5, seed=1)
    for number in range(5):
        members = [label for label, f in zip(labels, fold, strict=True) if f == number]
        assert sorted(members) == ["a", "a", "b"]


def test_an_image_without_a_group_is_a_unit_of_its_own():
    split = pa.table(
        {"image_id": ["x", "y"], "role": ["labelled"] * 2, "group": ["p1", None], "label": ["a", "b"]},
        schema=SPLIT,
    )
    assert folds.units(["y", "x"], split) == ["y", "group p1"]


def test_an_image_teaches_nothing_about_itself():
    """One image is turned into another class's: what is said of it out of fold must not follow its own label."""
    random = np.random.default_rng(0)
    targets = np.arange(20) % 2
    images = (random.integers(0, 60, (20, 32, 32, 3)) + 180 * targets[:, None, None, None]).astype(np.uint8)
    wrong = targets.copy()
    wrong[0] = 1
    classifier = networks.build(ENTRY, 3, None, seed=0)
    strengths = {"gamma": 1.5}
    found = cross_fit.frozen(
        classifier, images, wrong, np.arange(20) % 5, ["identity", "gamma"], strengths, torch.device("cpu")
    )
    assert found.shape == (2, 20, 3)
    assert np.allclose(found.sum(axis=2), 1, atol=1e-5)
    assert found[0, 0].argmax() == 0  # dark, as all the others say
    assert (found[0].argmax(axis=1) == targets).mean() >= 0.9
    assert (found[:, :, 2] == 0).all()  # a class without an image


def test_fold_teachers_speak_of_what_they_have_not_seen():
    def said(value):
        return predictions_table(["a", "b", "u"], ["identity"], np.full((1, 3, 2), value, np.float32))

    joined = folds.join([said(0.1), said(0.2)], [["b"], ["a"]]).to_pylist()
    assert {row["image_id"]: round(row["probabilities"][0], 1) for row in joined} == {"a": 0.1, "b": 0.2}
