"""What `pip install .` installs, and that a model file needs no more of it than three packages."""

import email
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from PIL import Image
from setuptools import find_packages

import tiny_models
from helpers import ROOT, SCRIPTS
from pocketscope import __main__
from pocketscope.version import VERSION

LIGHT = {"numpy", "onnxruntime", "pillow"}
HEAVY = ("torch", "torchvision", "timm", "pandas", "pyarrow", "scipy", "sklearn", "snakemake", "matplotlib", "pydantic",
         "tifffile", "pydicom", "imagecodecs")  # fmt: skip
FOLDERS = ("rules", "captions", "config", "envs", "profiles", "workflow_scripts")  # of the workflow
# Neither this checkout nor the machine's pip may lend packages to the environments made here.
ALONE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("PIP_")}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy: a build leaves files where it builds."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "Snakefile"):
        shutil.copy2(ROOT / name, folder)
    for name in (*FOLDERS, "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return folder


def build(kind, checkout, folder):
    """Build the wheel that `pip install` makes of a checkout, without an index; `kind` is wheel or editable."""
    code = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, folder], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel"))


def about(wheel, name):
    """Return a file of a wheel's metadata."""
    with zipfile.ZipFile(wheel) as file:
        (path,) = (path for path in file.namelist() if path.endswith(f".dist-info/{name}"))
        return file.read(path).decode()


def test_three_packages_are_needed_and_extras_bring_the_others(wheel):
    metadata = email.message_from_string(about(wheel, "METADATA"))
    needed = metadata.get_all("Requires-Dist")
    assert {re.match("[a-z]+", line)[0] for line in needed if "extra ==" not in line} == LIGHT
    assert set(metadata.get_all("Provides-Extra")) == {"formats", "heif", "workflow", "slurm", "dev"}
    assert metadata["Version"] == VERSION


