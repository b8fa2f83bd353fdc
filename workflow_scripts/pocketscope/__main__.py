"""The command line: `python -m pocketscope`."""

import argparse
import sys
from pathlib import Path

from pocketscope import __version__, command_compare
from pocketscope.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 1 where the input was wrong."""
    parser = argparse.ArgumentParser(prog="pocketscope", description="Compact classifiers for biomedical images.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True)

    summary = commands.add_parser("summary", help="print the F1 of a study that has run")
    summary.add_argument("study", type=Path, help="the study's folder, such as results/demo")
    summary.set_defaults(run=_summary)

    compare = commands.add_parser("compare", help="statistics and report of any table of scores")
    command_compare.add_arguments(compare)
    compare.set_defaults(run=command_compare.main)

    schema = commands.add_parser("schema", help="print the JSON schema of a configuration file")
    schema.set_defaults(run=_schema)

    parsed = parser.parse_args(arguments)
    try:
        parsed.run(parsed)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


# Each command imports what it needs: a light one does not wait for pandas.


def _summary(parsed: argparse.Namespace) -> None:
    from pocketscope import summary

    summary.show(parsed.study)


def _schema(parsed: argparse.Namespace) -> None:
    from pocketscope import config

    sys.stdout.write(config.schema())


if __name__ == "__main__":
    sys.exit(main())
