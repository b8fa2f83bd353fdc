"""Train a classifier on a label set: a new head first, then all layers.

What other ways of training share is apart: batches (`examples`), `augmentation`, learning rates and averaged weights
(`optimization`), `history`, `resume`. `fit`, the loop itself, takes any loss.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import nn

from pocketscope import augmentation, conditioning, convolutions, examples, head, networks, optimization, randomness
from pocketscope.errors import InputError
from pocketscope.examples import Examples
from pocketscope.history import Guesses, History, scored
from pocketscope.resume import Resume

CHECK_EVERY = 10  # steps; asking a GPU for a loss makes it wait

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What a loss function says of a batch.

    loss
        A scalar, the mean over the batch.
    logits, targets
        (N, classes), of the labelled images.
    images
        How many went through the network.
    guesses
        What was made of unlabelled images, where there are any.
    """

    loss: torch.Tensor
    logits: torch.Tensor
    targets: torch.Tensor
    images: int
    guesses: Guesses | None = None


@dataclass(frozen=True)
class Objective:
    """What `fit` learns.

    draw
        From a step, counted from 0, to the tensors of its batch, images along the first dimension. Random numbers come
        from torch's default generator, which is seeded anew for each step.
    loss
        From the classifier and those tensors to an Outcome.
    state
        What the loss remembers from step to step, and overwrites in place.
    """

    draw: Callable[[int], tuple[torch.Tensor, ...]]
    loss: Callable[..., Outcome]
    state: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass
class Plan:
    """How `fit` goes through its steps.

    steps, epochs
        How many steps, in how many epochs: after each the validation part is looked at.
    patience
        Epochs without a better one after which the training stops.
    seed
        Of everything that is random; a step's numbers depend on it and on the step alone.
    arithmetic
        Of the forward pass: torch.float32 or torch.bfloat16.
    keep_statistics
        Batch normalisation normalises by the statistics that it came with, not by those of the batch.
    stage
        Its name in the history.
    """

    steps: int
    epochs: int
    patience: int
    seed: int
    arithmetic: torch.dtype = torch.float32
    keep_statistics: bool = False
    stage: str = "all"
    parts: int = 1  # in which a batch goes through the network; more after it ran out of memory


