"""`pocketscope notebook`: a Jupyter notebook that runs a study and explains it."""

import argparse
from pathlib import Path

from pocketscope.api import notebook


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a study's configuration")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE", help="the notebook to write, such as study.ipynb"
    )
    parser.add_argument(
        "--colab", action="store_true", help="write it for Google Colab: images from Drive or an upload, its GPU"
    )


def main(parsed: argparse.Namespace) -> None:
    """Write the notebook, and say where it is."""
    print(notebook.write(parsed.config, parsed.out, colab=parsed.colab))
