"""Whether FixMatch and MixMatch help compact networks with few labels, and what they cost.

    python benchmarks/consistency.py development --data DIR --weights DIR --work DIR [--seconds 100]
    python benchmarks/consistency.py show        --data DIR --weights DIR --work DIR [--seconds 100]

`development` compares variants on the training side of the project's split alone, which is split again, and never sees
the test part; `show` compares the methods as they are, on the test part: nothing is chosen by it. `cells.py` says what
the benchmarks of training share.

`seconds` are of all that a method needs, the network that a warm start begins with included; `images/s` are the images
that went through the network forward, a second of the method's own training. `guesses` are, of the last epoch, the
share that was learned and the share of these that was right.
"""

import argparse
import time
from itertools import product
from typing import Any

import cells

from pocketscope.config.base import plain
from pocketscope.config.methods import Consistency
from pocketscope.distillation import audit
from pocketscope.models import networks
from pocketscope.tables.label_set import human_labels
from pocketscope.tables.online_pseudo_labels import ONLINE_PSEUDO_LABELS
from pocketscope.tables.split import images_with
from pocketscope.training import consistency, supervised
from pocketscope.training.batches import load_examples

NAMES = ("part", "dataset", "size", "labelled", "seed", "network", "training", "method")
FIXMATCH, MIXMATCH = ({"labels": "consistency", "algorithm": name} for name in ("fixmatch", "mixmatch"))
WARM, COLD = {"warm_start": True}, {"warm_start": False}
SHOW: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "supervised": ({}, None),
    "fixmatch": ({}, FIXMATCH),
    "mixmatch": ({}, MIXMATCH),
    "supervised, 5 times the steps": ({"steps": 1000}, None),
    # As long, in processor time, as FixMatch and its warm start take.
    "supervised, 9 times the steps": ({"steps": 1800}, None),
    "fixmatch, cold": ({}, FIXMATCH | COLD),
    "fixmatch, aligned": ({}, FIXMATCH | {"distribution_alignment": True}),
    "fixmatch, reference": ({}, FIXMATCH | {"preset": "reference"}),
    "mixmatch, cold": ({}, MIXMATCH | COLD),
    "mixmatch, reference": ({}, MIXMATCH | {"preset": "reference"}),
}
# Each changes `fixmatch` or `mixmatch`, which take as many steps as `supervised` here, from pretrained weights.
BEFORE = {"duration": 1.0, "unlabelled_ratio": 3}
COLD_FIXMATCH, WARM_FIXMATCH = FIXMATCH | COLD | BEFORE, FIXMATCH | WARM | BEFORE
COLD_MIXMATCH = MIXMATCH | COLD | {"duration": 1.0, "unlabelled_weight": 75.0, "alpha": 0.75}
WARM_MIXMATCH = COLD_MIXMATCH | WARM
DEVELOPMENT = {
    "supervised": ({}, None),
    "fixmatch": ({}, COLD_FIXMATCH),
    "fixmatch, threshold 0.8": ({}, COLD_FIXMATCH | {"threshold": 0.8}),
    "fixmatch, threshold 0.7": ({}, COLD_FIXMATCH | {"threshold": 0.7}),
    "fixmatch, labels smoothed": ({}, COLD_FIXMATCH | {"label_smoothing": 0.1}),
    "fixmatch, 400 steps": ({"steps": 400}, COLD_FIXMATCH),
    "fixmatch, ratio 2": ({}, COLD_FIXMATCH | {"unlabelled_ratio": 2}),
    "fixmatch, ramp 0.4": ({}, COLD_FIXMATCH | {"ramp_up": 0.4}),
    "fixmatch, aligned": ({}, COLD_FIXMATCH | {"distribution_alignment": True}),
    "fixmatch, warm": ({}, WARM_FIXMATCH),
    "fixmatch, warm, twice the steps": ({}, WARM_FIXMATCH | {"duration": 2.0}),
    "fixmatch, warm, twice the steps, ratio 1": ({}, WARM_FIXMATCH | {"duration": 2.0, "unlabelled_ratio": 1}),
    "fixmatch, warm, 4 times the steps, ratio 1": ({}, WARM_FIXMATCH | {"duration": 4.0, "unlabelled_ratio": 1}),
    "fixmatch, warm, 1.5 times the steps, ratio 2": ({}, WARM_FIXMATCH | {"duration": 1.5, "unlabelled_ratio": 2}),
    "mixmatch": ({}, COLD_MIXMATCH),
    "mixmatch, weight 25": ({}, COLD_MIXMATCH | {"unlabelled_weight": 25.0}),
    "mixmatch, weight 10": ({}, COLD_MIXMATCH | {"unlabelled_weight": 10.0}),
    "mixmatch, weight 10, warm": ({}, WARM_MIXMATCH | {"unlabelled_weight": 10.0}),
    "mixmatch, weight 3, warm": ({}, WARM_MIXMATCH | {"unlabelled_weight": 3.0}),
    "mixmatch, weight 10, alpha 0.1, warm": ({}, WARM_MIXMATCH | {"unlabelled_weight": 10.0, "alpha": 0.1}),
    "mixmatch, weight 3, alpha 0.1, warm": ({}, WARM_MIXMATCH | {"unlabelled_weight": 3.0, "alpha": 0.1}),
    "mixmatch, weight 3, alpha 0.1, warm, twice the steps": (
        {},
        WARM_MIXMATCH | {"unlabelled_weight": 3.0, "alpha": 0.1, "duration": 2.0},
    ),
    "mixmatch, ratio 2": ({}, COLD_MIXMATCH | {"unlabelled_ratio": 2}),
    "mixmatch, ramp 1": ({}, COLD_MIXMATCH | {"ramp_up": 1.0}),
}


