"""Give the channels of a layer like ranges before it is quantised, without changing what the network computes.

An 8-bit activation has one scale for all channels, and a weight one for all inputs of an output channel. Where channels
differ much, as in networks without batch normalisation, the weak ones are rounded away. Between two convolutions with
nothing but positively homogeneous operators (f(s x) = s f(x) for s > 0), a channel can be divided by a number in the
one and multiplied by it in the other (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
Correction"). The number is the one that shares the range evenly between activation and weight (Xiao et al. 2023,
"SmoothQuant", with alpha 1/2).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

HOMOGENEOUS = {"Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Flatten"}


@dataclass
class _Link:
    """Channels from the layer that makes them to the layers that take them, each from an offset of its inputs on."""

    maker: onnx.NodeProto
    takers: list[tuple[onnx.NodeProto, int]]


def equalize(model: onnx.ModelProto, batches: list[NDArray[np.uint8]]) -> onnx.ModelProto:
    """Rescale the channels of `model` in place wherever that changes nothing else, and return it.

    Parameters
    ----------
    model
        A graph whose batch normalisations are folded into its convolutions.
    batches
        uint8 (N, H, W, 3) each: the images on which the range of each channel is measured.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    links = list(_links(model.graph, weights))
    if not links:
        return model
    largest = _largest(model, sorted({taker.input[0] for link in links for taker, _ in link.takers}), batches)
    for link in links:
        channels = len(_array(weights, link.maker, 1))
        ranges = np.max([largest[t.input[0]][start : start + channels] for t, start in link.takers], axis=0)
        columns = np.max([_columns(weights, t)[:, start : start + channels].max(0) for t, start in link.takers], axis=0)
        scale = np.sqrt(ranges / np.where(columns > 0, columns, 1))
        scale = np.where((ranges > 0) & (columns > 0), scale, 1).astype(np.float32)
        for place in range(1, len(link.maker.input)):  # weights, and bias where there is one
            array = _array(weights, link.maker, place)
            _replace(model, weights, link.maker, place, array / scale.reshape(-1, *[1] * (array.ndim - 1)))
        for taker, start in link.takers:
            array = _array(weights, taker, 1).copy()
            array[:, start : start + channels] *= scale.reshape(-1, *[1] * (array.ndim - 2))
            _replace(model, weights, taker, 1, array)
    return model


def _links(graph: onnx.GraphProto, weights: dict[str, onnx.TensorProto]) -> Iterator[_Link]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    widths = {value.name: value.type.tensor_type.shape.dim[1].dim_value for value in graph.value_info
              if len(value.type.tensor_type.shape.dim) > 1}  # fmt: skip
    outputs = {value.name for value in graph.output}

    def takers(tensor: str, start: int) -> list[tuple[onnx.NodeProto, int]] | None:
        """Return all layers that take a tensor's channels; None where anything else does."""
        if tensor in outputs or tensor not in readers:
            return None
        found = []
        for node in readers[tensor]:
            if node.op_type in ("Conv", "Gemm") and _takes(node, weights):
                found.append((node, start))
                continue
            if node.op_type == "Concat" and node.attribute[0].i == 1:
                before = [widths.get(name, 0) for name in node.input[: list(node.input).index(tensor)]]
                further = takers(node.output[0], start + sum(before)) if all(before) else None
            else:
                further = takers(node.output[0], start) if node.op_type in HOMOGENEOUS else None
            if further is None:
                return None
            found += further
        return found

    for node in graph.node:
        if node.op_type == "Conv" and all(name in weights for name in node.input[1:]):
            found = takers(node.output[0], 0)
            if found:
                yield _Link(node, found)


def _takes(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    """Return whether a layer's weights have an input channel in each column."""
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if node.input[1] not in weights:
        return False
    return attributes.get("group", 1) == 1 if node.op_type == "Conv" else bool(attributes.get("transB", 0))


def _largest(
    model: onnx.ModelProto, tensors: list[str], batches: list[NDArray[np.uint8]]
) -> dict[str, NDArray[np.float32]]:
    """Return the largest absolute value of each channel of some tensors."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in tensors)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: dict[str, NDArray[np.float32]] = {}
    for batch in batches:
        for name, values in zip(tensors, session.run(tensors, {"images": batch}), strict=True):
            highest = np.abs(values).max(axis=tuple(axis for axis in range(values.ndim) if axis != 1))
            found[name] = np.maximum(found.get(name, 0), highest)
    return found


def _columns(weights: dict[str, onnx.TensorProto], node: onnx.NodeProto) -> NDArray[np.float32]:
    """Return the largest absolute weight from each input (columns) to each output channel (rows)."""
    array = np.abs(_array(weights, node, 1))
    return array.max(axis=tuple(range(2, array.ndim))) if array.ndim > 2 else array


def _array(weights: dict[str, onnx.TensorProto], node: onnx.NodeProto, place: int) -> NDArray[np.float32]:
    return numpy_helper.to_array(weights[node.input[place]])


def _replace(
    model: onnx.ModelProto,
    weights: dict[str, onnx.TensorProto],
    node: onnx.NodeProto,
    place: int,
    array: NDArray[np.float32],
) -> None:
    """Give a layer a tensor of its own: equal ones are shared by layers."""
    name = f"{node.name}_equalized_{place}"
    tensor = numpy_helper.from_array(array, name)
    if name in weights:
        weights[name].CopyFrom(tensor)
        return
    node.input[place] = name
    model.graph.initializer.append(tensor)
    weights[name] = model.graph.initializer[-1]
