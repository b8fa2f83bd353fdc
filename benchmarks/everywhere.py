"""Which runtimes open the model files, and whether they give the probabilities that were evaluated.

    python benchmarks/everywhere.py --data FOLDER [--weights FOLDER] [--sets NAME ...] [--networks NAME ...]

Each network is trained, exported and quantised as `quantization.py` does it. Each runtime, in an environment of its own
in the work folder (made by uv or npm, and kept), classifies the images of the test part one by one on one thread. What
it gives is compared with what `evaluate` gives for the same file. `exact` is the locked ONNX Runtime with its graph
optimisations off: int8 layers are computed in floating point on the rounded numbers.

Where the environment variable MOBILE_PYTHON names the converters (docs/mobile.md), the exports for phones are measured
too, against the file in fp32, which they are made of. `--runtimes` names some of the others, or none.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import quantization  # finds the checkout's package, so before it
import torch

from pocketscope.core import parquet
from pocketscope.evaluation import metrics
from pocketscope.exports import mobile_runtimes
from pocketscope.inference import onnx_model
from pocketscope.tables.images import load_images
from pocketscope.tables.split import SPLIT, TRUTH, images_with

HERE = "this environment"
LOCKED = f"onnxruntime {onnxruntime.__version__}"
RUNTIMES = {  # what is installed for it, by uv or by npm, and the program that runs it
    LOCKED: (HERE, "onnxruntime"),
    f"{LOCKED}, exact": (HERE, "exact"),
    **{f"onnxruntime {version}": (["uv", f"onnxruntime=={version}", "numpy<2"], "onnxruntime")
       for version in ("1.15.0", "1.18.1", "1.22.1", "1.27.0")},
    "onnxruntime-node 1.13.1": (["npm", "onnxruntime-node@1.13.1"], "onnxruntime-node"),
    "onnxruntime-web 1.30.0 (wasm)": (["npm", "onnxruntime-web@1.30.0"], "onnxruntime-web"),
    "OpenCV 4.14.0": (["uv", "opencv-python-headless==4.14.0.94"], "opencv"),
    "OpenCV 4.14.0, pixels less 128": (["uv", "opencv-python-headless==4.14.0.94"], "opencv4"),
    "OpenCV 5.0.0": (["uv", "opencv-python-headless==5.0.0.93"], "opencv"),
}  # fmt: skip
CONVERTED = {  # of model.fp32.onnx: by which export, and in which precisions
    "LiteRT 2.3.0": ("tflite", ("fp32", "fp16", "int8")),
    "Core ML's precision, in torch": ("coreml", ("fp16",)),  # Core ML itself runs on macOS alone
}
PYTHON = """
import sys, time
import numpy as np
kind, model, images, found = sys.argv[1:]
images = np.load(images)
if kind == "tflite":
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model, num_threads=1)
    interpreter.allocate_tensors()
    given, out = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    def run(image):
        interpreter.set_tensor(given, image)
        interpreter.invoke()
        return interpreter.get_tensor(out)
elif kind.startswith("opencv"):
    import cv2
    cv2.setNumThreads(1)
    network = cv2.dnn.readNetFromONNX(model)
    less = 128 if kind == "opencv4" and model.endswith("int8.onnx") else 0
    def run(image):
        network.setInput(image.astype(np.float32) - less if less else image)
        return network.forward()
else:
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if kind == "exact":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    run = lambda image: session.run(None, {"images": image})[0]
run(images[:1])
answers, seconds = [], []
for place in range(len(images)):
    start = time.perf_counter()
    answers.append(np.array(run(images[place:place + 1])).reshape(-1))
    seconds.append(time.perf_counter() - start)
