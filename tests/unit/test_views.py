"""What teachers see."""

from typing import get_args

import numpy as np
import pytest
import torch

from pocketscope.config.base import plain
from pocketscope.config.views import View, ViewStrengths
from pocketscope.distillation import predict_views, views
from pocketscope.models import networks

STRENGTHS = plain(ViewStrengths())


def see(image, view, **changes):
    return views.see(image, view, STRENGTHS | changes)


def test_views_do_what_their_names_say():
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(see(image, "identity"), image)
    assert torch.equal(see(image, "horizontal_flip"), image.flip(3))
    assert torch.equal(see(image, "vertical_flip"), image.flip(2))
    assert torch.equal(see(image, "both_flips"), image.flip(2, 3))
    assert torch.equal(see(image, "rotate_90"), image.transpose(2, 3).flip(2))
    assert torch.equal(see(see(image, "rotate_90"), "rotate_270"), image)


@pytest.mark.parametrize("view", get_args(View))
def test_every_view_keeps_shape_and_range(view):
    shown = see(torch.rand(2, 3, 16, 16), view)
    assert shown.shape == (2, 3, 16, 16)
    assert 0 <= shown.min() <= shown.max() <= 1


@pytest.mark.parametrize("blur", ["box_blur", "gaussian_blur"])
def test_blurs_smooth_by_their_strength_and_keep_what_is_even(blur):
    image, even = torch.rand(1, 3, 32, 32), torch.full((1, 3, 32, 32), 0.5)
    weak, strong = see(image, blur, **{blur: 3}), see(image, blur, **{blur: 5 if blur == "box_blur" else 4.0})
    assert image.var() > weak.var() > strong.var()
    assert torch.allclose(see(even, blur), even)


def test_gamma_is_a_power_and_never_the_identity():
    image = torch.rand(1, 3, 8, 8)
    assert torch.allclose(see(image, "gamma", gamma=2.0), image * image)
    with pytest.raises(ValueError, match="changes nothing"):
        ViewStrengths(gamma=1)


def test_each_image_is_decoded_once_for_all_views():
    """Teachers see batches as they are read, and what they say comes back in the order of reading."""
    entry = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "weights": "none", "options": {}}
    classifier = networks.build(entry, 3, None, seed=0)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
    read = []

    def reading():
        for number, image in enumerate(pixels):
            read.append(number)
            yield f"i{number}", image

    names = ["identity", "vertical_flip"]
    image_ids, seen = predict_views.probabilities(classifier, reading(), 70, names, STRENGTHS, torch.device("cpu"))
    assert read == list(range(70))
    assert image_ids == [f"i{number}" for number in range(70)]
    assert seen.shape == (2, 70, 3)
    flipped = ((f"i{n}", image[::-1]) for n, image in enumerate(pixels))
    _, mirrored = predict_views.probabilities(classifier, flipped, 70, ["identity"], STRENGTHS, torch.device("cpu"))
    assert np.allclose(mirrored[0], seen[1], atol=1e-5)
