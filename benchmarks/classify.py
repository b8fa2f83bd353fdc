"""Whether `classify` is limited by decoding and the model, or by Python.

    python benchmarks/classify.py [--images 1000] [--network resnet18] [--image-size 224] [--threads 2]

Generated JPEG files of 500 x 400 pixels, all different. Three things are timed, in turns: the command, as a user starts
it; the model alone on pixels that are in memory, in the same batches; and decoding alone, in the same threads. Where
decoding and the model share the cores and nothing else takes time, the command's time is the sum of the two.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
from PIL import Image

from pocketscope.config.base import plain
from pocketscope.config.study import read_config
from pocketscope.deploy import quantization
from pocketscope.images import decode
from pocketscope.images.files import image_files, read_file
from pocketscope.inference import onnx_model
from pocketscope.models import networks, onnx_export

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=onnx_model.cores())
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder / "images", options.images)
        ship(folder, options)
        told = {"images": options.images, "threads": options.threads, "load_at_start": round(os.getloadavg()[0], 1)}
        told["start_seconds"] = round(min(start(folder) for _ in range(options.turns)), 2)
        for precision in ("fp32", "int8"):
            told[precision] = measure(folder, folder / f"model.{precision}.onnx", options)
    print(json.dumps(told))


def generate(folder: Path, count: int) -> None:
    """Write `count` different JPEG files: coarse random colours, smoothly enlarged, as tissue is coarse and smooth."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 15, 3), dtype=np.uint8))
        coarse.resize((500, 400), Image.Resampling.BICUBIC).save(folder / f"{index:05d}.jpg", quality=85)


def ship(folder: Path, options: argparse.Namespace) -> None:
    """Write the model files of a network with random weights."""
    _, catalogue = read_config(ROOT / "config" / "compact.yaml", ROOT)
    entry = plain(catalogue[options.network]) | {"weights": "none"}
    classes = [f"class {index}" for index in range(10)]
    trained = networks.Trained(networks.build(entry, len(classes), ROOT, seed=0).eval(), classes, options.image_size)
    files = sorted((folder / "images").iterdir())[:32]
    images = np.stack([decode.load(file.read_bytes(), options.image_size, "stretch") for file in files])
    about = onnx_export.description(entry, {"resize": "stretch", "page": 0}, "none")
    onnx_export.to_onnx(trained, folder / "model.fp32.onnx", images=images, about=about)
    quantization.quantize(folder / "model.fp32.onnx", images, folder / "model.int8.onnx")


def start(folder: Path) -> float:
    """Return how long the command takes for one image, in seconds: its start."""
    return command(folder / "model.int8.onnx", sorted((folder / "images").iterdir())[0], folder, threads=1)


def measure(folder: Path, model: Path, options: argparse.Namespace) -> dict[str, float]:
    """Time the command, the model alone and decoding alone, in turns; return images a second of the fastest turns."""
    paths = image_files([folder / "images"])
    opened = onnx_model.open_model(model, threads=options.threads)
    ready = np.stack([decode.load(read_file(path), opened.image_size, opened.resize) for path in paths[:256]])
    seconds: dict[str, list[float]] = {"command": [], "model": [], "decoding": []}
    for _ in range(options.turns):
        seconds["command"].append(command(model, folder / "images", folder, threads=options.threads))
        seconds["model"].append(timed(lambda: onnx_model.probabilities(opened, ready)) * len(paths) / len(ready))
        with ThreadPoolExecutor(options.threads) as pool:
            read = lambda path: decode.load(read_file(path), opened.image_size, opened.resize)  # noqa: E731
            seconds["decoding"].append(timed(lambda pool=pool, read=read: list(pool.map(read, paths))))
    best = {name: min(values) for name, values in seconds.items()}
    return {f"{name}_images_per_second": round(len(paths) / value, 1) for name, value in best.items()} | {
        "share_of_decoding_and_model": round((best["model"] + best["decoding"]) / best["command"], 2)
    }


def command(model: Path, images: Path, folder: Path, *, threads: int) -> float:
    """Return how long `pocketscope classify` takes, in seconds."""
    arguments = ["classify", str(model), str(images), "--csv", str(folder / "out.csv"), "--threads", str(threads)]
    return timed(
        lambda: subprocess.run(
            [sys.executable, "-m", "pocketscope", *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")},
            check=True,
            capture_output=True,
        )
    )


def timed(work) -> float:
    """Return how long `work` takes, in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
