"""Run the workflow as a user does: its command line, on a configuration of the test's own."""

import copy
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow_scripts"

# Networks without weights and without timm: a job is started within seconds.
CATALOGUE = {
    name: {"library": "torchvision", "name": name, "family": "manual", "weights": "none"}
    for name in ("resnet18", "shufflenet_v2_x0_5", "squeezenet1_1")
}
SMALL = {
    "study": "small",
    "datasets": {
        "digits": {
            "source": {"kind": "digits"},
            "classes": ["0", "1", "2"],
            "image_size": 32,
            "symmetries": [],
        }
    },
    "split": {"labelled": [4]},
    "methods": {
        "supervised": {"labels": "human"},
        "plain": {"teachers": ["shufflenet_v2_x0_5"], "threshold": 0.3},
    },
    "students": {"shufflenet_v2_x0_5": ["fp32"]},
    "views": ["identity", "gamma"],
    "training": {"steps": 4, "steps_from_scratch": 4, "batch_size": 4, "n_evaluations": 2},
    "compute": {"threads": 1, "device": "cpu"},
}


def study(**changes):
    """Return the small study with whole keys replaced."""
    return copy.deepcopy(SMALL) | changes


def write_config(folder, config, catalogue=None):
    """Write a configuration and its catalogue; return the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "networks.yaml").write_text(yaml.safe_dump(catalogue or CATALOGUE))
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config | {"catalogue": str(folder / "networks.yaml")}, sort_keys=False))
    return path


def clone(target):
    """Copy what makes a checkout, so that a test may change it; return where it lies."""
    target.mkdir(parents=True)
    for name in ("Snakefile", "rules", "workflow_scripts", "captions", "config", "envs", "profiles"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, target / name)
    return target


def snakemake(*arguments, config=None, results=None, root=ROOT, check=True, timeout=900):
    """Run snakemake in a checkout; return the finished process, its output as text."""
    # The default profile's settings, less the logger that draws for people.
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "none", "--cores", "2", "--nocolor"]
    command += ["--rerun-triggers", "mtime", "params", "input", "software-env", "--rerun-incomplete"]
    command += ["--show-failed-logs"]
    command += ["--configfile", str(config)] if config else []
    command += ["--directory", str(results)] if results else []
    done = subprocess.run(
        [*command, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    if check and done.returncode:
        raise AssertionError(f"snakemake failed:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done


def script_command(name, *, before="", threads=1, wildcards=None, **parts):
    """Return the command that runs a rule's script by itself; `before` is Python that runs first, in its process.

    `parts` are input, output and params, each a dict.
    """
    run = f"""
import sys
from types import SimpleNamespace
from snakemake.iocontainers import InputFiles, OutputFiles, Params, Wildcards
sys.path.insert(0, {str(SCRIPTS)!r})
parts = {parts!r}
snakemake = SimpleNamespace(
    input=InputFiles(fromdict=parts["input"]), output=OutputFiles(fromdict=parts["output"]),
    params=Params(fromdict=parts["params"]), wildcards=Wildcards(fromdict={wildcards or {}!r}),
    threads={threads}, log=["{name}.log"], scriptdir=sys.path[0],
)
{before}
exec(compile(open({str(SCRIPTS / name)!r}).read(), "{name}", "exec"), {{"snakemake": snakemake}})
"""
    return [sys.executable, "-W", "ignore", "-c", run]


def planned(*arguments, **options):
    """Return how many jobs of each rule a dry run plans, `all` left out."""
    done = snakemake("--dry-run", *arguments, **options)
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", done.stdout + done.stderr, re.MULTILINE | re.DOTALL)
    counts = dict(line.rsplit(maxsplit=1) for line in table[1].splitlines()) if table else {}
    if not table:
        assert "Nothing to be done" in done.stdout + done.stderr, done.stdout + done.stderr
    return {rule: int(count) for rule, count in counts.items() if rule != "all"}


def classified(capsys, *arguments):
    """Run `pocketscope classify` in this process; return its exit code, and what it printed on both streams."""
    from pocketscope import __main__

    code = __main__.main(["classify", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err
