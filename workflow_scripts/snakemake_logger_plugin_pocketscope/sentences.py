"""Snakemake's errors as sentences: what is wrong, and what to do, without the place in a rule's source."""

import difflib
import re
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

# What a function of a rule's input or params raised on purpose, and where.
_OF_FUNCTION = r"\n *WorkflowError:\n(.*?)\n(?:Wildcards|Traceback):"
CONFIGURATIONS = ("*.yaml", "*.yml", "*.json", "config/*.yaml", "config/*.yml", "config/*.json")


def as_sentence(exception: str, message: str, targets: Iterable[str] = ()) -> str:
    """Return what an error of Snakemake's says, for people.

    Parameters
    ----------
    exception
        The name of its class.
    message
        What Snakemake logs: for some errors a traceback. An unknown one is returned as it is.
    targets
        The names of the rules that can be asked for.
    """
    if exception in ("FileNotFoundError", "IsADirectoryError", "PermissionError") and "load_configfile" in message:
        return _configuration(message)
    if exception in ("PermissionError", "NotADirectoryError", "OSError") and "workdir_handler" in message:
        last = message.strip().splitlines()[-1].partition(": ")[2]
        return f"the results folder cannot be made ({last}); name another one by --directory"
    if "Config file is not valid" in message:
        return _damaged_configuration(message)
    if exception == "MissingRuleException":
        return _target(message, list(targets))
    if exception == "InputFunctionException" and (found := re.search(_OF_FUNCTION, message, re.DOTALL)):
        return textwrap.dedent(found[1]).strip()
    if exception in ("WorkflowError", "MissingInputException"):
        return _without_source(message)
    return message.strip()


def _configuration(message: str) -> str:
    last = message.strip().splitlines()[-1]
    name = re.search(r"'(.*)'$", last)
    if not name:
        return message.strip()
    asked = Path(name[1])
    if "No such file" not in last:
        why = "is a folder" if "Is a directory" in last else "may not be read"
        return f"--configfile {asked}: it {why}; name a file that can be read"
    if not asked.suffix or (asked.parent.name and not asked.parent.exists()):
        return (
            f"--configfile {asked}: there is no such file. What stands behind --configfile is a file: a target stands "
            f"before it, as in `snakemake {asked} --configfile config/mine.yaml`"
        )
    found = sorted({path.as_posix() for pattern in CONFIGURATIONS for path in Path().glob(pattern)})
    by_name = {Path(path).name: path for path in found}
    near = difflib.get_close_matches(asked.name, by_name, n=1, cutoff=0.6)
    if near:
        return f"--configfile {asked}: there is no such file; did you mean {by_name[near[0]]}?"
    return f"--configfile {asked}: there is no such file in {Path.cwd()}; correct the path"


def _damaged_configuration(message: str) -> str:
    """Name the file and the place: Snakemake's message has neither."""
    import yaml

    for name in sys.argv[1:]:
        path = Path(name.removeprefix("--configfile="))
        if path.suffix not in (".yaml", ".yml", ".json") or not path.is_file():
            continue
        try:
            yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.MarkedYAMLError as error:
            at = error.problem_mark or error.context_mark
            where = f"line {at.line + 1}, column {at.column + 1}: " if at else ""
            return f"{path}: is not valid YAML: {where}{error.problem}; correct the line, or the one before it"
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            return f"{path}: is not valid YAML: {error}"
    return _without_source(message)


def _target(message: str, targets: list[str]) -> str:
    asked = re.search(r"No rule to produce (\S+)", message)
    if not asked:
        return _without_source(message)
    near = difflib.get_close_matches(asked[1], targets, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else "targets are `all`, `ship`, or files in the results folder"
    return f"'{asked[1]}' is no target: no rule has this name or makes this file; {hint}"


def _without_source(message: str) -> str:
    """Leave out which line of a rule's source an error was raised in."""
    lines = [line for line in message.strip().splitlines() if not re.match(r'\s+File ".*", line \d+', line)]
    if lines and re.match(r"\w+(Error|Exception)( in .*)?:$", lines[0]):
        lines = lines[1:]
    return "\n".join(lines).strip() or message.strip()
