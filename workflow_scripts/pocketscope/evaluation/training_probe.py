"""How fast a study's networks train on this machine: a few steps of each on noise, before anything is trained.

    python -m pocketscope.evaluation.training_probe ROOT CONFIG NETWORK ...

prints one line of JSON, by network: `step`, the seconds of a training step with augmentation, and `image`, those that
the frozen network takes of an image.
"""

import json
import logging
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

from pocketscope.config.study import read_config
from pocketscope.core.own_functions import loaded
from pocketscope.models import networks
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.runtime import devices
from pocketscope.training import batches, supervised
from pocketscope.training.batches import Examples

STEPS = 5  # of which the first warms up
BATCH = 32


def measured(plan: StudyPlan, network: str) -> dict[str, float]:
    """Return `step` and `image`, seconds each, of a network as the study trains it."""
    config = plan.config
    dataset = next(iter(config.datasets))
    size, settings = config.datasets[dataset].image_size, loaded(plan.training("human"), plan.root)
    device = devices.prepare(config.compute.device, config.compute.threads, config.compute.threads)
    about = plan.network(network)
    classifier = networks.build(about, 2, plan.root, seed=0)
    count = settings["batch_size"]
    pixels = np.random.default_rng(0).integers(0, 256, (max(count, BATCH), size, size, 3), dtype=np.uint8)
    given = torch.from_numpy(pixels[:BATCH]).permute(0, 3, 1, 2).float().to(device) / 255
    classifier.to(device).eval()
    with torch.inference_mode():
        classifier(given[:2])
        began = time.perf_counter()
        classifier(given).cpu()
        image = (time.perf_counter() - began) / BATCH
    # An epoch a step, because epochs are timed; at a small rate, so that noise makes no loss infinite.
    few = dict.fromkeys(("steps", "steps_from_scratch", "n_evaluations", "patience"), STEPS)
    few |= dict.fromkeys(("learning_rate", "learning_rate_from_scratch"), 1e-6) | {"epochs": None, "steps_exponent": 0}
    _, timings = supervised.train(
        classifier.cpu(),
        Examples(pixels[:count], batches.one_hot(np.arange(count) % 2, 2), np.ones(count, bool)),
        None,
        pretrained=networks.is_pretrained(about),
        settings=settings | few | {"head": "regression"},
        symmetries=[],
        seed=0,
        device=device,
        train_dtype=devices.train_dtype(plan.train_dtype(dataset, network), device),
    )
    return {"step": statistics.median(timings["seconds"].to_pylist()[-STEPS + 1 :]), "image": image}


def main(root: str, config: str, *names: str) -> None:
    """Print what was measured."""
    logging.disable(logging.WARNING)  # that noise is not learnt warns no one
    plan = StudyPlan(*read_config(Path(config), Path(root)), Path(root))
    print(json.dumps({name: measured(plan, name) for name in names}))


if __name__ == "__main__":
    main(*sys.argv[1:])
