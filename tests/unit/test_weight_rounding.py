"""Weights of int8 files: rounded together, so that their errors cancel in what a layer computes."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from pocketscope.deploy import weight_rounding
from pocketscope.inference import onnx_model

SIDE = 12


def layer(kernel, **about):
    """Return a model of one convolution of uint8 images, (N, SIDE, SIDE, 3), or of their first channels."""
    constants = {"weight": kernel, "bias": np.zeros(len(kernel), np.float32)}
    nodes = [
        helper.make_node("Transpose", ["images"], ["turned"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["turned"], ["inputs"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Conv", ["inputs", "weight", "bias"], ["outputs"], kernel_shape=kernel.shape[2:], **about),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_empty_tensor_value_info("outputs")],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])


def images(count, seed=0):
    """Return images whose colours and neighbours go along with each other, as those of photographs do."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (count, SIDE // 3, SIDE // 3, 1)).repeat(3, axis=1).repeat(3, axis=2)
    return (coarse + rng.integers(0, 56, (count, SIDE, SIDE, 3))).astype(np.uint8)


def outputs(model, shown):
    session = onnx_model.new_session(model.SerializeToString(), threads=1)
    return session.run(None, {"images": shown})[0].astype(np.float64)


def constant(model, name):
    return next(numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == name)


def kernel(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


SHAPES = [
    ((8, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    ((6, 3, 1, 1), {}),
    ((4, 3, 5, 3), {"strides": [2, 1], "pads": [2, 0, 1, 1]}),
    ((3, 1, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    ((6, 1, 3, 3), {"group": 3, "dilations": [2, 2]}),
]


@pytest.mark.parametrize(("shape", "about"), SHAPES)
def test_outputs_err_less_than_by_rounding_weights_one_by_one(shape, about):
    shown, others = images(16), images(16, seed=5)
    meant, errors = outputs(layer(kernel(*shape), **about), others), {}
    for plainly in ((), ("weight",)):
        model = layer(kernel(*shape), **about)
        weight_rounding.round_layers(model, shown, plainly=plainly)
        weights = next(tensor for tensor in model.graph.initializer if tensor.name == "weight")
        weights.CopyFrom(numpy_helper.from_array(units(constant(model, "weight")) * steps(shape), "weight"))
        errors[plainly] = ((outputs(model, others) - meant) ** 2).mean()
    assert errors[()] < 0.9 * errors["weight",]


def steps(shape):
    return np.abs(kernel(*shape)).max(axis=(1, 2, 3), keepdims=True) / 64


def units(weights):
    return (weights / steps(weights.shape)).round()


@pytest.mark.parametrize(("shape", "about"), SHAPES)
def test_the_quantiser_finds_the_weights_rounded_and_their_largest_kept(shape, about):
    model = layer(kernel(*shape), **about)
    weight_rounding.round_layers(model, images(8))
    found = constant(model, "weight") / steps(shape)
    assert found == pytest.approx(found.round(), abs=1e-4)
    assert np.abs(found).max(axis=(1, 2, 3)) == pytest.approx(64)
    assert np.abs(found - kernel(*shape) / steps(shape)).max() > 0.5  # some go further than the nearest


@pytest.mark.parametrize(("shape", "about"), SHAPES)
def test_no_output_moves_on_the_mean(shape, about):
    """Of the images that were shown, in all places that a layer's weights see."""
    shown = images(8)
    model = layer(kernel(*shape), **about)
    meant = outputs(model, shown).mean(axis=(0, 2, 3))
    weight_rounding.round_layers(model, shown)
    assert outputs(model, shown).mean(axis=(0, 2, 3)) == pytest.approx(meant, abs=0.02)  # of hundreds


def test_two_inputs_that_are_one_share_their_rounding():
    """0.4 and 0.4 of a step are nothing each, and together nearer to one step."""
    colours = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 1)).astype(np.uint8)
    noise = np.random.default_rng(1).integers(0, 256, (8, SIDE, SIDE, 1)).astype(np.uint8)
    shown = np.concatenate([colours, colours, noise], axis=3)
    model = layer(np.array([0.4, 0.4, 64], np.float32).reshape(1, 3, 1, 1))
    weight_rounding.round_layers(model, shown)
    found = constant(model, "weight").ravel()
    assert sorted(found[:2]) == [0, 1]
    assert found[2] == 64


def test_an_input_that_never_varies_is_no_trouble():
    model = layer(kernel(4, 3, 3, 3))
    weight_rounding.round_layers(model, np.zeros((4, SIDE, SIDE, 3), np.uint8))
    assert np.isfinite(constant(model, "weight")).all()
    assert constant(model, "bias") == pytest.approx(0)


def test_weights_that_are_rounded_plainly_stay_and_their_bias_makes_up(tmp_path):
    shown, weights = images(8), kernel(5, 3, 3, 3)
    model = layer(weights)
    meant = outputs(model, shown).mean(axis=(0, 2, 3))
    weight_rounding.round_layers(model, shown, plainly={"weight"})
    assert np.array_equal(constant(model, "weight"), weights)
    rounded = layer((units(weights) * steps(weights.shape)).astype(np.float32))
    shift = outputs(rounded, shown).mean(axis=(0, 2, 3)) + constant(model, "bias")
    assert shift == pytest.approx(meant, abs=0.02)  # of hundreds
