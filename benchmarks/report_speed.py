"""How long statistics, figures and page of a table of scores take, and how much memory.

Run: ``python benchmarks/report_speed.py SCORES.csv``, a table of dataset, method, network and score, or
``python benchmarks/report_speed.py --shape 10 100 100`` for simulated scores of so many data sets, methods, networks.
Prints one JSON object: rows, seconds (wall and processor time, imports included), memory at its peak, the page's size,
and what was left out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", type=Path, nargs="?")
    parser.add_argument("--shape", type=int, nargs=3, metavar=("DATASETS", "METHODS", "NETWORKS"))
    asked = parser.parse_args()
    if (asked.scores is None) == (asked.shape is None):
        parser.error("give either a table of scores or --shape")
    with tempfile.TemporaryDirectory() as folder:
        if asked.shape:
            asked.scores = Path(folder) / "simulated.csv"
            asked.scores.write_text(_simulated(*asked.shape), encoding="utf-8")
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "pocketscope", "compare", str(asked.scores), "--out", folder],
            env=os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")},
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        wall = time.perf_counter() - started
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        page = next(Path(folder).rglob("index.html")).stat().st_size
        rows = len(asked.scores.read_text(encoding="utf-8").splitlines()) - 1
    figures = {
        "rows": rows,
        "wall_seconds": round(wall, 1),
        "processor_seconds": round(spent.ru_utime + spent.ru_stime, 1),
        "memory_megabytes": round(spent.ru_maxrss / 1024),
        "page_megabytes": round(page / 1e6, 2),
        "left_out": [line for line in done.stderr.splitlines() if line.startswith(("left out", "no candidate"))],
    }
    print(json.dumps(figures))


def _simulated(datasets: int, methods: int, networks: int) -> str:
    """Return a table of scores: each data set, method and network has its own level, and there is noise."""
    rng = np.random.default_rng(0)
    level = [rng.normal(0, spread, count) for spread, count in ((0.1, datasets), (0.03, methods), (0.03, networks))]
    scores = 0.6 + level[0][:, None, None] + level[1][:, None] + level[2] + rng.normal(0, 0.02, [*map(len, level)])
    lines = [f"d{i},m{j},n{k},{min(max(score, 0), 1):.4f}" for (i, j, k), score in np.ndenumerate(scores)]
    return "\n".join(["dataset,method,network,score", *lines]) + "\n"


if __name__ == "__main__":
    main()
