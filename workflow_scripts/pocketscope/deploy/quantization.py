"""Static int8 quantisation of an ONNX model: no torch."""

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime import quantization as ort
from onnxruntime.quantization import shape_inference

from pocketscope.core import seeds
from pocketscope.core.errors import InputError
from pocketscope.core.files import whole
from pocketscope.deploy import bias_correction, weight_rounding
from pocketscope.inference import onnx_model

CALIBRATION_IMAGES = 128
BATCH = 16
PIXELS = 4  # that the first layer reads as one
# One rule for all networks, settled by measurement (docs/design.md): what computes is quantised, and what only passes
# numbers on. The rest stays in floating point: the gates of squeeze-and-excitation, swish and hard-swish (a sigmoid, a
# product), and the softmax, whose probabilities would be multiples of 1/255.
OPERATORS = [
    *("Conv", "Gemm", "MatMul", "Add", "Concat", "Relu", "Clip", "LeakyRelu"),
    *("MaxPool", "AveragePool", "GlobalAveragePool"),
    *("Pad", "Slice", "Split", "Reshape", "Transpose", "Flatten", "Squeeze"),
]


def drawn(image_ids: Sequence[str], labels: Sequence[str], seed: int) -> list[str]:
    """Draw the images that a network is quantised with: CALIBRATION_IMAGES of its training set at most.

    They are of each class in turn, so that rare classes are there too, and as many of each class as there can be.

    Parameters
    ----------
    image_ids, labels
        Of the training set, in any order.
    seed
        Which images of a class come first.

    Examples
    --------
    >>> drawn(["a", "b", "c", "d"], ["G1", "G1", "G1", "anaphase"], seed=0)
    ['c', 'd', 'b', 'a']
    """
    taken: Counter[str] = Counter()
    turns = []
    for rank, image_id, label in sorted(
        (seeds.rank(seed, image_id), image_id, label) for image_id, label in zip(image_ids, labels, strict=True)
    ):
        turns.append((taken[label], rank, image_id))
        taken[label] += 1
    return [image_id for _, _, image_id in sorted(turns)[:CALIBRATION_IMAGES]]


