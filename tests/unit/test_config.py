"""The configuration: what is refused, and what the user is told."""

import copy
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pocketscope.config import yaml_files
from pocketscope.config.catalogue import BEST_TEACHER, train_dtypes
from pocketscope.config.datasets import Dataset, Expected, Split
from pocketscope.config.messages import validate
from pocketscope.config.methods import Consistency, Method
from pocketscope.config.study import (
    Compute,
    Config,
    Ship,
    Statistics,
    control_names,
    json_schema,
    load_config,
    read_config,
)
from pocketscope.config.training import RECIPES, Augmentation, Training
from pocketscope.config.views import ViewStrengths, allowed_views
from pocketscope.core.errors import InputError
from pocketscope.statistics import questions, score_table

ROOT = Path(__file__).parents[2]
SMALL = {
    "study": "small",
    "datasets": {"digits": {"source": {"kind": "digits"}, "symmetries": ["vertical_flip"]}},
    "methods": {"supervised": {"labels": "human"}},
    "students": {"resnet18": ["fp32"]},
}


def changed(path, value):
    raw = copy.deepcopy(SMALL)
    here = raw
    for key in path[:-1]:
        here = here.setdefault(key, {})
    here[path[-1]] = value
    return raw


def test_the_shipped_configurations_are_valid():
    for path in sorted((ROOT / "config").glob("*.yaml")):
        if path.name != "networks.yaml":
            study, networks = read_config(path, ROOT)
            assert set(networks) >= set(study.students) - {BEST_TEACHER}


def test_every_network_of_the_catalogue_is_valid():
    for name in yaml.safe_load((ROOT / "config" / "networks.yaml").read_text()):
        _, networks = load_config(changed(["students"], {name: ["fp32"]}), ROOT)
        assert name in networks


def test_a_network_of_timm_needs_no_entry_and_has_a_name_for_paths():
    raw = changed(["students"], {"timm:ghostnet_100.in1k": ["fp32"], "resnet18": ["fp32"]})
    raw["methods"]["plain"] = {"teachers": ["timm:mobilenetv3_small_100"]}
    raw["statistics"] = {"controls": ["plain/timm:ghostnet_100.in1k"]}
    raw["ship"] = {"candidate": {"method": "plain", "network": "timm:ghostnet_100.in1k"}}
    study, networks = load_config(raw, ROOT)
    assert list(study.students) == ["timm-ghostnet_100-in1k", "resnet18"]
    assert networks["timm-ghostnet_100-in1k"].name == "ghostnet_100.in1k"
    assert networks["timm-mobilenetv3_small_100"].weights == "hub"  # never random ones
    assert study.statistics.controls == ["plain/timm-ghostnet_100-in1k"]
    assert study.ship.candidate.network == "timm-ghostnet_100-in1k"


def test_the_schema_for_editors_is_that_of_the_model():
    written = (ROOT / "config" / "config.schema.json").read_text(encoding="utf-8")
    assert written == json_schema(), "run `make schema`"


