"""The examples of docs/python.md and of the six calls' docstrings, on a few digits and with tiny networks."""

import doctest

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import pocketscope
from helpers import ROOT
from pocketscope.api import calls

TINY = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "family": "manual", "weights": "none"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place, counts = tmp_path_factory.mktemp("examples"), dict.fromkeys(range(3), 0)
    found = load_digits()
    for pixels, label in zip(found.images, found.target, strict=True):
        if counts.get(label, 30) < 30:
            part = f"labelled/{label}" if counts[label] < 20 else "unlabelled"
            path = place / part / f"{label}_{counts[label]}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((24, 24)).save(path)
            counts[label] += 1
    return place


@pytest.fixture
def names(folder, monkeypatch):
    monkeypatch.chdir(folder)
    networks = dict.fromkeys(("efficientnet_lite0", "efficientnet_lite1", "shufflenet_scratch"), TINY)
    small = {
        "image_size": 32, "symmetries": [], "training": {"steps_from_scratch": 4, "batch_size": 4, "n_evaluations": 1},
        "networks": networks, "config": {"compute": {"device": "cpu"}}, "baseline": False, "progress": False,
    }  # fmt: skip
    return {"small": small, "pocketscope": pocketscope}


@pytest.mark.parametrize("name", ["plain_distillation", "data_distillation", "model_distillation",
                                  "model_data_distillation", "fixmatch", "mixmatch"])  # fmt: skip
def test_the_example_of_a_call(name, names):
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(calls, name), name, globs=names)
    assert example.examples
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_the_page_about_python(names):
    page = str(ROOT / "docs/python.md")
    found = doctest.testfile(page, module_relative=False, globs=names, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert found.attempted > 10
    assert found.failed == 0
