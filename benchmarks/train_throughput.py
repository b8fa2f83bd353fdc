"""How many images a second are trained on: a plain loop, the network alone, and pocketscope, in one run.

    python benchmarks/train_throughput.py [--networks resnet18 ...] [--sizes 224 96] [--batch 32] [--threads 2]
                                          [--device cpu|cuda] [--write config/train_dtype.csv]

plain
    What a tutorial does: fp32, NCHW, a Python loop over PIL images with torchvision's transforms (flips, rotation,
    zoom, translation, lighting), then the step.
limit
    The same network's training step on synthetic data that lies in memory, channels last, with our depthwise
    convolutions and with batch normalisation as the recipe `fast` has it, in fp32 and in bfloat16; the better of the
    two is the limit.
torch
    The limit with torch's own gradients of convolutions; with --limit-only.
ours
    `loop.fit` as a job with the recipe `fast` runs it, bookkeeping included, in the better arithmetic; and what
    augmentation costs of it, in ms an image.

They take turns for some seconds each, several times over, and the median of the turns counts, so that other work on the
machine hits all of them: first the limit's two arithmetics, then the better one beside the rest. --write adds the
limit's two rates to the table that `compute.train_dtype: auto` reads. Networks are those of config/networks.yaml or
another catalogue, with random weights.
"""

import argparse
import csv
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from PIL import Image
from torchvision import transforms

from pocketscope.config.base import plain
from pocketscope.config.training import Augmentation, Training
from pocketscope.models import fast_convolutions, networks
from pocketscope.models.tensors import to_tensor
from pocketscope.runtime import devices
from pocketscope.training import augmentation, batches, loop, supervised
from pocketscope.training.batches import Examples
from pocketscope.training.history import History

ROOT = Path(__file__).parents[1]
CLASSES = 10
FLIPS = ["horizontal_flip", "vertical_flip"]
KEEP_STATISTICS = Training().batch_norm == "frozen"
ARITHMETICS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["resnet18"])
    parser.add_argument("--catalogue", type=Path, default=ROOT / "config/networks.yaml")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--limit-only", action="store_true", help="measure the network alone, for --write")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    runs, entries = [], yaml.safe_load(options.catalogue.read_text())
    for name in options.networks:
        for size in options.sizes:
            runs.append({"network": name, "image_size": size} | measure(entries[name], size, device, options))
            print(runs[-1], file=sys.stderr, flush=True)
            if options.write:
                write(options.write, entries[name]["name"], runs[-1], device)
    about = {"device": devices.kind(device), "threads": options.threads, "batch": options.batch}
    print(json.dumps(about | devices.versions(device) | {"runs": runs}))


def measure(entry: dict[str, Any], size: int, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """Return images/s of the three ways, and milliseconds of augmentation an image, for one network and size."""
    entry = entry | {"weights": "none"}
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8 * options.batch, size, size, 3), dtype=np.uint8)
    targets = rng.integers(0, CLASSES, len(images))
    build = lambda: networks.build(entry, CLASSES, ROOT, seed=0).to(device)  # noqa: E731

    own = [("limit", fast_convolutions.quick)] + [("torch", nullcontext)] * options.limit_only
    ways = {
        f"{way}_{name}": synthetic(build(), size, device, dtype, options, gradients)
        for way, gradients in own
        for name, dtype in ARITHMETICS.items()
    }
    rates = take_turns(ways, options)
    best = max(ARITHMETICS, key=lambda arithmetic: rates[f"limit_{arithmetic}"])
    found = {name: round(rate, 1) for name, rate in rates.items()}
    if options.limit_only:
        gain = rates[f"limit_{best}"] / max(rates[f"torch_{arithmetic}"] for arithmetic in ARITHMETICS)
        return found | {"limit_over_torch": round(gain, 2)}
    ways = {
        "plain": plain_loop(build(), images, targets, device, options),
        "limit": ways[f"limit_{best}"],
        "ours": ours(build(), images, targets, device, ARITHMETICS[best], options),
        "augmentation": augmenting(images, device, options),
    }
    rates = take_turns(ways, options)
    plain, limit, fit = rates["plain"], rates["limit"], rates["ours"]
    cost = 1000 / rates["augmentation"]
    return found | {
        "plain": round(plain, 1),
        "limit": round(limit, 1),
        "ours": round(fit, 1),
        "arithmetic": best,
        "ours_over_plain": round(fit / plain, 2),
        "ours_over_limit": round(fit / limit, 3),
        "augmentation_ms": round(cost, 3),
        "other_overhead": round((1000 / fit - cost) / (1000 / limit) - 1, 3),
    }


