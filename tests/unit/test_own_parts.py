"""A network, a vote and an augmentation of a user's own files."""

import re

import numpy as np
import pytest
import torch

import tiny_models
from helpers import ROOT
from pocketscope.api import configuration
from pocketscope.config.base import plain
from pocketscope.config.catalogue import Network
from pocketscope.core import own_functions
from pocketscope.core.errors import InputError
from pocketscope.distillation import vote
from pocketscope.models import networks, onnx_export
from pocketscope.training import augmentation

OWN = '''
"""Parts of a study."""
import torch
from torch import nn


def network(width=8):
    return nn.Sequential(nn.Conv2d(3, width, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def with_head():
    return nn.Conv2d(3, 4, 3)


def least_confident(probabilities):
    mean = probabilities.mean(axis=0)
    return mean.argmax(axis=1), probabilities.max(axis=2).min(axis=0)


def darker(images, generator):
    return images * torch.rand(len(images), 1, 1, 1, generator=generator).to(images.device)


def broken(*given):
    return 3
'''


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def study(**changes):
    return {
        "study": "s",
        "datasets": {"d": {"source": {"kind": "digits"}, "image_size": 32}},
        "methods": {"mine": {"teachers": ["mine"], "vote": "own.py:least_confident"}},
        "students": {"mine": ["fp32"]},
        "networks": {"mine": {"build": "own.py:network", "options": {"width": 6}, "family": "own", "weights": "none"}},
        "training": {"augmentation": {"own": "own.py:darker"}},
    } | changes


def planned(own, monkeypatch, **changes):
    monkeypatch.chdir(own)
    return configuration.read(study(**changes))[1]


def in_params(plan):
    """What the rules' params have of the file, as `train`, `pseudo_label` and the others get it."""
    return [
        plan.network("mine")["build"],
        plan.labelling("mine")["vote"],
        plan.training("human")["augmentation"]["own"],
    ]


def test_what_a_file_does_is_a_part_of_what_makes_things_again(own, monkeypatch):
    from pocketscope.plan.own_functions import own_function
    from pocketscope.runtime import code_digest

    def look():
        for cached in (own_function, code_digest.digest_of_file, code_digest._parse):
            cached.cache_clear()
        return in_params(planned(own, monkeypatch))

    before = look()
    assert [part["function"] for part in before] == ["network", "least_confident", "darker"]
    assert len({part["digest"] for part in before}) == 1
    (own / "own.py").write_text(OWN.replace('"""Parts of a study."""', '"""Other words."""  # and a remark'))
    assert look() == before
    (own / "own.py").write_text(OWN.replace("width=8", "width=9"))
    assert {part["digest"] for part in look()} != {part["digest"] for part in before}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training": {"augmentation": {"own": "own.py:daker"}}}, r"own\.py defines no 'daker'; did you mean 'darker'"),
        ({"training": {"augmentation": {"own": "mine.py:darker"}}}, r"mine\.py does not exist"),
        ({"training": {"augmentation": {"own": "darker"}}}, r"training\.augmentation\.own"),
        ({"methods": {"mine": {"teachers": ["mine"], "vote": "majorty"}}}, r"methods\.mine\.vote"),
        ({"methods": {"mine": {"teachers": ["mine"], "vote": "cut.py:a"}}}, r"cut\.py is no Python"),
        (
            {"networks": {"mine": {"family": "own", "weights": "none"}}},
            r"networks\.mine.*needs 'library' and 'name'",
        ),
        (
            {"networks": {"mine": {"build": "own.py:network", "name": "x", "family": "own", "weights": "none"}}},
            r"'build' takes the place of 'library' and 'name'",
        ),
        (
            {"networks": {"mine": {"build": "own.py:network", "family": "own", "weights": "hub"}}},
            r"'weights: hub' is a library's",
        ),
    ],
)
def test_what_cannot_be_found_is_said_before_anything_runs(own, monkeypatch, changes, said):
    (own / "cut.py").write_text("def a(:\n")
    with pytest.raises(InputError, match=said):
        planned(own, monkeypatch, **changes)


def entry(own, function="network", **more):
    about = {"file": "own.py", "function": function, "digest": "0"}
    return plain(Network(build=f"own.py:{function}", family="own", weights="none", **more)) | {"build": about}


def test_a_network_of_ones_own_is_built_saved_read_back_and_exported(own):
    network = entry(own, options={"width": 6})
    classifier = networks.build(network, 3, own, seed=0)
    assert classifier.head.in_features == 6
    assert torch.equal(classifier.head.weight, networks.build(network, 3, own, seed=0).head.weight)
    trained = networks.Trained(classifier.eval(), ["a", "b", "c"], 32)
    networks.save(trained, network, own / "model.safetensors")
    again = networks.load(own / "model.safetensors", own)
    pixels = torch.rand(2, 3, 32, 32)
    assert torch.equal(again.classifier(pixels), classifier(pixels))
    onnx_export.to_onnx(again, own / "model.onnx", images=tiny_models.noise(4, 32))
    (own / "own.py").unlink()
    with pytest.raises(InputError, match=r"own\.py: there is no such file, and 'network' is asked for"):
        networks.load(own / "model.safetensors", own)