def test_the_demo_shows_every_key():
    """Each key of the model stands in config.yaml, as a value or in a comment."""
    text = (ROOT / "config" / "config.yaml").read_text()
    for model in (Config, Dataset, Split, Method, Consistency, Training,
                  Augmentation, ViewStrengths, Statistics, Ship, Expected,
                  Compute):  # fmt: skip
        for key in model.model_fields:
            assert f"{key}:" in text or f" {key} " in text, key


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["metods"], {}, "'metods' is not a key; did you mean 'methods'"),
        (
            ["methods", "fm"],
            {"labels": "consistency", "algorithm": "fixmatch", "treshold": 0.9},
            "'methods.fm.treshold' is not a key; did you mean 'threshold'",
        ),
        (["methods", "fm"], {"labels": "consistency"}, "'methods.fm.algorithm' is missing"),
        (["methods", "full"], {"labels": "consistency", "algorithm": "mixmatch"}, "cannot have this name"),
        (["training"], {"epochs": 3, "steps": 3}, "with 'epochs' the key 'steps' has no effect"),
        (["training"], {"recipe": "frozen", "head": 0}, "with 'head: 0' and no steps, 'resnet18' learns nothing"),
        (["training"], {"steps": 0, "head": 0}, "'resnet18' learns nothing"),
        (["training"], {"recipe": "frozen", "epochs": 3}, "trains only the head: leave it out, or 'epochs'"),
        (["training"], {"recipe": "frozen", "steps": 3}, "trains only the head: leave it out, or 'steps'"),
        (["training"], {"recipe": "frozen", "mixup": 0.2}, "a regression fits the head: 'mixup' has no effect"),
        (["training"], {"recipe": "paper", "steps": 0, "steps_from_scratch": 0, "patience": 2}, "'patience' has no"),
        (["training"], {"recipe": "frozen", "head": 3, "patience": 2}, "'patience' has no effect"),
        (["training"], {"steps": 0, "steps_from_scratch": 0, "ema": 0.9}, "'ema' has no effect"),
        (["training", "recipe"], "quick", "'training.recipe'"),
        (["training", "step"], 3, "'training.step' is not a key; did you mean 'steps'"),
        (["datasets", "digits", "imagesize"], 3, "'datasets.digits.imagesize' is not a key; did you mean 'image_size'"),
        (["datasets", "digits", "source"], {"kind": "folder", "pth": "x"}, "did you mean 'path'"),
        (["datasets", "digits", "source"], {"kind": "fodler", "path": "x"}, "'fodler'"),
        (["students"], {"resnet81": ["fp32"]}, "'resnet81' is not in config/networks.yaml; did you mean 'resnet"),
        (["students"], {"resnet18": []}, "needs each of its precisions once"),
        (["methods", "plain"], {}, "needs at least one network in 'teachers'"),
        (["methods", "plain"], {"teachers": ["resnet50"], "threshold": 1.5}, "methods.plain.threshold"),
        (["methods", "plain"], {"teachers": ["no_such"]}, "'no_such' is not in"),
        (["students"], {"ghostnet_100": ["fp32"]}, "named as it is, such as 'timm:ghostnet_100'; for others"),
        (["students"], {"timm:../up": ["fp32"]}, "'students.timm:../up': String should match pattern"),
        (["methods", "full"], {"labels": "full", "rounds": 2}, "the key 'rounds' has no effect"),
        (["views"], ["gamma"], "'identity' is not among the study's 'views'"),
        (
            ["methods", "turned"],
            {"teachers": ["resnet50"], "views": ["both_flips"]},
            "the symmetries of 'digits' allow",
        ),
        (["split", "labelled"], ["every"], "split.labelled.0"),
        (["split", "labelled"], [10, 10], "'split.labelled': '10' is named twice"),
        (["split", "seeds"], [0, 1, 0], "'split.seeds': '0' is named twice"),
        (["datasets", "digits", "classes"], ["1", "2", "1"], "'datasets.digits.classes': '1' is named twice"),
        (
            ["datasets", "digits", "page"],
            "max",
            "'max' is neither the number of a page nor one of middle, maximum_proj",
        ),
        (["datasets", "digits", "page"], -1, "'datasets.digits.page': Input should be greater than or equal to 0"),
        (["datasets", "digits", "symmetries"], ["vertical_flip"] * 2, "'vertical_flip' is named twice"),
        (["statistics", "controls"], ["supervised"] * 2, "'supervised' is named twice"),
        (["statistics", "controls"], ["supervisd"], "'supervisd' is not a method, student, family, precision"),
        (["statistics", "controls"], ["supervisd"], "did you mean 'supervised'"),
        (["statistics", "controls"], ["resnet81"], "did you mean 'resnet18'"),
        (["statistics", "controls"], ["manuel"], "did you mean 'manual'"),
        (["statistics", "controls"], ["supervised/resnet81"], "did you mean 'supervised/resnet18'"),
        (["statistics", "controls"], ["resnet18 int8"], "'resnet18 int8' is no"),
        (["study"], "datasets", "'study': results/datasets contains the packed images of all studies"),
        (["study"], "Datasets", "choose another name"),
        (["methods", "plain"], {"teachers": ["resnet50", "resnet50"]}, "'resnet50' is named twice"),
        (["views"], ["identity", "gamma", "gamma"], "'gamma' is named twice"),
        (
            ["methods", "plain"],
            {"teachers": ["shufflenet_scratch"], "calibration": "temperature"},
            "'shufflenet_scratch': 'crossfit: frozen' needs pretrained features",
        ),
        (
            ["ship"],
            {"candidate": {"method": "supervisd", "network": "resnet18"}},
            "no method 'supervisd'; did you mean 'sup",
        ),
        (
            ["ship"],
            {"candidate": {"method": "supervised", "network": "resnet18", "precision": "int8"}},
            "'resnet18 int8' is",
        ),
        (["ship"], {"reliable": 1}, "ship.reliable"),
        (["split", "evaluation"], "cross-validation", "split.evaluation"),
        (["datasets", "digits", "expect"], {"image": 3}, "'datasets.digits.expect.image' is not a key; did you mean"),
        (["study"], "a/b", "'study'"),
        (["datasets", "a b"], {"source": {"kind": "digits"}}, "a b"),
        (["catalogue"], "nowhere.yaml", "nowhere.yaml does not exist"),
    ],
)
def test_what_is_wrong_is_named(path, value, told):
    raw = changed(path, value)
    if path == ["views"]:
        raw["methods"]["plain"] = {"teachers": ["resnet50"]}
    with pytest.raises(InputError) as error:
        load_config(raw, ROOT)
    assert told in str(error.value)


