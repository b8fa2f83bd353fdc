"""A training that is killed goes on to the same weights; a state of another training is not touched."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from helpers import ROOT
from pocketscope.runtime import resume

# Imports once, then trains a tiny network in a child process for each of some runs: a folder, and the step after whose
# save the child dies by SIGKILL, or none. Says what was saved, how each child ended, and a digest of its weights.
SCRIPT = """
import hashlib, json, os, signal, sys
from pathlib import Path
import numpy as np, torch
from pocketscope.config.base import plain
from pocketscope.config.training import Training
from pocketscope.models import networks
from pocketscope.runtime import resume
from pocketscope.training import batches, supervised

resume.SECONDS_BETWEEN = 0.0
SETTINGS = plain(Training(
    steps=12, batch_size=4, n_evaluations=6, patience=6, ema=0.9, mixup=0.3, batch_norm="trained",
    learning_rate="minimum",
))
NETWORK = {"library": "torchvision", "name": "mobilenet_v2", "weights": "none", "options": {"width_mult": 0.25}}

def some(count):
    rng = np.random.default_rng(count)
    targets = rng.integers(0, 2, count)
    images = (rng.integers(0, 200, (count, 32, 32, 3)) + 50 * targets[:, None, None, None]).astype(np.uint8)
    return batches.Examples(images, batches.one_hot(targets, 2), np.arange(count) % 3 > 0)

def train(folder, last):
    folder.mkdir(exist_ok=True)
    kept = resume.Resume(folder, "a")
    save = kept.save
    def say(state):
        save(state)
        print("saved", state["step"], flush=True)
        if state["step"] == last:
            os.kill(os.getpid(), signal.SIGKILL)
    kept.save = say
    classifier = networks.build(NETWORK, 2, folder, seed=1)
    history, _ = supervised.train(
        classifier, some(20), some(10), pretrained=True, settings=SETTINGS, symmetries=["horizontal_flip"], seed=3,
        device=torch.device("cpu"), resume=kept,
    )
    total = hashlib.sha256(repr(history.to_pylist()).encode())
    for tensor in classifier.state_dict().values():
        total.update(tensor.numpy().tobytes())
    print("weights", total.hexdigest(), flush=True)

torch.set_num_threads(1)
for folder, last in json.loads(sys.argv[2]):
    if not (child := os.fork()):
        train(Path(sys.argv[1]) / folder, last)
        os._exit(0)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_killed_training_resumes_to_the_same_weights_bit_for_bit(tmp_path):
    runs = [("undisturbed", None), ("killed", 2), ("killed", 8), ("killed", None)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path), json.dumps(runs)],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines.count(f"ended {-signal.SIGKILL}") == lines.count("ended 0") == 2, done.stderr
    saved = [[int(line.split()[1]) for line in part.splitlines() if "saved" in line]
             for part in done.stdout.split("ended")[:4]]  # fmt: skip
    assert saved == [[2, 4, 6, 8, 10, 12], [2], [4, 6, 8], [10, 12]]  # it goes on, and does not begin again
    undisturbed, resumed = (line for line in lines if line.startswith("weights"))
    assert undisturbed == resumed


def test_a_state_of_another_training_is_deleted(tmp_path):
    resume.Resume(tmp_path, "old").save({"step": 1})
    (tmp_path / ".0123456789ab..resume.old.pt").touch()  # killed while it was saved
    (tmp_path / "model.safetensors").write_text("stays")
    mine = resume.Resume(tmp_path, "new")
    assert mine.load() is None
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors"}


def test_a_state_that_is_cut_short_or_would_run_code_begins_anew(tmp_path, caplog):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    mine = resume.Resume(tmp_path, "a")
    for spoil in (
        lambda: mine.path.write_bytes(mine.path.read_bytes()[:100]),
        lambda: torch.save({"a": Evil()}, mine.path),
    ):
        mine.save({"step": 1, "tensor": torch.ones(3)})
        assert mine.load()["step"] == 1
        spoil()
        assert mine.load() is None
        assert not mine.path.exists()
    assert "cannot be read and is deleted" in caplog.text


def test_saving_is_not_due_at_once_but_after_a_while(tmp_path, monkeypatch):
    mine = resume.Resume(tmp_path, "a")
    assert not mine.due()
    monkeypatch.setattr(mine, "saved", time.monotonic() - resume.SECONDS_BETWEEN)
    assert mine.due()


def test_the_digest_is_of_tables_and_settings(tmp_path):
    table = tmp_path / "labels"
    table.write_bytes(b"a")
    first = resume.digest_of_inputs([table], {"steps": 1})
    assert first == resume.digest_of_inputs([table], {"steps": 1})
    assert first != resume.digest_of_inputs([table], {"steps": 2})
    table.write_bytes(b"b")
    assert first != resume.digest_of_inputs([table], {"steps": 1})
    with pytest.raises(FileNotFoundError):
        resume.digest_of_inputs([tmp_path / "none"], {})
