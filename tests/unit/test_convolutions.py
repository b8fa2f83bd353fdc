from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pocketscope.models import fast_convolutions

CASES = [  # kernel, stride, padding, height, width
    (3, 1, 1, 9, 9),
    (3, 2, 1, 8, 11),
    (3, 2, 0, 9, 8),
    (3, 2, 3, 9, 8),  # more padding than the weights reach over
    (5, 1, 2, 7, 6),
    (5, 1, 2, 2, 2),
    (5, 2, 2, 9, 8),
    (3, 1, 1, 2, 2),
    (3, 2, 1, 2, 1),
    (5, 1, 2, 1, 1),
    (5, 2, 0, 9, 12),
    (7, 3, 1, 12, 9),
    ((3, 5), (2, 1), (1, 2), 8, 7),
]


def gradients(quick, train_dtype, kernel, stride, padding, height, width):
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 6, kernel, stride, padding, groups=6)
    images = torch.randn(3, 6, height, width).contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=train_dtype == "bf16"):
        if quick:
            with fast_convolutions.quick("cpu"):
                found = layer(images)
        else:
            found = layer(images)
    (found.float() * torch.randn(found.shape)).sum().backward()
    return found, images.grad, layer.weight.grad, layer.bias.grad


@pytest.mark.parametrize("case", CASES)
def test_gradients_in_fp32_are_those_of_torch(case):
    for ours, theirs in zip(gradients(True, "fp32", *case), gradients(False, "fp32", *case), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_gradients_in_bf16_are_within_its_rounding(case):
    exact = gradients(False, "fp32", *case)
    for ours, theirs in zip(gradients(True, "bf16", *case), exact, strict=True):
        assert (ours.float() - theirs).abs().max() <= 0.02 * theirs.abs().max()
        assert ours.dtype == torch.bfloat16 or ours.dtype == theirs.dtype


@pytest.mark.parametrize("train_dtype", ["fp32", "bf16"])
def test_a_convolution_of_single_pixels_is_that_of_torch(train_dtype):
    found = []
    for context in (fast_convolutions.quick("cpu"), nullcontext()):
        torch.manual_seed(0)
        layer, images = nn.Conv2d(8, 12, 1), torch.randn(2, 8, 5, 5, requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=train_dtype == "bf16"), context:
            result = layer(images)
        (result.float() ** 2).sum().backward()
        found.append((result.float(), images.grad, layer.weight.grad, layer.bias.grad))
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).abs().max() <= (0.02 if train_dtype == "bf16" else 1e-5) * theirs.abs().max()


@pytest.mark.parametrize("options", [{"groups": 2}, {"groups": 4, "dilation": 2}, {"groups": 4, "padding": "same"}, {}])
def test_other_convolutions_are_left_alone(options, monkeypatch):
    monkeypatch.setattr(fast_convolutions, "_Depthwise", None)
    layer, images = nn.Conv2d(4, 4, 5, **options), torch.randn(1, 4, 12, 12)
    with fast_convolutions.quick("cpu"):
        assert torch.equal(layer(images), F.conv2d(images, layer.weight, layer.bias, **{"groups": 1} | options))


def test_only_what_needs_gradients_on_the_cpu_is_changed(monkeypatch):
    monkeypatch.setattr(fast_convolutions, "_Depthwise", None)
    layer, images = nn.Conv2d(4, 4, 5, groups=4), torch.randn(1, 4, 12, 12)
    with fast_convolutions.quick("cuda"):
        layer(images)
    with fast_convolutions.quick("cpu"), torch.no_grad():
        layer(images)


def test_a_layer_that_is_not_trained_has_no_gradient():
    layer = nn.Conv2d(4, 4, 5, 2, 2, groups=4).requires_grad_(False)
    images = torch.randn(2, 4, 8, 8, requires_grad=True)
    with fast_convolutions.quick("cpu"):
        layer(images).sum().backward()
    assert images.grad is not None
    assert layer.weight.grad is None


@pytest.mark.parametrize(
    ("layer", "side", "name"),
    [
        (nn.Conv2d(4, 4, 5, 1, 2, groups=4, bias=False), 12, "_DepthwiseBackward"),
        (nn.Conv2d(4, 4, 3, 2, 1, groups=4, bias=False), 12, "_DepthwiseBackward"),
        (nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False), 2, "_DepthwiseBackward"),
        (nn.Conv2d(4, 4, 3, 1, 1, groups=4, bias=False), 12, "ConvolutionBackward0"),  # quick as it is
        (nn.Conv2d(4, 8, 1), 7, "PermuteBackward0"),
        (nn.Conv2d(4, 8, 1), 14, "ConvolutionBackward0"),
    ],
)
def test_which_convolutions_are_computed_otherwise(layer, side, name):
    """Torch could cease to ask the context, and nothing but time would tell."""
    with fast_convolutions.quick("cpu"):
        assert layer(torch.randn(1, 4, side, side)).grad_fn.name() == name
