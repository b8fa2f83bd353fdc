"""`pocketscope summary`: the table of F1 that a run ends with."""

import argparse
from pathlib import Path

from pocketscope.report import summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`."""
    parser.add_argument("study", type=Path, help="the study's folder, such as results/demo")


def main(parsed: argparse.Namespace) -> None:
    """Print the table."""
    summary.show(parsed.study)
