"""An ONNX graph as a torch module whose shapes are all known, which is what converters take.

Packages that do this keep shapes as tensors, and `torch.export` refuses them (onnx2torch 1.5.15, at each Reshape). Only
operators of image classifiers are here; the caller compares answers, so that one which is not meant so is found out.
Source: the operators' definitions, https://onnx.ai/onnx/operators/, in the versions 13 to 17.
"""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

TYPES = {onnx.TensorProto.FLOAT: torch.float32, onnx.TensorProto.INT64: torch.int64}


class OnnxAsTorch(nn.Module):
    """A graph of one input and one output.

    Parameters
    ----------
    model
        Its shapes are constants, and so are the parameters of its operators.

    Raises
    ------
    NotImplementedError
        It has an operator, or a use of one, that is not known here.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self.given, self.found = model.graph.input[0].name, model.graph.output[0].name
        self.kind = torch.float32  # of numbers: `half` changes it
        self.constants: dict[str, np.ndarray] = {
            one.name: numpy_helper.to_array(one) for one in model.graph.initializer
        }
        self.steps, self.kept = [], {}
        for node in model.graph.node:
            settings = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(settings["value"])
                continue
            if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
                raise NotImplementedError(f"operator {node.domain} {node.op_type}".replace("  ", " "))
            self.steps.append((node.op_type, list(node.input), list(node.output), settings))
        for name, value in self.constants.items():
            if value.dtype == np.float32:
                self.kept[name] = f"constant_{len(self.kept)}"
                self.register_buffer(self.kept[name], torch.from_numpy(value.copy()))

    def half(self) -> "OnnxAsTorch":
        """Compute in 16 bits from now on."""
        self.kind = torch.float16
        return super().half()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return what the graph gives for its input."""
        values = {self.given: image}
        for name, inputs, outputs, settings in self.steps:
            found = OPERATORS[name](_Call(self, inputs, len(outputs), settings, values))
            values.update(zip(outputs, found if isinstance(found, tuple) else (found,), strict=False))
        return values[self.found]


class _Call:
    """One operator at work: its inputs, as tensors or as constants, and its settings."""

    def __init__(self, graph: OnnxAsTorch, inputs: list[str], outputs: int, settings: dict, values: dict) -> None:
        self.graph, self.inputs, self.outputs, self.settings, self.values = graph, inputs, outputs, settings, values

    def has(self, place: int) -> bool:
        return place < len(self.inputs) and self.inputs[place] != ""

    def tensor(self, place: int) -> torch.Tensor | None:
        if not self.has(place):
            return None
        name = self.inputs[place]
        if name in self.values:
            return self.values[name]
        return getattr(self.graph, self.graph.kept[name]) if name in self.graph.kept else None

    def tensors(self) -> list[torch.Tensor]:
        return [self.tensor(place) for place in range(len(self.inputs))]

    def constant(self, place: int, name: str = "", otherwise: list | None = None) -> list:
        """Return numbers that newer versions of an operator take as an input, and older ones as a setting."""
        if self.has(place):
            if self.inputs[place] not in self.graph.constants:
                raise NotImplementedError(f"a computed '{name or self.inputs[place]}'")
            return self.graph.constants[self.inputs[place]].reshape(-1).tolist()
        return list(self.settings.get(name, otherwise or []))

    def get(self, name: str, otherwise):
        found = self.settings.get(name, otherwise)
        return found.decode() if isinstance(found, bytes) else found


def _pads(call: _Call, dimensions: int) -> list[int]:
    if call.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise NotImplementedError(f"auto_pad {call.get('auto_pad', '')}")
    return call.get("pads", [0] * 2 * dimensions)


def _padded(images: torch.Tensor, pads: list[int], value: float = 0.0) -> torch.Tensor:
    """Pad by ONNX's order, all beginnings and then all ends; torch wants pairs, the last dimension first."""
    half = len(pads) // 2
    pairs = [number for place in reversed(range(half)) for number in (pads[place], pads[place + half])]
    return functional.pad(images, pairs, value=value) if any(pairs) else images


