"""A digest of a script and of the package's modules that it imports: what Snakemake does not track by itself."""

import ast
import functools
import hashlib
from pathlib import Path
from typing import Any

PACKAGE = "pocketscope"


def digest(script: Path) -> str:
    """Return 16 hexadecimal digits that stand for what a script does.

    Comments, docstrings and layout are left out: they change nothing that is computed.

    Parameters
    ----------
    script
        A rule's script; the package stands beside it.
    """
    total = hashlib.sha256()
    for path in modules(script):
        total.update(path.name.encode() + _digest_of_file(path).encode())
    return total.hexdigest()[:16]


def modules(script: Path) -> list[Path]:
    """Return the script and, sorted, the package's modules that it imports, directly or through one another."""
    found, waiting = set(), [script]
    while waiting:
        for module in _imports(waiting.pop(), script.parent / PACKAGE):
            if module not in found:
                found.add(module)
                waiting.append(module)
    return [script, *sorted(found)]


@functools.cache
def _imports(path: Path, package: Path) -> list[Path]:
    found = set()
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from pocketscope import tables` imports a module, `from pocketscope.files import whole` a name of one.
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in found if name.split(".")[0] == PACKAGE]
    places = {package / f"{name[1]}.py" for name in parts if len(name) > 1}
    return sorted(place for place in places if place.is_file())


@functools.cache
def _digest_of_file(path: Path) -> str:
    return hashlib.sha256(repr(_plain(_parse(path))).encode()).hexdigest()


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _plain(node: Any) -> Any:
    """Return a syntax tree as nested tuples, without docstrings and places.

    Empty fields are left out too: Python's versions differ in which ones a node has.
    """
    if isinstance(node, list):
        return tuple(_plain(item) for item in node)
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
        fields["body"] = fields["body"][1:]
    return type(node).__name__, tuple(
        (name, _plain(value)) for name, value in fields.items() if value not in (None, [])
    )
