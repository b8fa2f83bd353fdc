"""`pocketscope refresh`: the next run takes all files and labels, and compares anew."""

import argparse
from pathlib import Path

from pocketscope.config.study import read_config
from pocketscope.core.errors import InputError
from pocketscope.plan import history
from pocketscope.plan.study_plan import StudyPlan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`."""
    parser.add_argument(
        "--configfile", type=Path, default=Path("config/config.yaml"), help="the study (default: %(default)s)"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="the results folder (default: %(default)s)"
    )


def main(parsed: argparse.Namespace) -> None:
    """Take away what the study is pinned to.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no such configuration, or a run goes on in the results folder.
    """
    if not parsed.configfile.is_file():
        raise InputError(f"{parsed.configfile}: there is no such file; name the study's configuration by --configfile")
    locks = parsed.results / ".snakemake" / "locks"
    if locks.is_dir() and any(locks.iterdir()):
        raise InputError(
            f"{parsed.results}: a run goes on there, or was killed; wait for it, or run snakemake --unlock"
        )
    config, networks = read_config(parsed.configfile, Path.cwd())
    plan = StudyPlan(config, networks, Path.cwd())
    there = history.forget(parsed.results, plan.layout, plan.packed_names)
    said = "the next run takes all files and labels as they are, and compares anew"
    print(f"study '{config.study}': {said}" if there else f"study '{config.study}' is not pinned: {said} anyway")
