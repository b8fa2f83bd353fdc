"""Images with their labels, in one array, and the batches that are drawn of them."""

import functools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from pocketscope.core import seeds
from pocketscope.tables.images import load_images
from pocketscope.tables.probabilities import probability_array

MEMORY_BOUND = 4e9  # bytes of pixels; more of them stay in a file on the disk, of which batches are read


@dataclass(frozen=True)
class Examples:
    """Images with their labels.

    images
        uint8 (N, H, W, 3).
    targets
        float32 (N, classes): probabilities. A label that is certain is a 1 among zeros.
    human
        bool (N,): labelled by people, not by teachers.
    """

    images: np.ndarray
    targets: np.ndarray
    human: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)


def load_examples(images: str | os.PathLike, labels: pa.Table, classes: list[str]) -> Examples:
    """Load the images of a label set.

    Parameters
    ----------
    images
        The packed images.
    labels
        Columns image_id, label, source and probabilities: these are the target where they are not null.
    classes
        Class names; a target's columns are in this order.
    """
    place = {name: index for index, name in enumerate(classes)}
    indices = np.array([place[label] for label in labels["label"].to_pylist()], dtype=np.int64)
    targets = one_hot(indices, len(classes))
    soft = np.flatnonzero(labels["probabilities"].is_valid())
    if len(soft):
        targets[soft] = probability_array(labels.take(soft))
    human = np.array([source == "human" for source in labels["source"].to_pylist()], dtype=bool)
    return Examples(load_pixels(images, labels["image_id"].to_pylist()), targets, human)


def load_pixels(images: str | os.PathLike, image_ids: list[str]) -> np.ndarray:
    """Decode packed images once, into one uint8 array (N, H, W, 3); past MEMORY_BOUND it is a file that is mapped."""

    def allocate(shape: tuple[int, ...]) -> np.ndarray:
        if np.prod(shape, dtype=np.int64) <= MEMORY_BOUND:
            return np.empty(shape, np.uint8)
        # The file has no name any more: its space is free again when the job ends, whichever way.
        with tempfile.TemporaryFile() as file:
            return np.memmap(file, np.uint8, "w+", shape=shape)

    return load_images(images, image_ids, allocate)


def one_hot(indices: np.ndarray, classes: int) -> np.ndarray:
    """Return targets, float32 (N, classes), of class indices (N,)."""
    return np.eye(classes, dtype=np.float32)[indices]


def batch_sampler(human: np.ndarray, size: int, labelled_fraction: float, seed: int) -> Callable[[int], torch.Tensor]:
    """Return the batches of a training, as a function of the step.

    A batch depends on the seed and the step alone, so that a training that resumes needs no stream's state. Batches are
    never short: each pass over the images follows the last one without a gap.

    Parameters
    ----------
    human
        bool (N,): labelled by people.
    size
        Images per batch.
    labelled_fraction
        Share of each batch that people labelled, however many labels the teachers gave; where both kinds are there.
    seed
        Of the order.

    Returns
    -------
    callable
        From a step, counted from 0, to int64 indices (size,).
    """
    by_people, by_teachers = (torch.from_numpy(np.flatnonzero(which)) for which in (human, ~human))
    if not len(by_people) or not len(by_teachers):
        return _passes(by_people if len(by_people) else by_teachers, size, seed)
    share = _by_people(size, labelled_fraction)
    parts = [_passes(by_people, share, seed), _passes(by_teachers, size - share, seed + 1)]
    return lambda step: torch.cat([part(step) for part in parts])


def draw_shares(human: np.ndarray, size: int, labelled_fraction: float) -> np.ndarray:
    """Return how often `batches` draws each image, as a share of all draws: float32 (N,)."""
    share = _by_people(size, labelled_fraction) / size if human.any() and not human.all() else human.any()
    counts = np.maximum([(~human).sum(), human.sum()], 1)
    return np.where(human, share / counts[1], (1 - share) / counts[0]).astype(np.float32)


def _by_people(size: int, labelled_fraction: float) -> int:
    """Return how many images of a batch people labelled, where there are others: one of each kind at least."""
    share = round(size * labelled_fraction)
    return min(size - 1, max(1, share)) if 0 < labelled_fraction < 1 else share


def _passes(indices: torch.Tensor, count: int, seed: int) -> Callable[[int], torch.Tensor]:
    @functools.lru_cache(maxsize=2)
    def shuffled(turn: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seeds.seed(seed, "pass", turn))
        return indices[torch.randperm(len(indices), generator=generator)]

    def batch(step: int) -> torch.Tensor:
        first, last = step * count, (step + 1) * count - 1
        turns = range(first // len(indices), last // len(indices) + 1)
        begin = first % len(indices)
        return torch.cat([shuffled(turn) for turn in turns])[begin : begin + count] if count else indices[:0]

    return batch
