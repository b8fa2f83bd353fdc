"""Let a trained network see every unlabelled image under every view."""

import logging

import numpy as np
import torch

from pocketscope import networks, views

BATCH = 64
log = logging.getLogger(__name__)


@torch.inference_mode()
def probabilities(
    classifier: networks.Classifier, images: np.ndarray, names: list[str], device: torch.device
) -> np.ndarray:
    """Return float32 probabilities (views, N, classes) of uint8 images (N, H, W, 3) under the views that are named."""
    classifier.to(device, memory_format=torch.channels_last).eval()
    seen = np.zeros((len(names), len(images), classifier.head.out_features), np.float32)
    for start in range(0, len(images), BATCH):
        batch = torch.from_numpy(images[start : start + BATCH]).to(device).permute(0, 3, 1, 2).float() / 255
        for i, name in enumerate(names):
            shown = views.see(batch, name).to(memory_format=torch.channels_last)
            seen[i, start : start + len(batch)] = classifier(shown).softmax(dim=1).cpu().numpy()
        if start // BATCH % 20 == 0:
            log.info("%d of %d images under %d views", start + len(batch), len(images), len(names))
    return seen
