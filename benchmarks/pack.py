"""How fast images are packed, how much memory that takes, and how memory grows with their number.

    python benchmarks/pack.py [--counts 2000 10000 50000] [--image-size 96] [--processes 2]
    python benchmarks/pack.py --refresh 10000
    python benchmarks/pack.py --plan 1000000

Generated JPEG files of 256 x 256 pixels, all different, in ten classes. Each run is a process of its own. Its memory is
the largest sum, over it and its workers, of what each holds alone and its share of what they hold together (Linux's
proportional set size), looked at five times a second. Beside it: how long a training takes to load 600 packed images.

`--refresh`: the workflow packs so many images; then 30 files come, and it packs again: in one piece, and in shards of
2,048 files. Seconds and memory are those of Snakemake and all of its jobs. And: what joining shards takes by itself.

`--plan`: what a dry run takes with so many files (hard links to few small images: names and times are what counts), the
first time, when each is read, and once they are known by the manifest. Nothing is decoded.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import subprocess
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
import yaml
from PIL import Image

from pocketscope.config.study import load_config
from pocketscope.data import manifest, packing
from pocketscope.data.sources import kinds
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.tables.images import load_images

ROOT = Path(__file__).parents[1]
MEGABYTE = 2**20
CLASSES = 10
LOADED = 600
MORE = 30  # files that come
LINKS = 40_000  # names of one file: some file systems allow 65,000


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[2_000, 10_000, 50_000])
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--refresh", type=int, metavar="COUNT", help="measure a refresh of so many images instead")
    parser.add_argument("--plan", type=int, metavar="COUNT", help="measure a dry run with so many files instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if options.refresh:
            print(json.dumps(measure_refresh(root, options.refresh, options.image_size, options.processes)))
            return
        if options.plan:
            print(json.dumps(measure_planning(root, options.plan, options.processes)))
            return
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


def generate(pool: Path, count: int, side: int = 256) -> None:
    """Write `count` different JPEG files: coarse random colours, smoothly enlarged, as tissue is coarse and smooth."""
    pool.mkdir()
    generator = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(pool / f"{index:07d}.jpg", quality=85)


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


def measure_refresh(root: Path, count: int, image_size: int, cores: int) -> dict[str, Any]:
    """Pack, let files come, and pack again, in one piece and in shards."""
    generate(root / "pool", count + MORE)
    pool = sorted((root / "pool").iterdir())
    images = root / "images"
    found: dict[str, Any] = {"images": count, "image_size": image_size, "cores": cores}
    for name, shard_size in (("whole", 10 * count), ("shards", 2048)):
        give(images, pool[:count])
        config = configured(root / name, images, image_size, shard_size)
        found[f"{name}_first"] = workflow(config, root / name, cores)
        found[f"{name}_again"] = workflow(config, root / name, cores)  # nothing to do
        give(images, pool[count:])
        found[f"{name}_refresh"] = workflow(config, root / name, cores)
        for file in pool[count:]:
            (images / place_in_class(file)).unlink()
    (packed,) = (root / "shards/datasets").iterdir()
    tables = {name: root / f"joined/{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    source = {"kind": "folder", "path": str(images)}
    decoded = sorted((packed / "shards").glob("*.arrow"))
    give(images, pool[count:])
    joined = alone(
        lambda: packing.pack(
            source, root, **tables, image_size=image_size, resize="stretch", decoded=decoded,
            manifest=packed / "manifest.parquet",
        )
    )  # fmt: skip
    (whole,) = (root / "whole/datasets").iterdir()
    for name, path in tables.items():
        assert len({(folder / f"{name}.parquet").read_bytes() for folder in (whole, packed, path.parent)}) == 1, name
    return found | {
        "join_seconds": round(joined["seconds"], 1),
        "join_memory_mb": round(joined["memory_mb"]),
        "packed_mb": round(tables["images"].stat().st_size / MEGABYTE, 1),
        "shards_mb": round(sum(path.stat().st_size for path in decoded) / MEGABYTE, 1),
    }


def measure_planning(root: Path, count: int, cores: int) -> dict[str, Any]:
    """Plan the packing of so many files, before they are known and then."""
    images = root / "images"
    generate(root / "pool", -(-count // LINKS), side=8)
    pool = sorted((root / "pool").iterdir())
    for label in range(CLASSES):
        (images / f"class {label}").mkdir(parents=True)
    for index in range(count):
        os.link(pool[index // LINKS], f"{images}/class {index % CLASSES}/{index:07d}.jpg")
    config = configured(root / "plan", images, 96, 2048)
    found = {"files": count, "first": workflow(config, root / "plan", cores, "--dry-run")}
    source = {"kind": "folder", "path": str(images)}
    name = StudyPlan(*load_config(yaml.safe_load(config.read_text()), ROOT), ROOT).packed_name("images")
    entries = kinds.state(source, ROOT)
    members = manifest.members(source, ROOT, entries, None, {})
    path = root / f"plan/datasets/{name}/manifest.parquet"
    path.parent.mkdir(parents=True)
    started = time.process_time()
    manifest.write(path, manifest.assign(members, {}, 2048), entries)
    found["manifest_cpu_s"] = round(time.process_time() - started, 1)
    found["manifest_mb"] = round(path.stat().st_size / MEGABYTE, 1)
    return found | {"known": workflow(config, root / "plan", cores, "--dry-run")}


def place_in_class(file: Path) -> Path:
    """Return where a file of the pool lies among the images."""
    return Path(f"class {int(file.stem) % CLASSES}") / file.name


def give(images: Path, files: list[Path]) -> None:
    """Put files of the pool among the images."""
    for file in files:
        target = images / place_in_class(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(file)


def configured(folder: Path, images: Path, image_size: int, shard_size: int) -> Path:
    """Write a study of which nothing but the packing runs."""
    config = {
        "study": "packing",
        "datasets": {"images": {"source": {"kind": "folder", "path": str(images)}, "image_size": image_size}},
        "methods": {"supervised": {"labels": "human"}},
        "students": {"shufflenet_scratch": ["fp32"]},
        "compute": {"shard_size": shard_size},
    }
    folder.mkdir()
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def workflow(config: Path, results: Path, cores: int, *arguments: str) -> dict[str, float]:
    """Run the workflow until images are packed; return seconds, and the peak memory of all its processes."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "none", "--cores", str(cores), "--quiet", "all"]
    command += ["--rerun-triggers", "mtime", "params", "input", "software-env", "--configfile", str(config)]
    command += ["--directory", str(results), "--until", "pack", *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with (results / "said.log").open("w") as said:
        running = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    memory = 0.0
    while running.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            memory = max(memory, held(psutil.Process(running.pid)))
        time.sleep(0.2)
    assert running.returncode == 0, (results / "said.log").read_text()[-3000:]
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(seconds, 1), "cpu_s": round(cpu, 1), "memory_mb": round(memory)}


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
