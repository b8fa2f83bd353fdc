"""Which jobs a study plans: nothing is trained twice, and hidden labels go nowhere else."""

import re
from itertools import product

import pytest
import yaml

from helpers import CATALOGUE, ROOT, planned, snakemake, study, write_config

NETWORKS_A = ["resnet50", "resnet101", "efficientnet_b3", "fbnet", "mixnet", "mnasnet", "mobilenet_v2", "resnet18",
              "squeezenet", "shufflenet"]  # fmt: skip
ENSEMBLE = ["resnet50", "resnet101", "efficientnet_b3"]
VIEWS = ["identity", "horizontal_flip", "vertical_flip", "both_flips", "box_blur", "gaussian_blur", "gamma"]
METHODS_A = {
    "supervised": {"labels": "human"},
    "plain": {"teachers": ["resnet50"]},
    "data": {"teachers": ["resnet50"], "views": VIEWS},
    "model": {"teachers": ENSEMBLE},
    "model_data": {"teachers": ENSEMBLE, "views": VIEWS},
    "fixmatch": {"labels": "consistency", "algorithm": "fixmatch"},
    "mixmatch": {"labels": "consistency", "algorithm": "mixmatch"},
}
SCRATCH = {"library": "torchvision", "name": "resnet18", "family": "manual", "weights": "none"}


def students_a():
    """Ten networks, of which two are quantised too: twelve rows."""
    return {name: ["fp32", "int8"] if name in ("resnet18", "resnet50") else ["fp32"] for name in NETWORKS_A}


def study_a(seeds=(0,), methods=METHODS_A, **changes):
    return study(
        datasets={"one": {"source": {"kind": "digits"}}},
        split={"labelled": [75], "seeds": list(seeds)},
        methods=methods,
        students=students_a(),
        views=VIEWS,
        **changes,
    )


def plan(tmp_path, config, target="all", networks=None, **options):
    catalogue = CATALOGUE | dict.fromkeys(NETWORKS_A, SCRATCH) | (networks or {})
    return planned(target, config=write_config(tmp_path, config, catalogue), results=tmp_path / "results", **options)


def test_every_data_set_is_checked_before_anything_is_trained(tmp_path):
    sources = {name: {"source": {"kind": "digits"}, "image_size": size} for name, size in (("a", 32), ("b", 48))}
    config = write_config(tmp_path, study(datasets=sources))
    said = snakemake("--dry-run", config=config, results=tmp_path / "results").stdout
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?: +.*\n)+)", said, re.MULTILINE)
    assert len([name for name, _ in jobs if name == "train"]) > 2
    first = {name for name, about in jobs if "priority: 1" in about}
    assert first == {"pack", "check", "split"}


def test_study_a_trains_each_network_once_for_each_label_set(tmp_path):
    """Ten networks for each of the seven methods, teachers included, are seventy; the published library trains 180."""
    counts = plan(tmp_path, study_a(seeds=[0, 1]))
    assert counts == {
        "pack": 1,
        "check": 1,
        "split": 2,
        "near_duplicates": 1,
        "train": 2 * 5 * 10,
        "train_consistency": 2 * 2 * 10,
        "predict": 2 * 3,  # a base model once, for all methods
        "pseudo_label": 2 * 4,
        "quantize": 2 * 7 * 2,
        "evaluate": 2 * 7 * 12,
        "audit": 2,
        "time_inference": 10,  # once a network
        "scores": 1,
        "compare": 1,
        "recommend": 1,
        "report": 1,
    }


def test_a_warm_start_asks_for_the_model_of_peoples_labels(tmp_path):
    """It is the one that `supervised` has already; alone, it is trained for the start."""
    warm = METHODS_A["fixmatch"]
    alone = plan(tmp_path, study_a(methods={"warm": warm}))
    assert (alone["train"], alone["train_consistency"]) == (10, 10)
    beside = plan(tmp_path, study_a(methods={"supervised": {"labels": "human"}, "warm": warm}))
    assert (beside["train"], beside["train_consistency"]) == (10, 10)
    cold = plan(tmp_path, study_a(methods={"cold": warm | {"warm_start": False}}))
    assert "train" not in cold


def test_rounds_are_unrolled_and_students_trained_on_the_last(tmp_path):
    methods = {"supervised": {"labels": "human"}, "iterated": {"teachers": ["resnet50"], "rounds": 3}}
    counts = plan(tmp_path, study_a(methods=methods))
    assert counts["train"] == 10 + 2 + 10  # people's labels; the teacher in rounds 1 and 2; the students after round 3
    assert counts["predict"] == 3
    assert counts["pseudo_label"] == 3


