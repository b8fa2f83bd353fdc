"""Convolutions of compact networks whose gradients a processor computes quickly."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

FEW = 100  # pixels of an image, up to which a 1 x 1 convolution is quicker as a product of matrices


def quick(device: torch.device | str) -> AbstractContextManager:
    """Return a context in which depthwise and 1 x 1 convolutions on the CPU have quicker gradients.

    oneDNN takes tens to hundreds of times as long as for the forward pass for three gradients of depthwise
    convolutions: those of weights wider than three pixels, those of any weights where the images are two pixels wide,
    and in bfloat16 those of the images where the stride is more than one. They are convolutions themselves, or products
    of matrices, and are computed as such. So is a 1 x 1 convolution of images that have shrunk to a few pixels: laying
    out its weights anew in each pass takes oneDNN longer than the product.

    The gradients are the same up to the order of sums. Nothing is changed on other devices, nor for other convolutions.
    """
    return _Quick() if torch.device(device).type == "cpu" else nullcontext()


class _Quick(TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is F.conv2d and torch.is_grad_enabled():
            return _convolve(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _convolve(
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> torch.Tensor:
    strides, paddings, dilations = (_pair(value) for value in (stride, padding, dilation))
    plain = groups == 1 and weight.shape[2:] == (1, 1) and strides == (1, 1) and paddings == (0, 0)
    if plain and input.dim() == 4 and input.shape[2:].numel() <= FEW:
        return F.linear(input.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)
    depthwise = input.dim() == 4 and 1 < groups == input.shape[1] == len(weight)
    slow = max(weight.shape[2:]) > 3 or max(strides) > 1 or _tiny(input)
    if not (depthwise and slow and dilations == (1, 1) and "same" not in paddings and "valid" not in paddings):
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    if torch.is_autocast_enabled("cpu"):
        train_dtype = torch.get_autocast_dtype("cpu")
        input, weight = input.to(train_dtype), weight.to(train_dtype)
    result = _Depthwise.apply(input, weight, strides, paddings)
    return result if bias is None else result + bias.to(result.dtype)[:, None, None]


def _tiny(images: torch.Tensor) -> bool:
    return max(images.shape[2:]) < 3


def _pair(value: Any) -> tuple:
    return (value, value) if isinstance(value, int | str) else tuple(value)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, weight: torch.Tensor, stride: tuple, padding: tuple) -> torch.Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        shape = tuple(weight.shape[2:])
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        less = all(pad < side for pad, side in zip(ctx.padding, shape, strict=True))
        slow_images = gradient.dtype == torch.bfloat16 and max(ctx.stride) > 1 and less
        slow_weight = max(shape) > 3 or _tiny(images)
        first, second = ctx.needs_input_grad[:2]
        of_images, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, images, weight, None, ctx.stride, ctx.padding, (1, 1), False, (0, 0), len(weight),
            (first and not slow_images, second and not slow_weight, False),
        )  # fmt: skip
        if first and slow_images:
            of_images = _of_images(images.shape, weight, gradient, ctx.stride, ctx.padding)
        if second and slow_weight:
            of_weight = (_of_tiny if _tiny(images) else _of_weight)(images, shape, gradient, ctx.stride, ctx.padding)
        return of_images, of_weight, None, None


def _of_images(
    shape: torch.Size, weight: torch.Tensor, gradient: torch.Tensor, stride: tuple, padding: tuple
) -> torch.Tensor:
    """Return the images' gradient: the output's, with zeros between, convolved by the weights back to front."""
    sizes = [size + 2 * pad - side + 1 for size, pad, side in zip(shape[2:], padding, weight.shape[2:], strict=True)]
    spread = gradient.new_zeros(shape[0], *sizes, shape[1]).permute(0, 3, 1, 2)  # channels last in memory
    spread[:, :, :: stride[0], :: stride[1]] = gradient
    around = [side - 1 - pad for side, pad in zip(weight.shape[2:], padding, strict=True)]
    return F.conv2d(spread, weight.flip(2, 3), None, 1, around, groups=len(weight))


def _of_weight(
    images: torch.Tensor, shape: tuple, gradient: torch.Tensor, stride: tuple, padding: tuple
) -> torch.Tensor:
    """Return the weights' gradient: each image's channel convolved by its output's gradient, summed over the images."""
    count, channels = images.shape[:2]
    kernels = gradient.reshape(count * channels, 1, *gradient.shape[2:])
    apart = images.reshape(1, count * channels, *images.shape[2:])
    each = F.conv2d(apart, kernels, None, 1, padding, stride, count * channels)
    each = each[:, :, : shape[0], : shape[1]].reshape(count, channels, *shape)
    return each.sum(0, dtype=torch.float32).to(images.dtype)[:, None]


def _of_tiny(images: torch.Tensor, shape: tuple, gradient: torch.Tensor, stride: tuple, padding: tuple) -> torch.Tensor:
    """Return the weights' gradient by the products of all pairs of an output's and an image's pixel."""
    channels, sizes, outs = images.shape[1], images.shape[2:], gradient.shape[2:]
    pairs = torch.bmm(gradient.permute(1, 2, 3, 0).flatten(1, 2), images.permute(1, 0, 2, 3).flatten(2))
    rows, columns = (_reads(*places, pairs.dtype) for places in zip(outs, sizes, shape, stride, padding, strict=True))
    reads = torch.einsum("yui,xvj->yxuvij", rows, columns).reshape(pairs[0].numel(), -1)
    return (pairs.flatten(1) @ reads).reshape(channels, 1, *shape)


def _reads(out: int, size: int, side: int, stride: int, padding: int, train_dtype: torch.dtype) -> torch.Tensor:
    """Return (out, size, side): 1 where an output's pixel reads an image's pixel by a place of the weights, else 0."""
    read = torch.arange(out)[:, None, None] * stride + torch.arange(side) - padding
    return (read == torch.arange(size)[:, None]).to(train_dtype)
