"""The loop: steps of any loss, with the best epoch kept, divergence noticed and resuming."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from pocketscope.core import seeds
from pocketscope.core.errors import InputError
from pocketscope.models import fast_convolutions, networks
from pocketscope.runtime.resume import Resume
from pocketscope.training import optimization
from pocketscope.training.history import History, OnlinePseudoLabels, scored

log = logging.getLogger(__name__)


CHECK_EVERY = 10  # steps; asking a GPU for a loss makes it wait


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
    guesses: OnlinePseudoLabels | None = None


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
class StepPlan:
    """How `fit` goes through its steps.

    steps, epochs
        How many steps, in how many epochs: after each the validation set is looked at.
    patience
        Epochs without a better one after which the training stops.
    seed
        Of everything that is random; a step's numbers depend on it and on the step alone.
    train_dtype
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
    train_dtype: torch.dtype = torch.float32
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


def fit(
    learner: optimization.Learner,
    objective: Objective,
    plan: StepPlan,
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
        Takes one row per epoch, and keeps the best weights.
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
        torch.manual_seed(seeds.seed(plan.seed, plan.stage, step))
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
        log.info(
            "early stopping: no better epoch in %d epochs, stopped after step %d of %d", plan.patience, step, plan.steps
        )


def backward(
    classifier: nn.Module, tensors: tuple[torch.Tensor, ...], loss: Callable[..., Outcome], plan: StepPlan
) -> Outcome:
    """Compute the gradients of a batch; where memory runs out, of its halves, one after the other, and so on."""
    training_mode(classifier, plan.keep_statistics)
    device = tensors[0].device.type
    while True:
        classifier.zero_grad(set_to_none=True)
        outcomes, count = [], len(tensors[0])
        try:
            for part in zip(*(tensor.tensor_split(plan.parts) for tensor in tensors), strict=True):
                in_bf16 = torch.autocast(device, plan.train_dtype, enabled=plan.train_dtype != torch.float32)
                with in_bf16, fast_convolutions.quick(device):
                    outcome = loss(classifier, *part)
                outcome.loss = outcome.loss * (len(part[0]) / count)
                outcome.loss.backward()
                outcomes.append(replace(outcome, loss=outcome.loss.detach(), logits=outcome.logits.detach()))
            return _joined(outcomes)
        except RuntimeError as error:
            if not _out_of_memory(error) or 2 * plan.parts > count:
                raise
            plan.parts *= 2
            log.warning(
                "out of memory: from now on, each batch of %d images is processed in %d parts", count, plan.parts
            )


def find_rate(
    classifier: networks.Classifier,
    objective: Objective,
    plan: StepPlan,
    rule: str,
    lowest_layer_lr_ratio: float,
) -> float:
    """Return the learning rate that a range test finds; see `optimization.range_test`. It leaves no other trace."""

    def loss_of_step(step: int) -> float:
        torch.manual_seed(seeds.seed(plan.seed, "range test", step))
        return backward(classifier, objective.draw(step), objective.loss, plan).loss.item()

    state = {name: tensor.clone() for name, tensor in objective.state.items()}
    rate = optimization.range_test(classifier, loss_of_step, rule, lowest_layer_lr_ratio=lowest_layer_lr_ratio)
    for name, tensor in state.items():
        objective.state[name].copy_(tensor)
    return rate


def new_learner(
    classifier: networks.Classifier, steps: int, peak: Peak, lowest_layer_lr_ratio: float, settings: Mapping[str, Any]
) -> optimization.Learner:
    """Return a learner by the configuration's `training`."""
    return optimization.Learner(
        classifier, steps=steps, learning_rate=peak.rate, lowest_layer_lr_ratio=lowest_layer_lr_ratio,
        weight_decay=settings["weight_decay"], ema=settings["ema"], ema_rises=settings.get("ema_rises", True),
        feature_scale=peak.feature_scale, max_grad_norm=settings["max_grad_norm"],
    )  # fmt: skip


def training_mode(classifier: nn.Module, keep_statistics: bool) -> None:
    """Switch to training; where asked, batch normalisation goes on using the statistics that it came with."""
    classifier.train()
    if keep_statistics:
        for module in classifier.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _joined(parts: list[Outcome]) -> Outcome:
    guesses = [part.guesses for part in parts if part.guesses]
    return Outcome(
        torch.stack([part.loss for part in parts]).sum(),
        torch.cat([part.logits for part in parts]),
        torch.cat([part.targets for part in parts]),
        sum(part.images for part in parts),
        OnlinePseudoLabels.joined(guesses) if guesses else None,
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
        f"{rates[first]:.2g}; lower the learning rate in 'training'"
    )
    if not history.rows:
        raise InputError(told)
    log.warning("%s. The weights of epoch %d are kept", told, history.best)
    learner.classifier.load_state_dict(history.weights)


def _out_of_memory(error: RuntimeError) -> bool:
    # On a CPU torch has no error of its own for it.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
