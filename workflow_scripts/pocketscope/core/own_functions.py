"""Functions of a user's own files, which a configuration names as `FILE.py:FUNCTION`."""

import ast
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.messages import nearest

PATTERN = r"^.+\.py:[A-Za-z_][A-Za-z0-9_]*$"
KEYS = {"file", "function", "digest"}  # of a function in a rule's params


def place_of(named: str, root: Path) -> tuple[Path, str]:
    """Return the file and the function that `named` names; relative paths start from `root`."""
    file, _, function = named.rpartition(":")
    return root / Path(file).expanduser(), function


def check(named: str, root: Path) -> None:
    """Look, without running anything, that a file exists, is Python and defines the function.

    Raises
    ------
    pocketscope.core.errors.InputError
        It does not; the message names the nearest function that it defines.
    """
    path, function = place_of(named, root)
    if not path.is_file():
        raise InputError(f"'{named}': {path} does not exist; correct the path")
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise InputError(f"'{named}': {path} is no Python: {error}") from None
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if function not in defined:
        raise InputError(f"'{named}': {path} defines no '{function}'{nearest(function, defined)}")


def load(about: Mapping[str, str], root: Path | None) -> Callable[..., Any]:
    """Import a user's file by itself, and return its function.

    Parameters
    ----------
    about
        The path of the file, the name of the function, and the digest that the plan found of the file.
    root
        The folder that a relative path starts from.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is gone or cannot be imported, or has no such function.
    """
    path = (root or Path()) / Path(about["file"]).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file, and '{about['function']}' is asked for from it")
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}_{about['digest']}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path}: cannot be imported ({type(error).__name__}: {error}); correct it") from error
    function = getattr(module, about["function"], None)
    if not callable(function):
        known = [name for name in vars(module) if not name.startswith("_") and callable(getattr(module, name))]
        raise InputError(f"{path}: has no function '{about['function']}'{nearest(about['function'], known)}")
    return function


def loaded(settings: Mapping[str, Any], root: Path | None) -> dict[str, Any]:
    """Return settings with each function of a user's, as the plan describes it, in place of its description."""
    found = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            value = load(value, root) if set(value) == KEYS else loaded(value, root)
        found[key] = value
    return found
