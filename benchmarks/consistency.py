"""Whether FixMatch and MixMatch help compact networks with few labels, and what they cost.

    python benchmarks/consistency.py development --data DIR --weights DIR --work DIR [--seconds 100]
    python benchmarks/consistency.py show        --data DIR --weights DIR --work DIR [--seconds 100]

`development` compares variants on the training side of the project's split alone, which is split again, and never sees
the test part; `show` compares the methods as they are, on the test part: nothing is chosen by it. --data, --weights and
--work are those of training_recipes.py, and so is the way of working: each result is a line of JSON in --work and is
not computed again. The last line is the table of what is there, as JSON.

Seconds are of processor time, of one thread: they do not depend on what else the machine does. `images/s` are the
images that went through the network forward, a second of the whole training. `guesses` are, of the last epoch, the
share that was learned and the share of these that was right.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import distillation
import numpy as np
import torch
import training_recipes as recipes
from pocketscope import audit, config, consistency, examples, networks, pseudo_labels, splits, training

CPU = torch.device("cpu")
NAMES = ("part", "dataset", "size", "labelled", "seed", "network", "training", "method")
FIXMATCH, MIXMATCH = ({"labels": "consistency", "algorithm": name} for name in ("fixmatch", "mixmatch"))
SHOW: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "supervised": ({}, None),
    "fixmatch": ({}, FIXMATCH),
    "mixmatch": ({}, MIXMATCH),
    # As long, in processor time, as FixMatch takes.
    "supervised, 5 times the steps": ({"steps": 1500}, None),
    "fixmatch, warm": ({}, FIXMATCH | {"warm_start": True}),
    "fixmatch, aligned": ({}, FIXMATCH | {"distribution_alignment": True}),
    "fixmatch, reference": ({}, FIXMATCH | {"preset": "reference"}),
    "mixmatch, reference": ({}, MIXMATCH | {"preset": "reference"}),
}
# Each changes one thing of `fixmatch` or `mixmatch`.
DEVELOPMENT = {
    "supervised": ({}, None),
    "fixmatch": ({}, FIXMATCH),
    "fixmatch, threshold 0.8": ({}, FIXMATCH | {"threshold": 0.8}),
    "fixmatch, threshold 0.7": ({}, FIXMATCH | {"threshold": 0.7}),
    "fixmatch, ratio 2": ({}, FIXMATCH | {"unlabelled_ratio": 2}),
    "fixmatch, ramp 0.4": ({}, FIXMATCH | {"ramp_up": 0.4}),
    "fixmatch, aligned": ({}, FIXMATCH | {"distribution_alignment": True}),
    "fixmatch, warm": ({}, FIXMATCH | {"warm_start": True}),
    "mixmatch": ({}, MIXMATCH),
    "mixmatch, weight 25": ({}, MIXMATCH | {"unlabelled_weight": 25.0}),
    "mixmatch, weight 10": ({}, MIXMATCH | {"unlabelled_weight": 10.0}),
    "mixmatch, ratio 2": ({}, MIXMATCH | {"unlabelled_ratio": 2}),
    "mixmatch, ramp 1": ({}, MIXMATCH | {"ramp_up": 1.0}),
}


def main() -> None:
    """Compute what is not there yet, as long as the time lasts, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["development", "show"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", default=["squeezenet1_1"], choices=list(recipes.NETWORKS))
    parser.add_argument("--datasets", nargs="+", default=["signdigits"], choices=list(recipes.DATASETS))
    parser.add_argument("--labelled", type=int, nargs="+", default=[4, 25])
    parser.add_argument("--variants", nargs="+", help="all where none are named")
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.work / f"consistency-{options.what}.jsonl"
    asked = cells(options)
    started = time.monotonic()
    for cell in asked:
        if time.monotonic() - started > options.seconds:
            break
        with recipes.claim(cell | {"labels": key(cell)}, options.work) as mine:
            if mine and key(cell) not in read(path):
                found = cell | measure(cell, options)
                with path.open("a") as file:
                    file.write(json.dumps(found) + "\n")
                print(found, file=sys.stderr, flush=True)
    left = [cell for cell in asked if key(cell) not in read(path)]
    print(f"{len(left)} of {len(asked)} left", file=sys.stderr)
    print(json.dumps(table(read(path), asked)))
    sys.exit(3 if left else 0)


def cells(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what is to be trained, all of one seed first."""
    variants = SHOW if options.what == "show" else DEVELOPMENT
    part = {"show": "test", "development": "development"}[options.what]
    return [
        {
            "part": part,
            "dataset": dataset,
            "size": options.size,
            "labelled": labelled,
            "seed": seed,
            "network": network,
            "variant": variant,
            "training": recipes.settings(variants[variant][0]),
            "method": variants[variant][1] and config.plain(config.Consistency(**variants[variant][1])),
        }
        for labelled, seed, network, dataset, variant in product(
            options.labelled, options.seeds, options.networks, options.datasets, options.variants or variants
        )
    ]


def key(cell: dict[str, Any]) -> str:
    """Return what tells cells apart: a result counts as long as no key of training and method changes."""
    return json.dumps([cell[name] for name in NAMES], sort_keys=True)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the results so far, by their keys."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {key(cell): cell for cell in map(json.loads, lines)}


def measure(cell: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Train one cell and score it."""
    images = recipes.pack(cell["dataset"], cell["size"], options)
    split, truth, notes = distillation.part(images, cell)
    classes = notes["classes"]
    people = pseudo_labels.human(*splits.images_with(split, "labelled"))
    held_out = pseudo_labels.human(*splits.images_with(split, "validation"))
    parts = [examples.load(images, labels, classes) for labels in (people, held_out)]
    entry, method = recipes.NETWORKS[cell["network"]], cell["method"]
    classifier = networks.build(entry, len(classes), options.weights.resolve(), seed=cell["seed"])
    sharing = {"pretrained": True, "settings": cell["training"], "seed": cell["seed"], "device": CPU,
               "symmetries": recipes.DATASETS[cell["dataset"]]["symmetries"]}  # fmt: skip
    if method and method["warm_start"]:
        training.train(classifier, *parts, **sharing)
    others = consistency.load(images, split)
    started, clock = time.process_time(), time.perf_counter()
    if method:
        told, timings, guesses = consistency.train(
            classifier, parts[0], others, parts[1], classes=classes, method=method, **sharing
        )
    else:
        told, timings = training.train(classifier, *parts, **sharing)
        guesses = pseudo_labels.GUESSES.empty_table()
    seconds, wall = time.process_time() - started, time.perf_counter() - clock
    known = dict(zip(*truth.to_pydict().values(), strict=True))
    epochs = [row for row in audit.epochs(guesses, classes, known, "", "").to_pylist() if row["class"] is None]
    return {
        "f1": round(100 * recipes.score(classifier, images, split, truth, "test", notes), 2),
        "seconds": round(seconds, 1),
        "wall": round(wall, 1),
        "images": sum(timings["images"].to_pylist()),
        "steps": told["step"].to_pylist()[-1],
        "used": told["used_share"].to_pylist(),
        "guesses": {row["epoch"]: [row["accepted"] / row["given"], row["accuracy"]] for row in epochs},
    }


def table(found: dict[str, dict[str, Any]], asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return means over the seeds, a row a network, set, number of labels and variant."""
    groups = defaultdict(list)
    for cell in asked:
        if (known := found.get(key(cell))) is not None:
            groups[cell["network"], cell["dataset"], cell["labelled"], cell["variant"]].append(known)
    return [
        {
            "network": network,
            "dataset": dataset,
            "labelled": labelled,
            "variant": variant,
            "seeds": len(rows),
            "f1": round(float(np.mean([row["f1"] for row in rows])), 2),
            "each": [row["f1"] for row in rows],
            "seconds": round(float(np.mean([row["seconds"] for row in rows])), 1),
            "images/s": round(sum(row["images"] for row in rows) / sum(row["seconds"] for row in rows)),
            "guesses": [list(row["guesses"].values())[-1] for row in rows if row["guesses"]],
        }
        for (network, dataset, labelled, variant), rows in groups.items()
    ]


if __name__ == "__main__":
    main()
