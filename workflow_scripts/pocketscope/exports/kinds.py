"""The kinds of exports: what `pocketscope export` and the rule `export` can make.

A kind is a module of this room with a function `export(ship, out, options)`, which writes into the folder `out` and
returns the files that a person opens, the first one first; and, where it has options of its own, a function
`add_arguments(parser)`, which declares them. `options` holds these and those of every kind, and is complete when no
option was given.
"""

import argparse
import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pocketscope.exports.ship_folder import PRECISIONS, ShipFolder


@dataclass(frozen=True)
class Kind:
    """One kind of export.

    module
        Its module in this room. What takes long to import is imported inside its functions.
    said
        What it makes, as the command's help says it.
    mem_mb, runtime
        What the rule's job needs: MB, minutes.
    templates
        Files and folders beside the module that end up in what it writes: a change of theirs makes it again.
    """

    module: str
    said: str
    mem_mb: int = 2000
    runtime: int = 15
    templates: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "bioimageio": Kind("bioimageio", "a package for the BioImage Model Zoo"),
    "imagej": Kind("imagej_macro", "a macro for ImageJ and Fiji, with the model beside it", templates=("imagej",)),
    "phone": Kind("phone", "one HTML file that classifies photos on a phone, offline", templates=("phone_page",)),
}


def module_of(kind: str) -> ModuleType:
    """Import the module of a kind."""
    return importlib.import_module(f"{__package__}.{KINDS[kind].module}")


def templates_of(kind: str) -> list[Path]:
    """Return the files whose content ends up in exports of a kind, sorted."""
    here, found = Path(__file__).parent, set()
    for name in KINDS[kind].templates:
        place = here / name
        found |= {path for path in place.rglob("*") if path.is_file()} if place.is_dir() else {place}
    return sorted(found)


def add_arguments(kind: str, parser: argparse.ArgumentParser) -> None:
    """Declare the options of a kind on `parser`."""
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help=f"of the model (default: the recommended one; {PRECISIONS[0]} where the files recommend none)",
    )
    if own := getattr(module_of(kind), "add_arguments", None):
        own(parser)


def export(kind: str, folder: Path, out: Path, options: argparse.Namespace | None = None) -> list[Path]:
    """Make an export of a shipped model.

    Parameters
    ----------
    kind
        A name in `KINDS`.
    folder
        The shipped model: `ship/{dataset}/`, or any folder with a `model.fp32.onnx` or `model.int8.onnx`.
    out
        The folder to write to.
    options
        See `add_arguments`. Default: none was given.

    Returns
    -------
    list of pathlib.Path
        What a person opens, the first one first.

    Raises
    ------
    pocketscope.core.errors.InputError
        The folder holds no usable model, or the kind needs what is not there.
    """
    if options is None:
        parser = argparse.ArgumentParser()
        add_arguments(kind, parser)
        options = parser.parse_args([])
    return module_of(kind).export(ShipFolder.open(folder), out, options)
