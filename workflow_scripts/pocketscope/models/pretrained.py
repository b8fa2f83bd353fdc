"""What a pretrained network sees, as it is, whichever other images go through it at the same time."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch

from pocketscope.models import networks, tensors

log = logging.getLogger(__name__)


@torch.no_grad()
def features(
    classifier: networks.Classifier, images: Iterable[tuple[str, np.ndarray]], total: int, device: torch.device
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the pooled features of each image, one batch in memory at a time.

    The last batch is filled up: kernels choose the order of their sums by the shape of what they get, so that only in
    batches of one size an image's features are the same bits beside any other images. (Seen of six networks
    on a processor, docs/design.md; a GPU's libraries promise no such thing.)

    Parameters
    ----------
    classifier
        Its head is not asked. It is left in evaluation mode.
    images
        Identity and pixels, uint8 (H, W, 3), of each.
    total
        How many these are, for the log.
    device
        Where the classifier is.

    Yields
    ------
    tuple of str and numpy.ndarray
        The identity, and float32 (F,); in the order of `images`.
    """
    classifier.eval()
    remaining, done = iter(images), 0
    for rows in iter(lambda: list(islice(remaining, tensors.BATCH)), []):
        batch = np.zeros((tensors.BATCH, *rows[0][1].shape), np.uint8)
        for row, (_, image) in enumerate(rows):
            batch[row] = image
        found = classifier.features(tensors.to_pixels(torch.from_numpy(batch), device)).float().cpu().numpy()
        yield from ((identity, found[row]) for row, (identity, _) in enumerate(rows))
        done += len(rows)
        if done % (16 * tensors.BATCH) == 0 or done == total:
            log.info("%d of %d images", done, total)
