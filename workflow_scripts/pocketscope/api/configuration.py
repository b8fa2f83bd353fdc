"""A study's configuration as a call takes it: a file or a mapping, its paths made absolute, validated before a run."""

import copy
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pocketscope.api import workflow
from pocketscope.config.study import load_config
from pocketscope.core.errors import InputError
from pocketscope.core.own_functions import PATTERN, place_of
from pocketscope.plan.study_plan import StudyPlan

# Keys that hold paths, by the part of the configuration.
SOURCE_PATHS = ("path", "unlabelled", "test", "images")


def read(given: str | os.PathLike | Mapping[str, Any]) -> tuple[dict[str, Any], StudyPlan]:
    """Return a configuration as plain values, and the plan that follows from it.

    Relative paths of a mapping start from the current folder. Those of a file start from the folder of the Snakefile,
    as for `snakemake --configfile`; where the package was installed without a checkout, from the current folder too.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file does not exist or is no YAML, a key is unknown (the nearest known one is named), a value is wrong.
    """
    raw = copy.deepcopy(dict(given)) if isinstance(given, Mapping) else _of_file(given)
    if isinstance(given, Mapping) or workflow.checkout() is None:
        raw = absolute(raw, Path.cwd())
    config, networks = load_config(raw, workflow.root())
    return raw, StudyPlan(config, networks, workflow.root())


def absolute(raw: dict[str, Any], base: Path) -> dict[str, Any]:
    """Make the relative paths of a configuration absolute, from the folder `base`; returns `raw`, changed in place."""

    def set_absolute(part: Any, key: str) -> None:
        if isinstance(part, dict) and isinstance(part.get(key), str | os.PathLike):
            part[key] = os.path.abspath(base / Path(part[key]).expanduser())  # noqa: PTH100 (resolve follows links)

    def set_own(part: Any, key: str) -> None:
        """Of FILE.py:FUNCTION the file."""
        if isinstance(part, dict) and isinstance(named := part.get(key), str) and re.match(PATTERN, named):
            path, function = place_of(named, base)
            part[key] = f"{os.path.abspath(path)}:{function}"  # noqa: PTH100

    set_absolute(raw, "catalogue")
    for network in _values(raw.get("networks")):
        weights = network.get("weights")
        if isinstance(weights, dict) and "package" not in weights:  # that names a file inside of itself
            set_absolute(weights, "file")
        set_own(network, "build")
    for method in _values(raw.get("methods")):
        set_own(method, "vote")
    if isinstance(training := raw.get("training"), dict):
        set_own(training.get("augmentation"), "own")
    for dataset in _values(raw.get("datasets")):
        set_absolute(dataset, "labels")
        for key in SOURCE_PATHS:
            set_absolute(dataset.get("source"), key)
    return raw


def _values(part: Any) -> list[dict[str, Any]]:
    return [value for value in part.values() if isinstance(value, dict)] if isinstance(part, dict) else []


def _of_file(path: str | os.PathLike) -> dict[str, Any]:
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; give the path of a configuration, or a mapping of its keys")
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no YAML: {error}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: no configuration; config/config.yaml explains every key")
    return raw
