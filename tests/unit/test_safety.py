"""Nothing is installed that the lock does not name by its hash, no file is read that could run code, and no results are
deleted that nobody gave up.
"""

import ast
import os
import pty
import subprocess
import sys

import pytest

import tiny_models
from helpers import ROOT

RUNS_CODE = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "pd.read_pickle", "pickle.load", "pickle.loads",
             "joblib.load", "dill.load", "shelve.open", "marshal.load"}  # fmt: skip


def test_every_requirement_is_pinned_with_its_hashes():
    lines = (ROOT / "envs/requirements.lock").read_text().splitlines()
    packages = [number for number, line in enumerate(lines) if line and not line.startswith((" ", "#"))]
    assert len(packages) > 50
    for number in packages:
        assert "==" in lines[number], lines[number]
        assert lines[number + 1].strip().startswith("--hash=sha256:"), lines[number]
    assert "--require-hashes" in (ROOT / "Makefile").read_text()


def test_no_module_reads_a_file_that_could_run_code():
    """A user's own pickles, as PyTorch's weights are, are read as tensors alone."""
    for path in (ROOT / "workflow_scripts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called, given = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert called not in RUNS_CODE, path
                assert called != "torch.load" or given.get("weights_only") == "True", path
                assert given.get("allow_pickle", "False") == "False", path
                assert given.get("shell", "False") == "False", path


@pytest.fixture
def used(tmp_path):
    """A checkout in which two studies have run."""
    for name in ("README.md", "my study/scores.parquet", "other/scores.parquet", ".snakemake/metadata"):
        (tmp_path / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / name).touch()
    for name in (".venv", "package/__pycache__"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def make(folder, *arguments, answer=None):
    """Run make, with somebody at a terminal who answers, or with nobody there."""
    environment = {key: value for key, value in os.environ.items() if key not in ("CONFIRM", "MAKEFLAGS", "MFLAGS")}
    command = ["make", "-f", ROOT / "Makefile", "-C", folder, *arguments]
    if answer is None:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
        )
    person, terminal = pty.openpty()
    try:
        os.write(person, f"{answer}\n".encode())
        return subprocess.run(command, stdin=terminal, capture_output=True, text=True, env=environment, check=False)
    finally:
        os.close(person)
        os.close(terminal)


def test_nothing_is_installed_below_a_path_with_a_space(tmp_path):
    """Scripts of a virtual environment name their Python by its path, which no space may end."""
    checkout = tmp_path / "my images"
    (checkout / "envs").mkdir(parents=True)
    for name in ("envs/requirements.lock", "pyproject.toml"):
        (checkout / name).touch()
    done = make(checkout, "demo")
    assert done.returncode == 2
    assert f'"{checkout}", holds a space: move the checkout to a path without one' in done.stderr
    assert not (checkout / ".venv").exists()


def left(folder):
    return {path.name for path in (folder / "results").iterdir()}


EVERYTHING = {"README.md", "my study", "other", ".snakemake"}


def test_make_clean_leaves_results(used):
    assert make(used, "clean").returncode == 0
    assert not (used / ".venv").exists()
    assert not (used / "package/__pycache__").exists()
    assert left(used) == EVERYTHING


@pytest.mark.parametrize(
    ("arguments", "answer", "deleted"),
    [
        ([], None, False),
        (["CONFIRM=1"], None, False),
        ([], "y", False),
        ([], "yes", True),
        (["CONFIRM=yes"], None, True),
    ],
)
def test_results_are_deleted_by_those_alone_who_say_so(used, arguments, answer, deleted):
    done = make(used, "clean-results", *arguments, answer=answer)
    assert (done.returncode == 0) is deleted
    assert all(f"results/{name}" in done.stdout for name in ("my study", "other"))
    assert left(used) == ({"README.md"} if deleted else EVERYTHING)
    assert "CONFIRM=yes" in done.stderr or answer or deleted


def test_without_results_nothing_is_asked(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/README.md").touch()
    assert "nothing to delete" in make(tmp_path, "clean-results").stdout


def test_onnx_runtime_tells_nobody_what_it_runs(tmp_path):
    """From 1.29 on it sends names of models and of the machine to Microsoft, and keeps an identifier in the home."""
    model = tiny_models.ship(tmp_path / "ship", precisions=("fp32",)) / "model.fp32.onnx"
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys; from pocketscope.inference import onnx_model as m; import numpy as np;"
        "m.probabilities(m.open_model(sys.argv[1], threads=1), np.zeros((1, 32, 32, 3), np.uint8))"
    )
    # It is silent under CI anyway.
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT / "workflow_scripts")}
    subprocess.run([sys.executable, "-c", code, str(model)], env=kept, check=True)
    assert not list(home.rglob("*"))
