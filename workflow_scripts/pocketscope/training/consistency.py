"""FixMatch and MixMatch: labelled and unlabelled images at once, for as long as the training lasts.

Both ask a network to agree with itself. FixMatch (Sohn et al. 2020) guesses the class of a weakly changed image and,
where it is sure, learns that guess on a strongly changed copy. MixMatch (Berthelot et al. 2019) averages and sharpens
the guesses at several weakly changed copies and mixes all images, labelled and unlabelled, with each other. The head,
the optimiser, the schedule, the averaged weights, the history and the resuming are those of `training`.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
import torch.nn.functional as F
from torch import nn

from pocketscope.core import seeds
from pocketscope.models import networks
from pocketscope.models.tensors import to_tensor
from pocketscope.runtime.resume import Resume
from pocketscope.tables.online_pseudo_labels import ONLINE_PSEUDO_LABELS, epoch_remarks
from pocketscope.tables.split import images_with
from pocketscope.training import augmentation, batches, budget, randaugment, supervised
from pocketscope.training.batches import Examples
from pocketscope.training.history import History, OnlinePseudoLabels
from pocketscope.training.loop import Objective, Outcome

log = logging.getLogger(__name__)


WEAK = {"rotation": 0.0, "zoom": 0.0, "translation": 0.125, "brightness": 0.0, "contrast": 0.0}  # as in both papers
ALIGNMENT_DECAY = 1 - 1 / 128  # ReMixMatch's running average is over 128 batches
STORED = 5  # epochs whose guesses are stored, at most, beside the one that is kept


@dataclass(frozen=True)
class Unlabelled:
    """Images without labels.

    image_ids
        N names.
    images
        uint8 (N, H, W, 3).
    """

    image_ids: Sequence[str]
    images: np.ndarray


@dataclass(frozen=True)
class Task:
    """What a method's objective is made of.

    labelled
        Images with labels.
    unlabelled
        uint8 (N, H, W, 3), N > 0.
    method, settings, symmetries, seed, device
        See `train`.
    steps
        Of the whole training.
    """

    labelled: Examples
    unlabelled: np.ndarray
    method: Mapping[str, Any]
    settings: Mapping[str, Any]
    symmetries: list[str]
    steps: int
    seed: int
    device: torch.device

    def labels(self) -> Objective:
        """Return the objective of learning labels alone; its losses are not used here."""
        return supervised.supervised_objective(self.labelled, self.settings, self.symmetries, self.seed, self.device)

    def entropy(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Return the loss of labelled images; see `supervised.label_loss`."""
        smoothing = {"label_smoothing": self.method["label_smoothing"]}
        return supervised.label_loss(self.labelled, dict(self.settings) | smoothing, self.device)

    def weights(self, step: int, count: int) -> torch.Tensor:
        """Return the weight of the unlabelled loss at a step, once for each of `count` images."""
        weight = self.method["unlabelled_weight"] * ramp(step, self.steps, self.method["ramp_up"])
        return torch.full((count,), weight, device=self.device)


def load(images: str | os.PathLike, split: pa.Table) -> Unlabelled:
    """Load a split's unlabelled images (split: schema split.SPLIT) out of the packed ones."""
    image_ids, _ = images_with(split, "unlabelled")
    return Unlabelled(image_ids, batches.load_pixels(images, image_ids))


