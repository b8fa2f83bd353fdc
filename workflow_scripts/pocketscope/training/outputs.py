"""What every rule that trains writes, so that models of all methods are the same artifacts."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch

from pocketscope.core import parquet
from pocketscope.models import networks, onnx_export
from pocketscope.runtime import devices
from pocketscope.tables.history import HISTORY, TIMINGS


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
        As `supervised.train` returns them.
    paths
        Where to: `model`, `onnx`, `history`, `timings`.
    network, images, labels
        See `onnx_export.ship`.
    seed, device
        What it was trained with; they stand in the tables' notes.
    """
    networks.save(trained, network, paths["model"])
    onnx_export.ship(trained, paths["onnx"], network=network, images=images, labels=labels)
    about = devices.versions(device)
    parquet.write(history, paths["history"], HISTORY, notes=about | {"seed": seed})
    parquet.write(timings, paths["timings"], TIMINGS, notes=about)