def quantize(source: str | os.PathLike, images: np.ndarray, path: str | os.PathLike) -> None:
    """Write the int8 form of an fp32 model.

    Weights are signed, with a scale for each output channel; activations unsigned, which ONNX Runtime's kernels for x86
    run faster than signed ones. Weights have 7 of 8 bits: processors without VNNI add two products in 16 bits, which
    full weights overflow and 255 x 64 x 2 does not, so that a file answers alike on every processor. An activation's
    range reaches from its smallest to its largest value over all calibration images: what a rare class alone excites is
    cut off by a mean over batches of them. Weights are rounded so that their errors cancel in what a layer computes
    (`weight_rounding`); what is left of the mean is taken off the biases and the logits.

    Parameters
    ----------
    source
        A model that `onnx_export.to_onnx` wrote.
    images
        uint8 (N, H, W, 3) of the training set, as `drawn` draws them: the range of each activation, and which inputs
        of a layer go along with each other, are measured on them.
    path
        The quantised model; it keeps the metadata of `source`.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no image to calibrate with, or `source` is cut short.
    """
    onnx_model.open_model(source, threads=1)
    if not len(images):
        raise InputError(
            f"{source}: there are no images to calibrate the quantised model with; the training set is empty"
        )
    images = images[:CALIBRATION_IMAGES]
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    with tempfile.TemporaryDirectory() as folder, whole(path) as temporary:
        prepared = Path(folder) / "prepared.onnx"
        shape_inference.quant_pre_process(os.fspath(source), prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        image = _read_bytes_in_first_layer(model.graph)
        weight_rounding.round_layers(model, images, plainly={"first.weight"})
        onnx.save(onnx.shape_inference.infer_shapes(model), prepared)
        ort.quantize_static(
            prepared,
            temporary,
            _Batches(batches),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            reduce_range=True,
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            extra_options={
                # Logits in 256 steps would tie, or change places; and OpenCV 5 refuses the file.
                "OpTypesToExcludeOutputQuantization": ["Gemm"],
                "TensorQuantOverrides": image,
            },
        )
        quantized, original = onnx.load(temporary), onnx.load(os.fspath(source))
        if image:
            _take_bytes(quantized.graph)
            _store_first_weights_once(quantized.graph)
        bias_correction.correct_logits(quantized, original, batches)
        _derive_bias_scales(quantized.graph)
        _compact(quantized.graph)
        _name_what_is_used(quantized)
        onnx.helper.set_model_props(quantized, {entry.key: entry.value for entry in original.metadata_props})
        onnx.save(quantized, temporary)


def _read_bytes_in_first_layer(graph: onnx.GraphProto) -> dict[str, list[dict[str, Any]]]:
    """Make the first convolution, of stride 2, read the image's bytes as they lie in memory, and normalise them.

    With u a byte and z a middle grey, the normalised a u + b is a (u - z) + (a z + b): the first term goes into the
    weights, the second into the bias. What pads the image is grey then, where it was the mean colour: with ImageNet's
    means a difference of up to 0.2 standard deviations, in what the outermost outputs see.

    Four pixels side by side become the channels of one, and two outputs those of one, where nothing has to be moved in
    memory for it. With three channels the first layer of MobileNetV2 takes three times as long: ONNX Runtime's quickest
    kernels take four or more, and they take many channels of few pixels more quickly than few channels of many.

    Returns
    -------
    dict
        How the quantiser is to round the first layer's input: z is its zero, and a step is one. Empty where the image
        goes elsewhere than into one such convolution; nothing is changed then.
    """
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    size = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    before_first, first, around = _first_layer(graph, weights)
    if first is None or size % PIXELS:
        return {}
    gain, shift, mean, variance = (weights[name] for name in before_first[2].input[1:])
    slope = gain / np.sqrt(variance)
    offset = shift - slope * mean
    zero = round(float(np.mean(-offset / slope)))
    kernel = weights[first.input[1]]
    bias = weights[first.input[2]] if len(first.input) > 2 else np.zeros(len(kernel), np.float32)
    bias = bias + np.tensordot(kernel, slope * zero + offset, axes=(1, 0)).sum(axis=(1, 2))
    height, width = ((size + around[i] + around[i + 2] - kernel.shape[i + 2]) // 2 + 1 for i in range(2))
    pairs = -(-width // 2)
    kernel, fours_before = _of_four_pixels(kernel * slope[:, None, None], around[1])
    fours_after = pairs - 1 - fours_before + kernel.shape[3] - size // PIXELS

    constants = {
        "weight": kernel,
        "bias": np.concatenate([bias, bias]).astype(np.float32),
        "fours": np.array([0, size, size // PIXELS, 3 * PIXELS]),
        "zero": np.array(zero, np.float32),
        "apart": np.array([0, height, 2 * pairs, len(bias)]),
        "start": np.array([0]),
        "end": np.array([width]),
        "axis": np.array([2]),
    }
    graph.initializer.extend(numpy_helper.from_array(value, f"first.{name}") for name, value in constants.items())
    place = list(graph.node).index(before_first[0])
    for node in before_first:
        graph.node.remove(node)
    _insert(graph, place, [
        ("Reshape", [graph.input[0].name, "first.fours"], "fours", {}),
        ("Transpose", ["fours"], "bytes", {"perm": [0, 3, 1, 2]}),
        ("Cast", ["bytes"], "numbers", {"to": onnx.TensorProto.FLOAT}),
        ("Sub", ["numbers", "first.zero"], "image", {}),
    ])  # fmt: skip
    first.input[:] = ["image", "first.weight", "first.bias"]
    del first.attribute[:]
    pads = [around[0], fours_before, around[2], fours_after]
    about = {"strides": [2, 1], "kernel_shape": kernel.shape[2:], "pads": pads}
    first.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in about.items())

    reader = _only_reader(graph, first)
    last = reader if reader is not None and reader.op_type in ("Relu", "Clip") else first
    for node in graph.node:
        node.input[:] = ["first" if name == last.output[0] else name for name in node.input]
    one_less = [("Slice", ["apart", "first.start", "first.end", "first.axis"], "kept", {})] if width % 2 else []
    _insert(graph, list(graph.node).index(last) + 1, [
        ("Transpose", [last.output[0]], "pairs", {"perm": [0, 2, 3, 1]}),
        ("Reshape", ["pairs", "first.apart"], "apart", {}),
        *one_less,
        ("Transpose", ["kept" if one_less else "apart"], "first", {"perm": [0, 3, 1, 2]}),
    ])  # fmt: skip
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
    del graph.value_info[:]
    rounding = {"scale": np.array(1, np.float32), "zero_point": np.array(zero, np.uint8)}
    return {"image": [{"quant_type": ort.QuantType.QUInt8, **rounding}]}


def _first_layer(
    graph: onnx.GraphProto, weights: dict[str, np.ndarray]
) -> tuple[list[onnx.NodeProto], onnx.NodeProto | None, list[int]]:
    """Return the nodes before the first convolution, the convolution, and its padding; none where it is another kind.

    They are transposition, cast, normalisation, and padding where it is a node; the padding is in pixels: top, left,
    bottom, right. The convolution has three channels and stride 2.
    """
    before = [next((node for node in graph.node if node.op_type == "BatchNormalization"), None)]
    first, around = _only_reader(graph, before[0]), np.zeros(4, int)
    if first is not None and first.op_type == "Pad":
        before.append(first)
        around += weights[first.input[1]][[2, 3, 6, 7]]
        first = _only_reader(graph, first)
    if first is None or first.op_type != "Conv" or weights[first.input[1]].shape[1] != 3:
        return [], None, []
    about = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in first.attribute}
    if list(about["strides"]) != [2, 2] or set(about["dilations"]) != {1}:
        return [], None, []
    for _ in range(2):
        before.insert(0, next(node for node in graph.node if node.output[0] == before[0].input[0]))
    return before, first, [int(pixels) for pixels in around + about["pads"]]


def _of_four_pixels(kernel: np.ndarray, left: int) -> tuple[np.ndarray, int]:
    """Return a kernel that reads four pixels as one for two outputs as one, and how many fours it reads before its own.

    Parameters
    ----------
    kernel
        (outputs, 3, height, width), of stride 2.
    left
        Pixels of padding.
    """
    before = -(-left // PIXELS)
    fours = before + (2 - left + kernel.shape[3] - 1) // PIXELS + 1
    wide = np.zeros((2, len(kernel), fours * PIXELS, *kernel.shape[1:3]), np.float32)
    for half in range(2):
        start = 2 * half - left + before * PIXELS
        wide[half, :, start : start + kernel.shape[3]] = kernel.transpose(0, 3, 1, 2)
    wide = wide.reshape(2 * len(kernel), fours, 3 * PIXELS, -1)
    return np.ascontiguousarray(wide.transpose(0, 2, 3, 1)), before


def _insert(graph: onnx.GraphProto, place: int, steps: list[tuple[str, list[str], str, dict[str, Any]]]) -> None:
    for index, (operator, inputs, output, more) in enumerate(steps):
        node = onnx.helper.make_node(operator, inputs, [output], name=output, **more)
        graph.node.insert(place + index, node)


def _only_reader(graph: onnx.GraphProto, node: onnx.NodeProto | None) -> onnx.NodeProto | None:
    readers = [other for other in graph.node if node and node.output[0] in other.input]
    return readers[0] if len(readers) == 1 else None


def _take_bytes(graph: onnx.GraphProto) -> None:
    """Take away the way from bytes to numbers and back to the same bytes."""
    rounding = next(node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "image")
    for node in graph.node:
        node.input[:] = ["bytes" if name == rounding.output[0] else name for name in node.input]
    for node in [rounding, *(node for node in graph.node if node.name in ("numbers", "image"))]:
        graph.node.remove(node)


def _store_first_weights_once(graph: onnx.GraphProto) -> None:
    """Compute the first layer's weights of every second output from those of the others: they stand two pixels further.

    ONNX Runtime does it once, as it opens the file.
    """
    tensor = next(tensor for tensor in graph.initializer if tensor.name == "first.weight_quantized")
    wide = numpy_helper.to_array(tensor)  # (two halves of outputs, colours of four pixels, height, fours)
    outputs, _, height, fours = wide.shape
    even, odd = wide.transpose(0, 3, 1, 2).reshape(2, outputs // 2, fours * PIXELS, 3, height)
    if not np.array_equal(np.roll(even, 2, axis=1), odd):
        return
    graph.initializer.remove(tensor)
    # Joined, not padded: a negative padding, or one of int8, is more than some runtimes read.
    constants = {
        "first.even": even[:, :-2],
        "first.further": even[:, -2:],
        "first.halves": np.array([outputs, fours, 3 * PIXELS, height]),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    _insert(graph, 0, [
        ("Concat", ["first.even", "first.further"], "first.left", {"axis": 1}),
        ("Concat", ["first.further", "first.even"], "first.right", {"axis": 1}),
        ("Concat", ["first.left", "first.right"], "first.both", {"axis": 0}),
        ("Reshape", ["first.both", "first.halves"], "first.side_by_side", {}),
        ("Transpose", ["first.side_by_side"], tensor.name, {"perm": [0, 2, 3, 1]}),
    ])  # fmt: skip


def _derive_bias_scales(graph: onnx.GraphProto) -> None:
    """Compute each bias's scales, an activation's times the weights', instead of storing them, and drop its zeros.

    ONNX Runtime does it once, as it opens the file. In a network of many thin layers they are 4 % of the file.
    """
    stored = {tensor.name: tensor for tensor in graph.initializer}
    made = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    for node in list(graph.node):
        bias = made.get(node.input[2]) if node.op_type in ("Conv", "Gemm") and len(node.input) > 2 else None
        sources = [made.get(name) for name in node.input[:2]]
        if bias is None or None in sources or stored[bias.input[0]].data_type != onnx.TensorProto.INT32:
            continue
        names = [source.input[1] for source in sources]
        factors = [numpy_helper.to_array(stored[name]) for name in names]
        if np.array_equal(factors[0] * factors[1], numpy_helper.to_array(stored[bias.input[1]])):
            product = onnx.helper.make_node("Mul", names, [f"{bias.input[1]}.product"])
            graph.node.insert(list(graph.node).index(bias), product)
            bias.input[:] = [bias.input[0], product.output[0]]
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _compact(graph: onnx.GraphProto) -> None:
    """Give tensors short names and store equal ones once: names and zeros are a tenth of a small network's file."""
    kept = {value.name for value in (*graph.input, *graph.output)} | {""}
    stored: dict[tuple[int, bytes, bytes], str] = {}
    names: dict[str, str] = {}
    for tensor in list(graph.initializer):
        content = tensor.data_type, bytes(str(list(tensor.dims)), "ascii"), onnx.numpy_helper.to_array(tensor).tobytes()
        if content in stored:
            names[tensor.name] = stored[content]
            graph.initializer.remove(tensor)
        else:
            names[tensor.name] = stored[content] = tensor.name = f"w{len(stored)}"
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = name if name in kept else names[name]
        for place, name in enumerate(node.output):
            node.output[place] = name if name in kept else names.setdefault(name, f"t{len(names)}")
        node.name = ""
    del graph.value_info[:]


def _name_what_is_used(model: onnx.ModelProto) -> None:
    """Drop the operator sets that no node is of: ONNX Runtime names all its own, and an older one refuses new ones."""
    used = {node.domain for node in model.graph.node}
    named = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(named)
    model.ir_version = onnx.helper.find_min_ir_version_for(named, ignore_unknown=True)


class _Batches(ort.CalibrationDataReader):
    def __init__(self, batches: list[np.ndarray]) -> None:
        self.batches = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch}
