"""Where the workflow is: the Snakefile, its rules and profiles; and the command that runs it."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pocketscope.core.errors import InputError
from pocketscope.core.extras import SLURM, WORKFLOW, lacking
from pocketscope.core.messages import nearest

PACKAGE = Path(__file__).resolve().parents[1]
RERUN_TRIGGERS = ("mtime", "params", "input", "software-env")  # as in profiles/default


def checkout() -> Path | None:
    """Return the checkout that this package is a part of; None where the package was installed by itself."""
    folder = PACKAGE.parents[1]
    return folder if PACKAGE.parent.name == "workflow_scripts" and (folder / "Snakefile").is_file() else None


def root() -> Path:
    """Return the folder of the Snakefile: the checkout's, or the copy of it that an installed package carries.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is neither.
    """
    found = checkout() or PACKAGE / "workflow"
    if not (found / "Snakefile").is_file():
        raise InputError(
            f"{PACKAGE}: this installation of pocketscope has no workflow (no Snakefile in {found}); install it again "
            "with pip install 'pocketscope[workflow]', or use a checkout: make install"
        )
    return found


def command(
    configuration: Path,
    workspace: Path,
    targets: Sequence[str],
    *,
    cores: int | None = None,
    jobs: int | None = None,
    executor: str | None = None,
    profile: str | Path | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    """Return the command line that runs a study.

    Parameters
    ----------
    configuration
        The configuration's file.
    workspace
        The results folder.
    targets
        Rules or files.
    cores, jobs, executor
        As Snakemake's options. With `executor="slurm"` the profile is `slurm` unless another one is given.
    profile
        The name of a folder in the workflow's `profiles/`, or the path of another one.
    options
        Passed to Snakemake as they are.

    Raises
    ------
    pocketscope.core.errors.InputError
        Snakemake is not installed, there is no such profile, or a number is none.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise InputError(f"running a study {lacking('snakemake', WORKFLOW)}")
    if executor == "slurm" and importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        raise InputError(f"executor='slurm' {lacking('snakemake-executor-plugin-slurm', SLURM)}")
    for name, number in (("cores", cores), ("jobs", jobs)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise InputError(f"{name} is {number!r}; it must be a whole number, 1 or more")
    chosen = profile or ("slurm" if executor == "slurm" else None)
    line = [sys.executable, "-m", "snakemake", "--snakefile", str(root() / "Snakefile"), "--directory", str(workspace)]
    line += ["--configfile", str(configuration), "--nocolor", "--rerun-incomplete", "--keep-going"]
    line += ["--rerun-triggers", *RERUN_TRIGGERS]
    line += ["--workflow-profile", str(_profile(chosen)) if chosen else "none"]
    line += ["--cores", str(cores or "all")] if cores or not chosen else []
    line += ["--jobs", str(jobs)] if jobs else []
    line += ["--executor", executor] if executor else []
    return [*line, *options, *targets]


def environment() -> dict[str, str]:
    """Return the environment of Snakemake: it finds the logger plugin beside the package that its Snakefile runs."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("POCKETSCOPE_")}
    paths = os.pathsep.join([str(root() / "workflow_scripts"), *filter(None, [kept.get("PYTHONPATH")])])
    if not os.path.isabs(os.path.expanduser("~")):  # noqa: PTH111, PTH117 (Path raises where there is no home)
        # Snakemake does not begin without one, and loads its plugins too late for the plugin to help.
        from snakemake_logger_plugin_pocketscope import places

        kept |= places.for_caches()
    return kept | {"PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"}


def _profile(asked: str | Path) -> Path:
    known = {path.name: path for path in (root() / "profiles").iterdir() if path.is_dir()}
    found = known.get(str(asked)) or Path(asked).expanduser().resolve()
    if not any((found / f"config.{ending}").is_file() for ending in ("yaml", "yml", "v8+.yaml")):
        raise InputError(
            f"profile {str(asked)!r}: neither a profile of the workflow nor a folder with a config.yaml"
            f"{nearest(str(asked), known)}"
        )
    return found
