"""Claims on GPUs, on a machine that is said to have some."""

import os
import signal
import subprocess

import pytest

from helpers import ROOT
from pocketscope.runtime import devices, gpus

CLAIM = "from pocketscope.runtime import gpus; print(gpus.claim(poll=0.05), flush=True); input()"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Pretend a driver that knows two GPUs, and a folder for temporary files of the test's own."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho GPU-a\necho GPU-b\n")
    driver.chmod(0o755)


@pytest.fixture
def job(python):
    """Return a function that starts a process which claims a GPU and keeps it until its input ends."""
    return lambda: python(CLAIM, cwd=ROOT / "workflow_scripts")


def claimed(process):
    return process.stdout.readline().strip()


def test_jobs_of_one_machine_claim_different_gpus(machine, job):
    assert {claimed(job()), claimed(job())} == {"GPU-a", "GPU-b"}


def test_a_job_waits_for_a_gpu_and_gets_that_of_a_killed_one(machine, job):
    first, second = job(), job()
    taken = {claimed(first): first, claimed(second): second}
    third = job()
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(timeout=1)
    os.kill(taken["GPU-b"].pid, signal.SIGKILL)
    assert claimed(third) == "GPU-b"


def test_the_clusters_choice_is_taken_without_a_claim(machine, job, monkeypatch):
    """Each job's only device may be called 0 there, and be another one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert [claimed(job()), claimed(job())] == ["0", "0"]


def test_of_several_visible_gpus_one_is_claimed(machine, job, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 3")
    assert {claimed(job()), claimed(job())} == {"2", "3"}


def test_hidden_gpus_stay_hidden(machine, monkeypatch):

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.claim() is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize("driver", [None, "#!/bin/sh\necho no device >&2; exit 9\n"])
def test_without_a_gpu_nothing_is_claimed(machine, tmp_path, monkeypatch, driver):

    (tmp_path / "nvidia-smi").unlink()
    if driver:
        (tmp_path / "nvidia-smi").write_text(driver)
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda name: str(tmp_path / name) if driver else None)
    assert gpus.claim() is None
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_the_claim_comes_before_cuda_starts(machine, monkeypatch):
    """CUDA reads which devices it may see when it starts, and not again."""
    import torch

    seen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen.append(os.environ["CUDA_VISIBLE_DEVICES"]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")  # what the claim sets is taken back after the test
    assert devices.prepare("auto", 1, 1).type == "cpu"
    assert seen == ["GPU-a"]
