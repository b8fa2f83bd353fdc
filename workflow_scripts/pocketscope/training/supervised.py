"""Train a classifier on a label set: a new head first, then all layers.

What other ways of training share is apart: `batches`, `augmentation`, learning rates and averaged weights
(`optimization`), `history`, `resume`. `fit`, the loop itself, takes any loss.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import nn

from pocketscope.core.errors import InputError
from pocketscope.models import linear_head, networks, unfold_batch_norm
from pocketscope.models.tensors import to_tensor
from pocketscope.runtime.resume import Resume
from pocketscope.training import augmentation, batches, budget
from pocketscope.training.batches import Examples
from pocketscope.training.history import History
from pocketscope.training.loop import Objective, Outcome, Peak, StepPlan, find_rate, fit, new_learner


def train(
    classifier: networks.Classifier,
    labelled: Examples,
    validation: Examples | None,
    *,
    pretrained: bool,
    settings: Mapping[str, Any],
    symmetries: list[str],
    seed: int,
    device: torch.device,
    train_dtype: torch.dtype = torch.float32,
    resume: Resume | None = None,
) -> tuple[pa.Table, pa.Table]:
    """Train `classifier` in place.

    Parameters
    ----------
    classifier
        With pretrained weights, or with random ones.
    labelled, validation
        What to train on, and what chooses the best epoch; without it the last one is kept.
    pretrained
        Whether there are features worth protecting: the head is trained alone first, and low layers learn as
        slowly as `lowest_layer_lr_ratio` says.
    settings
        The configuration's `training`.
    symmetries
        The data set's flips.
    seed
        Of batches, augmentation and dropout. Equal seeds, threads and machines give equal weights, on a CPU bit for
        bit.
    device
        Where to train. The classifier is on the CPU, in evaluation mode, when it comes back.
    train_dtype
        Of the forward pass: torch.float32 or torch.bfloat16.
    resume
        Where the state is saved, and looked for.

    Returns
    -------
    tuple of pyarrow.Table
        The history (schema history.HISTORY) and the timings (schema history.TIMINGS), one row per epoch.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is nothing to train on, or the loss became infinite or no number before an epoch ended.
    """
    history = History(validation, settings["monitor"], device)
    objective = supervised_objective(labelled, settings, symmetries, seed, device)
    learn(
        classifier, labelled, objective, history, pretrained=pretrained, settings=settings, symmetries=symmetries,
        seed=seed, train_dtype=train_dtype, resume=resume,
    )  # fmt: skip
    return history.tables()


def learn(
    classifier: networks.Classifier,
    labelled: Examples,
    objective: Objective,
    history: History,
    *,
    pretrained: bool,
    settings: Mapping[str, Any],
    symmetries: list[str],
    seed: int,
    train_dtype: torch.dtype = torch.float32,
    resume: Resume | None = None,
    trained: bool = False,
) -> None:
    """Train the head on labelled images and then all layers by any objective; see `train`.

    Parameters
    ----------
    objective
        Of all layers. The head, which learns first, learns labels.
    history
        Takes one row per epoch. It says how epochs are judged, and where the classifier is trained.
    trained
        The classifier comes with a head for these classes: it is kept, as epoch 0 of the history.
    """
    if not len(labelled):
        raise InputError("there are no labelled images to train on; label some images, or lower split.labelled")
    device = history.device
    torch.manual_seed(seed)
    classifier.to(device, memory_format=torch.channels_last)
    steps = budget.steps(settings, len(labelled), pretrained=pretrained)
    plan = StepPlan(
        steps, settings["n_evaluations"], settings["patience"], seed, train_dtype,
        # Folded weights come with none, and MobileNetV2 learned badly by those that `conditioning` estimates.
        keep_statistics=pretrained and settings["batch_norm"] == "frozen" and not classifier.folded,
    )  # fmt: skip
    peak = Peak(settings["learning_rate" if pretrained else "learning_rate_from_scratch"])
    resumed = resume is not None and resume.load() is not None
    if not resumed and trained:
        peak.feature_scale = keep_head(classifier, labelled, history)
    elif not resumed and (pretrained or not steps):
        unfold_batch_norm.prepare(classifier, labelled.images, device)
        if settings["head"] == "regression":
            peak.feature_scale = fit_regression(classifier, labelled, history, device)
        else:
            labels = supervised_objective(labelled, settings, symmetries, seed, device)
            fit_head(classifier, labels, plan, history, peak, settings, len(labelled))
    if steps:
        lowest = settings["lowest_layer_lr_ratio"] if pretrained else 1.0
        if isinstance(peak.rate, str):  # the state of a training that resumes has the rate that was found
            peak.rate = 1.0 if resumed else find_rate(classifier, objective, plan, peak.rate, lowest)
        fit(new_learner(classifier, steps, peak, lowest, settings), objective, plan, history, resume)
        history.warn_of_collapse()
    classifier.load_state_dict(history.weights)
    classifier.to("cpu", memory_format=torch.contiguous_format).eval()


def supervised_objective(
    labelled: Examples, settings: Mapping[str, Any], symmetries: list[str], seed: int, device: torch.device
) -> Objective:
    """Return the objective of learning labels.

    The loss is the cross entropy to targets that are smoothed, weighted by class and mixed (`settings`) where asked.
    """
    images = to_tensor(labelled.images, device)
    targets = torch.from_numpy(labelled.targets).to(device)
    entropy = label_loss(labelled, settings, device)
    batch = batches.batch_sampler(labelled.human, settings["batch_size"], settings["labelled_fraction"], seed)

    def draw(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.default_generator  # on the CPU, so that the same is drawn on every device
        indices = batch(step)
        pixels = augmentation.augment(
            images[indices.to(images.device)].to(device), settings["augmentation"], symmetries, generator
        )
        return augmentation.mix(pixels, targets[indices.to(device)], settings["mixup"], generator)

    def loss(classifier: nn.Module, pixels: torch.Tensor, targets: torch.Tensor) -> Outcome:
        logits = classifier(pixels)
        return Outcome(entropy(logits, targets), logits, targets, len(pixels))

    return Objective(draw, loss)


def label_loss(
    labelled: Examples, settings: Mapping[str, Any], device: torch.device
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return the mean cross entropy of logits and targets (N, classes), smoothed and weighted where asked."""
    smoothing = settings["label_smoothing"]
    if settings["class_weights"] == "none":
        return lambda logits, targets: F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)
    drawn = batches.draw_shares(labelled.human, settings["batch_size"], settings["labelled_fraction"])
    weights = class_weights(torch.from_numpy(labelled.targets), torch.from_numpy(drawn)).to(device)

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        # Torch's own weights would also weigh what smoothing gives to the other classes: in the image of a frequent
        # class a rare one's crumb would outweigh the label.
        each = F.cross_entropy(logits.float(), targets, label_smoothing=smoothing, reduction="none")
        return (each * (targets @ weights)).mean()

    return loss


