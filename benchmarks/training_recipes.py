"""Which recipe trains best on few labelled images, and what each costs.

    python benchmarks/training_recipes.py development --data DIR --weights DIR --work DIR [--seconds 100]
    python benchmarks/training_recipes.py show        --data DIR --weights DIR --work DIR [--seconds 100]

`development` compares variants of the recipe on the training side of the project's splits, which is split again;
`show` compares the recipes as they are, on the test part: nothing is chosen by it. Call the command until it says that
nothing is left, in as many processes as you like; the last line is the table of what is there, as JSON. `cells.py`
says what the benchmarks of training share.
"""

import argparse
import time
from itertools import product
from typing import Any

import cells

from pocketscope.core.errors import InputError

NETWORKS = ["squeezenet1_1", "efficientnet_lite0", "mobilenet_v2"]
# What is compared on development data: the default, and what changes one thing of it. `labels` says whose: `human` if
# nothing is said, or `full`. `min_validation` is the split's: from so many labelled images a class on some are kept for
# validation, and the best epoch is kept, not the last one. The rest is the configuration's `training`.
VALIDATION = {"min_validation": 20}
VARIANTS: dict[str, dict[str, Any]] = {
    "frozen": {"recipe": "frozen"},
    "fast": {},
    "100 steps": {"steps": 100},
    "400 steps": {"steps": 400},
    "validation": VALIDATION,
    "validation, 100 steps": VALIDATION | {"steps": 100},
    "validation, 100 steps, never stopped early": VALIDATION | {"steps": 100, "patience": 10},
    "validation, 100 steps, judged by the loss": VALIDATION | {"steps": 100, "monitor": "loss"},
    "batch 8": {"steps": 400, "batch_size": 8},
    "rate 0.00025": {"learning_rate": 2.5e-4},
    "rate 0.001": {"learning_rate": 1e-3},
    "gradients as they are": {"max_grad_norm": 0.0},
    "rate 0.001, gradients as they are": {"learning_rate": 1e-3, "max_grad_norm": 0.0},
    "range test": {"learning_rate": "tenth_of_minimum"},
    "lowest layers 0.3": {"lowest_layer_lr_ratio": 0.3},
    "lowest layers 0.1": {"lowest_layer_lr_ratio": 0.1},
    "lowest layers 0.01": {"lowest_layer_lr_ratio": 0.01},
    "batch norm trained": {"batch_norm": "trained"},
    "no ema": {"ema": 0.0},
    "no smoothing": {"label_smoothing": 0.0},
    "mixup": {"mixup": 0.2},
    "paper": {"recipe": "paper"} | VALIDATION,
    "full": {"labels": "full"},
    "full, batch norm trained": {"labels": "full", "batch_norm": "trained"},
    "full, steps_exponent 0.25": {"labels": "full", "steps_exponent": 0.25},
    "full, steps_exponent 0": {"labels": "full", "steps_exponent": 0.0},
}
RECIPES: dict[str, dict[str, Any]] = {
    "frozen": {"recipe": "frozen"},
    "fast": {},
    "fast, 50 steps": {"steps": 50},
    "fast, 25 steps": {"steps": 25},
    "paper": {"recipe": "paper"} | VALIDATION,
    "full": {"labels": "full"},
}
OTHER = ("labels", "min_validation")  # entries that are not of `training`
NAMES = ("seed", "network", "dataset", "size", "labelled", "min_validation", "labels", "training", "part")


def main() -> None:
    """Compute what is not there yet, as long as the time lasts, and print the table."""
    parser = cells.parser(__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=list(cells.NETWORKS))
    parser.add_argument("--variants", nargs="+", help="of VARIANTS, or of RECIPES; all where none are named")
    parser.add_argument("--labelled", type=int, default=25)
    parser.add_argument("--size", type=int, help="64 in development, else 96")
    options = parser.parse_args()
    cells.compute(
        options.work / f"{options.what}.jsonl",
        asked(options),
        NAMES,
        lambda cell: measure(cell, options),
        options.seconds,
        lambda done: cells.summary(done, ["network", "dataset", "variant"], ["seconds"]),
    )


def asked(options: argparse.Namespace) -> list[cells.Cell]:
    """Return what is to be trained: all of one seed first, so that a part of it is a table already."""
    development = options.what == "development"
    of = VARIANTS if development else RECIPES
    size = options.size or (64 if development else 96)
    return [
        {
            "seed": seed,
            "network": network,
            "dataset": dataset,
            "size": size,
            "labelled": options.labelled,
            "part": "development" if development else "test",
            "variant": name,
            "labels": "human",
            "training": cells.settings({key: value for key, value in of[name].items() if key not in OTHER}),
        }
        | {key: value for key, value in of[name].items() if key in OTHER}
        for seed, network, dataset, name in product(
            options.seeds, options.networks, options.datasets, options.variants or of
        )
    ]


def measure(cell: cells.Cell, options: argparse.Namespace) -> dict[str, Any]:
    """Train one cell and score it."""
    images = cells.pack(cell, options)
    split, truth, notes = cells.split(images, cell)
    labels = cells.labels_of(split, truth, cell["labels"])
    started = time.process_time()
    try:
        classifier, told = cells.train(cell["network"], labels, images, split, notes, cell, cell["training"], options)
    except InputError as error:  # a rate at which the loss becomes no number is a result too
        return {"f1": 0.0, "seconds": round(time.process_time() - started, 1), "failed": str(error)}
    seconds = time.process_time() - started
    return {
        "f1": cells.score(classifier, images, split, truth, notes),
        "seconds": round(seconds, 1),
        "images": len(labels),
        "steps": told["step"].to_pylist()[-1],
        "rate": max(filter(None, told["learning_rate"].to_pylist()), default=None),
    }


if __name__ == "__main__":
    main()
