"""What every rule that trains writes, so that models of all methods are the same artifacts."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch

from pocketscope import devices, export, networks, tables
from pocketscope import history as records


def write(
    trained: networks.Trained,
    history: pa.Table,
    timings: pa.Table,
    paths: Mapping[str, str],
    *,
    network: Mapping[str, Any],
    images: str,
    labels: pa.Table,
    seed: int,
    device: torch.device,
) -> None:
    """Write a trained model, its ONNX form, its history and its timings.

    Parameters
    ----------
    history, timings
        As `training.train` returns them.
    paths
        Where to: `model`, `onnx`, `history`, `timings`.
    network, images, labels
        See `export.ship`.
    seed, device
        What it was trained with; they stand in the tables' notes.
    """
    networks.save(trained, network, paths["model"])
    export.ship(trained, paths["onnx"], network=network, images=images, labels=labels)
    about = devices.versions(device)
    tables.write(history, paths["history"], records.HISTORY, notes=about | {"seed": seed})
    tables.write(timings, paths["timings"], records.TIMINGS, notes=about)