def test_an_upper_bound_cannot_ship():
    raw = changed(["methods", "full"], {"labels": "full"})
    raw["ship"] = {"candidate": {"method": "full", "network": "resnet18"}}
    with pytest.raises(InputError, match="'full' is the upper bound"):
        load_config(raw, ROOT)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("methods", {"supervised": {"labels": "human"}}, "no method has any"),
        ("views", ["gamma"], "chosen by the view 'identity'"),
    ],
)
def test_a_best_teacher_needs_teachers_and_what_it_is_chosen_by(key, value, told):
    raw = changed(["students"], {"best_teacher": ["fp32"]})
    raw["methods"] = {"plain": {"teachers": ["resnet50"], "views": ["gamma"]}}
    with pytest.raises(InputError, match=told):
        load_config(raw | {key: value}, ROOT)


def test_a_key_that_says_null_has_the_presets_value():
    given = {"labels": "consistency", "algorithm": "fixmatch"}
    assert Consistency(**given, threshold=None) == Consistency(**given)


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match="'study' is missing"):
        load_config({key: value for key, value in SMALL.items() if key != "study"}, ROOT)


def test_views_are_those_that_the_symmetries_allow():
    views = ["identity", "horizontal_flip", "vertical_flip", "both_flips", "gamma"]
    assert allowed_views(views, []) == ["identity", "gamma"]
    assert allowed_views(views, ["vertical_flip"]) == ["identity", "vertical_flip", "gamma"]
    assert allowed_views(views, ["vertical_flip", "horizontal_flip"]) == views


def test_a_recipe_gives_the_keys_that_are_not_given():
    paper = Training(recipe="paper")
    assert (paper.head, paper.epochs, paper.learning_rate, paper.lowest_layer_lr_ratio) == (2, 50, "minimum", 0.01)
    changed = Training(recipe="paper", lowest_layer_lr_ratio=0.5, augmentation={"zoom": 0})
    assert (changed.lowest_layer_lr_ratio, changed.head) == (0.5, 2)
    assert (changed.augmentation.zoom, changed.augmentation.rotation) == (0, paper.augmentation.rotation)
    assert Training(recipe="paper_automl").epochs == 8
    assert Training(recipe="fast") == Training()
    assert Training(recipe="paper", steps=30).epochs is None
    assert (Training(recipe="frozen").steps, Training(recipe="frozen").head) == (0, "regression")


def test_every_recipe_can_be_named_by_the_study_and_by_a_method():
    for model in (Training, Method):
        options = str(model.model_fields["recipe" if model is Training else "training"].annotation)
        assert all(f"'{name}'" in options for name in RECIPES)


def test_a_head_alone_can_learn_by_a_regression_or_by_steps_of_its_own():
    for training in (
        {"recipe": "frozen"},
        {"recipe": "frozen", "head": 3, "learning_rate": 0.01, "mixup": 0.2},
        {"recipe": "frozen", "steps_from_scratch": 100, "patience": 3},  # for networks without pretrained weights
        {"recipe": "paper", "steps": 0, "steps_from_scratch": 0, "monitor": "f1"},
        {"head": 0},
        {"head": 0, "epochs": 2},
    ):
        load_config(changed(["training"], training), ROOT)


@pytest.mark.parametrize(
    ("students", "methods"),
    [
        ({"resnet18": ["fp32", "int8"], "mixnet": ["fp32"]}, ["supervised", "plain", "full"]),
        ({"resnet18": ["fp32"], "mixnet": ["int8"], "best_teacher": ["fp32"]}, ["plain"]),
        ({"resnet18": ["int8"]}, ["full"]),
        ({"best_teacher": ["fp32", "int8"]}, ["plain"]),
    ],
)
def test_controls_are_what_the_comparison_knows(students, methods):
    """An unknown control is refused before anything is trained; `comparison` would, after everything."""
    known = {"supervised": {"labels": "human"}, "plain": {"teachers": ["resnet50"]}, "full": {"labels": "full"}}
    raw = SMALL | {"students": students, "methods": {name: known[name] for name in methods}}
    names = control_names(*load_config(raw, ROOT))
    rows = [(network, precision) for network in students for precision in students[network]]
    cells = [(dataset, "k25_s0", method, *row, 1.0) for dataset in "ab" for method in methods for row in rows]
    scores = score_table.check_scores(pd.DataFrame(cells, columns=score_table.COLUMNS))
    scores = score_table.competitors(scores, ["full"])
    families = {name: network.family for name, network in load_config(raw, ROOT)[1].items()}
    asked = questions.questions(scores, families, rows=True)
    assert set(names) == {name for question in asked for name in question.scores.columns}