def _convolved(call: _Call) -> torch.Tensor:
    weight, images = call.tensor(1), call.tensor(0)
    dimensions = weight.dim() - 2
    pads = _pads(call, dimensions)
    even = pads[:dimensions] == pads[dimensions:]
    return (functional.conv1d, functional.conv2d, functional.conv3d)[dimensions - 1](
        images if even else _padded(images, pads),
        weight,
        call.tensor(2),
        stride=call.get("strides", [1] * dimensions),
        padding=pads[:dimensions] if even else 0,
        dilation=call.get("dilations", [1] * dimensions),
        groups=call.get("group", 1),
    )


def _largest_of_windows(call: _Call) -> torch.Tensor:
    images, window = _padded(call.tensor(0), _pads(call, 2), -torch.inf), call.get("kernel_shape", None)
    return functional.max_pool2d(
        images,
        window,
        stride=call.get("strides", [1, 1]),
        dilation=call.get("dilations", [1, 1]),
        ceil_mode=bool(call.get("ceil_mode", 0)),
    )


def _mean_of_windows(call: _Call) -> torch.Tensor:
    pads = _pads(call, 2)
    counted = bool(call.get("count_include_pad", 0))
    if pads[:2] != pads[2:] and not counted:
        raise NotImplementedError("an uneven padding of AveragePool")
    even = pads[:2] == pads[2:]
    return functional.avg_pool2d(
        call.tensor(0) if even else _padded(call.tensor(0), pads),
        call.get("kernel_shape", None),
        stride=call.get("strides", [1, 1]),
        padding=pads[:2] if even else 0,
        ceil_mode=bool(call.get("ceil_mode", 0)),
        count_include_pad=counted,
    )


def _clipped(call: _Call) -> torch.Tensor:
    low, high = (call.constant(place)[0] if call.has(place) else None for place in (1, 2))
    return functional.relu6(call.tensor(0)) if (low, high) == (0.0, 6.0) else call.tensor(0).clamp(low, high)


def _normalised(call: _Call) -> torch.Tensor:
    images, scale, bias, mean, variance = call.tensors()[:5]
    return functional.batch_norm(images, mean, variance, scale, bias, eps=call.get("epsilon", 1e-5))


def _product(call: _Call) -> torch.Tensor:
    left, right, bias = call.tensor(0), call.tensor(1), call.tensor(2)
    if call.get("alpha", 1.0) != 1 or call.get("beta", 1.0) != 1 or call.get("transA", 0):
        raise NotImplementedError("a scaled or transposed Gemm")
    return functional.linear(left, right if call.get("transB", 0) else right.T, bias)


def _sliced(call: _Call) -> torch.Tensor:
    image, starts, ends = call.tensor(0), call.constant(1), call.constant(2)
    steps = call.constant(4) if call.has(4) else [1] * len(starts)
    for axis, start, end, step in zip(call.constant(3) or range(len(starts)), starts, ends, steps, strict=True):
        length = image.shape[axis]
        if step < 1:
            raise NotImplementedError("a Slice backwards")
        start, end = (max(0, min(length, one + length if one < 0 else one)) for one in (start, end))
        image = (
            image.index_select(axis, torch.arange(start, end, step))
            if step > 1
            else image.narrow(axis, start, end - start)
        )
    return image


def _reshaped(call: _Call) -> torch.Tensor:
    image = call.tensor(0)
    return image.reshape([image.shape[place] if side == 0 else side for place, side in enumerate(call.constant(1))])


