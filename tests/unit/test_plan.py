"""The plan of a study: runs, label sets, paths and resources, asked without Snakemake."""

import subprocess
import sys
from pathlib import Path

import pytest

from pocketscope.config.study import load_config
from pocketscope.plan import shipping
from pocketscope.plan.layout import Layout
from pocketscope.plan.resources import growing, memory_of_training
from pocketscope.plan.study_plan import StudyPlan, any_of

ROOT = Path(__file__).parents[2]
STUDY = {
    "study": "cells",
    "datasets": {
        "one": {"source": {"kind": "digits"}, "symmetries": ["horizontal_flip"], "image_size": 64},
        "two": {"source": {"kind": "digits"}, "symmetries": [], "image_size": 96},
    },
    "split": {"labelled": [10, 50], "seeds": [0, 1]},
    "methods": {
        "supervised": {"labels": "human"},
        "slow": {"labels": "human", "training": "paper"},
        "bound": {"labels": "full"},
        "iterated": {
            "teachers": ["efficientnet_lite0", "squeezenet"],
            "views": ["identity", "horizontal_flip"],
            "rounds": 2,
            "stop": "rounds",
        },
        "calibrated": {"teachers": ["efficientnet_lite0"], "calibration": "temperature"},
        "match": {"labels": "consistency", "algorithm": "fixmatch"},
    },
    "students": {"efficientnet_lite0": ["fp32", "int8"], "squeezenet": ["fp32"]},
}


def plan(**changes):
    return StudyPlan(*load_config(STUDY | changes, ROOT), ROOT)


