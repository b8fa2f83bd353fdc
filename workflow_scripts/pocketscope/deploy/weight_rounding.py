"""Round the weights of a network so that the errors of a layer's weights cancel in what the layer computes.

Rounded one by one, weights err independently. Here they are rounded one after the other, and those that are still to be
rounded make up for the error so far, as far as their inputs go along with its inputs (Frantar et al. 2023, "GPTQ:
Accurate Post-Training Quantization for Generative Pre-trained Transformers"; the update is that of Hassibi and Stork
1993, "Optimal Brain Surgeon"). What is left of the mean is taken off the bias (Nagel et al. 2019, "Data-Free
Quantization Through Weight Equalization and Bias Correction", section 4.2), so that inputs count by their covariance.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy.linalg import lapack

from pocketscope.inference import onnx_model

LARGEST = 64  # of a rounded weight: see `quantization.quantize`
DAMPING = 0.3  # of an input's mean variance: how far covariances of a few images are not believed
NOISE = 1e-9  # of an input's mean square: less is the rounding of what does not vary
BATCH = 4  # images; the inputs of all layers are in memory at once
WINDOWS = 1024  # that a layer is shown of a batch at most
AT_ONCE = 2e7  # numbers of covariances
BLOCK = 32  # weights after which those of later blocks are made up to


def round_layers(model: onnx.ModelProto, images: NDArray[np.uint8], *, plainly: Collection[str] = ()) -> None:
    """Round the weights of a model that is not quantised yet, in place, and correct its biases.

    The quantiser leaves weights that are rounded as they are: to steps of 1/64 of the largest of an output, which is
    kept.

    Parameters
    ----------
    model
        Its convolutions and linear layers have their weights and biases as constants; those without a bias stay.
    images
        uint8 (N, H, W, 3): the inputs of each layer are those that they give.
    plainly
        Names of weights that the quantiser is to round one by one; their biases are corrected for that.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = [
        node
        for node in model.graph.node
        if len(node.input) == 3 and weights.keys() >= set(node.input[1:]) and _has_outputs_first(node)
    ]
    for some in _in_memory(layers, weights):
        for node, (mean, covariance) in zip(some, _moments(model, some, weights, images), strict=True):
            kernel, bias = (numpy_helper.to_array(weights[name]).astype(np.float64) for name in node.input[1:])
            of_groups = kernel.reshape(len(mean), -1, mean.shape[1])
            one_by_one = node.input[1] in plainly
            found = _nearest(of_groups) if one_by_one else _making_up(of_groups, mean, covariance)
            bias += ((of_groups - found) @ mean[:, :, None]).ravel()
            changed = {2: bias} if one_by_one else {1: found.reshape(kernel.shape), 2: bias}
            for place, values in changed.items():
                name = node.input[place]
                weights[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))


def _has_outputs_first(node: onnx.NodeProto) -> bool:
    return node.op_type == "Conv" or (node.op_type == "Gemm" and _attributes(node).get("transB") == 1)


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _in_memory(
    layers: Sequence[onnx.NodeProto], weights: dict[str, onnx.TensorProto]
) -> Iterator[list[onnx.NodeProto]]:
    """Yield layers, some at a time, as many as have covariances of AT_ONCE numbers in all; one at least."""
    some, numbers = [], 0
    for node in layers:
        wide = int(np.prod(weights[node.input[1]].dims[1:]))
        own = _attributes(node).get("group", 1) * wide**2
        if some and numbers + own > AT_ONCE:
            yield some
            some, numbers = [], 0
        some, numbers = [*some, node], numbers + own
    if some:
        yield some


