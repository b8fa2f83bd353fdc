"""How long a small training job takes from start to end: what it loads, and what it does.

    python benchmarks/start_up.py [--network shufflenet_scratch] [--threads 2]

100 generated images of 32 pixels, one epoch in batches of 16: a process of its own does what the rule `train` does,
from the start of the interpreter to the ONNX form on the disk. The figures are seconds, of the clock and of processors.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow_scripts"))

from pocketscope.config.base import plain  # noqa: E402
from pocketscope.config.training import Training  # noqa: E402

JOB = """
import json, sys, time
started = time.perf_counter()
from pathlib import Path
import numpy as np, yaml
from pocketscope.core import parquet
from pocketscope.models import networks, onnx_export
from pocketscope.runtime import devices, job
from pocketscope.runtime.resume import Resume
from pocketscope.tables.history import HISTORY
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.split import SPLIT
from pocketscope.training import batches, outputs, supervised
imported = time.perf_counter()
root, folder, name, threads = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
settings = json.loads(sys.argv[5])
device = devices.prepare("cpu", threads, threads)
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (100, 32, 32, 3), np.uint8)
labelled = batches.Examples(images, batches.one_hot(np.arange(100) % 4, 4), np.ones(100, bool))
entry = yaml.safe_load((root / "config/networks.yaml").read_text())[name]
classifier = networks.build(entry, 4, root, seed=0)
built = time.perf_counter()
history, timings = supervised.train(
    classifier, labelled, None, pretrained=networks.is_pretrained(entry), settings=settings, symmetries=[], seed=0,
    device=device, resume=Resume(folder, "0"),
)
trained = time.perf_counter()
made = networks.Trained(classifier, list("abcd"), 32)
networks.save(made, entry, folder / "model.safetensors")
about = onnx_export.description(entry, {"resize": "stretch", "page": 0}, "none")
onnx_export.to_onnx(made, folder / "model.onnx", images=images[:8], about=about)
parquet.write(history, folder / "history.parquet", HISTORY)
ended = time.perf_counter()
print(json.dumps({"imports": imported - started, "network": built - imported, "training": trained - built,
                  "writing": ended - trained}))
"""


def main() -> None:
    """Run the job and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="shufflenet_scratch")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    settings = plain(Training(epochs=1, n_evaluations=1))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-c", JOB, str(ROOT), folder, options.network, str(options.threads)]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, json.dumps(settings)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(ROOT / "workflow_scripts"), "PATH": ""},
        )
        total = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    parts = {name: round(seconds, 2) for name, seconds in json.loads(done.stdout.splitlines()[-1]).items()}
    about = {"network": options.network, "threads": options.threads, "seconds": round(total, 2)}
    print(json.dumps(about | {"processor_seconds": round(used.ru_utime + used.ru_stime, 2)} | parts))


if __name__ == "__main__":
    main()