def test_arithmetic_is_that_of_the_nearest_size_that_was_measured(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/train_dtype.csv").write_text(
        "device,network,image_size,fp32,bf16\n"
        "cpu-amx,resnet18,224,10,30\ncpu-amx,resnet18,64,100,105\ncuda-9.0,resnet18,224,900,2000\n"
    )
    assert train_dtypes("resnet18", 200, tmp_path) == {"cpu-amx": "bf16", "cuda-9.0": "bf16"}
    assert train_dtypes("resnet18", 80, tmp_path) == {"cpu-amx": "fp32", "cuda-9.0": "bf16"}
    assert train_dtypes("resnet34", 80, tmp_path) == {}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["datasets", "digits", "fit"], "crop", "'datasets.digits.fit' is now called 'resize'"),
        (["datasets", "digits", "resize"], "squeeze", "'squeeze' is now called 'stretch'"),
        (["training"], {"growth": 0.2}, "'training.growth' is now called 'steps_exponent'"),
        (["training"], {"human_share": 0.2}, "'training.human_share' is now called 'labelled_fraction'"),
        (["ship"], {"row": None}, "'ship.row' is now called 'candidate'"),
        (["compute"], {"arithmetic": "bf16"}, "'compute.arithmetic' is now called 'train_dtype'"),
        (["methods", "plain"], {"teachers": ["resnet18"], "acceptance": "per_class"}, "is now called 'selection'"),
        (
            ["methods", "plain"],
            {"teachers": ["resnet18"], "selection": "per_class"},
            "'per_class' is now called 'top_share_per_class'",
        ),
        (
            ["methods", "plain"],
            {"teachers": ["resnet18"], "rounds": 2, "stop": "unlabelled"},
            "'unlabelled' is now called 'all_labelled'",
        ),
        (
            ["methods", "mix"],
            {"labels": "consistency", "algorithm": "mixmatch", "guesses": 3},
            "'methods.mix.guesses' is now called 'n_augmentations'",
        ),
    ],
)
def test_a_key_or_value_that_was_renamed_is_refused_with_its_new_name(path, value, told):
    with pytest.raises(InputError) as error:
        load_config(changed(path, value), ROOT)
    assert told in str(error.value)


# ---- what YAML makes of what people write


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "classes: [yes, no]",
            "'datasets.d.classes.0': this is true, which YAML makes of yes, on and true",
        ),
        ("classes: [a, off]", "'datasets.d.classes.1': this is false, which YAML makes of no, off and false"),
        ("classes: [010, b]", "'datasets.d.classes.0': 8 is a number, where a text is asked for; put it into quotes"),
        ("classes: [1.5, b]", "'datasets.d.classes.0': 1.5 is a number"),
        ("classes: [2026-01-02, b]", "'datasets.d.classes.0': 2026-01-02 is a date"),
        ("classes: [a, ~]", "'datasets.d.classes.1': nothing is here, which YAML makes of null"),
        ("positive: yes", "'datasets.d.positive': this is true"),
        ("expect: {classes: {no: 3}}", "this is false, which YAML makes of no"),
    ],
)
def test_what_yaml_changes_is_said_with_the_remedy(written, said):
    raw = yaml.safe_load(f"{{source: {{kind: digits}}, {written}}}")
    with pytest.raises(InputError) as caught:
        validate(Config, {"study": "s", "datasets": {"d": raw}, "methods": {}, "students": {}}, "configuration")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("study: a\nseed: 1\nstudy: b\n", "line 3: the key 'study' is given twice, first in line 1; keep one"),
        ("a: {b: 1,\n  c: 2, b: 3}", "line 2: the key 'b' is given twice, first in line 1"),
        ("a: {b: 1, b: 3}", "line 1: the key 'b' is given twice, first in line 1"),
        ("a: [", "is no YAML"),
    ],
)
def test_a_key_given_twice_is_refused_with_its_lines(tmp_path, text, said):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        yaml_files.check(tmp_path / "c.yaml")
    assert said in str(caught.value)


def test_keys_that_are_not_given_twice_pass(tmp_path):
    (tmp_path / "c.yaml").write_text("\ufeffa: &x {b: 1, '1': 2, 1: 3}\nd: {<<: *x, b: 2}\ne: [{b: 1}, {b: 2}]\n")
    assert yaml_files.load(tmp_path / "c.yaml")["d"]["b"] == 2
