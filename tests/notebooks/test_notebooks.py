"""The shipped notebooks: as the script writes them, without outputs, and run to their end, here and as on Colab."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from helpers import ROOT
from pocketscope.__main__ import main
from pocketscope.api import notebook

FOLDER = ROOT / "notebooks"
SHIPPED = sorted(FOLDER.glob("*.ipynb"))
COLAB = """
import os, types, sys

def mount(place):
    os.makedirs(os.path.join(place, "MyDrive"), exist_ok=True)

drive = types.SimpleNamespace(mount=mount)
"""


def read(path):
    return nbformat.reads(path.read_text(encoding="utf-8"), 4)


def code(made):
    return [cell.source for cell in made.cells if cell.cell_type == "code"]


def run(made, folder):
    """Run every cell in a kernel that starts in `folder`; return what the cells put out, as one text.

    What was run stays there too, to be looked at: executed_0.ipynb and so on.
    """
    NotebookClient(made, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(made, folder / f"executed_{len(list(folder.glob('executed_*')))}.ipynb")
    said = []
    for cell in made.cells:
        for output in cell.get("outputs", ()):
            said += [output.get("text", ""), *map(str, output.get("data", {}).values())]
    return "\n".join(said)


def test_the_script_writes_just_these():
    spec = importlib.util.spec_from_file_location("make_notebooks", FOLDER / "make.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    made = script.notebooks()
    assert {path.name for path in SHIPPED} == set(made), "run `make notebooks`"
    for path in SHIPPED:
        assert path.read_text(encoding="utf-8") == made[path.name], f"{path.name}: run `make notebooks`"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_notebook_has_no_outputs_and_names_no_machine(path):
    text, made = path.read_text(encoding="utf-8"), read(path)
    assert str(ROOT) not in text
    assert not re.search(r"https?://", text)
    for cell in made.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    for source in code(made):
        ast.parse(re.sub(r"^[%!].*$", "", source, flags=re.MULTILINE))
    (installed,) = (source for source in code(made) if "%pip install" in source)
    assert "pocketscope[formats,workflow]==" in installed
    assert "snakemake==" in installed
    assert ("torch==" in installed) != path.stem.endswith("_colab")  # what Colab brings stays


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where notebooks run, one after the other; `google.colab` is there, and its drive."""
    place = tmp_path_factory.mktemp("notebooks")
    (place / "google/colab").mkdir(parents=True)
    (place / "google/__init__.py").touch()
    (place / "google/colab/__init__.py").write_text(COLAB)
    return place


def test_a_first_look_runs_here_and_then_as_on_colab(folder):
    """The second one finds all made: the two differ in where images come from and results go to."""
    said = run(read(FOLDER / "first_look.ipynb"), folder)
    assert "width:100%" in said  # the bar, as a saved notebook keeps it
    assert re.search(r"first_look.*F1 in percent", said)
    assert "data:image/png;base64," in said
    assert "Wrong answers of plain/shufflenet_scratch/fp32" in said or "Wrong answers of supervised" in said
    assert (folder / "first_look_output/model.onnx").is_file()
    assert (folder / "first_look_output/report.html").is_file()

    made = read(FOLDER / "first_look_colab.ipynb")
    for cell in made.cells:
        cell.source = re.sub(r"^%pip", "# %pip", cell.source.replace("/content", str(folder)), flags=re.MULTILINE)
    said = run(made, folder)
    assert (folder / "drive/MyDrive/pocketscope/first_look/model.onnx").is_file()
    assert re.search(r"first_look.*F1 in percent", said)


def test_methods_are_compared(folder):
    said = run(read(FOLDER / "compare_methods.ipynb"), folder)
    for method in ("supervised", "plain", "data"):
        assert re.search(rf"<td>{method}</td>", said)
    assert "<svg" in said


def test_statistics_of_scores_of_ones_own(folder):
    said = run(read(FOLDER / "your_own_scores.ipynb"), folder)
    assert "fixmatch" in said
    assert (folder / "comparison/report/index.html").is_file()


def test_the_command_writes_a_notebook_of_any_study(tmp_path, capsys):
    """With a folder of images: on Colab they come from the drive."""
    (tmp_path / "own.yaml").write_text((ROOT / "config/own-images.yaml").read_text())
    assert main(["notebook", str(tmp_path / "own.yaml"), "-o", str(tmp_path / "here.ipynb")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "here.ipynb")
    (config,) = (source for source in code(read(tmp_path / "here.ipynb")) if source.startswith("config = "))
    found = ast.literal_eval(config.removeprefix("config = "))
    source = found["datasets"]["mine"]["source"]
    assert Path(source["path"]).is_absolute()
    assert Path(source["path"]) == (ROOT / "../my-images").resolve()
    assert "result.answers.head(20)" in code(read(tmp_path / "here.ipynb"))

    assert main(["notebook", str(tmp_path / "own.yaml"), "-o", str(tmp_path / "there.ipynb"), "--colab"]) == 0
    text = "\n".join(code(read(tmp_path / "there.ipynb")))
    assert 'DATA + "/my-images"' in text
    assert 'DATA + "/new-images"' in text
    assert str(ROOT) not in text
    assert main(["notebook", str(tmp_path / "none.yaml"), "-o", str(tmp_path / "x.ipynb")]) == 1
    assert "none.yaml: there is no such file" in capsys.readouterr().err


def test_what_a_notebook_installs_fits_beside_what_colab_has():
    """The packages resolve for Python 3.12 with Colab's numpy, pandas and torch left as they are."""
    pins = re.findall(r"([a-z-]+==\S+)", notebook.installation(colab=True).partition('" ')[2])
    command = [Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet", "--no-header", "--no-annotate",
               "--python-version", "3.12", "--constraint", ROOT / "tests/notebooks/colab.txt",
               "--extra", "formats", "--extra", "workflow", ROOT / "pyproject.toml", "-"]  # fmt: skip
    done = subprocess.run(command, input="\n".join(pins), capture_output=True, text=True, check=False)
    if "No solution found" not in done.stderr and done.returncode:
        reason = f"no package index: {done.stderr[-300:]}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    assert done.returncode == 0, done.stderr
    there = (ROOT / "tests/notebooks/colab.txt").read_text().splitlines()[1:]
    assert set(there) <= {line.partition(" ")[0] for line in done.stdout.splitlines()}