def test_fold_teachers_are_trained_once_for_all_methods(tmp_path):
    """Below the smallest validation set: five folds a teacher, whatever rests on them."""
    asked = {"calibration": "temperature", "teachers": ["resnet50"]}
    methods = {"one": asked, "two": asked | {"views": "auto"}, "three": asked | {"fold_teachers": True}}
    config = study_a(methods=methods, crossfit="full") | {"students": {"resnet18": ["fp32"]}}
    config["split"] = {"labelled": [10]}
    counts = plan(tmp_path, config)
    assert counts["leave_out"] == 5
    assert counts["train"] == 1 + 5 + 3  # the base model, its fold teachers, a student for each method
    assert counts["join_folds"] == 1
    # Whether some of all labels validate, the data decide: folds are there in case none do.
    assert plan(tmp_path, config | {"split": {"labelled": ["all"]}})["leave_out"] == 5
    del methods["three"]
    config["crossfit"] = "frozen"
    hub = {"resnet50": SCRATCH | {"weights": "hub"}}
    frozen = plan(tmp_path, config, networks=hub)
    assert frozen["cross_fit"] == 1
    assert "leave_out" not in frozen
    above = plan(tmp_path, config | {"split": {"labelled": [50]}})
    assert not {"cross_fit", "leave_out"} & set(above)


def test_the_best_teacher_is_chosen_and_not_trained(tmp_path):
    methods = {"supervised": {"labels": "human"}, "model": METHODS_A["model"]}
    counts = plan(tmp_path, study_a(methods=methods) | {"students": {"best_teacher": ["fp32", "int8"]}})
    assert counts["choose"] == 2
    assert counts["train"] == 3 + 3  # on people's labels, and, to have a best one, on those of the method
    assert counts["evaluate"] == 4


def test_teachers_who_are_no_students_are_trained_for_their_predictions_alone(tmp_path):
    config = study_a(methods={"model": METHODS_A["model"]}) | {"students": {"resnet18": ["int8"]}}
    counts = plan(tmp_path, config)
    assert counts["train"] == 3 + 1
    assert counts["evaluate"] == counts["quantize"] == 1


def test_the_upper_bound_alone_asks_for_the_truth_and_the_page_for_no_prediction(tmp_path):
    """`truth.parquet` is an input of what measures, decides or reports, and of the label set `full`: of no other."""
    config = study_a(methods=METHODS_A | {"full": {"labels": "full"}})
    path = write_config(tmp_path, config, CATALOGUE | dict.fromkeys(NETWORKS_A, SCRATCH))
    printed = snakemake("--dry-run", "--verbose", config=path, results=tmp_path / "results").stdout
    printed = printed or snakemake("--dry-run", config=path, results=tmp_path / "results").stderr
    jobs = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n +input: (.*)$", printed, re.MULTILINE)
    assert {rule for rule, inputs in jobs if "/test.fp32.parquet" in inputs} == {"scores", "recommend"}
    readers = {rule for rule, inputs in jobs if "truth.parquet" in inputs}
    assert readers == {"oracle_labels", "scores", "audit", "recommend", "report"}


def test_a_recipe_of_its_own_trains_a_methods_students_and_nothing_else(tmp_path):
    """`frozen` beside `supervised` shares its labels; a teacher is trained by the study's recipe, once for all."""
    methods = {
        "supervised": {"labels": "human"},
        "frozen": {"labels": "human", "training": "frozen"},
        "plain": {"teachers": ["resnet50"]},
        "plain_frozen": {"teachers": ["resnet50"], "training": "frozen"},
    }
    counts = plan(tmp_path, study_a(methods=methods))
    assert counts["train"] == 4 * 10
    assert counts["predict"] == 1
    assert counts["pseudo_label"] == 2
    assert counts["evaluate"] == 4 * 12


def test_threshold_vote_and_views_retrain_no_base_model(tmp_path):
    """Several methods of one teacher share its one prediction, whatever they make of it."""
    methods = {
        f"m{i}": {"teachers": ["resnet50"], "threshold": threshold, "vote": vote, "views": views}
        for i, (threshold, vote, views) in enumerate(
            product([0.0, 0.8], ["majority", "mean_probability"], [["identity"], VIEWS])
        )
    }
    counts = plan(tmp_path, study_a(methods=methods) | {"students": {"resnet18": ["fp32"]}})
    assert counts["train"] == 1 + len(methods)
    assert counts["predict"] == 1


