"""RandAugment and cutout on whole batches: each image has its own, and each operation does what its name says."""

import pytest
import torch

from pocketscope.training import randaugment

NAMES = list(randaugment.OPERATIONS)


def changed(name, images, strength):
    drawn = torch.full((len(images),), NAMES.index(name))
    return randaugment.apply(images.clone(), drawn, torch.full((len(images),), strength))


@pytest.fixture
def images():
    return torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_a_batch_is_changed_as_its_images_are_one_by_one(images):
    """Grouping by operation is a matter of speed: what an image becomes does not depend on its neighbours."""
    operations = torch.tensor(
        [NAMES.index(n) for n in ("rotate", "equalize", "identity", "rotate", "color", "solarize")]
    )
    strengths = torch.tensor([0.1, 0.5, 0.3, 0.9, 0.2, 0.7])
    together = randaugment.apply(images.clone(), operations, strengths)
    for i in range(len(images)):
        alone = randaugment.apply(images[i : i + 1].clone(), operations[i : i + 1], strengths[i : i + 1])
        assert torch.allclose(together[i], alone[0], atol=1e-6), NAMES[operations[i]]
    assert torch.equal(together[2], images[2])
    assert not torch.allclose(together[0], together[3])


@pytest.mark.parametrize("name", NAMES)
def test_pixels_stay_pixels_and_only_identity_does_nothing(name, images):
    for strength in (0.0, 0.4, 0.99):
        after = changed(name, images, strength)
        assert after.shape == images.shape
        assert after.min() >= 0
        assert after.max() <= 1
        assert torch.isfinite(after).all()
    assert torch.allclose(changed(name, images, 0.3), images, atol=1e-3) == (name == "identity")


def test_operations_of_light_by_hand():
    image = torch.tensor([0.0, 0.2, 0.6, 1.0]).view(1, 1, 2, 2).repeat(1, 3, 1, 1)
    assert torch.allclose(changed("brightness", image, 0.5), 0.5 * image)
    assert torch.allclose(changed("contrast", image, 0.5), 0.5 * image + 0.5 * 0.45, atol=1e-6)
    assert torch.allclose(changed("color", image, 0.1), image, atol=1e-6)  # grey has no colour to lose
    assert changed("solarize", image, 0.6)[0, 0].flatten().tolist() == pytest.approx([0, 0.2, 0.4, 0])
    assert torch.allclose(changed("auto_contrast", 0.2 + 0.5 * image, 0), image, atol=1e-6)
    assert changed("equalize", image, 0)[0, 0].flatten().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    four_bits = changed("posterize", image, 0.0)
    assert (four_bits[0, 0].flatten() * 255).round().tolist() == [0, 48, 144, 240]
    even = torch.full((1, 3, 4, 4), 0.3)
    for name in ("auto_contrast", "equalize", "sharpness", "rotate", "shear_x"):
        assert torch.allclose(changed(name, even, 0.8), even, atol=1e-5), name


def test_geometry_goes_either_way():
    image = torch.zeros(1, 3, 20, 20)
    image[..., 10:] = 1
    left, right = (changed("translate_x", image, strength).mean() for strength in (0.99, 0.0))
    assert left > 0.7  # the grid goes from the new image to the old one: the bright half moves in
    assert right < 0.3
    assert torch.allclose(changed("translate_y", image, 0.9), image, atol=1e-5)


def test_cutout_paints_a_grey_square_where_it_is_told():
    image = torch.zeros(2, 3, 10, 10)
    cut = randaugment.cutout(image, torch.tensor([0.4, 0.0]), torch.tensor([[0.5, 0.2], [0.5, 0.5]]))
    assert cut[0].sum() == pytest.approx(0.5 * 3 * 4 * 4)
    assert (cut[0, :, 3:7, 0:4] == 0.5).all()
    assert cut[1].sum() == 0


def test_every_image_draws_its_own_and_a_seed_draws_the_same():
    images = torch.rand(1, 3, 24, 24).repeat(40, 1, 1, 1)
    once, again, other = (randaugment.strong(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert len({tuple(image.flatten()[:200].tolist()) for image in once}) > 30
    assert torch.equal(images[0], images[1])  # what came in is as it was