def test_pretrained_weights_of_ones_own_network_come_from_a_file(own):
    from safetensors.torch import save_file

    network = entry(own)
    state = networks.build(network, 2, own, seed=3).backbone.state_dict()
    save_file(state, own / "weights.safetensors")
    built = networks.build(network | {"weights": {"file": "weights.safetensors"}}, 2, own, seed=4)
    assert all(torch.equal(built.backbone.state_dict()[name], tensor) for name, tensor in state.items())
    save_file({"other": torch.zeros(1)}, own / "weights.safetensors")
    with pytest.raises(InputError, match=r"does not contain the weights of own\.py:network"):
        networks.build(network | {"weights": {"file": "weights.safetensors"}}, 2, own, seed=4)


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (
            "with_head",
            {},
            r"own\.py:with_head: of two images the network makes \(2, 4, 62, 62\); it must",
        ),
        ("broken", {}, r"own\.py:broken returned int, not a torch\.nn\.Module"),
        ("network", {"wide": 3}, r"own\.py:network failed \(TypeError: .*'wide'"),
        ("nettwork", {}, r"has no function 'nettwork'; did you mean 'network'"),
    ],
)
def test_a_network_that_cannot_be_used_is_told(own, function, options, said):
    with pytest.raises(InputError, match=said):
        networks.build(entry(own, function, options=options), 2, own, seed=0)


def test_the_parts_that_the_documentation_shows_are_such(tmp_path):
    page = (ROOT / "docs/python.md").read_text()
    (text,) = re.findall(r"```python\n(# my_parts\.py\n.*?)```", page, re.DOTALL)
    (tmp_path / "own.py").write_text(text)
    assert networks.build(entry(tmp_path, options={"width": 32}), 2, tmp_path, seed=0).head.in_features == 32
    function = {name: own_functions.load({"file": "own.py", "function": name, "digest": "0"}, tmp_path)
                for name in ("lowest", "darker")}  # fmt: skip
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], (4, 5))
    assert len(vote.vote(probabilities, function["lowest"])[0]) == 5
    calm = dict.fromkeys(("rotation", "zoom", "translation", "brightness", "contrast"), 0.0)
    images = torch.full((4, 8, 8, 3), 200, dtype=torch.uint8)
    own = calm | {"own": function["darker"]}
    assert augmentation.augment(images, own, [], torch.Generator().manual_seed(0)).max() < 200 / 255


def test_a_file_that_fails_is_told(tmp_path):
    (tmp_path / "own.py").write_text("import nothing_that_is_there\n\ndef f():\n    pass\n")
    about = {"file": "own.py", "function": "f", "digest": "0"}
    with pytest.raises(InputError, match=r"own\.py: cannot be imported \(ModuleNotFoundError"):
        own_functions.load(about, tmp_path)


def test_a_vote_of_ones_own_decides_and_a_wrong_one_is_told(own):
    about = {"file": "own.py", "function": "least_confident", "digest": "0"}
    function = own_functions.loaded({"vote": about, "threshold": 0.8}, own)["vote"]
    probabilities = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.5, 0.5]]])
    winners, confidences = vote.vote(probabilities, function)
    assert winners.tolist() == [0, 1]
    assert confidences.tolist() == [0.6, 0.5]
    proposed = vote.propose(np.array(["x", "y"]), probabilities, ["a", "b"], function)
    assert proposed["label"].to_pylist() == ["a", "b"]
    for wrong in (
        lambda p: 3,
        lambda p: (p.mean(axis=0).argmax(axis=1), p.max()),
        lambda p: (p.mean(axis=0).argmax(axis=1) + 2, p.max(axis=2).min(axis=0)),
        lambda p: (p.mean(axis=0).max(axis=1), p.max(axis=2).min(axis=0)),
        lambda p: (p.mean(axis=0).argmax(axis=1), 2 * p.max(axis=2).min(axis=0)),
    ):
        with pytest.raises(InputError, match="the study's own vote"):
            vote.vote(probabilities, wrong)


def test_an_augmentation_of_ones_own_changes_what_the_others_made(own):
    about = {"file": "own.py", "function": "darker", "digest": "0"}
    calm = dict.fromkeys(("rotation", "zoom", "translation", "brightness", "contrast"), 0.0)
    images = torch.full((4, 8, 8, 3), 200, dtype=torch.uint8)

    def changed(function):
        return augmentation.augment(images, calm | {"own": function}, [], torch.Generator().manual_seed(0))

    function = own_functions.load(about, own)
    assert torch.equal(changed(function), changed(function))
    assert (changed(function) < changed(None)).all()
    assert changed(lambda batch, generator: batch + 5).max() == 1
    for wrong in (lambda batch, generator: 3, lambda batch, generator: batch[:2], lambda b, g: (255 * b).byte()):
        with pytest.raises(InputError, match="the study's own augmentation returned"):
            changed(wrong)
