"""A study with a network, a vote and an augmentation of a user's own files, and what an edit of them makes again."""

import shutil

from helpers import planned, snakemake, study, write_config
from pocketscope.core import parquet
from pocketscope.inference import onnx_model
from pocketscope.models import networks
from pocketscope.tables.label_set import LABEL_SET

NETWORK = """
from torch import nn


def network():
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), *pooled)
"""
VOTE = '''
import numpy as np


def all_zeros(probabilities):
    """Call every image the first class."""
    images = probabilities.shape[1]
    return np.zeros(images, int), np.full(images, 0.75)
'''
AUGMENTATION = """
def darker(images, generator):
    return 0.9 * images
"""


def test_a_study_of_own_parts_and_what_an_edit_makes_again(tmp_path):
    files = {"network.py": NETWORK, "vote.py": VOTE, "augmentation.py": AUGMENTATION}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    config = study(
        methods={"mine": {"teachers": ["tiny"], "vote": f"{tmp_path}/vote.py:all_zeros", "threshold": 0.7}},
        students={"tiny": ["fp32"]},
        networks={"tiny": {"build": f"{tmp_path}/network.py:network", "family": "own", "weights": "none"}},
    )
    config["training"] |= {"augmentation": {"own": f"{tmp_path}/augmentation.py:darker"}}
    where = {"config": write_config(tmp_path, config), "results": tmp_path / "results"}
    runs = "small/runs/digits/k4_s0"
    targets = [f"{runs}/mine.r1/tiny/test.fp32.parquet", "small/timing/tiny.parquet"]
    snakemake(*targets, **where)

    labels = parquet.read(tmp_path / "results" / runs / "mine.r1/labels.parquet", LABEL_SET).to_pandas()
    given = labels[labels["source"] == "pseudo"]
    assert len(given) > 10
    assert set(given["label"]) == {"0"}
    assert set(given["confidence"]) == {0.75}
    model = tmp_path / "results" / runs / "mine.r1/tiny"
    assert networks.load(model / "model.safetensors").classifier.head.in_features == 8
    assert onnx_model.open_model(model / "model.fp32.onnx", threads=1).classes == ["0", "1", "2"]

    def planned_after(name, old, new):
        text = files[name]
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new))
        found = planned(*targets, **where)
        (tmp_path / name).write_text(text)
        return found

    assert planned(*targets, **where) == {}
    assert planned_after("vote.py", "Call every image", "# Call each image") == {}
    relabelled = {"pseudo_label": 1, "train": 1, "evaluate": 1, "time_inference": 1}
    assert planned_after("vote.py", "0.75", "0.8") == relabelled
    everything = relabelled | {"train": 2, "predict": 1}
    assert planned_after("network.py", "stride=2", "stride=1") == everything
    assert planned_after("augmentation.py", "0.9", "0.8") == everything
    shutil.move(tmp_path / "vote.py", tmp_path / "votes.py")
    done = snakemake(*targets, "--dry-run", check=False, **where)
    assert done.returncode
    assert "vote.py does not exist; correct the path" in done.stdout + done.stderr