def _split(call: _Call) -> tuple[torch.Tensor, ...]:
    image, axis = call.tensor(0), call.get("axis", 0)
    return image.split(call.constant(1, "split") or image.shape[axis] // call.outputs, dim=axis)


def _mean(call: _Call) -> torch.Tensor:
    image = call.tensor(0)
    axes = call.constant(1, "axes") or list(range(image.dim()))
    return image.mean(axes, keepdim=bool(call.get("keepdims", 1)))


def _with_sides(call: _Call) -> torch.Tensor:
    image, axes = call.tensor(0), call.constant(1, "axes")
    for axis in sorted(axis % (image.dim() + len(axes)) for axis in axes):
        image = image.unsqueeze(axis)
    return image


def _pad(call: _Call) -> torch.Tensor:
    if call.get("mode", "constant") != "constant":
        raise NotImplementedError(f"Pad by {call.get('mode', '')}")
    return _padded(call.tensor(0), call.constant(1, "pads"), call.constant(2)[0] if call.has(2) else 0.0)


def _cast(call: _Call) -> torch.Tensor:
    kind = TYPES.get(call.get("to", None))
    if kind is None:
        raise NotImplementedError(f"a cast to type {call.get('to', None)}")
    return call.tensor(0).to(call.graph.kind if kind.is_floating_point else kind)


OPERATORS = {
    "Add": lambda call: call.tensor(0) + call.tensor(1),
    "AveragePool": _mean_of_windows,
    "BatchNormalization": _normalised,
    "Cast": _cast,
    "Clip": _clipped,
    "Concat": lambda call: torch.cat(call.tensors(), dim=call.get("axis", None)),
    "Conv": _convolved,
    "Div": lambda call: call.tensor(0) / call.tensor(1),
    "Elu": lambda call: functional.elu(call.tensor(0), call.get("alpha", 1.0)),
    "Erf": lambda call: torch.erf(call.tensor(0)),
    "Exp": lambda call: torch.exp(call.tensor(0)),
    "Flatten": lambda call: call.tensor(0).flatten(1) if call.get("axis", 1) == 1 else call.tensor(0).reshape(1, -1),
    "Gemm": _product,
    "GlobalAveragePool": lambda call: call.tensor(0).mean((2, 3), keepdim=True),
    "GlobalMaxPool": lambda call: call.tensor(0).amax((2, 3), keepdim=True),
    "HardSigmoid": lambda call: (call.tensor(0) * call.get("alpha", 0.2) + call.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda call: functional.hardswish(call.tensor(0)),
    "Identity": lambda call: call.tensor(0),
    "LayerNormalization": lambda call: functional.layer_norm(
        call.tensor(0),
        call.tensor(0).shape[call.get("axis", -1) :],
        call.tensor(1),
        call.tensor(2),
        call.get("epsilon", 1e-5),
    ),
    "LeakyRelu": lambda call: functional.leaky_relu(call.tensor(0), call.get("alpha", 0.01)),
    "MatMul": lambda call: call.tensor(0) @ call.tensor(1),
    "MaxPool": _largest_of_windows,
    "Mul": lambda call: call.tensor(0) * call.tensor(1),
    "Neg": lambda call: -call.tensor(0),
    "PRelu": lambda call: torch.where(call.tensor(0) < 0, call.tensor(0) * call.tensor(1), call.tensor(0)),
    "Pad": _pad,
    "Pow": lambda call: call.tensor(0) ** call.tensor(1),
    "Reciprocal": lambda call: call.tensor(0).reciprocal(),
    "ReduceMean": _mean,
    "Relu": lambda call: functional.relu(call.tensor(0)),
    "Reshape": _reshaped,
    "Sigmoid": lambda call: torch.sigmoid(call.tensor(0)),
    "Slice": _sliced,
    "Softmax": lambda call: functional.softmax(call.tensor(0), call.get("axis", -1)),
    "Softplus": lambda call: functional.softplus(call.tensor(0)),
    "Split": _split,
    "Sqrt": lambda call: call.tensor(0).sqrt(),
    "Squeeze": lambda call: call.tensor(0).squeeze(call.constant(1, "axes")),
    "Sub": lambda call: call.tensor(0) - call.tensor(1),
    "Tanh": lambda call: torch.tanh(call.tensor(0)),
    "Transpose": lambda call: call.tensor(0).permute(call.get("perm", None)),
    "Unsqueeze": _with_sides,
}