@dataclass
class Peak:
    """The rate at the top of the cycle.

    rate
        Of the highest layers; or the rule of the range test that is to find it.
    feature_scale
        What the rate of the head's weights is divided by; see `optimization.parameter_groups`.
    """

    rate: float | str
    feature_scale: float = 1.0


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
    arithmetic: torch.dtype = torch.float32,
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
        slowly as `lowest_layers` says.
    settings
        The configuration's `training`.
    symmetries
        The data set's flips.
    seed
        Of batches, augmentation and dropout. Equal seeds, threads and machines give equal weights, on a CPU bit for
        bit.
    device
        Where to train. The classifier is on the CPU, in evaluation mode, when it comes back.
    arithmetic
        Of the forward pass: torch.float32 or torch.bfloat16.
    resume
        Where the state is saved, and looked for.

    Returns
    -------
    tuple of pyarrow.Table
        The history (schema history.HISTORY) and the timings (schema history.TIMINGS), a row an epoch.

    Raises
    ------
    pocketscope.errors.InputError
        There is nothing to train on, or the loss became infinite or no number before an epoch ended.
    """
    history = History(validation, settings["monitor"], device)
    objective = supervised(labelled, settings, symmetries, seed, device)
    learn(
        classifier, labelled, objective, history, pretrained=pretrained, settings=settings, symmetries=symmetries,
        seed=seed, arithmetic=arithmetic, resume=resume,
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
    arithmetic: torch.dtype = torch.float32,
    resume: Resume | None = None,
    trained: bool = False,
) -> None:
    """Train the head on labelled images and then all layers by any objective; see `train`.

    Parameters
    ----------
    objective
        Of all layers. The head, which learns first, learns labels.
    history
        Takes a row an epoch. It says how epochs are judged, and where the classifier is trained.
    trained
        The classifier comes with a head for these classes: it is kept, as epoch 0 of the history.
    """
    if not len(labelled):
        raise InputError("there is no labelled image to train on; label some, or ask for fewer a class")
    device = history.device
    torch.manual_seed(seed)
    classifier.to(device, memory_format=torch.channels_last)
    steps = optimization.budget(settings, len(labelled), pretrained=pretrained)
    plan = Plan(
        steps, settings["evaluations"], settings["patience"], seed, arithmetic,
        # Folded weights come with none, and MobileNetV2 learned badly by those that `conditioning` estimates.
        keep_statistics=pretrained and settings["batch_norm"] == "frozen" and not classifier.folded,
    )  # fmt: skip
    peak = Peak(settings["learning_rate" if pretrained else "learning_rate_from_scratch"])
    resumed = resume is not None and resume.load() is not None
    if not resumed and trained:
        peak.feature_scale = keep_head(classifier, labelled, history)
    elif not resumed and (pretrained or not steps):
        conditioning.prepare(classifier, labelled.images, device)
        if settings["head"] == "regression":
            peak.feature_scale = fit_regression(classifier, labelled, history, device)
        else:
            labels = supervised(labelled, settings, symmetries, seed, device)
            fit_head(classifier, labels, plan, history, peak, settings, len(labelled))
    if steps:
        lowest = settings["lowest_layers"] if pretrained else 1.0
        if isinstance(peak.rate, str):  # the state of a training that resumes has the rate that was found
            peak.rate = 1.0 if resumed else find_rate(classifier, objective, plan, peak.rate, lowest)
        fit(new_learner(classifier, steps, peak, lowest, settings), objective, plan, history, resume)
        history.warn_of_collapse()
    classifier.load_state_dict(history.weights)
    classifier.to("cpu", memory_format=torch.contiguous_format).eval()


def supervised(
    labelled: Examples, settings: Mapping[str, Any], symmetries: list[str], seed: int, device: torch.device
) -> Objective:
    """Return the objective of learning labels.

    The loss is the cross entropy to targets that are smoothed, weighted by class and mixed (`settings`) where asked.
    """
    images = examples.to_tensor(labelled.images, device)
    targets = torch.from_numpy(labelled.targets).to(device)
    entropy = label_loss(labelled, settings, device)
    batch = examples.batches(labelled.human, settings["batch_size"], settings["human_share"], seed)

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
    drawn = examples.drawn(labelled.human, settings["batch_size"], settings["human_share"])
    weights = class_weights(torch.from_numpy(labelled.targets), torch.from_numpy(drawn)).to(device)

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        # Torch's own weights would also weigh what smoothing gives to the other classes: in the image of a frequent
        # class a rare one's crumb would outweigh the label.
        each = F.cross_entropy(logits.float(), targets, label_smoothing=smoothing, reduction="none")
        return (each * (targets @ weights)).mean()

    return loss


def fit(
    learner: optimization.Learner,
    objective: Objective,
    plan: Plan,
    history: History,
    resume: Resume | None = None,
) -> None:
    """Take the steps of a plan.

    Parameters
    ----------
    learner
        Changes its classifier's weights.
    objective
        How a batch is drawn, and its loss.
    plan
        How many steps, and how.
    history
        Takes a row an epoch, and keeps the best weights.
    resume
        Where the state is saved, and looked for.
    """
    step, ends = 0, {-(-plan.steps * (i + 1) // plan.epochs) for i in range(plan.epochs)}
    if resume and (state := resume.load()):
        learner.load_state_dict(state["learner"])
        history.load_state_dict(state["history"])
        step, plan.parts = state["step"], state["parts"]
        for name, tensor in state["objective"].items():
            objective.state[name].copy_(tensor)
        log.info("resumed after step %d of %d", step, plan.steps)
    outcomes, rates, images, started = [], [], 0, time.perf_counter()
    while step < plan.steps and history.epochs_since_best() < plan.patience:
        torch.manual_seed(randomness.seed(plan.seed, plan.stage, step))
        tensors = objective.draw(step)
        rates.append(learner.learning_rate)
        outcomes.append(backward(learner.classifier, tensors, objective.loss, plan))
        learner.step()
        step, images = step + 1, images + outcomes[-1].images
        if step % CHECK_EVERY == 0 or step in ends:
            losses = torch.stack([outcome.loss for outcome in outcomes]).cpu()
            if not losses.isfinite().all():
                return _diverged(losses, rates, step, learner, history)
        if step in ends:
            row = {"stage": plan.stage, "step": step, "learning_rate": rates[-1], "train_loss": losses.mean().item()}
            seconds = time.perf_counter() - started
            guesses = [outcome.guesses for outcome in outcomes if outcome.guesses]
            row |= _train_scores(outcomes)
            history.add(learner.learned, row, images=images, seconds=seconds, guesses=guesses)
            left = seconds / len(outcomes) * (plan.steps - step)
            log.info("step %d of %d, %.0f images/s, about %.0f s left", step, plan.steps, images / seconds, left)
            if resume and resume.due():
                state = {"learner": learner.state_dict(), "history": history.state_dict()}
                resume.save(state | {"objective": objective.state, "step": step, "parts": plan.parts})
            outcomes, rates, images, started = [], [], 0, time.perf_counter()
    if step < plan.steps:
        log.info("no better epoch for %d epochs: stopped after step %d of %d", plan.patience, step, plan.steps)


def backward(
    classifier: nn.Module, tensors: tuple[torch.Tensor, ...], loss: Callable[..., Outcome], plan: Plan
) -> Outcome:
    """Compute the gradients of a batch; where memory runs out, of its halves, one after the other, and so on."""
    training_mode(classifier, plan.keep_statistics)
    device = tensors[0].device.type
    while True:
        classifier.zero_grad(set_to_none=True)
        outcomes, count = [], len(tensors[0])
        try:
            for part in zip(*(tensor.tensor_split(plan.parts) for tensor in tensors), strict=True):
                in_bf16 = torch.autocast(device, plan.arithmetic, enabled=plan.arithmetic != torch.float32)
                with in_bf16, convolutions.quick(device):
                    outcome = loss(classifier, *part)
                outcome.loss = outcome.loss * (len(part[0]) / count)
                outcome.loss.backward()
                outcomes.append(replace(outcome, loss=outcome.loss.detach(), logits=outcome.logits.detach()))
            return _joined(outcomes)
        except RuntimeError as error:
            if not _out_of_memory(error) or 2 * plan.parts > count:
                raise
            plan.parts *= 2
            log.warning("out of memory: each batch of %d images goes in %d parts from now on", count, plan.parts)


def find_rate(
    classifier: networks.Classifier,
    objective: Objective,
    plan: Plan,
    rule: str,
    lowest_layers: float,
) -> float:
    """Return the learning rate that a range test finds; see `optimization.range_test`. It leaves no other trace."""

    def loss_of_step(step: int) -> float:
        torch.manual_seed(randomness.seed(plan.seed, "range test", step))
        return backward(classifier, objective.draw(step), objective.loss, plan).loss.item()

    state = {name: tensor.clone() for name, tensor in objective.state.items()}
    rate = optimization.range_test(classifier, loss_of_step, rule, lowest_layers=lowest_layers)
    for name, tensor in state.items():
        objective.state[name].copy_(tensor)
    return rate


def new_learner(
    classifier: networks.Classifier, steps: int, peak: Peak, lowest_layers: float, settings: Mapping[str, Any]
) -> optimization.Learner:
    """Return a learner by the configuration's `training`."""
    return optimization.Learner(
        classifier, steps=steps, learning_rate=peak.rate, lowest_layers=lowest_layers,
        weight_decay=settings["weight_decay"], ema=settings["ema"], ema_rises=settings.get("ema_rises", True),
        feature_scale=peak.feature_scale, gradient_norm=settings["gradient_norm"],
    )  # fmt: skip