def test_a_cross_validation_trains_each_fold_and_scores_them_together(tmp_path):
    config = study_a(methods={"plain": METHODS_A["plain"]}) | {"students": {"resnet18": ["fp32"]}}
    config["split"] |= {"evaluation": "crossvalidation", "folds": 4}
    counts = plan(tmp_path, config)
    assert counts["split"] == counts["evaluate"] == counts["pseudo_label"] == 4
    assert counts["train"] == 2 * 4
    assert counts["scores"] == counts["check"] == counts["near_duplicates"] == 1


def test_a_row_that_is_named_ships_without_the_rest_of_the_study(tmp_path):
    """Trained once with a test set, for its figures, once with every label, and without each of four folds of them."""
    row = {"method": "model", "network": "resnet18", "precision": "int8"}
    counts = plan(tmp_path, study_a(ship={"candidate": row}), target="ship")
    assert counts == {
        "pack": 1,
        "check": 1,
        "split": 2 + 4,
        "train": (2 + 4) * (3 + 1),
        "predict": (2 + 4) * 3,
        "pseudo_label": 2 + 4,
        "quantize": 2 + 4,
        "evaluate": 2 + 4,
        "reliability": 1,
        "answer": 1,
        "answers_table": 1,
        "answers_page": 1,
        "ship": 1,
    }


def test_what_is_recommended_is_trained_when_it_is_known(tmp_path):
    counts = plan(tmp_path, study_a(), target="small/ship/one/answers.csv")
    assert counts["recommend"] == counts["answer"] == 1
    assert not {"report", "compare"} & set(counts)  # what ships waits for the decision, and for no page
    assert counts["split"] == 1 + 1  # of which one is for what ships
    assert counts["train"] == 5 * 10
    both = plan(tmp_path, study_a(), target="ship")  # the page too, for whoever asks why
    assert both.pop("answers_page") == 1
    assert both == counts | {"ship": 1, "compare": 1, "near_duplicates": 1, "audit": 1, "report": 1}


def test_labels_that_the_next_run_would_overwrite_are_refused(tmp_path):
    answers = tmp_path / "results/small/ship/digits/answers.csv"
    answers.parent.mkdir(parents=True)
    answers.write_text("path,label\n")
    for table, told in ((answers, "overwrites this file"), ("nowhere.csv", "there is no such file")):
        datasets = {"digits": study()["datasets"]["digits"] | {"labels": str(table)}}
        path = write_config(tmp_path, study(datasets=datasets))
        done = snakemake("--dry-run", config=path, results=tmp_path / "results", check=False)
        said = done.stdout + done.stderr
        assert done.returncode
        assert "data set 'digits': labels: " in said
        assert told in said
        assert "most recent call last" not in said


@pytest.mark.parametrize(("first", "second"), [(10, 10), (2, 5)])
def test_data_sets_and_splits_multiply(tmp_path, first, second):
    config = study_a(methods={"supervised": {"labels": "human"}}) | {
        "datasets": {f"set{i}": {"source": {"kind": "digits"}} for i in range(first)},
        "students": {"resnet18": ["fp32"]},
    }
    config["split"] = {"labelled": [5], "seeds": list(range(second))}
    counts = plan(tmp_path, config)
    assert counts["pack"] == first
    assert counts["split"] == counts["train"] == first * second


def test_a_wrong_configuration_stops_before_anything_is_planned(tmp_path):
    path = write_config(tmp_path, study(metods={}))
    done = snakemake("--dry-run", config=path, results=tmp_path / "results", check=False)
    assert done.returncode
    assert "'metods' is not a key; did you mean 'methods'?" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_folder_that_is_not_there_is_named_before_anything_is_planned(tmp_path):
    datasets = {"mine": {"source": {"kind": "folder", "path": str(tmp_path / "nowhere")}}}
    path = write_config(tmp_path, study(datasets=datasets))
    done = snakemake("--dry-run", config=path, results=tmp_path / "results", check=False)
    said = done.stdout + done.stderr
    assert done.returncode
    assert "data set 'mine'" in said
    assert "nowhere: there is no such folder" in said
    assert "most recent call last" not in said


def test_a_users_configuration_takes_nothing_from_the_demos(tmp_path):
    printed = snakemake("--dry-run", config=write_config(tmp_path, study()), results=tmp_path / "results")
    text = printed.stdout + printed.stderr
    assert "small/scores.parquet" in text
    assert "demo" not in text
    assert "efficientnet" not in text


