"""What a rule's script does first: be alone with its files, and clear up after those that were killed."""

import shutil
import signal
import subprocess
import sys
import time

import pytest

from helpers import ROOT

SCRIPTS = ROOT / "workflow_scripts"
JOB = """
import os
from types import SimpleNamespace
from pocketscope.runtime import job
terminal = os.dup(1)
output, log = sys.argv[1:]
job.begin(SimpleNamespace(output=[output], log=[log], scriptdir=sys.path[0]))
os.write(terminal, b"alone\\n")
input()
"""


@pytest.fixture
def begin(python, tmp_path):
    """Return a function that starts a job's process in a results folder; it lasts until its input ends."""
    code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n{JOB}"
    return lambda output, log: python(code, output, log, cwd=tmp_path)


def test_two_processes_never_make_the_same_file_at_once(begin, tmp_path):
    first, other = begin("a/model", "1.log"), begin("b/model", "2.log")
    assert first.stdout.readline() == other.stdout.readline() == "alone\n"
    second = begin("a/model", "3.log")
    for _ in range(200):
        if (tmp_path / "3.log").exists() and "waiting until it ends" in (tmp_path / "3.log").read_text():
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the second process does not say that it waits")
    assert second.poll() is None
    first.send_signal(signal.SIGKILL)
    assert second.stdout.readline() == "alone\n"


def test_what_killed_writers_left_is_deleted_and_nothing_else(begin, tmp_path):
    left = [".0123456789ab.model.onnx", ".ba9876543210.model.onnx"]
    kept = ["model.onnx", ".0123456789ab.model.int8.onnx", ".mine.model.onnx", "0123456789ab.model.onnx"]
    for name in left + kept:
        (tmp_path / name).touch()
    assert begin("model.onnx", "log").stdout.readline() == "alone\n"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted([*kept, "log"])


def test_another_copy_of_the_package_makes_nothing_and_the_remedy_is_told(tmp_path):
    shutil.copytree(SCRIPTS / "pocketscope", tmp_path / "other/pocketscope")
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'other')!r})\n{JOB}".replace(
        "scriptdir=sys.path[0]", f"scriptdir={str(SCRIPTS)!r}"
    )
    done = subprocess.run([sys.executable, "-c", code, "model", "log"], cwd=tmp_path, check=False)
    said = (tmp_path / "log").read_text()
    assert done.returncode == 1
    assert f"{tmp_path}/other/pocketscope/runtime/job.py was imported instead of {SCRIPTS}/pocketscope" in said
    assert f"`make install`, or `pip install -e .`, in {ROOT}" in said
    assert not (tmp_path / ".snakemake").exists()
