"""Let a trained network see images under every view."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
import torch

from pocketscope.distillation import views
from pocketscope.models import networks, tensors

log = logging.getLogger(__name__)


EVERY = 20  # batches between two lines of the log


@torch.inference_mode()
def probabilities(
    classifier: networks.Classifier,
    images: Iterable[tuple[str, np.ndarray]],
    count: int,
    names: list[str],
    strengths: Mapping[str, float],
    device: torch.device,
) -> tuple[list[str], np.ndarray]:
    """Predict images under the views that are named; each is decoded once for all of them.

    Parameters
    ----------
    classifier
        A trained network.
    images
        Identities, and uint8 (H, W, 3).
    count
        How many images there are.
    names, strengths
        See `views.see`.
    device
        Where to compute.

    Returns
    -------
    tuple of list and numpy.ndarray
        The identities in the order of `images`, and float32 probabilities (views, N, classes).
    """
    classifier.to(device, memory_format=torch.channels_last).eval()
    seen = np.zeros((len(names), count, classifier.head.out_features), np.float32)
    image_ids: list[str] = []
    started = time.perf_counter()
    for number, (identities, pixels) in enumerate(_batches(images)):
        batch = tensors.to_pixels(torch.from_numpy(pixels), device)
        rows = slice(len(image_ids), len(image_ids) + len(identities))
        image_ids += identities
        for i, name in enumerate(names):
            shown = views.see(batch, name, strengths).to(memory_format=torch.channels_last)
            seen[i, rows] = classifier(shown).softmax(dim=1).cpu().numpy()
        if number % EVERY == EVERY - 1:
            rate = len(image_ids) / (time.perf_counter() - started)
            log.info(
                "%d of %d images in %d views, %.0f images/s, about %.0f s left",
                len(image_ids), count, len(names), rate, (count - len(image_ids)) / rate,
            )  # fmt: skip
    return image_ids, seen


def _batches(images: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[list[str], np.ndarray]]:
    waiting = iter(images)
    while batch := list(islice(waiting, tensors.BATCH)):
        yield [image_id for image_id, _ in batch], np.stack([pixels for _, pixels in batch])
