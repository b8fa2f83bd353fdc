"""Parts: what must never touch, what must stay where it was."""

from collections import Counter, defaultdict

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketscope.core.errors import InputError
from pocketscope.data import splitting

ASKED = {
    "labelled": 5,
    "seed": 0,
    "test": "share",
    "test_share": 0.25,
    "test_seed": 0,
    "validation_share": 0.2,
    "min_validation": 20,
    "strict": False,
}


def assign(rows, **asked):
    """Split rows of (image_id, label, group)."""
    images = pa.table(
        {
            "image_id": pa.array([row[0] for row in rows], pa.string()),
            "group": pa.array([row[2] for row in rows], pa.string()),
            "role": pa.array([row[3] if len(row) > 3 else None for row in rows], pa.string()),
        }
    )
    labels = pa.table({"image_id": images["image_id"], "label": pa.array([row[1] for row in rows], pa.string())})
    split, truth, notes = splitting.assign(images, labels, **(ASKED | asked))
    return split.to_pandas().set_index("image_id"), truth.to_pandas().set_index("image_id")["label"], notes


def plain(count, classes="ab"):
    return [(f"{label}{i}", label, None) for label in classes for i in range(count)]


@st.composite
def rows(draw):
    """Images of up to four classes, some without a label, some in groups that span classes."""
    count = draw(st.integers(4, 60))
    labels = st.sampled_from(["a", "b", "c", "d", None])
    groups = st.one_of(st.none(), st.integers(0, 8).map(str))
    drawn = [(f"i{i}", draw(labels), draw(groups)) for i in range(count)]
    return [("first", "a", None), ("second", "b", None), ("third", "a", None), ("fourth", "b", None), *drawn]


@given(rows=rows(), labelled=st.sampled_from([1, 3, 25, "all"]), seed=st.integers(0, 5), least=st.sampled_from([1, 3]))
@settings(max_examples=150)
def test_units_never_straddle_and_hidden_labels_stay_hidden(rows, labelled, seed, least):
    split, truth, _ = assign(rows, labelled=labelled, seed=seed, min_validation=least)
    sides = defaultdict(set)
    for image_id, label, group in rows:
        if image_id not in split.index:
            sides[group].add("left out")  # it would show a group that is tested, or judged, on
            continue
        role = split.role[image_id]
        sides[group or image_id].add(role)
        seen = split.label[image_id]
        if role in ("labelled", "validation"):
            assert seen == label is not None
            assert image_id not in truth.index
        else:
            assert seen is None or seen != seen
            assert truth.get(image_id) == label
    for roles in sides.values():
        judged = roles & {"test", "validation"}
        assert (len(judged) == 1 and roles <= judged | {"left out"}) or (not judged and "left out" not in roles)


@given(rows=rows(), seed=st.integers(0, 5))
@settings(max_examples=60)
def test_every_labelled_class_keeps_an_image_to_train_on(rows, seed):
    split, _, _ = assign(rows, labelled="all", seed=seed, min_validation=1)
    training_side = {rows[i][1] for i, row in enumerate(rows) if row[0] in split.index and split.role[row[0]] != "test"}
    trained = set(split.label[split.role == "labelled"])
    assert training_side - {None} == trained


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    share=st.sampled_from([0.05, 0.25, 0.9]),
    seed=st.integers(),
)
@settings(max_examples=80)
def test_every_class_of_two_images_or_more_is_trained_and_tested(counts, share, seed):
    rows = [(f"{label}{i}", label, None) for label, count in zip("abcdef", counts, strict=False) for i in range(count)]
    if max(counts) == 1:
        return
    split, truth, _ = assign(rows, labelled="all", test_share=share, test_seed=seed, min_validation=100)
    several = {label for label, count in zip("abcdef", counts, strict=False) if count > 1}
    assert set(truth[split.index[split.role == "test"]]) == several
    assert set(split.label[split.role == "labelled"]) == {label for _, label, _ in rows}


def test_labelled_sets_are_nested_and_the_test_part_is_one():
    small, _, _ = assign(plain(60), labelled=10)
    large, _, _ = assign(plain(60), labelled=30)
    other, _, _ = assign(plain(60), labelled=10, seed=1)
    people = ["labelled", "validation"]
    assert set(small.index[small.role.isin(people)]) < set(large.index[large.role.isin(people)])
    assert set(small.index[small.role == "test"]) == set(other.index[other.role == "test"])
    assert set(small.index[small.role == "labelled"]) != set(other.index[other.role == "labelled"])