def test_the_wheel_holds_the_package_with_the_workflow_in_it_and_nothing_beside_it(checkout, wheel):
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
        workflow = {name for name in held if name.startswith("pocketscope/workflow/")}
        for name in workflow:  # byte for byte the checkout's: results of either are the other's too
            assert file.read(name) == (checkout / name.removeprefix("pocketscope/workflow/")).read_bytes()
    packages = (SCRIPTS / "pocketscope", *SCRIPTS.glob("snakemake_logger_plugin_*"))
    parts = [path for top in packages for path in top.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert held - workflow == {path.relative_to(SCRIPTS).as_posix() for path in parts}
    beside = [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    beside = {path.relative_to(ROOT).as_posix() for path in beside if ".egg-info" not in str(path)} | {"Snakefile"}
    assert workflow == {f"pocketscope/workflow/{name}" for name in beside}
    assert {"pocketscope/report/templates/report.html", "pocketscope/deploy/templates/card.md"} <= held


def test_a_plugin_of_snakemake_beside_the_package_is_installed_and_the_rules_scripts_are_not(checkout, tmp_path):
    where = shutil.copytree(checkout / "workflow_scripts", tmp_path / "workflow_scripts")
    for name in ("snakemake_logger_plugin_example", "other"):
        (where / name).mkdir()
        (where / name / "__init__.py").touch()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "py-modules" not in settings
    found = find_packages(where, include=settings["packages"]["find"]["include"])
    rooms = {path.parent.relative_to(SCRIPTS).as_posix() for path in (SCRIPTS / "pocketscope").rglob("__init__.py")}
    plugins = {"snakemake_logger_plugin_example", "snakemake_logger_plugin_pocketscope"}
    assert set(found) >= plugins
    assert set(found) - plugins == {name.replace("/", ".") for name in rooms}
    assert "snakemake_logger_plugin_example" in found


def test_an_editable_install_runs_the_checkouts_own_files(checkout, tmp_path):
    editable = build("editable", checkout, tmp_path)
    assert "pocketscope = pocketscope.__main__:main" in about(editable, "entry_points.txt")
    with zipfile.ZipFile(editable) as file:
        (path,) = (name for name in file.namelist() if name.endswith(".pth"))
        assert file.read(path).decode().strip() == str(checkout / "workflow_scripts")


def test_a_wheel_of_the_source_archive_is_that_of_the_checkout(checkout, wheel, tmp_path):
    archive = build("sdist", checkout, tmp_path)
    shutil.unpack_archive(archive, tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    other = build("wheel", unpacked, tmp_path)
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(other) as second:
        assert set(first.namelist()) == set(second.namelist())


def test_an_installed_package_runs_the_workflow_that_it_carries(wheel, tmp_path):
    """Unpacked somewhere else, as pip does: a dry run by a call, of the code beside it and of no checkout's."""
    shutil.unpack_archive(wheel, tmp_path / "site-packages", "zip")
    code = """
import subprocess, sys, pocketscope
from pathlib import Path
from pocketscope.api import configuration, workflow
place = Path(sys.argv[1]).resolve()
assert Path(pocketscope.__file__).is_relative_to(place)
assert workflow.checkout() is None
assert workflow.root() == place / "pocketscope/workflow"
Path("c.yaml").write_text("study: s\\ndatasets: {d: {source: {kind: digits}}}\\n"
    "methods: {supervised: {labels: human}}\\nstudents: {shufflenet_scratch: [fp32]}\\n")
configuration.read("c.yaml")
line = workflow.command(Path("c.yaml").resolve(), Path("results").resolve(), ["all"], cores=1, options=["--dry-run"])
sys.exit(subprocess.run(line, cwd=workflow.root()).returncode)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "site-packages"],
        cwd=tmp_path,
        env=ALONE | {"PYTHONPATH": str(tmp_path / "site-packages")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^total +\d+", done.stdout + done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (["compare", "scores.csv", "--out", "out"], "pandas"),
        (["summary", "results/demo"], "rich"),
        (["schema"], "pydantic"),
    ],
)
def test_a_command_without_its_extra_ends_with_one_sentence_that_names_it(arguments, package, tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); sys.modules[{package!r}] = None\n"
        "from pocketscope.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"error: `pocketscope {arguments[0]}` needs the Python package '{package}', .*\n", done.stderr)
    assert "extra 'workflow' (pip install 'pocketscope[workflow]')" in done.stderr


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The scripts' folder of an environment that holds the wheel and what it needs, in the versions used here."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pins = {found.name: found.version for found in importlib.metadata.distributions() if found.name != "pocketscope"}
    (folder / "pins.txt").write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
    install = [scripts / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # What the index is asked for is written here; the wheel must then find all that it needs, with no index.
    asked = subprocess.run(
        [*install, "--constraint", folder / "pins.txt", *sorted(LIGHT)], capture_output=True, text=True
    )
    if asked.returncode:
        reason = f"no package index that has {', '.join(sorted(LIGHT))}: {asked.stderr[-500:]}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    alone = ALONE | {"PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run([*install, "--no-index", wheel], env=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return scripts


def test_an_installed_wheel_classifies_as_the_checkout_does(installed, tmp_path):
    def run(command, *arguments):
        command = [installed / command, *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=ALONE, capture_output=True, text=True, check=False)

    heavy = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    assert run("python", "-c", heavy, *HEAVY, "PIL").stdout == "['PIL']\n"

    model = tiny_models.ship(tmp_path / "model", resize="crop", precisions=["int8"]) / "model.int8.onnx"
    (tmp_path / "images").mkdir()
    for place, pixels in enumerate(tiny_models.noise(6, size=40)):
        suffix = ("png", "jpg", "webp")[place % 3]
        Image.fromarray(pixels).save(tmp_path / f"images/{place}.{suffix}")
    options = ["--threads", "1", "--csv"]
    done = run("pocketscope", "classify", model, tmp_path / "images", *options, "installed.csv")
    assert done.returncode == 0, done.stderr
    assert __main__.main(["classify", *map(str, (model, tmp_path / "images", *options, tmp_path / "here.csv"))]) == 0
    answers = (tmp_path / "here.csv").read_text()
    assert len(answers.splitlines()) == 7
    assert (tmp_path / "installed.csv").read_text() == answers

    Image.fromarray(pixels).save(tmp_path / "scan.tif")
    done = run("pocketscope", "classify", model, "scan.tif")
    assert done.returncode == 1
    assert "'tifffile', which is not installed: it comes with pocketscope's extra 'formats'" in done.stderr
    done = run("pocketscope", "compare", "scores.csv", "--out", "out")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "extra 'workflow'" in done.stderr
