"""How long statistics, figures and page of a table of scores take.

Run: ``python benchmarks/report_speed.py SCORES.csv``, a table of dataset, method, network and score. Prints one JSON
object: rows, seconds (wall and processor time, imports included), and the page's size.
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

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pocketscope", "compare", str(asked.scores), "--out", folder],
            env=os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        wall = time.perf_counter() - started
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        page = next(Path(folder).rglob("index.html")).stat().st_size
    figures = {
        "rows": len(asked.scores.read_text(encoding="utf-8").splitlines()) - 1,
        "wall_seconds": round(wall, 1),
        "processor_seconds": round(spent.ru_utime + spent.ru_stime, 1),
        "page_megabytes": round(page / 1e6, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