def test_an_image_added_or_relabelled_moves_no_other_between_training_and_test():
    before, _, _ = assign(plain(60))
    added, _, _ = assign([*plain(60), *plain(40, classes="c"), ("new", "a", None)])
    corrected, _, _ = assign([("a0", "b", None), *plain(60)[1:]])
    for after in (added, corrected):
        for image_id in before.index:
            assert (before.role[image_id] == "test") == (after.role[image_id] == "test")


def test_labels_that_come_later_leave_every_test_image_where_it_was():
    some = [(image_id, label if i % 3 else None, None) for i, (image_id, label, _) in enumerate(plain(60))]
    before, _, _ = assign(some)
    after, _, _ = assign(plain(60))
    assert set(before.index[before.role == "test"]) <= set(after.index[after.role == "test"])


def test_counts_are_those_asked_for():
    split, _, _ = assign(plain(400), labelled=25)
    for label in "ab":
        counts = Counter(split.role[split.index.str.startswith(label)])
        assert counts["labelled"] == 20
        assert counts["validation"] == 5
        assert 75 <= counts["test"] <= 125  # a quarter, by chance of each image


def test_few_labels_have_no_validation_part():
    split, _, _ = assign(plain(60), labelled=19)
    assert (split.role == "validation").sum() == 0
    assert (split.role == "labelled").sum() == 38


def test_a_rare_class_takes_what_it_has_or_is_refused(caplog):
    rare = [*plain(60), ("c0", "c", None), ("c1", "c", None), ("c2", "c", None)]
    split, _, _ = assign(rare, labelled=25)
    roles = [split.role[f"c{i}"] for i in range(3)]
    assert "test" in roles
    assert "labelled" in roles
    assert "class 'c' has" in caplog.text
    with pytest.raises(InputError, match="class 'c' has"):
        assign(rare, labelled=25, strict=True)


def test_a_class_of_one_image_trains():
    split, _, _ = assign([*plain(20), ("only", "c", None)])
    assert split.role["only"] == "labelled"


def test_the_sources_own_test_part_is_kept():
    named = [(image_id, label, None, "test" if i % 2 else None) for i, (image_id, label, _) in enumerate(plain(20))]
    split, _, _ = assign(named)
    assert set(split.index[split.role == "test"]) == {row[0] for row in named if row[3]}


def test_unlabelled_images_of_a_tested_patient_are_not_trained_on():
    grouped = [(f"g{g}i{i}", "ab"[g % 2] if i < 3 else None, f"patient {g}") for g in range(40) for i in range(6)]
    split, _, _ = assign(grouped)
    tested = {name.split("i")[0] for name in split.index[split.role == "test"]}
    assert tested
    assert not any(name.split("i")[0] in tested for name in split.index[split.role == "unlabelled"])


def test_images_of_a_patient_who_validates_are_not_trained_on():
    grouped = [(f"g{g}i{i}", "ab"[g % 2], f"patient {g}") for g in range(40) for i in range(6)]
    split, truth, _ = assign(grouped, labelled=60)
    judged = {name.split("i")[0] for name in split.index[split.role == "validation"]}
    assert judged
    for role in ("labelled", "unlabelled"):
        assert not judged & {name.split("i")[0] for name in split.index[split.role == role]}
    assert not judged & {name.split("i")[0] for name in truth.index}


def test_notes_name_the_classes():
    assert assign([*plain(9, classes="ba"), ("x", None, None)])[2] == {"classes": ["a", "b"]}


def test_nothing_labelled_is_refused():
    with pytest.raises(InputError, match="no training image is labelled"):
        assign([("x", None, None), ("y", None, None)], test=None)


def test_nothing_to_test_on_is_refused_with_the_reason():
    with pytest.raises(InputError, match="no image to test on: every class has only one image or group; label more"):
        assign([("x", "a", None), ("y", "b", None)])
    with pytest.raises(InputError, match="the source's own test set has no label"):
        assign([*plain(9), ("x", None, None, "test")])
    with pytest.raises(InputError, match=r"in fold 4: .*, or lower split\.folds"):
        assign(plain(2), test=(4, 5))


# ---- cross-validation


def folds(rows, count=5, **asked):
    """Return the tested images of each fold."""
    parts = [assign(rows, test=(fold, count), labelled="all", **asked)[0] for fold in range(count)]
    return [set(part.index[part.role == "test"]) for part in parts], parts


