"""The kinds of exports: what `pocketscope export` and the rule `export` can make.

A kind is a module of this room with a function `export(ship, out, options)`, which writes into the folder `out` and
returns the files that a person opens, the first one first; where it has options of its own, a function
`add_arguments(parser)`, which declares them; and where it makes other precisions than those of the model files, their
names as `PRECISIONS`, the usual one first. `options` holds these and those of every kind, and is complete when no
option was given.
"""

import argparse
import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

PRECISIONS = ("int8", "fp32")  # of the model files, the usual one first


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
    variable
        The environment variable that names the Python which converts, for a kind that runs in another environment.
    """

    module: str
    said: str
    mem_mb: int = 2000
    runtime: int = 15
    templates: tuple[str, ...] = ()
    variable: str | None = None


CONVERTER = ("mobile/convert.py", "mobile/onnx_as_torch.py")
KINDS: dict[str, Kind] = {
    "bioimageio": Kind("bioimageio", "a package for the BioImage Model Zoo"),
    "coreml": Kind(
        "coreml",
        "a Core ML package for iOS and macOS",
        mem_mb=6000,
        templates=(*CONVERTER, "mobile/Pixels.swift", "mobile/Classifier.swift"),
        variable="MOBILE_PYTHON",
    ),
    "imagej": Kind("imagej_macro", "a macro for ImageJ and Fiji, with the model beside it", templates=("imagej",)),
    "phone": Kind("phone", "one HTML file that classifies photos on a phone, offline", templates=("phone_page",)),
    "tflite": Kind(
        "tflite",
        "a LiteRT file (TensorFlow Lite) for Android and edge devices",
        mem_mb=6000,
        templates=(*CONVERTER, "mobile/Pixels.kt", "mobile/Classifier.kt"),
        variable="MOBILE_PYTHON",
    ),
}


def possible() -> list[str]:
    """Return the kinds that can be made here: not those whose other environment no variable names."""
    return [name for name, kind in KINDS.items() if kind.variable is None or os.environ.get(kind.variable)]


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
    module = module_of(kind)
    choices = getattr(module, "PRECISIONS", PRECISIONS)
    default = f"the recommended one; {PRECISIONS[0]} where the files recommend none"
    parser.add_argument(
        "--precision",
        choices=choices,
        help=f"of the model (default: {default if choices is PRECISIONS else choices[0]})",
    )
    if own := getattr(module, "add_arguments", None):
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
    from pocketscope.exports.ship_folder import (
        ShipFolder,  # ONNX Runtime comes with it: a Snakefile asks for names alone
    )

    return module_of(kind).export(ShipFolder.open(folder), out, options)
