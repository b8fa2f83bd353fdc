"""How fast and how large networks are in PyTorch, ONNX Runtime fp32 and int8, all in one run.

    python benchmarks/inference_latency.py [--networks resnet18 mobilenet_v2] [--threads 1 2] [--training-steps]

Random weights, which are as fast as trained ones. The networks are those of config/compact.yaml, in their order, unless
some are named; each is built, exported, quantised and timed as the workflow does it. The forms of a network take turns,
and with them a reference model that never changes. A line a form is printed as it is measured, in Markdown.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
import pandas as pd
import torch

from pocketscope.config.base import plain
from pocketscope.config.catalogue import train_dtypes
from pocketscope.config.study import Config, read_config
from pocketscope.deploy import quantization
from pocketscope.evaluation import timing
from pocketscope.models import networks, onnx_export
from pocketscope.runtime import devices

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
CLASSES = [f"class {index}" for index in range(10)]
BARS = {  # int8: times as fast as PyTorch and as ONNX Runtime fp32
    "resnet18": (4.0, 2.5),
    "mobilenet_v2": (5.0, 2.0),
}
LARGEST_SHARE = 0.27  # of the fp32 file


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=[])
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the forms of a network take turns")
    parser.add_argument("--training-steps", action="store_true", help="time 30 steps of training too")
    options = parser.parse_args()
    study, catalogue = read_config(ROOT / "config" / "compact.yaml", ROOT)
    load = os.getloadavg()[0]
    frames = []
    for name in options.networks or study.students:
        entry = plain(catalogue[name])
        with tempfile.TemporaryDirectory() as folder:
            measured = measure(Path(folder), entry, study, options)
        frames.append(measured.assign(network=name))
        show(frames[-1], first=len(frames) == 1)
    summary = [summarise(frame) for frame in frames]
    told = {"image_size": options.image_size, "load_at_start": round(load, 1), **timing.versions(CPU)}
    print(json.dumps(told | {"networks": summary, "bars_met": all(all(line["bars"].values()) for line in summary)}))


def measure(folder: Path, entry: dict[str, Any], study: Config, options: argparse.Namespace) -> pd.DataFrame:
    """Build, export, quantise and time one network."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, options.image_size, options.image_size, 3), dtype=np.uint8)
    classifier = networks.build(entry | {"weights": "none"}, len(CLASSES), ROOT, seed=0).eval()
    trained = networks.Trained(classifier, CLASSES, options.image_size)
    files = {precision: folder / f"model.{precision}.onnx" for precision in ("fp32", "int8")}
    networks.save(trained, entry, folder / "model.safetensors")
    about = onnx_export.description(entry, {"resize": "stretch", "page": 0}, "none")
    onnx_export.to_onnx(trained, files["fp32"], images=images, about=about)
    quantization.quantize(files["fp32"], images, files["int8"])
    step = None
    if options.training_steps:
        torch.set_num_threads(1)
        step = timing.training_step(
            folder / "model.safetensors",
            settings=plain(study.training),
            device=CPU,
            train_dtype=devices.train_dtype(train_dtypes(entry["name"], options.image_size, ROOT), CPU),
        )
    rows = timing.measure(
        folder / "model.safetensors", files, threads=options.threads, training_step_ms=step, seconds=options.seconds
    )
    return rows.to_pandas()


def show(frame: pd.DataFrame, *, first: bool) -> None:
    """Print a network's rows as lines of a Markdown table."""
    columns = {
        "network": "network", "runtime": "runtime", "precision": "precision", "threads": "threads",
        "latency_ms": "latency, ms", "latency_p5_ms": "5 %", "latency_p95_ms": "95 %",
        "images_per_second": "images/s (32)", "memory_mb": "memory, MB", "file_mb": "file, MB",
        "parameters": "parameters, 10⁶", "flops": "GFLOP", "training_step_ms": "training step, ms",
    }  # fmt: skip
    shown = frame.assign(parameters=frame["parameters"] / 1e6, flops=frame["flops"] / 1e9)[list(columns)]
    if first:
        print("| " + " | ".join(columns.values()) + " |")
        print("|" + " --- |" * len(columns))
    for row in shown.itertuples(index=False):
        cells = ["" if pd.isna(cell) else f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row]
        print("| " + " | ".join(cells) + " |", flush=True)


def summarise(frame: pd.DataFrame) -> dict[str, Any]:
    """Return how many times as fast int8 is on one thread, its share of the fp32 file, and which bars it meets."""
    one = frame[frame["threads"] == frame["threads"].min()].set_index(["runtime", "precision"])
    int8 = one.loc["onnxruntime", "int8"]
    ratios = {
        "than_pytorch": one.loc[("pytorch", "fp32"), "latency_ms"] / int8["latency_ms"],
        "than_onnxruntime_fp32": one.loc[("onnxruntime", "fp32"), "latency_ms"] / int8["latency_ms"],
        "file_share": int8["file_mb"] / one.loc[("onnxruntime", "fp32"), "file_mb"],
    }
    name = frame["network"].iloc[0]
    bars = {"file_share": ratios["file_share"] <= LARGEST_SHARE}
    if name in BARS:
        bars |= {
            key: ratios[key] >= bar
            for key, bar in zip(("than_pytorch", "than_onnxruntime_fp32"), BARS[name], strict=True)
        }
    return {"network": name, **{key: round(value, 3) for key, value in ratios.items()},
            "bars": {key: bool(value) for key, value in bars.items()}}  # fmt: skip


if __name__ == "__main__":
    main()