def test_the_automl_study_shares_its_teachers(tmp_path):
    """Seven processes of five rounds: a base model is trained once for all of them."""
    raw = yaml.safe_load((ROOT / "config" / "automl.yaml").read_text())
    raw["datasets"] = {"one": {"source": {"kind": "digits"}, "symmetries": ["horizontal_flip", "vertical_flip"]}}
    raw["split"] = {"labelled": [75]}
    names = ["resnet34", "resnet50", "resnet101", "densenet121", "mobilenet_v2"]
    path = write_config(tmp_path, raw, dict.fromkeys(names, SCRATCH))
    counts = planned(config=path, results=tmp_path / "results")
    one_shot, iterated = 1 + 4 + 4, 5 * (1 + 4 + 4)  # each round's teachers, the last label set's for the best one
    assert counts["train"] == 4 + one_shot + iterated + 7
    assert counts["pseudo_label"] == 3 + 3 * 5
    assert counts["choose"] == 7


def test_every_rule_says_what_it_needs_and_only_those_that_run_networks_ask_for_a_gpu(tmp_path):
    """Memory and time; on a cluster what is short is grouped, and no group waits for what waits for itself."""
    methods = {
        "supervised": {"labels": "human"},
        "plain": {"teachers": ["resnet18", "squeezenet1_1"], "calibration": "temperature", "rounds": 2},
        "mixmatch": {"labels": "consistency", "algorithm": "mixmatch"},
        "full": {"labels": "full"},
    }
    row = {"method": "plain", "network": "resnet18", "precision": "int8"}
    catalogue = {name: entry | {"weights": "hub"} for name, entry in CATALOGUE.items()}
    config = study(
        methods=methods, students={"resnet18": ["fp32", "int8"], "best_teacher": ["fp32"]}, ship={"candidate": row}
    )
    config["split"] = {"labelled": [4, 5], "group_near_duplicates": True}
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    groups = ["--groups", *(f"{rule}={group}" for rule, group in profile["groups"].items())]
    groups += ["--group-components", *(f"{group}={number}" for group, number in profile["group-components"].items())]
    request = re.compile(r"^ *(?:rule|checkpoint) (?!all:|ship:)(\w+):\n(?: +.*\n)*? +resources: (.*)$", re.MULTILINE)
    asked = {}
    for crossfit, device in (("full", "auto"), ("frozen", "auto"), ("frozen", "cpu")):
        changes = {"crossfit": crossfit, "compute": {"threads": 1, "device": device}}
        path = write_config(tmp_path, config | changes, catalogue)
        done = snakemake("--dry-run", "all", "ship", *groups, config=path, results=tmp_path / "results")
        for rule, resources in request.findall(done.stdout + done.stderr):
            asked.setdefault((device, rule), set()).update(re.findall(r"(\w+)=([^,]+)", resources))
    listed = snakemake("--list", config=path, results=tmp_path / "results").stdout.split()
    # Made where somebody labels, of a large data set, where files came since what shipped, or where somebody asks.
    elsewhere = {"features", "features_shard", "pack_shard", "pack_new", "answer_new", "export", "exports"}
    rules = set(listed) - {"all", "ship"} - elsewhere
    assert {rule for _, rule in asked} == rules
    assert all({"mem_mb", "runtime"} <= {name for name, _ in resources} for resources in asked.values())
    run_networks = {"train", "train_consistency", "predict", "cross_fit", "time_inference"}
    assert {rule for (device, rule), resources in asked.items() if ("gpu", "1") in resources} == run_networks
    assert {device for (device, _), resources in asked.items() if ("gpu", "1") in resources} == {"auto"}
    alone = run_networks | {"pack", "pair_near_duplicates", "near_duplicates", "reliability", "answer"}
    assert set(profile["groups"]) - elsewhere == rules - alone


def test_features_need_packed_images_alone(tmp_path):
    """Whoever labels waits for no split and no training; a study of the same images does not compute them again."""
    from pocketscope.config.study import load_config
    from pocketscope.plan.study_plan import StudyPlan

    config = study_a()
    given, networks = load_config(config | {"networks": CATALOGUE | dict.fromkeys(NETWORKS_A, SCRATCH)}, ROOT)
    made = StudyPlan(given, networks, ROOT)
    target = made.layout.features(made.packed_name("one"), "resnet18")
    assert plan(tmp_path, config, target=target) == {"pack": 1, "features": 1}
    assert "features" not in plan(tmp_path, config)
