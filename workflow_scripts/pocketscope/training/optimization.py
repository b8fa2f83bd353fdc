"""How weights change: learning rates by depth and by step, and the average of the weights on the way."""

import copy
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

from pocketscope.models import networks

log = logging.getLogger(__name__)


WARM_UP = 0.25  # share of the steps in which the rate rises
# The range test of both studies: 100 mini-batches from 1e-7 to 10, stopped at 4 times the lowest loss.
LOWEST_RATE, HIGHEST_RATE, RANGE_STEPS, DIVERGED = 1e-7, 10.0, 100, 4.0
TOO_LOW, RATE_INSTEAD = 1e-5, 1e-3
SMOOTHING = 0.9  # of the range test's losses, each of which is one small batch's


class Learner:
    """A classifier with its optimiser (AdamW), its one-cycle schedule and the average of its weights.

    Parameters
    ----------
    classifier
        What is trained; only parameters that require gradients are.
    steps
        Length of the schedule.
    learning_rate
        Of the highest layers, at the top of the cycle.
    lowest_layer_lr_ratio
        Rate of the lowest layers as a share of that.
    weight_decay
        Of weights; normalisation and biases have none.
    ema
        Largest decay of the exponential moving average of the weights; 0: none is kept.
    ema_rises
        At step t the decay is at most (1 + t) / (10 + t), so that a short training does not hold on to where it came
        from.
    feature_scale
        See `parameter_groups`.
    max_grad_norm
        Gradients whose norm, over all weights, is larger are scaled down to it; 0: none are.
    """

    def __init__(
        self,
        classifier: networks.Classifier,
        *,
        steps: int,
        learning_rate: float,
        lowest_layer_lr_ratio: float,
        weight_decay: float,
        ema: float,
        ema_rises: bool = True,
        feature_scale: float = 1.0,
        max_grad_norm: float = 0.0,
    ) -> None:
        self.classifier, self.max_grad_norm = classifier, max_grad_norm
        groups = parameter_groups(classifier, learning_rate, lowest_layer_lr_ratio, weight_decay, feature_scale)
        self.optimizer = torch.optim.AdamW(groups, fused=True)
        rates = [group["lr"] for group in groups]
        # Of three steps a quarter, as torch counts, is none, and it divides by its length.
        warm_up = 2 / (steps + 1) if WARM_UP * (steps + 1) == 1 else WARM_UP
        self.schedule = OneCycleLR(self.optimizer, rates, total_steps=steps + 1, pct_start=warm_up)
        self.average = AveragedModel(classifier, multi_avg_fn=_moving_average(ema, ema_rises)) if ema else None

    @property
    def learned(self) -> nn.Module:
        """The classifier as it would be used now: with the averaged weights, where there are any."""
        return self.average.module if self.average else self.classifier

    @property
    def learning_rate(self) -> float:
        """The highest layers' rate in the next step."""
        return self.schedule.get_last_lr()[-1]

    def step(self) -> None:
        """Change the weights by the gradients that have been summed up."""
        if self.max_grad_norm:
            nn.utils.clip_grad_norm_(self.classifier.parameters(), self.max_grad_norm)
        self.optimizer.step()
        self.schedule.step()
        if self.average:
            self.average.update_parameters(self.classifier)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on from here, bit for bit."""
        parts = {"classifier": self.classifier, "optimizer": self.optimizer, "schedule": self.schedule}
        parts |= {"average": self.average} if self.average else {}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned."""
        for name, part in state.items():
            getattr(self, name).load_state_dict(part)


def parameter_groups(
    classifier: networks.Classifier,
    learning_rate: float,
    lowest_layer_lr_ratio: float,
    weight_decay: float,
    feature_scale: float = 1.0,
) -> list[dict[str, Any]]:
    """Return AdamW's groups: rates rise geometrically with depth, from `lowest_layer_lr_ratio` times the rate.

    A step of AdamW has the size of the rate, whatever the gradient's. The head's weights are as small as the features
    that they multiply are large (SqueezeNet's are about 100), so that their rate is divided by the features' scale:
    a step changes the logits alike in every network.
    """
    groups = []
    for depth, parameters in networks.depths(classifier):
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        # Decay pulls weights to zero; normalisation and biases (one dimension) have no reason to be small.
        for decay, members in (
            (weight_decay, [p for p in trained if p.ndim > 1]),
            (0.0, [p for p in trained if p.ndim <= 1]),
        ):
            if members:
                rate = learning_rate * lowest_layer_lr_ratio ** (1 - depth)
                rate /= feature_scale if members[0] is classifier.head.weight else 1.0
                groups.append({"params": members, "weight_decay": decay, "lr": rate})
    return groups


def range_test(
    classifier: networks.Classifier, backward: Callable[[int], float], rule: str, *, lowest_layer_lr_ratio: float
) -> float:
    """Find a learning rate by raising it until the loss diverges (Smith 2017); the classifier comes back as it was.

    Parameters
    ----------
    classifier
        What will be trained.
    backward
        From a step to the loss of its batch, with gradients.
    rule
        `minimum`: the rate at the lowest loss, that of both studies. `tenth_of_minimum`: a tenth of it, for at the
        lowest loss the next rates already diverge. Where the rate is below 1e-5 it is 1e-3.
    lowest_layer_lr_ratio
        Rate of the lowest layers as a share of the highest's.
    """
    before = copy.deepcopy(classifier.state_dict())
    groups = parameter_groups(classifier, 1.0, lowest_layer_lr_ratio, 0.0)
    optimizer = torch.optim.AdamW(groups, fused=True)
    shares = [group["lr"] for group in groups]
    rates, losses, smooth = [], [], 0.0
    for step in range(RANGE_STEPS):
        rate = LOWEST_RATE * (HIGHEST_RATE / LOWEST_RATE) ** (step / (RANGE_STEPS - 1))
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group["lr"] = rate * share
        optimizer.zero_grad(set_to_none=True)
        smooth = SMOOTHING * smooth + (1 - SMOOTHING) * backward(step)
        rates.append(rate)
        losses.append(smooth / (1 - SMOOTHING ** (step + 1)))
        if not math.isfinite(smooth) or losses[-1] > DIVERGED * min(losses):
            break
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    classifier.load_state_dict(before)
    finite = [loss if math.isfinite(loss) else math.inf for loss in losses]
    chosen = rates[finite.index(min(finite))] / (1 if rule == "minimum" else 10)
    log.info("range test: learning rate %.2g by the rule '%s' after %d steps", chosen, rule, len(losses))
    return chosen if chosen >= TOO_LOW else RATE_INSTEAD


def _moving_average(largest: float, rises: bool) -> Callable[..., None]:
    def update(averaged: list[torch.Tensor], current: list[torch.Tensor], count: torch.Tensor) -> None:
        t = float(count)
        decay = min(largest, (1 + t) / (10 + t)) if rises else largest
        torch._foreach_lerp_(averaged, current, 1 - decay)

    return update
