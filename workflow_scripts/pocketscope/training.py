"""Train a classifier on a label set: a head on frozen features first, then all layers.

The head comes first so that the random gradients of a new one do not spoil pretrained layers (Kumar et al. 2022,
"Fine-Tuning can Distort Pretrained Features"); it is a logistic regression, whose optimum is found in seconds.
"""

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch import nn

from pocketscope import networks, packed
from pocketscope.augmentation import augment
from pocketscope.errors import InputError

HISTORY = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),  # 0 is the head alone
        pa.field("step", pa.int32(), nullable=False),
        pa.field("learning_rate", pa.float64()),
        pa.field("train_loss", pa.float64()),
        pa.field("validation_loss", pa.float64()),
        pa.field("validation_accuracy", pa.float64()),
        pa.field("validation_f1", pa.float64()),
        pa.field("kept", pa.bool_(), nullable=False),  # the epoch whose weights the model has
    ]
)
# What depends on the clock stands apart, so that equal trainings give equal histories.
TIMINGS = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("images", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)

HEAD_PENALTY = 1.0  # inverse strength C of the logistic regression, on features of unit variance
BATCH_WITHOUT_GRADIENTS = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examples:
    """Images with their labels.

    images
        uint8 (N, H, W, 3).
    targets
        int64 (N,): indices of classes.
    human
        bool (N,): labelled by people, not by teachers.
    """

    images: np.ndarray
    targets: np.ndarray
    human: np.ndarray


def examples(images: str | os.PathLike, labels: pa.Table, classes: list[str]) -> Examples:
    """Load the images of a label set.

    Parameters
    ----------
    images
        The packed images.
    labels
        Columns image_id, label and source.
    classes
        Class names; a target is a place in this list.
    """
    place = {name: index for index, name in enumerate(classes)}
    targets = np.array([place[label] for label in labels["label"].to_pylist()], dtype=np.int64)
    human = np.array([source == "human" for source in labels["source"].to_pylist()], dtype=bool)
    return Examples(packed.load_images(images, labels["image_id"].to_pylist()), targets, human)


