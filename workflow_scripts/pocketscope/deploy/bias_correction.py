"""Take out of a quantised network what rounding adds to its logits on average."""

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from pocketscope.inference import onnx_model


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
    found = _mean(quantized, last.input[0], batches)
    meant = _mean(original, other.input[0], batches)
    correction = numpy_helper.from_array((meant - found).astype(np.float32), "correction")
    quantized.graph.initializer.append(correction)
    add = onnx.helper.make_node("Add", [last.input[0], correction.name], ["corrected"])
    last.input[0] = "corrected"
    quantized.graph.node.insert(list(quantized.graph.node).index(last), add)


def _mean(model: onnx.ModelProto, tensor: str, batches: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Return the mean, over all images, of a tensor (N, values)."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    session = onnx_model.new_session(watched.SerializeToString(), threads=1)
    found = [session.run([tensor], {"images": batch})[0].astype(np.float64) for batch in batches]
    return np.concatenate(found).mean(axis=0)