def main() -> None:
    """Compute what is not there yet, as long as the time lasts, and print the table."""
    parser = cells.parser(__doc__.splitlines()[0])
    parser.set_defaults(datasets=["signdigits"])
    parser.add_argument("--networks", nargs="+", default=["squeezenet1_1"], choices=list(cells.NETWORKS))
    parser.add_argument("--labelled", type=int, nargs="+", default=[4, 25])
    parser.add_argument("--variants", nargs="+", help="all where none are named")
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    cells.compute(
        options.work / f"consistency-{options.what}.jsonl",
        asked(options),
        NAMES,
        lambda cell: measure(cell, options),
        options.seconds,
        lambda done: cells.summary(
            done, ["network", "dataset", "labelled", "variant"], ["seconds", "images/s", "learned", "right"]
        ),
    )


def asked(options: argparse.Namespace) -> list[cells.Cell]:
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
            "training": cells.settings(variants[variant][0]),
            "method": variants[variant][1] and plain(Consistency(**variants[variant][1])),
        }
        for labelled, seed, network, dataset, variant in product(
            options.labelled, options.seeds, options.networks, options.datasets, options.variants or variants
        )
    ]


def measure(cell: cells.Cell, options: argparse.Namespace) -> dict[str, Any]:
    """Train one cell and score it."""
    images = cells.pack(cell, options)
    split, truth, notes = cells.split(images, cell)
    classes = notes["classes"]
    people = cells.labels_of(split, truth, "human")
    held_out = human_labels(*images_with(split, "validation"))
    parts = [load_examples(images, labels, classes) for labels in (people, held_out)]
    entry, method = cells.NETWORKS[cell["network"]], cell["method"]
    classifier = networks.build(entry, len(classes), options.weights.resolve(), seed=cell["seed"])
    sharing = {"pretrained": True, "settings": cell["training"], "seed": cell["seed"], "device": cells.CPU,
               "train_dtype": cells.train_dtype(entry["name"], cell["size"]),
               "symmetries": cells.DATASETS[cell["dataset"]]["symmetries"]}  # fmt: skip
    started, clock = time.process_time(), time.perf_counter()
    if method and method["warm_start"]:
        supervised.train(classifier, *parts, **sharing)
    others = consistency.load(images, split)
    ready = time.process_time()
    if method:
        told, timings, guesses = consistency.train(
            classifier, parts[0], others, parts[1], classes=classes, method=method, **sharing
        )
    else:
        told, timings = supervised.train(classifier, *parts, **sharing)
        guesses = ONLINE_PSEUDO_LABELS.empty_table()
    done, wall = time.process_time(), time.perf_counter() - clock
    known = dict(zip(*truth.to_pydict().values(), strict=True))
    epochs = [row for row in audit.epochs(guesses, classes, known, "", "").to_pylist() if row["class"] is None]
    images_seen = sum(timings["images"].to_pylist())
    last = {"learned": epochs[-1]["accepted"] / epochs[-1]["given"], "right": epochs[-1]["accuracy"]} if epochs else {}
    return last | {
        "f1": cells.score(classifier, images, split, truth, notes),
        "seconds": round(done - started, 1),
        "wall": round(wall, 1),
        "images": images_seen,
        "images/s": images_seen / (done - ready),
        "steps": told["step"].to_pylist()[-1],
        "used": told["used_share"].to_pylist(),
        "guesses": {row["epoch"]: [row["accepted"] / row["given"], row["accuracy"]] for row in epochs},
    }


if __name__ == "__main__":
    main()
