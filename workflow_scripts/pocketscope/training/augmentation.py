"""Random changes of training images, drawn anew for every image, as whole tensors on the device that trains."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from scipy.special import betaincinv

from pocketscope.core.errors import InputError


def augment(
    images: torch.Tensor, strengths: Mapping[str, Any], symmetries: Collection[str], generator: torch.Generator
) -> torch.Tensor:
    """Flip, rotate, zoom, move, brighten and stretch each image by its own random amounts.

    Flip, rotation, zoom and translation are one affine map, so that an image is interpolated once.

    Parameters
    ----------
    images
        uint8 (N, H, W, 3).
    strengths
        The configuration's `augmentation`: the largest amounts, drawn evenly either way; and `own`, a function of a
        user's that changes the result, if there is one.
    symmetries
        Which of `horizontal_flip` and `vertical_flip` may be drawn, each for half of the images, and whether quarter
        turns may (`quarter_turn`), each of the four for a quarter.
    generator
        A generator on the CPU, so that the same amounts are drawn on every device.

    Returns
    -------
    torch.Tensor
        float32 (N, 3, H, W) in [0, 1], channels last in memory.
    """
    count = len(images)

    def draw(limit: float) -> torch.Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    def signs(flip: str) -> torch.Tensor:
        drawn = torch.rand(count, generator=generator) < 0.5
        return torch.where(drawn & (flip in symmetries), -1.0, 1.0)

    angle = torch.deg2rad(draw(strengths["rotation"]))
    if "quarter_turn" in symmetries:
        angle = angle + torch.randint(4, (count,), generator=generator) * (math.pi / 2)
    # The map goes from the new image to the old one: dividing by the zoom enlarges.
    horizontal = signs("horizontal_flip") / (1 + draw(strengths["zoom"]))
    vertical = signs("vertical_flip") / (1 + draw(strengths["zoom"]))
    shift = 2 * strengths["translation"]  # the grid's coordinates run from -1 to 1
    rows = [
        torch.stack([horizontal * angle.cos(), -vertical * angle.sin(), draw(shift)], dim=1),
        torch.stack([horizontal * angle.sin(), vertical * angle.cos(), draw(shift)], dim=1),
    ]
    brightness, contrast = draw(strengths["brightness"]), 1 + draw(strengths["contrast"])

    pixels = images.permute(0, 3, 1, 2).float()
    grid = _grid(torch.stack(rows, dim=1).to(images.device), *pixels.shape[2:])
    moved = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    # (pixel / 255 - 0.5) * contrast + 0.5 + brightness, in one pass over memory, which is what costs time here.
    factor, summand = (
        amount.view(-1, 1, 1, 1).to(images.device) for amount in (contrast / 255, 0.5 - 0.5 * contrast + brightness)
    )
    lit = torch.empty_like(moved, memory_format=torch.channels_last)
    torch.addcmul(summand, moved, factor, out=lit).clamp_(0, 1)
    own = strengths.get("own")
    return lit if own is None else _changed_by(own, lit, generator)


def _changed_by(own: Callable, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return what a user's own augmentation makes of a batch, if it is a batch of the same shape."""
    changed = own(images, generator)
    if not isinstance(changed, torch.Tensor) or changed.shape != images.shape or not changed.is_floating_point():
        shape = tuple(changed.shape) if isinstance(changed, torch.Tensor) else type(changed).__name__
        raise InputError(
            f"the study's own augmentation returned {shape} of a batch {tuple(images.shape)}; it must return a float "
            "tensor of the same shape, with values from 0 to 1"
        )
    return changed.to(images.dtype).contiguous(memory_format=torch.channels_last).clamp(0, 1)


def mix(
    images: torch.Tensor,
    targets: torch.Tensor,
    alpha: float,
    generator: torch.Generator,
    *,
    mostly_itself: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each image, and its target, with another one of the batch (mixup; Zhang et al. 2018).

    Parameters
    ----------
    images
        float (N, 3, H, W).
    targets
        float (N, classes).
    alpha
        The share of an image is drawn from Beta(alpha, alpha), for each image anew; 0: nothing is mixed.
    generator
        A generator on the CPU.
    mostly_itself
        Of an image and its partner the larger share is the image's own, so that it can be told which is which
        (MixMatch; Berthelot et al. 2019, eq. 9).

    Returns
    -------
    tuple of torch.Tensor
        Images and targets, in the shapes that came in.
    """
    if not alpha:
        return images, targets
    drawn = torch.rand(len(images), generator=generator, dtype=torch.float64).numpy()
    share = torch.from_numpy(betaincinv(alpha, alpha, drawn)).float().to(images.device)
    share = torch.maximum(share, 1 - share) if mostly_itself else share
    partner = torch.randperm(len(images), generator=generator).to(images.device)
    mixed = torch.lerp(images[partner], images, share.view(-1, 1, 1, 1))
    return mixed, torch.lerp(targets[partner], targets, share.view(-1, 1))


def _grid(maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return coordinates (N, H, W, 2) of maps (N, 2, 3), those of `affine_grid`, in less than half its time."""
    x = (torch.arange(width, device=maps.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=maps.device) * 2 + 1) / height - 1
    grid = torch.empty(len(maps), height, width, 2, device=maps.device)
    for axis in range(2):
        along, across = maps[:, axis, 0, None, None] * x, maps[:, axis, 1, None] * y + maps[:, axis, 2, None]
        torch.add(along, across[:, :, None], out=grid[..., axis])
    return grid