def train(
    classifier: networks.Classifier,
    labelled: Examples,
    unlabelled: Unlabelled,
    validation: Examples | None,
    *,
    classes: Sequence[str],
    method: Mapping[str, Any],
    pretrained: bool,
    settings: Mapping[str, Any],
    symmetries: list[str],
    seed: int,
    device: torch.device,
    train_dtype: torch.dtype = torch.float32,
    resume: Resume | None = None,
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Train `classifier` in place on labelled and unlabelled images.

    Parameters
    ----------
    classifier
        As for `supervised.train`; with `warm_start` it was trained on the labelled images before, and keeps its head.
    unlabelled
        Where there are none, labels alone are learned.
    classes
        Class names, in the order of the targets' columns.
    method
        The configuration of a method with `labels: consistency`.
    labelled, validation, pretrained, settings, symmetries, seed, device, train_dtype, resume
        See `supervised.train`. Labelled images are changed as there, unlabelled ones weakly: flips and shifts.

    Returns
    -------
    tuple of pyarrow.Table
        The history and the timings, as `supervised.train` returns them, and the guesses of some epochs (schema
        online_pseudo_labels.ONLINE_PSEUDO_LABELS).

    Raises
    ------
    pocketscope.core.errors.InputError
        See `supervised.train`.
    """
    # The classifier that is kept, and judged by the validation set, has the averaged weights.
    settings = lasting(settings, method["duration"]) | {"ema": method["ema"], "ema_rises": method["ema_rises"]}
    pretrained = pretrained or method["warm_start"]
    history = History(validation, settings["monitor"], device)
    steps = budget.steps(settings, len(labelled), pretrained=pretrained)
    if len(unlabelled.images):
        build = {"fixmatch": fixmatch, "mixmatch": mixmatch}[method["algorithm"]]
        objective = build(Task(labelled, unlabelled.images, method, settings, symmetries, steps, seed, device))
    else:
        log.warning("there are no unlabelled images: %s learns the human labels only", method["algorithm"])
        objective = supervised.supervised_objective(labelled, settings, symmetries, seed, device)
    supervised.learn(
        classifier, labelled, objective, history, pretrained=pretrained, settings=settings, symmetries=symmetries,
        seed=seed, train_dtype=train_dtype, resume=resume, trained=method["warm_start"],
    )  # fmt: skip
    guesses = guess_table(history, unlabelled.image_ids, classes)
    for epoch in sorted(set(guesses["epoch"].to_pylist())):
        of_epoch = guesses.filter(pc.equal(guesses["epoch"], epoch))
        for remark in epoch_remarks(of_epoch, classes):
            log.warning("epoch %d: %s", epoch, remark)
    return *history.tables(), guesses


def lasting(settings: Mapping[str, Any], duration: float) -> dict[str, Any]:
    """Return the configuration's `training` with `duration` times as many steps, by whichever key it counts them."""
    counts = ("epochs", "steps", "steps_from_scratch")
    return dict(settings) | {name: settings[name] and settings[name] * duration for name in counts}


def fixmatch(task: Task) -> Objective:
    """Return FixMatch's objective: labelled, weakly and strongly changed images go through the network together.

    The guesses are those of the weights that learn; the averaged ones are what is kept (Sohn et al. 2020, section 2.4).
    """
    labels, entropy, draw_weak, guess = task.labels(), task.entropy(), _weak(task), _Guesser(task)

    def draw(step: int) -> tuple[torch.Tensor, ...]:
        pixels, targets = labels.draw(step)
        places, (weak, other) = draw_weak(step, 2)
        strong = randaugment.strong(other, torch.default_generator)
        return pixels, targets, places, weak, strong, task.weights(step, len(weak))

    def loss(classifier: nn.Module, pixels, targets, places, weak, strong, weights) -> Outcome:
        together = torch.cat([pixels, weak, strong])
        logits, of_weak, of_strong = classifier(together).float().split([len(pixels), len(weak), len(strong)])
        probabilities = guess(of_weak.detach().softmax(1))
        used = probabilities.amax(1) >= task.method["threshold"]
        losses = pseudo_label_losses(of_strong, probabilities, used)
        guesses = OnlinePseudoLabels(places, probabilities, used, losses.detach().mean())
        total = entropy(logits, targets) + (weights * losses).mean()
        return Outcome(total, logits, targets, len(together), guesses)

    return Objective(draw, loss, guess.state)


def mixmatch(task: Task) -> Objective:
    """Return MixMatch's objective; all mixed images go through the network together."""
    task = replace(task, settings=dict(task.settings) | {"mixup": 0})  # all are mixed below
    labels, entropy, draw_weak, guess = task.labels(), task.entropy(), _weak(task), _Guesser(task)

    def draw(step: int) -> tuple[torch.Tensor, ...]:
        pixels, targets = labels.draw(step)
        places, views = draw_weak(step, task.method["n_augmentations"])
        return pixels, targets, places, task.weights(step, len(places)), *views

    def loss(classifier: nn.Module, pixels, targets, places, weights, *views) -> Outcome:
        with torch.no_grad():
            seen = classifier(torch.cat(views)).float().softmax(1)
        mean = guess(seen.view(len(views), len(places), -1).mean(0))
        guessed = sharpen(mean, task.method["temperature"]).repeat(len(views), 1)
        mixed, mixed_targets = augmentation.mix(
            torch.cat([pixels, *views]), torch.cat([targets, guessed]), task.method["alpha"], torch.default_generator,
            mostly_itself=True,
        )  # fmt: skip
        logits = classifier(mixed).float()
        count = len(pixels)
        losses = squared_errors(logits[count:], mixed_targets[count:])
        used = torch.ones(len(places), dtype=torch.bool, device=mean.device)
        total = entropy(logits[:count], mixed_targets[:count]) + (weights.repeat(len(views)) * losses).mean()
        guesses = OnlinePseudoLabels(places, mean, used, losses.detach().mean())
        return Outcome(total, logits[:count], mixed_targets[:count], len(seen) + len(mixed), guesses)

    return Objective(draw, loss, guess.state)


def pseudo_label_losses(logits: torch.Tensor, probabilities: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
    """Return each image's cross entropy to its guess, 0 where the guess is not used (Sohn et al. 2020, eq. 4).

    Parameters
    ----------
    logits
        float (M, classes), of strongly changed images.
    probabilities
        float (M, classes), of weakly changed ones; the most probable class is the guess.
    used
        bool (M,).
    """
    return F.cross_entropy(logits, probabilities.argmax(1), reduction="none") * used


def squared_errors(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return each image's squared error of its probabilities, the mean over classes (Berthelot et al. 2019, eq. 4)."""
    return (logits.softmax(1) - targets).square().mean(1)


def sharpen(probabilities: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return p^(1/T), made to sum to 1, of probabilities (N, classes) (Berthelot et al. 2019, eq. 7)."""
    powers = (probabilities / probabilities.amax(1, keepdim=True)) ** (1 / temperature)
    return powers / powers.sum(1, keepdim=True)


def align(probabilities: torch.Tensor, wanted: torch.Tensor, average: torch.Tensor) -> torch.Tensor:
    """Return p times wanted / average, made to sum to 1 (distribution alignment; Berthelot et al. 2020, ReMixMatch).

    Parameters
    ----------
    probabilities
        float (N, classes).
    wanted, average
        float (classes,): how frequent classes are among the labels, and in recent guesses.
    """
    aligned = probabilities * (wanted.clamp(min=1e-6) / average.clamp(min=1e-6))  # all may be on a class without labels
    return aligned / aligned.sum(1, keepdim=True)


def ramp(step: int, steps: int, ramp_up: float) -> float:
    """Return the factor of the unlabelled loss at a step, counted from 0: it rises evenly to 1, and stays.

    Parameters
    ----------
    ramp_up
        How long it rises: up to 1 a share of all `steps`, above 1 a number of steps.
    """
    length = ramp_up * steps if ramp_up <= 1 else ramp_up
    return min(1.0, (step + 1) / length) if length else 1.0


def guess_table(history: History, image_ids: Sequence[str], classes: Sequence[str]) -> pa.Table:
    """Return the guesses of some epochs (schema ONLINE_PSEUDO_LABELS): the one that is kept, and others evenly."""
    epochs = sorted(history.guesses)
    stored = {epochs[i] for i in np.linspace(0, len(epochs) - 1, STORED).round().astype(int)} if epochs else set()
    found = [ONLINE_PSEUDO_LABELS.empty_table()]
    for epoch in sorted(stored | ({history.best} & set(epochs))):
        guessed = {name: tensor.numpy() for name, tensor in history.guesses[epoch].items()}
        found.append(
            pa.table(
                {
                    "image_id": np.asarray(image_ids, dtype=object)[guessed["images"]],
                    "epoch": np.full(len(guessed["images"]), epoch, np.int32),
                    "label": np.asarray(classes, dtype=object)[guessed["classes"]],
                    "confidence": guessed["confidences"],
                    "accepted": guessed["used"],
                },
                schema=ONLINE_PSEUDO_LABELS,
            )
        )
    return pa.concat_tables(found)


class _Guesser:
    """Makes guesses of probabilities: as they are, or aligned with how frequent classes are among the labels."""

    def __init__(self, task: Task) -> None:
        self.state: dict[str, torch.Tensor] = {}
        if task.method["distribution_alignment"]:
            self.wanted = torch.from_numpy(task.labelled.targets).mean(0).to(task.device)
            self.state["average"] = self.wanted.clone()

    def __call__(self, probabilities: torch.Tensor) -> torch.Tensor:
        if not self.state:
            return probabilities
        average = self.state["average"]
        average.lerp_(probabilities.mean(0), 1 - ALIGNMENT_DECAY)
        return align(probabilities, self.wanted, average)


def _weak(task: Task) -> Callable[[int, int], tuple[torch.Tensor, list[torch.Tensor]]]:
    """Return a function from a step and a number of copies to the places of unlabelled images and their copies."""
    images = to_tensor(task.unlabelled, task.device)
    size = task.settings["batch_size"] * task.method["unlabelled_ratio"]
    everyone = np.ones(len(task.unlabelled), bool)
    batch = batches.batch_sampler(everyone, size, 1.0, seeds.seed(task.seed, "unlabelled"))

    def draw(step: int, copies: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        places = batch(step)
        drawn = images[places.to(images.device)].to(task.device)
        views = [augmentation.augment(drawn, WEAK, task.symmetries, torch.default_generator) for _ in range(copies)]
        return places.to(task.device), views

    return draw