def test_each_labelled_image_is_tested_once_and_classes_are_dealt_out_evenly():
    rows = [*plain(23, "ab"), ("rare0", "c", None), ("rare1", "c", None), ("only", "d", None), ("x", None, None)]
    tested, parts = folds(rows)
    assert sum(map(len, tested)) == len(set.union(*tested)) == 23 + 23 + 2
    for label in "ab":
        counts = [sum(image_id.startswith(label) for image_id in part) for part in tested]
        assert sorted(counts) == [4, 4, 5, 5, 5]
    assert all(part.role["only"] == "labelled" for part in parts)  # or nothing of its class could be learnt
    assert all(part.role["x"] == "unlabelled" for part in parts)


@given(rows=rows(), count=st.sampled_from([2, 3, 5]))
@settings(max_examples=60)
def test_folds_part_units_and_leave_something_of_each_class_to_learn(rows, count):
    label_of = {row[0]: row[1] for row in rows if row[1]}
    unit_of = {row[0]: row[2] or row[0] for row in rows}
    seen = []
    for fold in range(count):
        try:
            split, _, _ = assign(rows, test=(fold, count), labelled="all", min_validation=1)
        except InputError:  # too few units for so many folds
            continue
        tested = set(split.index[split.role == "test"])
        seen += tested
        units = {unit_of[image_id] for image_id in tested}
        assert not any(unit_of[image_id] in units for image_id in split.index[split.role != "test"])
        assert set(split.label[split.role == "labelled"]) == set(label_of.values())
    assert len(seen) == len(set(seen))


def test_folds_are_equal_for_every_number_of_labels_and_seed():
    few, _, _ = assign(plain(40), test=(1, 5), labelled=3)
    other, _, _ = assign(plain(40), test=(1, 5), labelled=10, seed=4)
    assert set(few.index[few.role == "test"]) == set(other.index[other.role == "test"])


def test_a_source_with_a_test_part_of_its_own_is_not_cross_validated():
    with pytest.raises(InputError, match=r"names its own test set.*set split\.evaluation to holdout"):
        assign([*plain(9), ("x", "a", None, "test")], test=(0, 5))


# ---- what ships


def test_what_ships_learns_from_every_label():
    rows = [
        *plain(60),
        ("x", None, None),
        ("held", "a", None, "test"),
        ("mate", None, "p"),
        ("known", "b", "p", "test"),
    ]
    split, truth, _ = assign(rows, labelled="all", test=None)
    assert dict(Counter(split.role)) == {"labelled": 122, "unlabelled": 2}
    assert set(split.index[split.role == "unlabelled"]) == {"x", "mate"}
    assert len(truth) == 0


# ---- corrections


@given(rows=rows(), seed=st.integers(0, 5), data=st.data())
@settings(max_examples=80)
def test_corrections_move_no_image_into_the_test_part_or_out_of_it(rows, seed, data):
    some = data.draw(st.dictionaries(st.sampled_from([row[0] for row in rows]), st.sampled_from("abcd"), max_size=8))
    for test in ("share", (0, 3)):
        try:
            before, _, _ = assign(rows, labelled="all", seed=seed, test=test)
        except InputError:
            continue
        after, truth, _ = assign(rows, labelled="all", seed=seed, test=test, corrected=some)
        assert set(before.index[before.role == "test"]) == set(after.index[after.role == "test"])
        for image_id, label in some.items():
            if image_id not in after.index:
                assert image_id not in before.index  # it shares a group with test images
            elif after.role[image_id] == "test":
                assert truth[image_id] == label
            else:
                assert after.role[image_id] in ("labelled", "validation")
                assert after.label[image_id] == label


def test_an_exam_is_the_test_set_and_a_label_that_was_taken_away_is_none():
    """Labels that the source brings never test beside an exam; in what ships every label is learnt from."""
    rows = [*plain(20), ("exam", None, None), ("later", None, None), ("new", None, None)]
    given = {"corrected": {"later": "a", "a0": None}, "exam": {"exam": "b"}}
    split, truth, _ = assign(rows, labelled="all", **given)
    assert split.index[split.role == "test"].tolist() == ["exam"]
    assert truth.to_dict() == {"exam": "b"}
    assert set(split.index[split.role == "unlabelled"]) == {"a0", "new"}
    assert split.label["later"] == "a"
    shipped, _, _ = assign(rows, labelled="all", test=None, **given)
    assert shipped.label["exam"] == "b"
    with pytest.raises(InputError, match="or an exam was labelled"):
        assign(rows, labelled="all", test=(0, 2), **given)
