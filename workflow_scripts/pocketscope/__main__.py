"""The command line: `pocketscope`."""

import argparse
import importlib
import sys

from pocketscope.core.errors import InputError
from pocketscope.core.extras import WORKFLOW, lacking
from pocketscope.version import VERSION

COMMANDS = {  # all but `classify` take what the extra `workflow` brings
    "classify": "classify images with a model file",
    "compare": "compute the statistics and the report for any table of scores",
    "export": "make a shipped model usable elsewhere: on a phone, in other programs",
    "label": "append labels to the journal of a data set, take them back, or show what was said",
    "notebook": "write a Jupyter notebook that runs a study and explains it",
    "open": "label, train and look in the browser",
    "refresh": "let the next run take all files and labels, and compare anew",
    "schema": "print the JSON schema of a configuration file",
    "summary": "print the F1 of a study that has been run",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 1 where the input was wrong or an extra of the package is not installed."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        parsed = _parse(arguments)
        parsed.run(parsed)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        package = (error.name or "pocketscope").partition(".")[0]
        if arguments[0] == "classify" or package == "pocketscope":  # what always is installed: a fault of ours
            raise
        print(f"error: `pocketscope {arguments[0]}` {lacking(package, WORKFLOW)}", file=sys.stderr)
        return 1
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pocketscope", description="Compact classifiers for biomedical images.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, said in COMMANDS.items():
        command = commands.add_parser(name, help=said, description=f"{said[0].upper()}{said[1:]}.")
        if name in arguments[:1]:  # its module alone is imported: a light command does not wait for pandas
            module = importlib.import_module(f"pocketscope.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.main)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