def take_turns(ways: dict[str, Callable[[], int]], options: argparse.Namespace) -> dict[str, float]:
    """Return images/s of each way: the median over turns of some seconds, one way after the other."""
    for way in ways.values():
        way()  # warm up
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.turns):
        for name, way in ways.items():
            count, started = 0, time.perf_counter()
            while (passed := time.perf_counter() - started) < options.seconds:
                count += way()
            rates[name].append(count / passed)
    return {name: statistics.median(values) for name, values in rates.items()}


def plain_loop(
    model: torch.nn.Module, images: np.ndarray, targets: np.ndarray, device: torch.device, options: argparse.Namespace
) -> Callable[[], int]:
    """Return a step of the tutorial's loop."""
    change = transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomVerticalFlip(),
            transforms.RandomAffine(15, (0.05, 0.05), (0.9, 1.1), interpolation=transforms.InterpolationMode.BILINEAR),
            transforms.ColorJitter(0.05, 0.05),
            transforms.ToTensor(),
        ]
    )
    pictures = [Image.fromarray(image) for image in images]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()

    def step() -> int:
        chosen = np.random.default_rng().integers(0, len(pictures), options.batch)
        pixels = torch.stack([change(pictures[i]) for i in chosen]).to(device)
        loss = F.cross_entropy(model(pixels), torch.from_numpy(targets[chosen]).to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        return options.batch

    return step


def synthetic(
    model: torch.nn.Module,
    size: int,
    device: torch.device,
    dtype: torch.dtype,
    options: argparse.Namespace,
    gradients: Callable[..., AbstractContextManager] = fast_convolutions.quick,
) -> Callable[[], int]:
    """Return a training step on data that is there already: the most that can be had."""
    model = model.to(memory_format=torch.channels_last)
    pixels = torch.rand(options.batch, 3, size, size, device=device).to(memory_format=torch.channels_last)
    targets = torch.arange(options.batch, device=device) % CLASSES
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    loop.training_mode(model, KEEP_STATISTICS)

    count = 50 if device.type == "cuda" else 4  # a GPU is asked for its results once in so many steps

    def steps() -> int:
        for _ in range(count):
            in_bf16 = torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
            with in_bf16, gradients(device):
                loss = F.cross_entropy(model(pixels), targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        loss.item()
        return options.batch * count

    return steps


def ours(
    model: networks.Classifier,
    images: np.ndarray,
    targets: np.ndarray,
    device: torch.device,
    dtype: torch.dtype,
    options: argparse.Namespace,
) -> Callable[[], int]:
    """Return an epoch of `loop.fit`, as a job runs it."""
    model = model.to(memory_format=torch.channels_last)
    settings = plain(Training(batch_size=options.batch))
    labelled = Examples(images, batches.one_hot(targets, CLASSES), np.ones(len(images), bool))
    steps = settings["steps"] // settings["n_evaluations"]
    plan = loop.StepPlan(steps, 1, 1, 0, dtype, KEEP_STATISTICS)
    objective = supervised.supervised_objective(labelled, settings, FLIPS, 0, device)

    def epoch() -> int:
        learner = loop.new_learner(model, steps, loop.Peak(1e-3), settings["lowest_layer_lr_ratio"], settings)
        loop.fit(learner, objective, plan, History(None, "f1", device))
        return options.batch * steps

    return epoch


def augmenting(images: np.ndarray, device: torch.device, options: argparse.Namespace) -> Callable[[], int]:
    """Return one batch's gathering and augmentation alone."""
    tensor, strengths = to_tensor(images, device), plain(Augmentation())

    def batch() -> int:
        indices = torch.randint(len(tensor), (options.batch,)).to(tensor.device)
        changed = augmentation.augment(tensor[indices].to(device), strengths, FLIPS, torch.default_generator)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return len(changed)

    return batch


def write(path: Path, network: str, run: dict[str, Any], device: torch.device) -> None:
    """Put a run's two rates into the table, in the place of those that it has for the same device, network and size."""
    columns = ["device", "network", "image_size", "fp32", "bf16"]
    rows = {}
    if path.is_file():
        with path.open(newline="") as file:
            rows = {tuple(row[name] for name in columns[:3]): row for row in csv.DictReader(file)}
    where = (devices.kind(device), network, str(run["image_size"]))
    rows[where] = dict(zip(columns, [*where, run["limit_fp32"], run["limit_bf16"]], strict=True))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows, key=lambda key: (*key[:2], int(key[2]))))


if __name__ == "__main__":
    main()
