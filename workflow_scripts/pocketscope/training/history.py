"""What happened in each epoch of a training, and the weights of the one that is kept."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, f1_score
from torch import nn

from pocketscope.models import tensors
from pocketscope.tables.history import HISTORY, TIMINGS
from pocketscope.training.batches import Examples

log = logging.getLogger(__name__)

KNOWN = 0.9  # of the labels that were known before; noise of augmentation and of few steps takes less
MONITORED = {"f1": ("validation_f1", 1), "accuracy": ("validation_accuracy", 1), "loss": ("validation_loss", -1)}


@dataclass(frozen=True)
class OnlinePseudoLabels:
    """What a consistency method made of unlabelled images in a step.

    images
        int64 (M,): places of the images among all unlabelled ones.
    probabilities
        float (M, classes).
    used
        bool (M,): those that were learned.
    loss
        A scalar: the loss of the unlabelled images, without its weight.
    """

    images: torch.Tensor
    probabilities: torch.Tensor
    used: torch.Tensor
    loss: torch.Tensor

    @classmethod
    def joined(cls, parts: Sequence["OnlinePseudoLabels"]) -> "OnlinePseudoLabels":
        """Return several as one, with the mean loss."""
        names = ("images", "probabilities", "used")
        return cls(
            *(torch.cat([getattr(part, name) for part in parts]) for name in names),
            torch.stack([part.loss for part in parts]).mean(),
        )


class History:
    """The epochs of a training: what the tables say of them, and the weights of the best.

    Parameters
    ----------
    validation
        What the epochs are judged by; without it the last one is the best, unless the training collapsed before.
    monitor
        `f1` (macro), `accuracy` or `loss` of the validation set. Of equals the one with the lower loss is better: a
        small part has few distinct values.
    device
        Where the classifier is.
    """

    def __init__(self, validation: Examples | None, monitor: str, device: torch.device) -> None:
        self.validation = validation if validation is not None and len(validation) else None
        self.monitor, self.device = monitor, device
        self.rows: list[dict[str, Any]] = []
        self.seconds: list[dict[str, Any]] = []
        self.best = 0
        self.weights: dict[str, torch.Tensor] = {}
        self.guesses: dict[int, dict[str, torch.Tensor]] = {}

    def add(
        self,
        classifier: nn.Module,
        row: Mapping[str, Any],
        *,
        images: int,
        seconds: float,
        guesses: Sequence[OnlinePseudoLabels] = (),
    ) -> None:
        """End an epoch: validate `classifier`, and keep its weights where it is the best so far.

        Parameters
        ----------
        classifier
            As it would be used now: with the averaged weights, where there are any.
        row
            What HISTORY says of the epoch, as far as the training knows it.
        images, seconds
            How many images went through the network, and how long the epoch took.
        guesses
            At unlabelled images, a step each.
        """
        epoch = len(self.rows)
        if guesses:
            self.guesses[epoch], told = summary(OnlinePseudoLabels.joined(guesses))
            row = dict(row) | told
        seen = validate(classifier, self.validation, self.device) if self.validation else {}
        self.rows.append({"epoch": epoch} | dict(row) | seen)
        self.seconds.append({"epoch": epoch, "images": images, "seconds": seconds})
        if not epoch or (self._merit(epoch) >= self._merit(self.best) if self.validation else not self._collapsed()):
            self.best = epoch
            self.weights = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
        told = ", ".join(f"{name} {value:.3f}" for name, value in self.rows[-1].items() if isinstance(value, float))
        log.info("epoch %d: %s", epoch, told)

    def epochs_since_best(self) -> int:
        """Return how many epochs have ended since the best one; without a validation set 0: nothing ends early."""
        return len(self.rows) - 1 - self.best if self.validation else 0

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """Return the history (schema HISTORY) and the timings (schema TIMINGS), one row per epoch."""
        rows = [row | {"kept": i == self.best} for i, row in enumerate(self.rows)]
        return pa.Table.from_pylist(rows, schema=HISTORY), pa.Table.from_pylist(self.seconds, schema=TIMINGS)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on from here."""
        names = ("rows", "seconds", "best", "weights", "guesses")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned."""
        for name, value in state.items():
            setattr(self, name, value)

    def warn_of_collapse(self) -> None:
        """Log that the training unlearned the labels and did not learn them again; see `_collapsed`."""
        if not self.validation and self.best < len(self.rows) - 1:
            log.warning(
                "the training run collapsed: its last epoch predicts fewer training labels correctly "
                "than earlier ones. The weights of epoch %d are kept; lower 'learning_rate' or "
                "'lowest_layer_lr_ratio' in 'training'", self.best,
            )  # fmt: skip

    def _collapsed(self) -> bool:
        """Say whether the last epoch unlearned labels: it has more loss than the first one, and knows far fewer.

        Not of methods that guess: their loss rises with the weight of the guesses, and a collapse of these is named.
        """
        *before, last = [row for row in self.rows if row["stage"] == self.rows[-1]["stage"]]
        if not before or "unlabelled_loss" in last or last["train_loss"] <= before[0]["train_loss"]:
            return False
        return last["train_accuracy"] < KNOWN * max(row["train_accuracy"] for row in before)

    def _merit(self, epoch: int) -> tuple[float, float]:
        column, sign = MONITORED[self.monitor]
        return sign * self.rows[epoch][column], -self.rows[epoch]["validation_loss"]


@torch.no_grad()
def logits(classifier: nn.Module, images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return logits, float (N, classes) on the CPU, of uint8 images (N, H, W, 3); leaves evaluation mode behind."""
    classifier.eval()
    return torch.cat([classifier(part).cpu() for part in tensors.batches(images, device)])


def summary(guesses: OnlinePseudoLabels) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return an epoch's last guess at each image, and what HISTORY says of all of them.

    Returns
    -------
    tuple of dict
        Tensors on the CPU, one row per image, in the images' order: `images` and `classes` (int64), `confidences`
        (float32) and `used` (bool). And unlabelled_loss, used_share and class_shares, null where no guess was learned.
    """
    confidences, classes = guesses.probabilities.float().cpu().max(1)
    images, used = guesses.images.cpu(), guesses.used.cpu()
    counts = torch.bincount(classes[used], minlength=guesses.probabilities.shape[1]).double()
    told = {
        "unlabelled_loss": guesses.loss.item(),
        "used_share": used.double().mean().item(),
        "class_shares": (counts / counts.sum()).tolist() if counts.sum() else None,
    }
    place = {image: row for row, image in enumerate(images.tolist())}  # the last one stays
    rows = torch.tensor([place[image] for image in sorted(place)])
    last = {"images": images[rows], "classes": classes[rows], "confidences": confidences[rows], "used": used[rows]}
    return last, told


def validate(classifier: nn.Module, validation: Examples, device: torch.device) -> dict[str, float]:
    """Return loss, accuracy and macro F1 of a classifier on the validation set, by their names in HISTORY."""
    scores = logits(classifier, tensors.to_tensor(validation.images, device), device)
    targets = torch.from_numpy(validation.targets)
    told = {"validation_loss": F.cross_entropy(scores, targets).item()}
    return told | scored("validation", targets.argmax(1), scores.argmax(1))


def scored(part: str, labels: torch.Tensor, predicted: torch.Tensor) -> dict[str, float]:
    """Return accuracy and macro F1 of int64 class indices (N,), by their names in HISTORY."""
    labels, predicted = labels.cpu().numpy(), predicted.cpu().numpy()
    return {
        f"{part}_accuracy": float(accuracy_score(labels, predicted)),
        f"{part}_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
    }
