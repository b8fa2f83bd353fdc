"""`pocketscope export`: a shipped model for a phone, another program or another runtime."""

import argparse
from pathlib import Path

from pocketscope.exports import kinds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`: a sub-command a kind."""
    commands = parser.add_subparsers(required=True, metavar="KIND", dest="kind")
    for name, kind in kinds.KINDS.items():
        command = commands.add_parser(name, help=kind.said, description=f"{kind.said[0].upper()}{kind.said[1:]}.")
        command.add_argument(
            "ship", type=Path, metavar="SHIP_FOLDER", help="the folder of the shipped model: `ship/DATASET`"
        )
        command.add_argument(
            "-o", "--output", type=Path, metavar="OUT", help=f"the folder to write to (default: `./DATASET-{name}`)"
        )
        kinds.add_arguments(name, command)


def main(parsed: argparse.Namespace) -> None:
    """Write the export, and name what was written.

    Raises
    ------
    pocketscope.core.errors.InputError
        See `kinds.export`.
    """
    out = parsed.output or Path(f"{parsed.ship.resolve().name}-{parsed.kind}")
    for path in kinds.export(parsed.kind, parsed.ship, out, parsed):
        print(path)
