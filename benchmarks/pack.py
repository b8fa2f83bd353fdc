"""How fast images are packed, how much memory that takes, and how memory grows with their number.

    python benchmarks/pack.py [--counts 2000 10000 50000] [--image-size 96] [--processes 2]

Generated JPEG files of 256 x 256 pixels, all different, in ten classes. Each run is a process of its own. Its memory is
the largest sum, over it and its workers, of what each holds alone and its share of what they hold together (Linux's
proportional set size), looked at five times a second. Beside it: how long a training takes to load 600 packed images.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
import psutil
import pyarrow.parquet as pq
from PIL import Image

from pocketscope.data import packing
from pocketscope.tables.images import load_images

MEGABYTE = 2**20
CLASSES = 10
LOADED = 600


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[2_000, 10_000, 50_000])
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate(root / "pool", max(options.counts))
        runs = [
            measure(root, count, image_size=options.image_size, processes=options.processes)
            for count in sorted(options.counts)
        ]
    first, last = runs[0], runs[-1]
    more = max(last["images"] - first["images"], 1)
    print(
        json.dumps(
            {
                "image_size": options.image_size,
                "processes": options.processes,
                "runs": runs,
                "growth_kb_per_image": round((last["memory_mb"] - first["memory_mb"]) * 1024 / more, 2),
            }
        )
    )


def generate(pool: Path, count: int) -> None:
    """Write `count` different JPEG files: coarse random colours, smoothly enlarged, as tissue is coarse and smooth."""
    pool.mkdir()
    generator = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((256, 256), Image.Resampling.BICUBIC).save(pool / f"{index:07d}.jpg", quality=85)


def measure(root: Path, count: int, **options: Any) -> dict[str, Any]:
    """Pack the first `count` files of the pool, and load some of what was packed."""
    source = root / f"source-{count}"
    for index in range(count):
        name = Path(f"class {index % CLASSES}") / f"{index:07d}.jpg"
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).hardlink_to(root / "pool" / name.name)
    tables = {name: root / f"packed-{count}" / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    made = alone(
        lambda: packing.pack({"kind": "folder", "path": str(source)}, root, **tables, resize="crop", **options)
    )
    assert made["result"]["images"] == count
    identities = pq.read_table(tables["images"], columns=["image_id"])["image_id"].to_pylist()
    some = identities[:: max(1, count // LOADED)][:LOADED]
    loaded = alone(lambda: load_images(tables["images"], some).shape)
    return {
        "images": count,
        "seconds": round(made["seconds"], 1),
        "images_per_second": round(count / made["seconds"]),
        "memory_mb": round(made["memory_mb"]),
        "packed_mb": round(tables["images"].stat().st_size / MEGABYTE, 1),
        f"load_{len(some)}_seconds": round(loaded["seconds"], 2),
        f"load_{len(some)}_memory_mb": round(loaded["memory_mb"]),
    }


def alone(work: Callable[[], Any]) -> dict[str, Any]:
    """Run `work` in a fresh process; return its result, seconds, and the peak memory of it and its children in MB."""
    receive, send = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        started = time.perf_counter()
        result = work()
        send.send({"result": result, "seconds": time.perf_counter() - started})

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    send.close()
    memory = 0.0
    while not receive.poll(0.2):
        memory = max(memory, held(psutil.Process(process.pid)))
    try:
        return receive.recv() | {"memory_mb": memory}
    finally:
        process.join()


def held(process: psutil.Process) -> float:
    """Return the memory that a process and its children hold, MB."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            total += one.memory_full_info().pss
    return total / MEGABYTE


if __name__ == "__main__":
    main()