def train(
    classifier: networks.Classifier,
    examples: Examples,
    validation: Examples | None,
    *,
    pretrained: bool,
    settings: Mapping[str, Any],
    augmentation: Mapping[str, float],
    symmetries: list[str],
    seed: int,
    device: torch.device,
) -> tuple[pa.Table, pa.Table]:
    """Train `classifier` in place.

    Parameters
    ----------
    classifier
        With pretrained weights, or with random ones.
    examples, validation
        What to train on, and what chooses the best epoch; without it the last one is kept.
    pretrained
        Whether there are features worth protecting: the head is trained alone first, and low layers learn slowly.
    settings, augmentation
        The configuration's `training` and `augmentation`.
    symmetries
        The data set's flips.
    seed
        Of batches, augmentation and dropout. Equal seeds, threads and machines give equal weights, on a CPU bit for
        bit.
    device
        Where to train. The classifier is on the CPU, in evaluation mode, when it comes back.

    Returns
    -------
    tuple of pyarrow.Table
        The history (schema HISTORY) and the timings (schema TIMINGS), a row an epoch.

    Raises
    ------
    pocketscope.errors.InputError
        There is nothing to train on, or the loss became infinite or no number.
    """
    if not len(examples.targets):
        raise InputError("there is no labelled image to train on; label some, or ask for fewer a class")
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images = _tensor(examples.images, device)
    targets = torch.from_numpy(examples.targets).to(device)
    classifier.to(device, memory_format=torch.channels_last)
    started = time.perf_counter()
    record = _Record(validation, classifier, device)
    if pretrained:
        _fit_head(classifier, images, examples.targets)
        record.epoch(step=0, learning_rate=None, train_loss=None, images=len(images), started=started)

    steps = settings["steps"] if pretrained else settings["steps_from_scratch"]
    optimizer, schedule = _optimizer(classifier, settings, steps, pretrained)
    batches = _batches(examples.human, settings["batch_size"], settings["human_share"], generator)
    epoch_steps = math.ceil(steps / settings["evaluations"])
    losses, started = [], time.perf_counter()
    _training_mode(classifier, pretrained)
    for step in range(1, steps + 1):
        batch = next(batches).to(device)
        pixels = augment(images[batch], augmentation, symmetries, generator).to(memory_format=torch.channels_last)
        loss = F.cross_entropy(classifier(pixels), targets[batch])
        rate = schedule.get_last_lr()[-1]
        if not torch.isfinite(loss):
            raise InputError(
                f"the loss became {loss.item()} at step {step}, learning rate {rate:.2g}; lower it in 'training'"
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        if step % epoch_steps == 0 or step == steps:
            count = len(losses) * settings["batch_size"]
            record.epoch(
                step=step,
                learning_rate=rate,
                train_loss=torch.stack(losses).mean().item(),
                images=count,
                started=started,
            )
            left = (time.perf_counter() - started) / len(losses) * (steps - step)
            log.info("step %d of %d, about %.0f s left", step, steps, left)
            if record.since_best() >= settings["patience"]:
                log.info("no better epoch for %d evaluations: stopped", settings["patience"])
                break
            losses, started = [], time.perf_counter()
            _training_mode(classifier, pretrained)
    record.restore()
    classifier.to("cpu", memory_format=torch.contiguous_format).eval()
    return record.history(), record.timings()


@torch.inference_mode()
def logits(classifier: networks.Classifier, images: torch.Tensor) -> torch.Tensor:
    """Return logits, float (N, classes) on the CPU, of uint8 images (N, 3, H, W)."""
    classifier.eval()
    parts = images.split(BATCH_WITHOUT_GRADIENTS)
    return torch.cat([classifier(part.float() / 255).cpu() for part in parts])


@torch.inference_mode()
def _fit_head(classifier: networks.Classifier, images: torch.Tensor, targets: np.ndarray) -> None:
    classifier.eval()
    parts = images.split(BATCH_WITHOUT_GRADIENTS)
    features = torch.cat([classifier.features(part.float() / 255).cpu() for part in parts]).double().numpy()
    present = np.unique(targets)
    if len(present) < 2:
        return  # nothing to tell apart
    # One scale for all features. With one each, features that hardly vary get huge weights, and the rounding of an int8
    # network in them outweighs the rest.
    mean, scale = features.mean(axis=0), features.std() or 1.0
    fitted = LogisticRegression(C=HEAD_PENALTY, max_iter=1000).fit((features - mean) / scale, targets)
    # Two classes are one row: their difference.
    coefficients = fitted.coef_ if len(present) > 2 else np.vstack([-fitted.coef_, fitted.coef_]) / 2
    intercepts = fitted.intercept_ if len(present) > 2 else np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2
    weight = np.zeros(classifier.head.weight.shape)
    bias = np.full(len(weight), intercepts.min() - 5.0)  # a class without an image is not guessed
    weight[present] = coefficients / scale
    bias[present] = intercepts - weight[present] @ mean
    classifier.head.weight.copy_(torch.from_numpy(weight))
    classifier.head.bias.copy_(torch.from_numpy(bias))


def _training_mode(classifier: networks.Classifier, pretrained: bool) -> None:
    """Switch to training; pretrained batch normalisation keeps the statistics that it came with.

    Those of a few small batches are far from them (measured: F1 of the head alone falls from 63 to 34 when they are
    estimated anew from 100 images), and the head was fitted to features that were normalised with the old ones.
    """
    classifier.train()
    if pretrained:
        for module in classifier.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _optimizer(
    classifier: networks.Classifier, settings: Mapping[str, Any], steps: int, pretrained: bool
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return AdamW with rates that rise geometrically with depth, on a one-cycle schedule (Smith and Topin 2018)."""
    highest = settings["learning_rate" if pretrained else "learning_rate_from_scratch"]
    lowest = settings["lowest_layers"] if pretrained else 1.0
    groups, rates = [], []
    for depth, parameters in networks.depths(classifier):
        rate = highest * lowest ** (1 - depth)
        # Decay pulls weights to zero; normalisation and biases (one dimension) have no reason to be small.
        for decay, members in (
            (settings["weight_decay"], [p for p in parameters if p.ndim > 1]),
            (0.0, [p for p in parameters if p.ndim <= 1]),
        ):
            groups.append({"params": members, "weight_decay": decay})
            rates.append(rate)
    optimizer = torch.optim.AdamW(groups, fused=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps + 1, pct_start=0.25)


def _batches(human: np.ndarray, size: int, human_share: float, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield batches of indices for ever; people's labels have a fixed share, however many the teachers gave."""
    by_people, by_teachers = (torch.from_numpy(np.flatnonzero(which)) for which in (human, ~human))
    if not len(by_people) or not len(by_teachers):
        parts = [(by_people if len(by_people) else by_teachers, size)]
    else:
        share = min(size - 1, max(1, round(size * human_share))) if 0 < human_share < 1 else round(size * human_share)
        parts = [(by_people, share), (by_teachers, size - share)]
    streams = [(_shuffled(indices, generator), count) for indices, count in parts if count]
    while True:
        yield torch.stack([next(stream) for stream, count in streams for _ in range(count)])


def _shuffled(indices: torch.Tensor, generator: torch.Generator) -> Iterator[torch.Tensor]:
    # Each pass takes every image once, and passes follow one another without a gap: no batch is ever short, and a set
    # smaller than a batch still trains.
    while True:
        yield from indices[torch.randperm(len(indices), generator=generator)]


def _tensor(images: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(device)


class _Record:
    """What happened in each epoch, and the weights of the best one."""

    def __init__(self, validation: Examples | None, classifier: networks.Classifier, device: torch.device) -> None:
        self.classifier = classifier
        self.images = _tensor(validation.images, device) if validation else None
        self.targets = torch.from_numpy(validation.targets) if validation else None
        self.rows: list[dict[str, Any]] = []
        self.seconds: list[dict[str, Any]] = []
        self.best = 0
        self.weights: dict[str, torch.Tensor] = {}

    def epoch(self, *, started: float, images: int, **row: Any) -> None:
        self.seconds.append({"epoch": len(self.rows), "images": images, "seconds": time.perf_counter() - started})
        row |= {"epoch": len(self.rows), "validation_loss": None, "validation_accuracy": None, "validation_f1": None}
        if self.images is not None:
            row |= self._validate()
            log.info(
                "epoch %d: validation F1 %.3f, loss %.3f", row["epoch"], row["validation_f1"], row["validation_loss"]
            )
        self.rows.append(row)
        if self.images is None or len(self.rows) == 1 or self._merit(row) >= self._merit(self.rows[self.best]):
            self.best = len(self.rows) - 1
            if self.images is not None:
                self.weights = {name: tensor.clone() for name, tensor in self.classifier.state_dict().items()}

    def since_best(self) -> int:
        return len(self.rows) - 1 - self.best

    def restore(self) -> None:
        if self.weights:
            self.classifier.load_state_dict(self.weights)

    def history(self) -> pa.Table:
        return pa.Table.from_pylist([row | {"kept": i == self.best} for i, row in enumerate(self.rows)], schema=HISTORY)

    def timings(self) -> pa.Table:
        return pa.Table.from_pylist(self.seconds, schema=TIMINGS)

    def _validate(self) -> dict[str, float]:
        scores = logits(self.classifier, self.images)
        predicted = scores.argmax(1)
        return {
            "validation_loss": F.cross_entropy(scores, self.targets).item(),
            "validation_accuracy": (predicted == self.targets).float().mean().item(),
            "validation_f1": float(f1_score(self.targets, predicted, average="macro", zero_division=0)),
        }

    @staticmethod
    def _merit(row: Mapping[str, Any]) -> tuple[float, float]:
        # A small validation part has few distinct F1 values: the loss decides among equals.
        return row["validation_f1"], -row["validation_loss"]
