"""Images as tensors: on the device, as floating point numbers, in batches."""

from collections.abc import Iterator

import numpy as np
import torch

BATCH = 64  # images that go through a network at once where no gradients are kept


def to_tensor(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return uint8 images (N, H, W, 3) as a tensor: on a GPU where they take less than half of its free memory."""
    tensor = torch.from_numpy(images)
    if device.type == "cuda" and images.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
        return tensor.to(device)
    return tensor


def to_pixels(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return uint8 images (N, H, W, 3) as networks take them: float (N, 3, H, W) in [0, 1], channels last in memory."""
    return images.to(device).permute(0, 3, 1, 2).float() / 255


def batches(images: torch.Tensor, device: torch.device) -> Iterator[torch.Tensor]:
    """Yield uint8 images (N, H, W, 3) as `to_pixels` gives them, `BATCH` of them at a time."""
    for part in images.split(BATCH):
        yield to_pixels(part, device)