def _moments(
    model: onnx.ModelProto, layers: Sequence[onnx.NodeProto], weights: dict[str, onnx.TensorProto], images: np.ndarray
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the mean (groups, inputs) and the covariance (groups, inputs, inputs) of what each layer's weights see."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = list(dict.fromkeys(node.input[0] for node in layers))
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = onnx_model.new_session(watched.SerializeToString(), threads=1)
    counts, sums, products = np.zeros(len(layers)), [0.0] * len(layers), [0.0] * len(layers)
    about: list[NDArray[np.float32]] = []  # means of the first batch: variances about zero would drown in rounding
    for start in range(0, len(images), BATCH):
        values = session.run(names, {"images": images[start : start + BATCH]})
        inputs = dict(zip(names, values, strict=True))
        for place, node in enumerate(layers):
            seen = _windows(node, weights[node.input[1]].dims, inputs[node.input[0]])
            if start == 0:
                about.append(seen.mean(axis=1, keepdims=True))
            seen = seen - about[place]
            counts[place] += seen.shape[1]
            sums[place] = sums[place] + seen.sum(axis=1, dtype=np.float64)
            products[place] = products[place] + seen.transpose(0, 2, 1) @ seen
    means = [total / count for total, count in zip(sums, counts, strict=True)]
    return [
        (near[:, 0] + mean, product / count - mean[:, :, None] * mean[:, None, :])
        for near, mean, product, count in zip(about, means, products, counts, strict=True)
    ]


def _windows(node: onnx.NodeProto, shape: Sequence[int], values: np.ndarray) -> NDArray[np.float32]:
    """Return what a layer's weights are multiplied with, (groups, windows, inputs): WINDOWS of them, evenly spaced.

    Parameters
    ----------
    shape
        Of the weights: outputs, inputs of a group, and for a convolution height and width.
    values
        What the layer reads: (N, inputs), or (N, channels, H, W).
    """
    if node.op_type != "Conv":
        return values[None]
    about = _attributes(node)
    (top, left, bottom, right), groups = about.get("pads", (0,) * 4), about.get("group", 1)
    strides, dilations = about.get("strides", (1, 1)), about.get("dilations", (1, 1))
    values = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    sides = tuple((side - 1) * apart + 1 for side, apart in zip(shape[2:], dilations, strict=True))
    windows = sliding_window_view(values, sides, axis=(2, 3))
    windows = windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
    count = len(windows) * windows.shape[2] * windows.shape[3]
    chosen = np.arange(0, count, max(1, -(-count // WINDOWS)))
    image, row, column = np.unravel_index(chosen, (len(windows), *windows.shape[2:4]))
    found = windows[image, :, row, column].reshape(len(chosen), groups, -1)
    return np.ascontiguousarray(found.transpose(1, 0, 2))


def _steps(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quantiser's steps, (groups, outputs, 1), of weights (groups, outputs, inputs)."""
    steps = np.abs(kernel).max(axis=2, keepdims=True) / LARGEST
    return np.where(steps > 0, steps, 1.0)


def _nearest(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = _steps(kernel)
    return (kernel / steps).round() * steps


def _making_up(
    kernel: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return rounded weights (groups, outputs, inputs), each of which makes up for the errors of those before.

    Weights of the inputs that vary most are rounded first, while there are others that can make up for it. The largest
    weight of an output stays, so that the steps do.
    """
    variance = np.einsum("gii->gi", covariance)
    order = np.argsort(-variance, axis=1, kind="stable")
    damping = DAMPING * variance.mean(axis=1) + NOISE * np.square(mean).mean(axis=1) + np.finfo(np.float32).tiny
    covariance = np.take_along_axis(covariance, order[:, :, None], axis=1)
    covariance = np.take_along_axis(covariance, order[:, None, :], axis=2)
    factor = _factor_of_inverse(covariance + damping[:, None, None] * np.eye(kernel.shape[2]))
    left = np.take_along_axis(kernel, order[:, None, :], axis=2)
    steps, largest = _steps(left), np.abs(left).argmax(axis=2)
    found, errors = np.zeros_like(left), np.zeros_like(left)
    inputs = kernel.shape[2]
    for place in range(inputs):
        own = left[:, :, place] / steps[:, :, 0]
        units = np.clip(own.round(), -LARGEST, LARGEST)
        units = np.where(largest == place, np.sign(own) * LARGEST, units)
        found[:, :, place] = units
        errors[:, :, place] = (own - units) * steps[:, :, 0] / factor[:, place, place, None]
        end = min(inputs, (place // BLOCK + 1) * BLOCK)
        left[:, :, place + 1 : end] -= errors[:, :, place, None] * factor[:, None, place, place + 1 : end]
        if place + 1 == end < inputs:
            block = slice(end - BLOCK, end)
            left[:, :, end:] -= errors[:, :, block] @ factor[:, block, end:]
    back = np.argsort(order, axis=1)
    return np.take_along_axis(found, back[:, None, :], axis=2) * steps


def _factor_of_inverse(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return upper triangular U with U.T @ U the inverse of each positive definite matrix, (groups, n, n)."""
    # Of a matrix in reverse order the lower factor is the upper one of the matrix itself, R @ R.T; U is R's inverse.
    reverse = np.linalg.cholesky(matrices[:, ::-1, ::-1])[:, ::-1, ::-1]
    return np.stack([lapack.dtrtri(factor)[0] for factor in reverse])