def test_it_is_asked_without_torch_pandas_or_snakemake():
    code = (
        "import sys, pocketscope.plan.study_plan;"
        "print(*{name.split('.')[0] for name in sys.modules} & {'torch', 'pandas', 'snakemake', 'pyarrow'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "workflow_scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_every_path_of_a_run_begins_with_its_triple():
    layout = Layout("cells")
    run = layout.run("one", "k10_s0", "human", "squeezenet")
    assert run.weights == "cells/runs/one/k10_s0/human/squeezenet/model.safetensors"
    assert run.onnx("int8") == "cells/runs/one/k10_s0/human/squeezenet/model.int8.onnx"
    assert layout.run("{dataset}", "{split}", "{label_set}", "{network}").test("{precision}") == (
        "cells/runs/{dataset}/{split}/{label_set}/{network}/test.{precision}.parquet"
    )
    assert layout.split("one", "k10_s0").labels("human.f1") == "cells/runs/one/k10_s0/human.f1/labels.parquet"
    assert layout.log("scores") == "cells/logs/scores.log"
    assert layout.log("check", "one") == "cells/logs/check/one.log"


def test_splits_are_numbers_of_labels_times_seeds_times_folds():
    assert list(plan().splits) == ["k10_s0", "k10_s1", "k50_s0", "k50_s1"]
    folds = plan(split={"labelled": ["all"], "evaluation": "crossvalidation", "folds": 3})
    assert folds.splits["kall_s0_f2"] == {"labelled": "all", "seed": 0, "test": [2, 3]}
    assert folds.drawing("ship") | {"test_share": 0.25} == folds.drawing("ship")
    assert folds.drawing("ship")["test"] is None
    assert folds.all_splits()[:3] == [("one", "kall_s0_f0"), ("one", "kall_s0_f1"), ("one", "kall_s0_f2")]


def test_a_split_has_a_validation_set_from_fifty_labels_on_and_what_ships_has_none():
    assert [plan().has_validation(split) for split in ("k10_s0", "k50_s0", "ship")] == [False, True, False]
    assert plan(split={"labelled": ["all"]}).has_validation("kall_s0") is None


@pytest.mark.parametrize(
    ("method", "label_set"),
    [
        ("supervised", "human"),
        ("slow", "human@paper"),
        ("bound", "full"),
        ("iterated", "iterated.r2"),
        ("match", "match"),
    ],
)
def test_students_are_trained_on_their_methods_last_label_set(method, label_set):
    assert plan().final_label_set(method) == label_set


def test_a_recipe_and_a_consistency_method_read_the_labels_of_people():
    for label_set in ("human", "human@paper", "match"):
        assert plan().labels_of("one", "k10_s0", label_set) == "cells/runs/one/k10_s0/human/labels.parquet"
    assert plan().labels_of("one", "k10_s0", "iterated.r1") == "cells/runs/one/k10_s0/iterated.r1/labels.parquet"


def test_a_rounds_teachers_are_trained_on_the_labels_of_the_round_before():
    assert plan().teachers("iterated", "1") == [("efficientnet_lite0", "human"), ("squeezenet", "human")]
    assert plan().teachers("iterated", "2") == [("efficientnet_lite0", "iterated.r1"), ("squeezenet", "iterated.r1")]
    assert plan().votes("one", "k10_s0", "iterated", "2")["predictions"] == [
        f"cells/runs/one/k10_s0/iterated.r1/{name}/predictions.parquet" for name in ("efficientnet_lite0", "squeezenet")
    ]
    assert plan().rounds() == [("iterated", 1), ("iterated", 2), ("calibrated", 1)]


def test_a_teachers_model_is_passed_on_where_the_labels_did_not_change():
    found = plan().previous_run("one", "k10_s0", "iterated.r2", "squeezenet")
    assert found == {
        "previous_labels": "cells/runs/one/k10_s0/iterated.r1/labels.parquet",
        "previous_model": "cells/runs/one/k10_s0/iterated.r1/squeezenet/model.safetensors",
    }
    assert plan().previous_run("one", "k10_s0", "iterated.r1", "squeezenet") == {}
    assert plan().previous_run("one", "k10_s0", "human", "squeezenet") == {}


def test_views_that_change_a_class_are_left_out():
    assert plan().views_of("one", "iterated") == ["identity", "horizontal_flip"]
    assert plan().views_of("two", "iterated") == ["identity"]
    assert "vertical_flip" not in plan().views_of("one")


def test_candidates_are_methods_times_networks_and_precisions_on_every_split():
    assert len(plan().candidates) == 2 * 4 * 6 * 3
    assert plan().candidates[1] == {
        "dataset": "one", "split": "k10_s0", "method": "supervised", "network": "efficientnet_lite0",
        "precision": "int8",
    }  # fmt: skip
    assert plan().test_predictions()[1].endswith("human/efficientnet_lite0/test.int8.parquet")
    assert plan().timings() == ["cells/timing/efficientnet_lite0.parquet", "cells/timing/squeezenet.parquet"]
    assert len(plan().models_to_time("squeezenet")["weights"]) == 2  # once for each image size


def test_what_ships_is_judged_by_the_splits_of_most_labels_and_one_seed():
    candidate = {"method": "slow", "network": "squeezenet", "precision": "fp32"}
    found = shipping.what_ships(plan(), "one", candidate)
    assert found["fp32"] == "cells/runs/one/ship/human@paper/squeezenet/model.fp32.onnx"
    assert found["int8"] == "cells/runs/one/ship/human@paper/squeezenet/model.int8.onnx"
    assert found["labels"] == "cells/runs/one/ship/human/labels.parquet"
    assert found["predictions"] == ["cells/runs/one/k50_s0/human@paper/squeezenet/test.fp32.parquet"]
    assert found["truths"] == ["cells/runs/one/k50_s0/truth.parquet"]


def test_seeds_depend_on_the_network_and_not_on_the_labels():
    seeds = {plan().seed_of("train", "one", "k10_s0", network) for network in ("squeezenet", "efficientnet_lite0")}
    assert len(seeds) == 2
    assert plan().seed_of("train", "one", "k10_s0", "squeezenet") == plan().seed_of(
        "train", "one", "k10_s0", "squeezenet"
    )


def test_the_name_of_packed_images_is_what_it_was_before_the_words_changed():
    """A renamed key or value packs nothing anew: `resize: stretch` was once `fit: squeeze`."""
    demo = StudyPlan(*load_config({**STUDY, "datasets": {"digits": {"source": {"kind": "digits"}}}}, ROOT), ROOT)
    assert demo.packed_name("digits") == "digits-ac8bfe87"
    other = {"digits": {"source": {"kind": "digits"}, "symmetries": [], "positive": None, "max_skipped_share": 0.5}}
    assert plan(datasets=other, methods={"supervised": {"labels": "human"}}).packed_name("digits") == "digits-ac8bfe87"
    crop = {"digits": {"source": {"kind": "digits"}, "resize": "crop"}}
    assert plan(datasets=crop).packed_name("digits") != "digits-ac8bfe87"


def test_memory_of_a_training_follows_the_recipe_that_trains_it():
    """By the formula: 1,500 MB, 0.004 MB for each pixel of a batch, five times the packed images."""
    sizes = {"one": {"source": {"kind": "digits"}, "image_size": 224}}
    methods = {"supervised": {"labels": "human"}, "slow": {"labels": "human", "training": "paper"}}
    asked = plan(datasets=sizes, methods=methods)
    assert asked.memory_of_training("one", "human", 10.6, 1) == int(1500 + 4e-3 * 16 * 224**2 + 5 * 10.6)
    assert asked.memory_of_training("one", "human@paper", 10.6, 1) == int(1500 + 4e-3 * 32 * 224**2 + 5 * 10.6)
    assert asked.memory_of_training("one", "human@paper", 10.6, 1) == 7975


def test_memory_of_a_consistency_training_counts_the_unlabelled_images_of_a_batch():
    images = plan().config.methods["match"].images_per_label
    assert images == 3
    one = plan().memory_of_training("one", "match", 0, 1)
    assert one == memory_of_training({"batch_size": 16}, 64, 0, 1, images)


def test_each_attempt_doubles_what_is_asked_for():
    assert [growing(1000, 200, 0.5, attempt) for attempt in (1, 2, 3)] == [1100, 2200, 4400]


def test_names_are_matched_as_they_are():
    assert any_of(["a.b", "c"]) == r"a\.b|c"
    assert any_of([]) == "(?!)"
