"""The catalogue of networks."""

import csv
import functools
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from pocketscope.config.base import Model, OwnFunction

WORTH = 1.1  # times as quick as in fp32, a training in bfloat16 is worth its rounding
BEST_TEACHER = "best_teacher"  # the student that is a method's best teacher


class PackageWeights(Model):
    """Weights that an installed Python package carries as a `.pth` file."""

    package: str
    file: str = Field(description="Path of the file in the package.")
    layout: Literal["library", "efficientnet_pytorch"] = Field(
        "library", description="How the tensors are named: as in the library, or as in EfficientNet-PyTorch."
    )


class FileWeights(Model):
    """Weights from a file: safetensors, or a `.pth` of tensors alone."""

    file: str = Field(description="A relative path is relative to the folder of the Snakefile.")


class Network(Model):
    """A network by the library, or the function of a user's own file, that builds it."""

    library: Literal["timm", "torchvision"] | None = None
    name: str | None = Field(None, description="Name of the network in the library.")
    build: OwnFunction | None = Field(
        None, description="FILE.py:FUNCTION, instead of library and name: a function that returns the network."
    )
    family: str = Field(description="Family of designs that the network belongs to; the statistics compare families.")
    weights: Literal["none", "hub", "built"] | PackageWeights | FileWeights = Field(
        description="none, hub (the library downloads them), built (the function of 'build' returns a network with "
        "pretrained weights), or a file or a Python package that contains them."
    )
    licence: str | None = Field(
        None, description="Licence of the weights; it is written into every model file made from them."
    )
    options: dict[str, Any] = Field(default={}, description="Passed to the library when the network is built.")
    mean: list[float] | None = Field(
        None, description="Mean of each channel, for images in [0, 1]. Default: the library's."
    )
    std: list[float] | None = None

    @model_validator(mode="after")
    def _one_builder(self) -> "Network":
        if self.build is None and not (self.library and self.name):
            raise ValueError("a network needs 'library' and 'name', or 'build' (FILE.py:FUNCTION)")
        if self.build is not None and (self.library or self.name):
            raise ValueError("'build' takes the place of 'library' and 'name'; leave them out")
        if self.weights == "hub" and self.build is not None:
            raise ValueError("'weights: hub' is a library's; with 'build' they are none, built or from a file")
        if self.weights == "built" and self.build is None:
            raise ValueError("'weights: built' needs 'build'")
        return self


def train_dtypes(network: str, image_size: int, root: Path) -> dict[str, str]:
    """Return fp32 or bf16 by kind of device: bf16 where it clearly trains `network` quicker, at the nearest size known.

    The table `config/train_dtype.csv` is written by `benchmarks/train_throughput.py`: device, network (the library's
    own name), image_size, and images/s in fp32 and bf16.
    """
    nearest: dict[str, tuple[float, str]] = {}
    for row in _throughputs(root / "config/train_dtype.csv"):
        if row["network"] == network:
            distance = abs(math.log(int(row["image_size"]) / image_size))
            chosen = "bf16" if float(row["bf16"]) > WORTH * float(row["fp32"]) else "fp32"
            nearest[row["device"]] = min(nearest.get(row["device"], (math.inf, "")), (distance, chosen))
    return {device: chosen for device, (_, chosen) in sorted(nearest.items())}


@functools.cache  # asked for by every training
def _throughputs(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
