"""For iOS and macOS: a Core ML package, and Swift that gives it the pixels of training."""

import argparse
from pathlib import Path

from pocketscope.exports import mobile_runtimes
from pocketscope.exports.mobile_runtimes import add_arguments
from pocketscope.exports.ship_folder import ShipFolder

__all__ = ["PRECISIONS", "add_arguments", "export"]

PRECISIONS = ("fp16", "fp32")  # what Core ML computes in
TARGET = mobile_runtimes.Target("coreml", ".mlpackage", PRECISIONS, ("Pixels.swift", "Classifier.swift"))


def export(ship: ShipFolder, out: Path, options: argparse.Namespace) -> list[Path]:
    """Write `{data set}.mlpackage`, `model.json`, pictures to test it by and the code; return these.

    Raises
    ------
    pocketscope.core.errors.InputError
        See `mobile_runtimes.export`. Core ML runs on macOS alone: what is compared is what torch answers in its
        precision, before the conversion.
    """
    return mobile_runtimes.export(TARGET, ship, out, options)
