"""How fast and how large the forms of a network are: PyTorch and ONNX Runtime, side by side in one run.

Times of a shared or a throttled machine drift. So the forms take turns, image by image, and with them a fixed
reference model, by which runs at different times, such as those of different networks, can be compared.
"""

import itertools
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from pocketscope.evaluation import peak_memory as peak_memory_of
from pocketscope.inference import onnx_model
from pocketscope.models import networks
from pocketscope.runtime import devices
from pocketscope.tables.timing import REFERENCE, TIMING
from pocketscope.training import batches, supervised
from pocketscope.training.batches import Examples

log = logging.getLogger(__name__)

BATCH = 32
TRAINING_STEPS = 30
MEGABYTE = 1e6
# PyTorch's threads wait busily for a moment after each run, and would take time from the next one.
PAUSE = 0.003  # seconds


def measure(
    weights: str | os.PathLike,
    shipped: Mapping[str, str | os.PathLike],
    *,
    threads: Sequence[int],
    training_step_ms: float | None = None,
    seconds: float = 4.0,
    root: Path | None = None,
) -> pa.Table:
    """Time one network in all its forms.

    Parameters
    ----------
    weights
        What `networks.save` wrote: PyTorch runs it eagerly, in fp32 and the usual layout (NCHW).
    shipped
        Its ONNX files by precision; fp32 is one of them.
    threads
        Numbers of threads; throughput is measured with the last one.
    training_step_ms
        What `training_step` returned.
    seconds
        How long the forms take turns, for each number of threads; at least 20 turns, at most 200.
    root
        See `networks.load`.

    Returns
    -------
    pyarrow.Table
        Schema TIMING.
    """
    trained = networks.load(weights, root)
    size = trained.image_size
    known = {"parameters": parameters(trained.classifier), "flops": flops(trained.classifier, size)}
    files = {("pytorch", "fp32"): weights} | {("onnxruntime", precision): path for precision, path in shipped.items()}
    memory = {form: peak_memory(form[0], path, root) for form, path in files.items()}
    rows = []
    for count in threads:
        runs = _runs(trained, shipped, count)
        one = interleaved({form: run(1) for form, run in runs.items()}, seconds=seconds, least=20, most=200)
        many = {}
        if count == threads[-1]:
            del runs[REFERENCE, "fp32"]
            many = interleaved({form: run(BATCH) for form, run in runs.items()}, seconds=seconds, least=3, most=10)
        for form, times in one.items():
            low, median, high = np.percentile(times * 1e3, (5, 50, 95))
            row = {"runtime": form[0], "precision": form[1], "image_size": size, "threads": count}
            row |= {"latency_ms": median, "latency_p5_ms": low, "latency_p95_ms": high}
            if form in many:
                row["images_per_second"] = BATCH / np.median(many[form])
            if form in files:
                row |= known | {"memory_mb": memory[form], "file_mb": Path(files[form]).stat().st_size / MEGABYTE}
            if form[0] == "pytorch":
                row["training_step_ms"] = training_step_ms
            rows.append(row)
            log.info("%s %s, %d threads: %.2f ms (%.2f to %.2f)", *form, count, median, low, high)
    return pa.Table.from_pylist(rows, schema=TIMING)


def interleaved(
    runs: Mapping[Any, Callable[[], Any]], *, seconds: float, least: int, most: int
) -> dict[Any, NDArray[np.float64]]:
    """Let `runs` take turns, after two of each to warm up; return what each turn took, in seconds.

    They go on for `seconds`, with `least` turns at least and `most` at most.
    """
    for run in runs.values():
        run()
        run()
    times: dict[Any, list[float]] = {name: [] for name in runs}
    started, turns = time.perf_counter(), 0
    while turns < least or (turns < most and time.perf_counter() - started < seconds):
        for name, run in runs.items():
            time.sleep(PAUSE)
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
        turns += 1
    return {name: np.array(values) for name, values in times.items()}


