"""Take out of a quantised network what rounding adds to its values on average.

Rounded weights err by amounts that do not average out over inputs that are all positive, as behind a ReLU, and so shift
each channel. The shift is known from the mean inputs, and is taken off the bias (Nagel et al. 2019, "Data-Free
Quantization Through Weight Equalization and Bias Correction", section 4.2; the means are measured here).
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from pocketscope.inference import onnx_model

LARGEST = 64  # of a rounded weight: see `quantization.quantize`


def correct_layers(model: onnx.ModelProto, batches: Sequence[NDArray[np.uint8]]) -> None:
    """Change the biases of a model that is not quantised yet, in place, for what rounding its weights will add.

    Parameters
    ----------
    model
        Its convolutions and linear layers have their weights and biases as constants; those without a bias stay.
    batches
        uint8 (N, H, W, 3) each: the images on which mean inputs are measured.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = [
        node
        for node in model.graph.node
        if len(node.input) == 3 and weights.keys() >= set(node.input[1:]) and _has_outputs_first(node)
    ]
    means = _means(model, {node.input[0]: node.op_type == "Conv" for node in layers}, batches)
    for node in layers:
        kernel, bias = (numpy_helper.to_array(weights[name]).astype(np.float64) for name in node.input[1:])
        error = (kernel - _rounded(kernel)).reshape(*kernel.shape[:2], -1).sum(axis=2)  # (outputs, inputs of its group)
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        inputs = means[node.input[0]].reshape(groups, -1).repeat(len(kernel) // groups, axis=0)
        bias += (error * inputs).sum(axis=1)
        weights[node.input[2]].CopyFrom(numpy_helper.from_array(bias.astype(np.float32), node.input[2]))


def correct_logits(quantized: onnx.ModelProto, original: onnx.ModelProto, batches: Sequence[NDArray[np.uint8]]) -> None:
    """Give the logits of a quantised model, in place, the mean that the original's have on some images.

    Parameters
    ----------
    quantized, original
        Both end in a softmax of the logits.
    batches
        uint8 (N, H, W, 3) each.
    """
    last, other = (
        next(n for n in reversed(model.graph.node) if n.op_type == "Softmax") for model in (quantized, original)
    )
    found = _means(quantized, {last.input[0]: False}, batches)[last.input[0]]
    meant = _means(original, {other.input[0]: False}, batches)[other.input[0]]
    correction = numpy_helper.from_array((meant - found).astype(np.float32), "correction")
    quantized.graph.initializer.append(correction)
    add = onnx.helper.make_node("Add", [last.input[0], correction.name], ["corrected"])
    last.input[0] = "corrected"
    quantized.graph.node.insert(list(quantized.graph.node).index(last), add)


def _has_outputs_first(node: onnx.NodeProto) -> bool:
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    return node.op_type == "Conv" or (node.op_type == "Gemm" and attributes.get("transB") == 1)


def _rounded(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights as the quantiser rounds them: by channel, to steps of 1/64 of the largest."""
    step = np.abs(kernel).max(axis=tuple(range(1, kernel.ndim)), keepdims=True) / LARGEST
    return np.divide(kernel, step, out=np.zeros_like(kernel), where=step > 0).round() * step


def _means(
    model: onnx.ModelProto, tensors: Mapping[str, bool], batches: Iterable[NDArray[np.uint8]]
) -> dict[str, NDArray[np.float64]]:
    """Return the mean of each channel of some tensors; the values say which of them are maps, (N, channels, H, W)."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    outputs = {name: f"{name}.mean" if is_map else name for name, is_map in tensors.items()}
    for name, output in outputs.items():
        if output != name:
            mean = onnx.helper.make_node("ReduceMean", [name], [output], axes=[2, 3], keepdims=0)
            watched.graph.node.append(mean)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_empty_tensor_value_info(output) for output in outputs.values())
    session = onnx_model.new_session(watched.SerializeToString(), threads=1)
    sums, count = dict.fromkeys(tensors, 0.0), 0
    for batch in batches:
        count += len(batch)
        for name, values in zip(outputs, session.run(list(outputs.values()), {"images": batch}), strict=True):
            sums[name] = sums[name] + values.astype(np.float64).sum(axis=0)
    return {name: total / count for name, total in sums.items()}
