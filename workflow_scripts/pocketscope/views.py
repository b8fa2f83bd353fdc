"""The views under which a teacher sees an unlabelled image (test-time augmentation), as whole tensors.

The six transforms are those of Inés et al.'s data distillation, with two faults of its published code mended: gamma is
not 1, and each flip turns the way that its name says.
"""

import torch
from torchvision.transforms.v2 import functional

BOX_BLUR_SIDE = 3  # pixels
GAUSSIAN_BLUR_SIGMA = 1.0  # pixels
GAMMA = 1.5


def see(images: torch.Tensor, view: str) -> torch.Tensor:
    """Return what `view` shows of images in [0, 1], float (N, 3, H, W), in the same shape and range."""
    match view:
        case "identity":
            return images
        case "horizontal_flip":
            return functional.horizontal_flip(images)
        case "vertical_flip":
            return functional.vertical_flip(images)
        case "both_flips":
            return functional.vertical_flip(functional.horizontal_flip(images))
        case "box_blur":
            padded = functional.pad(images, [BOX_BLUR_SIDE // 2], padding_mode="reflect")
            return torch.nn.functional.avg_pool2d(padded, BOX_BLUR_SIDE, stride=1)
        case "gaussian_blur":
            return functional.gaussian_blur(images, kernel_size=[7, 7], sigma=[GAUSSIAN_BLUR_SIGMA])
        case "gamma":
            return images**GAMMA
    raise ValueError(f"there is no view '{view}'")
