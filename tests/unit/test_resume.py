"""A training that is killed goes on to the same weights; a state of another training is not touched."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import ROOT
from pocketscope import resume

# Trains a tiny network for ever so many epochs; says when each has been saved; prints a digest of the weights at last.
SCRIPT = """
import hashlib, sys
from pathlib import Path
import numpy as np, torch
from pocketscope import config, examples, networks, resume, training

torch.set_num_threads(1)
resume.SECONDS_BETWEEN = 0.0
folder, digest, batch_norm = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
kept = resume.Resume(folder, digest)
save = kept.save
kept.save = lambda state: (save(state), print("saved", state["step"], flush=True))
rng = np.random.default_rng(0)
def some(count):
    targets = rng.integers(0, 2, count)
    images = (rng.integers(0, 200, (count, 32, 32, 3)) + 50 * targets[:, None, None, None]).astype(np.uint8)
    return examples.Examples(images, examples.one_hot(targets, 2), np.arange(count) % 3 > 0)
settings = config.plain(config.Training(
    steps=12, batch_size=4, evaluations=6, patience=6, ema=0.9, mixup=0.3, batch_norm=batch_norm,
    learning_rate="minimum",
))
network = {"library": "torchvision", "name": "mobilenet_v2", "weights": "none", "options": {"width_mult": 0.25}}
classifier = networks.build(network, 2, folder, seed=1)  # has dropout in a part that is replaced; batch norm, depthwise
history, _ = training.train(
    classifier, some(20), some(10), pretrained=True, settings=settings, symmetries=["horizontal_flip"], seed=3,
    device=torch.device("cpu"), resume=kept,
)
total = hashlib.sha256()
for tensor in classifier.state_dict().values():
    total.update(tensor.numpy().tobytes())
total.update(repr(history.to_pylist()).encode())
print("weights", total.hexdigest())
"""


def run(folder, digest="a", batch_norm="trained", kill_after=None):
    """Train in a process of its own, which dies by SIGKILL when it has saved step `kill_after`; return its lines."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(folder), digest, batch_norm],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")},
    )  # fmt: skip
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if lines[-1] == f"saved {kill_after}":
            process.send_signal(signal.SIGKILL)
    assert process.wait() == (-signal.SIGKILL if kill_after else 0)
    return lines


def test_a_killed_training_resumes_to_the_same_weights_bit_for_bit(tmp_path):
    undisturbed = run(tmp_path / "undisturbed")
    assert undisturbed[:-1] == [f"saved {step}" for step in (2, 4, 6, 8, 10, 12)]
    for step in (2, 8):  # killed twice on the way
        run(tmp_path / "killed", kill_after=step)
    again = run(tmp_path / "killed")
    assert "saved 8" not in again  # went on, did not begin again
    assert again[-1] == undisturbed[-1]


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
    first = resume.digest([table], {"steps": 1})
    assert first == resume.digest([table], {"steps": 1})
    assert first != resume.digest([table], {"steps": 2})
    table.write_bytes(b"b")
    assert first != resume.digest([table], {"steps": 1})
    with pytest.raises(FileNotFoundError):
        resume.digest([tmp_path / "none"], {})