def fit_head(
    classifier: networks.Classifier,
    objective: Objective,
    plan: StepPlan,
    history: History,
    peak: Peak,
    settings: Mapping[str, Any],
    images: int,
) -> None:
    """Train the head alone for some epochs of gradient steps, at a rate that is found here where it is to be found."""
    epochs = settings["head"]
    steps = epochs * math.ceil(images / settings["batch_size"])
    alone = replace(plan, steps=steps, epochs=epochs, patience=epochs + 1, stage="head")
    classifier.backbone.requires_grad_(False)
    if isinstance(peak.rate, str):
        peak.rate = find_rate(classifier, objective, alone, peak.rate, 1.0)
    fit(new_learner(classifier, steps, peak, 1.0, settings), objective, alone, history)
    classifier.backbone.requires_grad_(True)


def keep_head(classifier: networks.Classifier, labelled: Examples, history: History) -> float:
    """Make the classifier as it comes epoch 0 of the history; return its features' scale."""
    started = time.perf_counter()
    found = linear_head.features(classifier, labelled.images, history.device)
    row = {"stage": "head", "step": 0, "learning_rate": None}
    history.add(classifier, row, images=len(labelled), seconds=time.perf_counter() - started)
    return float(found.std()) or 1.0


def fit_regression(
    classifier: networks.Classifier, labelled: Examples, history: History, device: torch.device
) -> float:
    """Set the head to a logistic regression on frozen features, epoch 0 of the history; return the features' scale."""
    started = time.perf_counter()
    scale = linear_head.fit(classifier, labelled.images, labelled.targets, device)
    row = {"stage": "head", "step": 0, "learning_rate": None}
    history.add(classifier, row, images=len(labelled), seconds=time.perf_counter() - started)
    return scale


def class_weights(targets: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Return weights, float (classes,), under which all classes count the same; their mean over what is drawn is 1.

    Parameters
    ----------
    targets
        float (N, classes); an image counts for its most probable class.
    drawn
        float (N,): how often each image is drawn, as a share of all draws.
    """
    shares = torch.zeros(targets.shape[1]).index_add(0, targets.argmax(1), drawn)
    return torch.where(shares > 0, 1 / ((shares > 0).sum() * shares), 1.0)
