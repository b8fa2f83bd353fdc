"""For Android and edge devices: a LiteRT (TensorFlow Lite) file, and Kotlin that gives it the pixels of training."""

import argparse
from pathlib import Path

from pocketscope.exports import mobile_runtimes
from pocketscope.exports.mobile_runtimes import add_arguments
from pocketscope.exports.ship_folder import ShipFolder

__all__ = ["PRECISIONS", "add_arguments", "export"]

PRECISIONS = ("fp16", "fp32", "int8")  # of weights; in int8 layers compute in 8 bits too, by ranges of each image
TARGET = mobile_runtimes.Target("tflite", ".tflite", PRECISIONS, ("Pixels.kt", "Classifier.kt"))


def export(ship: ShipFolder, out: Path, options: argparse.Namespace) -> list[Path]:
    """Write `{data set}.tflite`, `model.json`, pictures to test it by and the code; return these.

    Raises
    ------
    pocketscope.core.errors.InputError
        See `mobile_runtimes.export`.
    """
    return mobile_runtimes.export(TARGET, ship, out, options)
