"""What a rule's script loads: a light one must not wait for a heavy library, nor keep its memory."""

import ast
import subprocess
import sys

import pytest

from helpers import ROOT

SCRIPTS = ROOT / "workflow_scripts"
LIGHT = ("pack", "check", "split", "near_duplicates", "oracle_labels", "leave_out", "join_folds", "calibrate",
         "pseudo_label", "choose", "audit", "quantize", "evaluate", "scores", "compare", "recommend",
         "answer", "reliability", "answers_table", "answers_page")  # fmt: skip
HEAVY = ("torch", "torchvision", "timm", "matplotlib", "pydantic", "snakemake")


def loaded(script):
    """Return the libraries that a script's imports load."""
    tree = ast.parse((SCRIPTS / f"{script}.py").read_text())
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    code = "\n".join([*imports, "import sys", "print(*{name.split('.')[0] for name in sys.modules})"])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("script", LIGHT)
def test_a_light_script_loads_no_heavy_library(script):
    assert not loaded(script) & set(HEAVY)


@pytest.mark.parametrize("script", ["train", "predict"])
def test_training_loads_no_workflow_and_no_network_library_before_it_knows_which(script):
    assert not loaded(script) & {"timm", "matplotlib", "pydantic", "snakemake", "onnxruntime"}


def test_scripts_are_short():
    for path in SCRIPTS.glob("*.py"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 45, path.name
        assert lines[0].startswith('"""'), path.name
