"""Random changes of training images, drawn anew for every image, as whole tensors on the device that trains."""

from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from scipy.special import betaincinv


def augment(
    images: torch.Tensor, strengths: Mapping[str, float], symmetries: Collection[str], generator: torch.Generator
) -> torch.Tensor:
    """Flip, rotate, zoom, move, brighten and stretch each image by its own random amounts.

    Flip, rotation, zoom and translation are one affine map, so that an image is interpolated once.

    Parameters
    ----------
    images
        uint8 (N, H, W, 3).
    strengths
        The configuration's `augmentation`: the largest amounts, drawn evenly either way.
    symmetries
        Which of `horizontal_flip` and `vertical_flip` may be drawn, each for half of the images.
    generator
        A generator on the CPU, so that the same amounts are drawn on every device.

    Returns
    -------
    torch.Tensor
        float32 (N, 3, H, W) in [0, 1].
    """
    count = len(images)

    def draw(limit: float) -> torch.Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    def signs(flip: str) -> torch.Tensor:
        drawn = torch.rand(count, generator=generator) < 0.5
        return torch.where(drawn & (flip in symmetries), -1.0, 1.0)

    angle = torch.deg2rad(draw(strengths["rotation"]))
    # The map goes from the new image to the old one: dividing by the zoom enlarges.
    horizontal = signs("horizontal_flip") / (1 + draw(strengths["zoom"]))
    vertical = signs("vertical_flip") / (1 + draw(strengths["zoom"]))
    shift = 2 * strengths["translation"]  # the grid's coordinates run from -1 to 1
    rows = [
        torch.stack([horizontal * angle.cos(), -vertical * angle.sin(), draw(shift)], dim=1),
        torch.stack([horizontal * angle.sin(), vertical * angle.cos(), draw(shift)], dim=1),
    ]
    brightness = draw(strengths["brightness"]).view(-1, 1, 1, 1).to(images.device)
    contrast = 1 + draw(strengths["contrast"]).view(-1, 1, 1, 1).to(images.device)

    pixels = images.permute(0, 3, 1, 2).float() / 255
    grid = F.affine_grid(torch.stack(rows, dim=1).to(images.device), list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return ((moved - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)


def mix(
    images: torch.Tensor, targets: torch.Tensor, alpha: float, generator: torch.Generator
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

    Returns
    -------
    tuple of torch.Tensor
        Images and targets, in the shapes that came in.
    """
    if not alpha:
        return images, targets
    drawn = torch.rand(len(images), generator=generator, dtype=torch.float64).numpy()
    share = torch.from_numpy(betaincinv(alpha, alpha, drawn)).float().to(images.device)
    partner = torch.randperm(len(images), generator=generator).to(images.device)
    mixed = torch.lerp(images[partner], images, share.view(-1, 1, 1, 1))
    return mixed, torch.lerp(targets[partner], targets, share.view(-1, 1))
