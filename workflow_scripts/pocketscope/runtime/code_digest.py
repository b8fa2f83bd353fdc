"""A digest of a script and of the package's modules that it imports: what Snakemake does not track by itself.

Imports are read from the source, nothing is run. Modules whose names are made up at run time are not seen.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PACKAGE = "pocketscope"


def digest_of_script(script: Path, without: Iterable[str] = (), also: Iterable[str] = ()) -> str:
    """Return 16 hexadecimal digits that stand for what a script does.

    Comments, docstrings and layout are left out: they change nothing that is computed.

    Parameters
    ----------
    script
        A rule's script; the package stands beside it.
    without
        Modules that a job never runs though the script's other modules can import them, such as
        `pocketscope.images.tiff`: neither they nor what they alone import counts.
    also
        Modules that a job imports by a name that the source does not show.
    """
    total = hashlib.sha256()
    for path in modules(script, without, also):
        total.update(path.relative_to(script.parent).as_posix().encode() + digest_of_file(path).encode())
    return total.hexdigest()[:16]


def modules(script: Path, without: Iterable[str] = (), also: Iterable[str] = ()) -> list[Path]:
    """Return the script and, sorted, the package's files that its imports run, directly or through one another.

    An import of `pocketscope.room.module` runs the `__init__.py` of `pocketscope` and of `room` too. The modules
    `without` are not followed; those in `also` are as if the script imported them.
    """
    left_out = {script.parent.joinpath(*name.split(".")).with_suffix(".py") for name in without}
    named = {script.parent.joinpath(*name.split(".")).with_suffix(".py") for name in also}
    found, waiting = named, [script, *named]
    while waiting:
        for module in _imports(waiting.pop(), script.parent):
            if module not in found and module not in left_out:
                found.add(module)
                waiting.append(module)
    return [script, *sorted(found)]


@functools.cache
def _imports(path: Path, top: Path) -> list[Path]:
    """Return the files of the package in the folder `top` that the imports of one file run."""
    # The package that a relative import starts from: a module's own folder, and a package's for its __init__.
    here = path.relative_to(top).parent.parts
    found = set()
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named = tuple(node.module.split(".")) if node.module else ()
            start = (here[: len(here) - node.level + 1] + named) if node.level else named
            # `from pocketscope import room` imports a package, `from pocketscope.room.files import whole` a name.
            found |= {start} | {(*start, alias.name) for alias in node.names}
    places = set()
    for name in found:
        if name[:1] == (PACKAGE,):
            folders = [top.joinpath(*name[:length]) for length in range(1, len(name) + 1)]
            places |= {folder / "__init__.py" for folder in folders} | {folders[-1].with_suffix(".py")}
    return sorted(place for place in places if place.is_file())


@functools.cache
def digest_of_file(path: Path) -> str:
    """Return the digest of one file's syntax tree, without docstrings, comments and layout."""
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
