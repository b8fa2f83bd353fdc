"""`pocketscope schema`: the JSON schema of a configuration file."""

import argparse
import sys

from pocketscope.config.study import json_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`: it has none."""


def main(parsed: argparse.Namespace) -> None:
    """Print the schema."""
    sys.stdout.write(json_schema())
