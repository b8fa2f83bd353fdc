"""Learning rates by depth and step, budgets, the range test, averaged weights."""

import pytest
import torch

from pocketscope.config.base import plain
from pocketscope.config.training import Training
from pocketscope.models import networks
from pocketscope.training import budget, optimization

TINY = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "family": "manual", "weights": "none"}


def test_rates_rise_with_depth():
    classifier = networks.build(TINY, 2, None, seed=0)
    groups = optimization.parameter_groups(classifier, 1.0, 0.01, 0.1)
    peaks = [group["lr"] for group in groups]
    assert peaks == sorted(peaks)
    assert peaks[0] == pytest.approx(0.01)
    assert peaks[-1] == pytest.approx(1.0)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len(list(classifier.parameters()))


def test_the_heads_weights_learn_as_slowly_as_features_are_large():
    classifier = networks.build(TINY, 2, None, seed=0)
    weight, bias = optimization.parameter_groups(classifier, 1.0, 0.01, 0.1, feature_scale=50.0)[-2:]
    assert weight["params"][0] is classifier.head.weight
    assert (weight["lr"], bias["lr"]) == (pytest.approx(0.02), pytest.approx(1.0))


def learner(ema, steps=5):
    classifier = networks.build(TINY, 2, None, seed=0)
    return optimization.Learner(
        classifier, steps=steps, learning_rate=0.01, lowest_layer_lr_ratio=1.0, weight_decay=0.0, ema=ema
    )


@pytest.mark.parametrize(("max_grad_norm", "expected"), [(0.0, 10.0), (20.0, 10.0), (1.0, 1.0)])
def test_large_gradients_are_scaled_down_to_the_norm(max_grad_norm, expected):
    classifier = networks.build(TINY, 2, None, seed=0)
    one = optimization.Learner(
        classifier,
        steps=2,
        learning_rate=0.1,
        lowest_layer_lr_ratio=1.0,
        weight_decay=0.0,
        ema=0,
        max_grad_norm=max_grad_norm,
    )
    parameters = list(classifier.parameters())
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    scale = 10 / torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in parameters]))
    for parameter in parameters:
        parameter.grad *= scale
    one.step()
    norm = torch.linalg.vector_norm(torch.cat([parameter.grad.flatten() for parameter in parameters]))
    assert norm.item() == pytest.approx(expected, rel=1e-3)


def test_only_what_requires_gradients_is_trained():
    classifier = networks.build(TINY, 2, None, seed=0)
    classifier.backbone.requires_grad_(False)
    groups = optimization.parameter_groups(classifier, 1.0, 0.01, 0.1)
    assert sum(len(group["params"]) for group in groups) == 2


def test_the_rate_rises_and_falls_once():
    one, rates = learner(ema=0, steps=20), []
    for _ in range(20):
        rates.append(one.learning_rate)
        for parameter in one.classifier.parameters():
            parameter.grad = torch.zeros_like(parameter)
        one.step()
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.01, rel=0.05)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 0.01 * max(rates) + 1e-3


def test_the_moving_average_follows_its_formula():
    """At first it follows the weights, for its decay is (1 + t) / (10 + t) until that reaches the one asked for."""
    one = learner(ema=0.3)
    expected = one.classifier.head.bias.detach().clone()
    for step in range(4):
        for parameter in one.classifier.parameters():
            parameter.grad = torch.ones_like(parameter)
        one.step()
        decay = 0.0 if step == 0 else min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * one.classifier.head.bias.detach()
        assert torch.allclose(one.learned.head.bias, expected, atol=1e-7)
    assert not torch.equal(one.learned.head.bias, one.classifier.head.bias)
    assert learner(ema=0).learned is not None


def test_the_average_has_the_statistics_of_the_network():
    one = learner(ema=0.9)
    one.classifier.train()(torch.rand(4, 3, 32, 32))
    one.step()
    buffers = zip(one.classifier.buffers(), one.learned.buffers(), strict=True)
    assert all(torch.equal(own, averaged) for own, averaged in buffers)


def steps(images, pretrained=True, **given):
    return budget.steps(plain(Training(**given)), images, pretrained=pretrained)


def test_budgets_grow_mildly_with_the_set():
    """Twenty times the images are not twenty times the steps; and few images are not few steps."""
    assert steps(100, steps=100, steps_exponent=0.5) == steps(20, steps=100) == 100
    assert steps(2000, steps=100, steps_exponent=0.5) == 447
    assert steps(2000, steps=100, steps_exponent=0) == 100
    assert steps(2000, steps=100, steps_exponent=1) == 2000
    assert steps(50) > 60
    assert steps(100, pretrained=False, steps_from_scratch=7) == 7


def test_epochs_are_passes_and_a_pass_has_no_short_batch():
    assert steps(60, recipe="paper") == 50 * 2
    assert steps(64, recipe="paper") == 50 * 2
    assert steps(65, recipe="paper_automl") == 8 * 3
    assert steps(100, recipe="paper", steps=70) == 70
    assert steps(1000, recipe="frozen") == 0


def valley(classifier, best):
    """A loss whose gradient is large, and whose value depends on how far the head's bias has moved from `best`."""

    def backward(step):
        for parameter in classifier.parameters():
            parameter.grad = torch.zeros_like(parameter)
        classifier.head.bias.grad = classifier.head.bias.detach() - best
        return float((classifier.head.bias.detach() - best).square().mean()) + 0.1

    return backward


def test_the_range_test_finds_a_rate_and_leaves_the_network_as_it_was():
    classifier = networks.build(TINY, 2, None, seed=0)
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    rates = {
        rule: optimization.range_test(classifier, valley(classifier, 1.0), rule, lowest_layer_lr_ratio=0.01)
        for rule in ("minimum", "tenth_of_minimum")
    }
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items())
    assert 1e-3 < rates["minimum"] < 10
    assert rates["tenth_of_minimum"] == pytest.approx(rates["minimum"] / 10)


def test_where_the_lowest_loss_is_at_once_the_rate_is_a_usual_one():
    classifier = networks.build(TINY, 2, None, seed=0)
    rising = iter(range(1, 200))

    def backward(step):
        for parameter in classifier.parameters():
            parameter.grad = torch.zeros_like(parameter)
        return float(next(rising))

    assert optimization.range_test(classifier, backward, "minimum", lowest_layer_lr_ratio=1.0) == 1e-3