def fit_head(
    classifier: networks.Classifier,
    objective: Objective,
    plan: Plan,
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
    found = head.features(classifier, labelled.images, history.device)
    row = {"stage": "head", "step": 0, "learning_rate": None}
    history.add(classifier, row, images=len(labelled), seconds=time.perf_counter() - started)
    return float(found.std()) or 1.0


def fit_regression(
    classifier: networks.Classifier, labelled: Examples, history: History, device: torch.device
) -> float:
    """Set the head to a logistic regression on frozen features, epoch 0 of the history; return the features' scale."""
    started = time.perf_counter()
    scale = head.fit(classifier, labelled.images, labelled.targets, device)
    row = {"stage": "head", "step": 0, "learning_rate": None}
    history.add(classifier, row, images=len(labelled), seconds=time.perf_counter() - started)
    return scale


def training_mode(classifier: nn.Module, keep_statistics: bool) -> None:
    """Switch to training; where asked, batch normalisation goes on using the statistics that it came with."""
    classifier.train()
    if keep_statistics:
        for module in classifier.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


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


def _joined(parts: list[Outcome]) -> Outcome:
    guesses = [part.guesses for part in parts if part.guesses]
    return Outcome(
        torch.stack([part.loss for part in parts]).sum(),
        torch.cat([part.logits for part in parts]),
        torch.cat([part.targets for part in parts]),
        sum(part.images for part in parts),
        Guesses.joined(guesses) if guesses else None,
    )


def _train_scores(outcomes: list[Outcome]) -> dict[str, float]:
    labels = torch.cat([outcome.targets.argmax(1) for outcome in outcomes])
    return scored("train", labels, torch.cat([outcome.logits.argmax(1) for outcome in outcomes]))


def _diverged(
    losses: torch.Tensor, rates: list[float], step: int, learner: optimization.Learner, history: History
) -> None:
    first = int((~losses.isfinite()).nonzero()[0])
    told = (
        f"the loss became {losses[first].item()} at step {step - len(losses) + first + 1}, learning rate "
        f"{rates[first]:.2g}; lower it in 'training'"
    )
    if not history.rows:
        raise InputError(told)
    log.warning("%s. The weights of epoch %d are kept", told, history.best)
    learner.classifier.load_state_dict(history.weights)


def _out_of_memory(error: RuntimeError) -> bool:
    # On a CPU torch has no error of its own for it.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
