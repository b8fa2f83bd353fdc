"""RandAugment and cutout for a whole batch at once: every image has operations and strengths of its own.

Images that drew the same operation are changed together, so that a batch costs a few passes over memory on the device
that trains, however many images it has. The operations and their ranges are those of FixMatch (Sohn et al. 2020, table
12); RandAugment is by Cubuk et al. 2020, cutout by DeVries and Taylor 2017.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

LAYERS = 2  # operations an image goes through
CUTOUT = 0.5  # side of the square that is cut out, at most, as a share of the image's
GREY = 0.5


def strong(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change each image by two random operations of random strength, and cut a random square out of it.

    Parameters
    ----------
    images
        float (N, 3, H, W) in [0, 1].
    generator
        A generator on the CPU, so that the same is drawn on every device.

    Returns
    -------
    torch.Tensor
        float (N, 3, H, W) in [0, 1], channels last in memory.
    """
    images = images.clone(memory_format=torch.channels_last)
    for _ in range(LAYERS):
        drawn = torch.randint(len(OPERATIONS), (len(images),), generator=generator)
        strengths = torch.rand(len(images), generator=generator)
        images = apply(images, drawn, strengths)
    side = CUTOUT * torch.rand(len(images), generator=generator)
    return cutout(images, side, torch.rand(len(images), 2, generator=generator))


def apply(images: torch.Tensor, operations: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    """Change each image by its operation.

    Parameters
    ----------
    images
        float (N, 3, H, W) in [0, 1]; it is overwritten.
    operations
        int64 (N,), on the CPU: places in OPERATIONS.
    strengths
        float (N,) in [0, 1), on the CPU: where in the operation's range.
    """
    operations_in_order = list(OPERATIONS.values())
    for number in operations.unique().tolist():
        chosen = (operations == number).nonzero().flatten()
        amounts = strengths[chosen].to(images.device).view(-1, 1, 1, 1)
        chosen = chosen.to(images.device)
        images[chosen] = operations_in_order[number](images[chosen], amounts).clamp(0, 1)
    return images


def cutout(images: torch.Tensor, sides: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Paint a grey square over each image.

    Parameters
    ----------
    images
        float (N, 3, H, W).
    sides
        float (N,), as shares of the image's side.
    centres
        float (N, 2) in [0, 1): down and across. A square may reach over the edge.
    """
    _, _, height, width = images.shape
    sides, centres = sides.to(images.device), centres.to(images.device)
    near = []
    for axis, length in enumerate((height, width)):
        middle = (torch.arange(length, device=images.device) + 0.5) / length
        near.append((middle - centres[:, axis, None]).abs() * 2 < sides[:, None])
    inside = near[0][:, :, None] & near[1][:, None, :]
    return torch.where(inside[:, None], GREY, images)


def _blended(degenerate: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    # As in the Python Imaging Library's enhancements: a share, 0.05 to 0.95, of the image over what it would fade to.
    def operation(images: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
        return torch.lerp(degenerate(images).expand_as(images), images, 0.05 + 0.9 * strengths)

    return operation


def _grey(images: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device, dtype=images.dtype)
    return torch.einsum("nchw,c->nhw", images, weights)[:, None]


def _smooth(images: torch.Tensor) -> torch.Tensor:
    kernel = torch.ones(3, 3, device=images.device, dtype=images.dtype)
    kernel[1, 1] = 5
    weights = (kernel / kernel.sum()).expand(images.shape[1], 1, 3, 3)
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, weights, groups=images.shape[1])


def _auto_contrast(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, (images - low) / torch.where(span > 0, span, 1.0), images)


def _equalize(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    # A pixel becomes the share of its channel's pixels that are no brighter, stretched to start at 0.
    levels = (images * 255).round().long().flatten(2)
    counts = torch.zeros(*levels.shape[:2], 256, device=images.device)
    counts.scatter_add_(2, levels, torch.ones_like(levels, dtype=counts.dtype))
    shares = counts.cumsum(2) / levels.shape[2]
    lowest = shares.gather(2, levels.amin(2, keepdim=True))
    stretched = (shares - lowest) / (1 - lowest).clamp(min=1e-6)
    equal = stretched.gather(2, levels).view(images.shape)
    return torch.where((lowest < 1)[..., None], equal, images)


def _posterize(images: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    step = 2.0 ** (4 - (strengths * 5).floor())  # 4 to 8 bits are kept
    return ((images * 255).round() / step).floor() * step / 255


def _solarize(images: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    return torch.where(images < strengths, images, 1 - images)


def _affine(place: Callable[[torch.Tensor], dict[tuple[int, int], torch.Tensor]]) -> Callable[..., torch.Tensor]:
    def operation(images: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
        maps = torch.eye(2, 3, device=images.device, dtype=images.dtype).repeat(len(images), 1, 1)
        for (row, column), values in place(2 * strengths.view(-1) - 1).items():
            maps[:, row, column] = values
        grid = F.affine_grid(maps, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    return operation


def _rotation(way: torch.Tensor) -> dict[tuple[int, int], torch.Tensor]:
    angle = torch.deg2rad(30 * way)
    return {(0, 0): angle.cos(), (0, 1): -angle.sin(), (1, 0): angle.sin(), (1, 1): angle.cos()}


# By name, from images and strengths in [0, 1), float (N, 1, 1, 1), to images.
OPERATIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "identity": lambda images, _: images,
    "auto_contrast": _auto_contrast,
    "brightness": _blended(torch.zeros_like),
    "color": _blended(_grey),
    "contrast": _blended(lambda images: _grey(images).mean((2, 3), keepdim=True)),
    "equalize": _equalize,
    "posterize": _posterize,
    "rotate": _affine(_rotation),
    "sharpness": _blended(_smooth),
    "shear_x": _affine(lambda way: {(0, 1): 0.3 * way}),
    "shear_y": _affine(lambda way: {(1, 0): 0.3 * way}),
    "solarize": _solarize,
    "translate_x": _affine(lambda way: {(0, 2): 0.6 * way}),  # coordinates run from -1 to 1: 30 % of the side
    "translate_y": _affine(lambda way: {(1, 2): 0.6 * way}),
}
