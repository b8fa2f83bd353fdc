"""What happened in each epoch of a training, and the weights of the one that is kept."""

import logging
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, f1_score
from torch import nn

from pocketscope import examples
from pocketscope.examples import Examples

HISTORY = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),  # head: the rest of the network stays as it is; all
        pa.field("step", pa.int32(), nullable=False),  # of the stage
        pa.field("learning_rate", pa.float64()),  # of the highest layers; null: no steps, a regression
        pa.field("train_loss", pa.float64()),  # of the batches as they were trained on: augmented, smoothed, mixed
        pa.field("train_accuracy", pa.float64()),
        pa.field("train_f1", pa.float64()),
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
BATCH = 64
MONITORED = {"f1": ("validation_f1", 1), "accuracy": ("validation_accuracy", 1), "loss": ("validation_loss", -1)}

log = logging.getLogger(__name__)


class History:
    """The epochs of a training: what the tables say of them, and the weights of the best.

    Parameters
    ----------
    validation
        What the epochs are judged by; without it the last one is the best.
    monitor
        `f1` (macro), `accuracy` or `loss` of the validation part. Of equals the one with the lower loss is better: a
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

    def add(self, classifier: nn.Module, row: Mapping[str, Any], *, images: int, seconds: float) -> None:
        """End an epoch: validate `classifier`, and keep its weights where it is the best so far.

        Parameters
        ----------
        classifier
            As it would be used now: with the averaged weights, where there are any.
        row
            What HISTORY says of the epoch, as far as the training knows it.
        images, seconds
            How many images the epoch took, and how long.
        """
        epoch = len(self.rows)
        seen = validate(classifier, self.validation, self.device) if self.validation else {}
        self.rows.append({"epoch": epoch} | dict(row) | seen)
        self.seconds.append({"epoch": epoch, "images": images, "seconds": seconds})
        if not self.validation or not epoch or self._merit(epoch) >= self._merit(self.best):
            self.best = epoch
            self.weights = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
        told = ", ".join(f"{name} {value:.3f}" for name, value in self.rows[-1].items() if isinstance(value, float))
        log.info("epoch %d: %s", epoch, told)

    def epochs_since_best(self) -> int:
        """Return how many epochs have ended since the best one."""
        return len(self.rows) - 1 - self.best

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """Return the history (schema HISTORY) and the timings (schema TIMINGS), a row an epoch."""
        rows = [row | {"kept": i == self.best} for i, row in enumerate(self.rows)]
        return pa.Table.from_pylist(rows, schema=HISTORY), pa.Table.from_pylist(self.seconds, schema=TIMINGS)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on from here."""
        return {"rows": self.rows, "seconds": self.seconds, "best": self.best, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` returned."""
        self.rows, self.seconds = state["rows"], state["seconds"]
        self.best, self.weights = state["best"], state["weights"]

    def _merit(self, epoch: int) -> tuple[float, float]:
        column, sign = MONITORED[self.monitor]
        return sign * self.rows[epoch][column], -self.rows[epoch]["validation_loss"]


@torch.no_grad()
def logits(classifier: nn.Module, images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return logits, float (N, classes) on the CPU, of uint8 images (N, H, W, 3); leaves evaluation mode behind."""
    classifier.eval()
    parts = images.split(BATCH)
    return torch.cat([classifier(examples.to_pixels(part, device)).cpu() for part in parts])


def validate(classifier: nn.Module, validation: Examples, device: torch.device) -> dict[str, float]:
    """Return loss, accuracy and macro F1 of a classifier on the validation part, by their names in HISTORY."""
    scores = logits(classifier, examples.to_tensor(validation.images, device), device)
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
