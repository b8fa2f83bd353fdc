"""What a program that classifies one image holds in memory: run by `timing` as a program of its own."""

import sys
from pathlib import Path

import numpy as np


def main(runtime: str, path: str, root: str = "") -> None:
    """Open the model at `path` by `runtime` (pytorch or onnxruntime), classify one image, print the peak in bytes.

    `root` is the folder of the Snakefile, for networks of a user's own file.
    """
    if runtime == "pytorch":
        _eager(path, root)
    else:
        _onnx(path)
    print(_peak())


def _onnx(path: str) -> None:
    from pocketscope.inference import onnx_model

    model = onnx_model.open_model(path, threads=1)
    onnx_model.probabilities(model, np.zeros((1, model.image_size, model.image_size, 3), np.uint8))


def _eager(path: str, root: str) -> None:
    import torch

    from pocketscope.models import networks

    trained = networks.load(path, Path(root))
    torch.set_num_threads(1)
    with torch.inference_mode():
        trained.classifier(torch.zeros(1, 3, trained.image_size, trained.image_size))


def _peak() -> int:
    # Not getrusage: what it tells includes the parent's memory at the time of the fork.
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
