"""The views under which a teacher sees an unlabelled image (test-time augmentation), as whole tensors.

Flips and filters are those of Inés et al.'s data distillation, with two faults of its published code mended: gamma is
not 1, and each flip turns the way that its name says.
"""

from collections.abc import Mapping

import torch
from torchvision.transforms.v2 import functional


def see(images: torch.Tensor, view: str, strengths: Mapping[str, float]) -> torch.Tensor:
    """Return what a view shows of images.

    Parameters
    ----------
    images
        float (N, 3, H, W) in [0, 1]; square where a view is a quarter turn.
    view
        A name of the configuration's `views`.
    strengths
        The configuration's `view_strengths`: `box_blur`, the side of its window in pixels, odd; `gaussian_blur`, its
        standard deviation in pixels; `gamma`, the exponent.

    Returns
    -------
    torch.Tensor
        Same shape and range.
    """
    match view:
        case "identity":
            return images
        case "horizontal_flip":
            return functional.horizontal_flip(images)
        case "vertical_flip":
            return functional.vertical_flip(images)
        case "both_flips":
            return functional.vertical_flip(functional.horizontal_flip(images))
        case "rotate_90":
            return images.rot90(1, (2, 3))
        case "rotate_270":
            return images.rot90(3, (2, 3))
        case "box_blur":
            side = int(strengths["box_blur"])
            padded = functional.pad(images, [side // 2], padding_mode="reflect")
            return torch.nn.functional.avg_pool2d(padded, side, stride=1)
        case "gaussian_blur":
            sigma = strengths["gaussian_blur"]
            side = 2 * int(3 * sigma + 0.5) + 1  # beyond three standard deviations nothing is left
            return functional.gaussian_blur(images, kernel_size=[side, side], sigma=[sigma])
        case "gamma":
            return images ** strengths["gamma"]
    raise ValueError(f"there is no view '{view}'")
