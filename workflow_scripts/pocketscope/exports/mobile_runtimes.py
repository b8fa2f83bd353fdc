"""What the exports for mobile runtimes, `tflite` and `coreml`, have in common.

The converters bring another torch, jax and more: they run in a Python of their own, which `--python` or the environment
variable names, and get files from here: the graph, images, and what to make (`mobile/convert.py`).
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketscope.core import files
from pocketscope.core.errors import InputError
from pocketscope.exports import self_test
from pocketscope.exports.ship_folder import ShipFolder
from pocketscope.images import decode
from pocketscope.inference.onnx_model import INPUT, Shipped
from pocketscope.version import VERSION

PYTHON = "MOBILE_PYTHON"  # the environment variable that names the converters' Python
NEEDED = "litert-torch==0.10.0 coremltools==9.0 onnx"  # what was tried
HERE = Path(__file__).parent / "mobile"
SOURCE = "fp32"  # of the model file that is converted
# By how much a probability of a synthetic image may differ from that of the file which is converted. Rounded to 8 bits
# the answers are another model's: 0.3 finds what is broken, and no more (benchmarks/everywhere.md).
BOUNDS = {"fp32": 0.001, "fp16": 0.05, "int8": 0.3}
ELSEWHERE = {"fp32": 0.005, "fp16": 0.02, "int8": 0.03}  # between a phone and here, of the same file


@dataclass(frozen=True)
class Target:
    """A mobile runtime.

    kind
        `tflite` or `coreml`.
    suffix
        Of the file, or the folder, that the runtime opens.
    precisions
        Those that can be made, the usual one first.
    sources
        The files for an app's developer that lie in `mobile/`.
    """

    kind: str
    suffix: str
    precisions: tuple[str, ...]
    sources: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of both kinds on `parser`."""
    parser.add_argument(
        "--python",
        type=Path,
        metavar="FILE",
        help=f"the Python that has the converters, see docs/mobile.md (default: the environment variable {PYTHON})",
    )