np.array(answers, "<f4").tofile(found)
print(1000 * float(np.median(seconds)))
"""
NODE = """
const [kind, model, images, found, count, size] = process.argv.slice(2);
const fs = require("fs");
const ort = require(kind);
if (kind === "onnxruntime-web") ort.env.wasm.numThreads = 1;
const options = {intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3};
if (kind === "onnxruntime-web") options.executionProviders = ["wasm"];
(async () => {
  const session = await ort.InferenceSession.create(new Uint8Array(fs.readFileSync(model)), options);
  const pixels = new Uint8Array(fs.readFileSync(images)), each = size * size * 3;
  const run = async (place) => {
    const image = new ort.Tensor("uint8", pixels.slice(place * each, (place + 1) * each), [1, +size, +size, 3]);
    return (await session.run({images: image})).probabilities.data;
  };
  await run(0);
  const answers = [], times = [];
  for (let place = 0; place < count; place++) {
    const start = performance.now();
    answers.push(...await run(place));
    times.push(performance.now() - start);
  }
  fs.writeFileSync(found, Buffer.from(new Float32Array(answers).buffer));
  console.log(times.sort((a, b) => a - b)[times.length >> 1]);
})().catch((error) => { console.error(String(error)); process.exit(1); });
"""


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--sets", nargs="+", default=["beepollen"])
    parser.add_argument("--networks", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "pocketscope-everywhere")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--runtimes", nargs="*", choices=tuple(RUNTIMES), default=list(RUNTIMES))
    options = parser.parse_args()
    options.part, options.labelled, options.imbalance, options.seed = "test", 25, 1, 0  # as quantization.py has them
    torch.set_num_threads(1)
    entries = quantization.catalogue(options.weights)
    commands = {runtime: command(runtime, options.work.resolve()) for runtime in options.runtimes}
    mobile = os.environ.get(mobile_runtimes.PYTHON)  # without it there are no rows of these
    rows = []
    for name in options.sets:
        folder = options.work / "models" / f"{name}-{options.image_size}"
        if not (folder / "truth.parquet").exists():
            folder.mkdir(parents=True, exist_ok=True)
            quantization.prepare(folder, options.data / name, options)
        for network in options.networks:
            quantization.measure(folder, entries[network], options)
            for runtime, (kind, precisions) in CONVERTED.items() if mobile else ():
                for precision in precisions:
                    found = compare_converted(folder, kind, precision, mobile)
                    rows.append({"runtime": runtime, "precision": precision, **found})
                    print(json.dumps({"set": name, "network": network, **rows[-1]}), flush=True)
            for runtime in options.runtimes:
                for precision in ("fp32", "int8"):
                    found = compare(folder, precision, commands[runtime])
                    rows.append({"runtime": runtime, "precision": precision, **found})
                    print(json.dumps({"set": name, "network": network, **rows[-1]}), flush=True)
    print(json.dumps({"image_size": options.image_size, "sets": options.sets, "networks": options.networks,
                      "rows": together(rows)}))  # fmt: skip


def command(runtime: str, work: Path) -> list[str]:
    """Return how a runtime's program is started; its environment is made where it is not there."""
    install, kind = RUNTIMES[runtime]
    folder = (
        work / "environments" / "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in runtime)
    )
    folder.mkdir(parents=True, exist_ok=True)
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL}
    if install != HERE and install[0] == "npm":
        if not (folder / "node_modules").exists():
            (folder / "package.json").write_text("{}")
            subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", *install[1:]], cwd=folder, **quiet)
        (folder / "run.cjs").write_text(NODE)
        return ["node", str(folder / "run.cjs"), kind]
    python = sys.executable
    if install != HERE:
        python = str(folder / "venv" / "bin" / "python")
        if not Path(python).exists():
            uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "uv"
            subprocess.run([uv, "venv", "--quiet", "--python", "3.11", folder / "venv"], **quiet)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *install[1:]], **quiet)
    (folder / "run.py").write_text(PYTHON)
    return [python, str(folder / "run.py"), kind]