def training_step(
    weights: str | os.PathLike,
    *,
    settings: Mapping[str, Any],
    device: torch.device,
    train_dtype: torch.dtype = torch.float32,
    root: Path | None = None,
) -> float:
    """Return how long a step of training takes, in ms: the median of 30, with augmentation, as the study trains.

    Parameters
    ----------
    weights
        What `networks.save` wrote.
    settings, device, train_dtype
        See `supervised.train`.
    root
        See `networks.load`.
    """
    trained = networks.load(weights, root)
    rng = np.random.default_rng(0)
    count = settings["batch_size"]
    targets = batches.one_hot(np.arange(count) % len(trained.classes), len(trained.classes))
    images = rng.integers(0, 256, (count, trained.image_size, trained.image_size, 3), dtype=np.uint8)
    # An epoch a step, because epochs are timed; a small rate, because a loss that is no number would end the training.
    steps = dict.fromkeys(("steps", "steps_from_scratch", "n_evaluations", "patience"), TRAINING_STEPS)
    steps |= dict.fromkeys(("learning_rate", "learning_rate_from_scratch"), 1e-6) | {
        "epochs": None,
        "steps_exponent": 0,
    }
    logging.getLogger("pocketscope.training").setLevel(logging.ERROR)  # that noise is not learnt warns no one
    _, timings = supervised.train(
        trained.classifier,
        Examples(images, targets, np.ones(count, bool)),
        None,
        pretrained=trained.pretrained,
        settings=dict(settings) | steps | {"head": "regression"},
        symmetries=[],
        seed=0,
        device=device,
        train_dtype=train_dtype,
    )
    return float(np.median(timings["seconds"].to_numpy()) * 1e3)


def parameters(classifier: torch.nn.Module) -> int:
    """Return the number of a network's weights."""
    return sum(parameter.numel() for parameter in classifier.parameters())


def flops(classifier: torch.nn.Module, size: int) -> int:
    """Return the operations that one image of `size` x `size` pixels takes; a multiply-add is two."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        classifier.eval()(torch.zeros(1, 3, size, size))
    return counter.get_total_flops()


def peak_memory(runtime: str, path: str | os.PathLike, root: Path | None = None) -> float | None:
    """Return the most memory, in MB, that a process of its own holds which opens a model and classifies one image.

    Libraries are a part of it. None where the system is not Linux, and does not tell.
    """
    if not sys.platform.startswith("linux"):
        return None
    package = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", peak_memory_of.__name__, runtime, os.fspath(path), str(root or "")],
        env=os.environ | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{path}: memory could not be measured:\n{done.stderr}")
    return int(done.stdout) / MEGABYTE


def versions(device: torch.device) -> dict[str, str]:
    """Return what was timed on, for a table's notes; the numbers of threads are a column of the table."""
    known = {name: value for name, value in devices.versions(device).items() if name != "threads"}
    return known | {
        "processor": _processor(),
        "cores": str(onnx_model.cores()),
        "onnxruntime": onnxruntime.__version__,
    }


def _runs(trained: networks.Trained, shipped: Mapping[str, Any], threads: int) -> dict[Any, Callable[[int], Callable]]:
    """Return by form a function that takes a number of images, and returns one that classifies so many once."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, trained.image_size, trained.image_size, 3), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous() / 255
    torch.set_num_threads(threads)

    @torch.inference_mode()
    def eager(count: int) -> torch.Tensor:
        return trained.classifier(pixels[:count]).softmax(1)

    def of(session: onnxruntime.InferenceSession, given: NDArray) -> Callable[[int], Callable]:
        return lambda count: lambda: session.run(None, {"images": given[:count]})

    runs = {("pytorch", "fp32"): lambda count: lambda: eager(count)}
    for precision, path in shipped.items():
        runs["onnxruntime", precision] = of(onnx_model.open_model(path, threads=threads).session, images)
    reference = onnx_model.new_session(_reference(), threads=threads)
    runs[REFERENCE, "fp32"] = of(reference, np.ones((1, 64, 56, 56), np.float32))
    return runs


def _reference() -> bytes:
    """Return a model that never changes: four convolutions of 3 x 3, 64 channels, 56 x 56 pixels, 0.9 GFLOP."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.05, (4, 64, 64, 3, 3)).astype(np.float32)
    nodes, names = [], ["images", "a", "b", "c", "out"]
    for layer, (given, made) in enumerate(itertools.pairwise(names)):
        nodes.append(onnx.helper.make_node("Conv", [given, f"w{layer}"], [made], pads=[1, 1, 1, 1]))
    shape = [1, 64, 56, 56]
    graph = onnx.helper.make_graph(
        nodes,
        REFERENCE,
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(weight, f"w{layer}") for layer, weight in enumerate(weights)],
    )
    opset = onnx.helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
