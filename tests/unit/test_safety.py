"""Nothing is installed that the lock does not name by its hash, and no file is read that could run code."""

import ast

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