def compare(folder: Path, precision: str, started: list[str]) -> dict[str, Any]:
    """Return what a runtime makes of a model file; all None, and the reason, where it cannot."""
    path = folder / f"{precision}.onnx"
    images, score = asked(folder)
    expected = onnx_model.probabilities(onnx_model.open_model(path, threads=1), images)
    if started[0] == "node":
        images.tofile(folder / "images.raw")
        given = [path, folder / "images.raw", folder / "found.raw", len(images), images.shape[1]]
    else:
        np.save(folder / "images.npy", images)
        given = [path, folder / "images.npy", folder / "found.raw"]
    ran = subprocess.run([*started, *map(str, given)], capture_output=True, text=True, check=False)
    mb = round(path.stat().st_size / 1e6, 2)
    if ran.returncode:
        lines = [line for line in ran.stderr.strip().splitlines() if line.strip()] or [f"exit status {ran.returncode}"]
        return {"largest_difference": None, "f1": None, "ms": None, "mb": mb, "why": lines[-1][-200:]}
    found = np.fromfile(folder / "found.raw", "<f4").reshape(expected.shape)
    return {"largest_difference": float(np.abs(found - expected).max()), "f1": score(found),
            "ms": float(ran.stdout.split()[-1]), "mb": mb}  # fmt: skip


def compare_converted(folder: Path, kind: str, precision: str, python: str) -> dict[str, Any]:
    """Return what is made of a model file by an export for phones, compared with the file in fp32."""
    source, work = folder / "fp32.onnx", folder / f"{kind}-{precision}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    images, score = asked(folder)
    model = onnx_model.open_model(source, threads=1)
    made, found = mobile_runtimes.convert(python, kind, precision, source, model, images, work, {})
    files = [made] if made.is_file() else [path for path in made.rglob("*") if path.is_file()]
    ms = None
    if kind == "tflite":
        (work / "run.py").write_text(PYTHON)
        given = [python, work / "run.py", kind, made, work / "images.npy", work / "found.raw"]
        ms = float(subprocess.run(list(map(str, given)), capture_output=True, text=True, check=True).stdout.split()[-1])
    return {"largest_difference": float(np.abs(found - onnx_model.probabilities(model, images)).max()),
            "f1": score(found), "ms": ms,
            "mb": round(sum(path.stat().st_size for path in files) / 1e6, 2)}  # fmt: skip


def asked(folder: Path) -> tuple[np.ndarray, Callable[[np.ndarray], float]]:
    """Return the images of the test part, and what gives F1 x 100 of probabilities of these."""
    notes = parquet.notes(folder / "split.parquet")
    seen, _ = images_with(parquet.read(folder / "split.parquet", SPLIT), "test")
    truth = dict(zip(*parquet.read(folder / "truth.parquet", TRUTH).to_pydict().values(), strict=True))

    def score(found: np.ndarray) -> float:
        scores = metrics.measure(found, [truth[image_id] for image_id in seen], notes["classes"], None).to_pylist()
        return 100 * next(row["value"] for row in scores if row["metric"] == "f1" and row["class"] is None)

    return load_images(folder / "images.parquet", seen), score


def together(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each runtime and precision: over all models the largest difference, and the mean of the rest."""
    joined = []
    for runtime, precision in dict.fromkeys((row["runtime"], row["precision"]) for row in rows):
        these = [row for row in rows if (row["runtime"], row["precision"]) == (runtime, precision)]
        row: dict[str, Any] = {"runtime": runtime, "precision": precision}
        refused = [found["why"] for found in these if "why" in found]
        for name in ("largest_difference", "f1", "ms", "mb"):
            values = [found[name] for found in these if found[name] is not None]
            largest = name == "largest_difference"
            row[name] = None if not values else float(f"{max(values) if largest else np.mean(values):.4g}")
        joined.append(row | ({"refused": len(refused), "why": refused[0]} if refused else {}))
    return joined


if __name__ == "__main__":
    main()