def export(target: Target, ship: ShipFolder, out: Path, options: argparse.Namespace) -> list[Path]:
    """Convert a shipped model, and write it with what an app must know, pictures to test it by, and code.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no model file in fp32, no Python with the converters, or these do not know an operator of the network;
        or what was converted answers otherwise.
    """
    python = _python(options.python)
    precision = options.precision or target.precisions[0]
    if SOURCE not in ship.models:
        raise InputError(f"{ship.folder}: model.{SOURCE}.onnx is not in it, which is what can be converted")
    _, source, model = ship.model(SOURCE)
    samples = self_test.samples(model, ELSEWHERE[precision])
    images = np.stack([decode.load(sample.png, model.image_size, model.resize) for sample in samples])
    expected = np.stack([sample.probabilities for sample in samples])
    about = _about(ship.name, model, precision)
    made = out / f"{ship.name}{target.suffix}"
    with tempfile.TemporaryDirectory() as temporary:
        converted, answers = convert(python, target.kind, precision, source, model, images, Path(temporary), about)
        differs = float(np.abs(answers - expected).max())
        if not differs <= BOUNDS[precision]:
            raise InputError(
                f"{made.name} in {precision} answers otherwise than {source}: probabilities of synthetic images differ "
                f"by {differs:.3g}, and {BOUNDS[precision]:g} is allowed; take another --precision, or another network"
            )
        _put(converted, made)
    about["self_test"] = {
        "largest_difference": ELSEWHERE[precision],
        "images": {f"self_test/{place}.png": _rounded(answer) for place, answer in enumerate(answers)},
    }
    for place, sample in enumerate(samples):
        with files.whole(out / "self_test" / f"{place}.png") as temporary:
            temporary.write_bytes(sample.png)
    said = json.dumps(about, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    files.write_text(out / "model.json", said)
    for name in target.sources:
        files.copy(HERE / name, out / name)
    return [made, out / "model.json", *(out / name for name in target.sources)]


def convert(
    python: str,
    kind: str,
    precision: str,
    source: Path,
    model: Shipped,
    images: np.ndarray,
    folder: Path,
    about: Mapping[str, Any],
) -> tuple[Path, np.ndarray]:
    """Convert a model file in the converters' Python.

    Parameters
    ----------
    python
        Its path.
    kind, precision
        Of the target.
    source, model
        The model file in fp32, and the same opened.
    images
        uint8 (N, size, size, 3).
    folder
        An empty one to work in.
    about
        What a package says of itself.

    Returns
    -------
    tuple
        What was made, a file or folder inside `folder`; and float32 probabilities (N, classes) of the images: LiteRT's
        from its interpreter, Core ML's from torch in the same precision.

    Raises
    ------
    pocketscope.core.errors.InputError
        A converter is not there, or does not know an operator of the network.
    """
    graph(source, model.temperature, folder / "graph.onnx")
    np.save(folder / "images.npy", images)
    request = {
        "kind": kind,
        "precision": precision,
        "name": {"tflite": "model.tflite", "coreml": "model.mlpackage"}[kind],
        "description": f"Classifies {model.image_size} px images: {', '.join(model.classes)}"[:900],
        "licence": model.about.get("licence") or "unknown",
        "about": json.dumps(about, ensure_ascii=False, allow_nan=False),
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    _run(python, folder, str(model.about.get("network", "")))
    return folder / request["name"], np.load(folder / "answers.npy")


def graph(source: Path, temperature: float, path: Path) -> None:
    """Write a model's graph as converters take it: one image at a time, constants folded, the temperature in it.

    Parameters
    ----------
    source
        A model.fp32.onnx.
    temperature
        By which logits are divided before the softmax, so that what the graph gives are the probabilities that
        `reliable_from` is about.
    path
        Where to write to.
    """
    import onnx
    import onnxruntime

    file = onnx.load(source)
    for value in (*file.graph.input, *file.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del file.graph.value_info[:]
    if temperature != 1:
        last = next(node for node in file.graph.node if file.graph.output[0].name in node.output)
        if last.op_type != "Softmax":
            raise InputError(f"{source}: its graph ends with {last.op_type}, not with a softmax; was it changed?")
        file.graph.initializer.append(
            onnx.numpy_helper.from_array(np.array([1 / temperature], np.float32), "inverse_temperature")
        )
        scaled = onnx.helper.make_node("Mul", [last.input[0], "inverse_temperature"], ["scaled_logits"])
        last.input[0] = "scaled_logits"
        file.graph.node.insert(list(file.graph.node).index(last), scaled)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(file.SerializeToString(), options, providers=["CPUExecutionProvider"])
    folded = onnx.load(path)
    own = [opset for opset in folded.opset_import if opset.domain in ("", "ai.onnx")]
    del folded.opset_import[:]  # ONNX Runtime names all that it knows
    folded.opset_import.extend(own)
    onnx.save(folded, path)


def _about(name: str, model: Shipped, precision: str) -> dict[str, Any]:
    """Return what an app must know of the model, ready for JSON."""
    reliable = model.reliable_from
    return {
        "pocketscope": VERSION,
        "name": name,
        "precision": precision,
        "input": {"name": INPUT, "shape": [1, model.image_size, model.image_size, 3], "values": "RGB, 0 to 255"},
        "output": {"shape": [1, len(model.classes)], "values": "probabilities, at the model's temperature"},
        "classes": list(model.classes),
        "image_size": model.image_size,
        "resize": model.resize,
        # Shown for the file that was evaluated. Rounded to 8 bits it is another one, of which nothing was shown.
        "reliable_from": None if precision == "int8" or reliable is None or math.isinf(reliable) else reliable,
        "network": model.about.get("network"),
        "licence": model.about.get("licence"),
        "data_licence": model.about.get("data_licence"),
    }


def _python(given: Path | None) -> str:
    named = str(given) if given else os.environ.get(PYTHON, "")
    remedy = (
        f"`uv venv mobile && uv pip install --python mobile/bin/python {NEEDED}`, and name mobile/bin/python by "
        f"--python or {PYTHON}"
    )
    if not named:
        raise InputError(f"the converters run in a Python of their own, and none is named: {remedy}")
    found = shutil.which(named)
    if not found:
        raise InputError(f"{named}: there is no such program; {remedy}")
    return found


def _run(python: str, folder: Path, network: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, str(HERE / "convert.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    if done.returncode == 0:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
    if lines[-1].startswith(("ModuleNotFoundError", "ImportError")):
        raise InputError(f"{python} lacks a converter ({lines[-1]}): install {NEEDED}")
    raise InputError(
        f"the network {network} could not be converted ({lines[-1][:300]}); take another network, or run the ONNX file "
        "by ONNX Runtime, which there is for Android and iOS too"
    )


def _put(source: Path, path: Path) -> None:
    """Copy a file, or a folder, that was made."""
    if source.is_file():
        files.copy(source, path)
        return
    shutil.rmtree(path, ignore_errors=True)
    for part in sorted(source.rglob("*")):
        if part.is_file():
            files.copy(part, path / part.relative_to(source))


def _rounded(answer: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in answer]
