"""The int8 file: which parts of it are 8 bits wide, by which ranges, and that it answers as the fp32 file does."""

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import numpy_helper
from pocketscope import inference, quantization

NETWORKS = {  # what the studies' networks are made of: grouped and shuffled, plain, depthwise, gates and hard-swish
    "shufflenet_v2_x0_5": {},
    "squeezenet1_1": {},
    "mobilenet_v2": {"width_mult": 0.25},
    "mobilenet_v3_small": {"width_mult": 0.5},
}


@pytest.fixture(scope="module", params=NETWORKS)
def shipped(request, tmp_path_factory):
    network = tiny_models.entry(request.param, options=NETWORKS[request.param])
    return tiny_models.ship(tmp_path_factory.mktemp(request.param), network, size=64)


def test_answers_are_those_of_the_fp32_file(shipped):
    images = tiny_models.noise(40, 64, seed=5)
    found = {}
    for precision in ("fp32", "int8"):
        model = inference.open_model(shipped / f"model.{precision}.onnx", threads=1)
        found[precision] = inference.probabilities(model, images)
    assert len(set(found["fp32"].argmax(1))) > 1
    # A random network is not sure of anything: its best class is often a near tie.
    assert (found["fp32"].argmax(1) == found["int8"].argmax(1)).mean() > 0.5


def test_weights_are_int8_by_channel_and_activations_uint8(shipped):
    graph = onnx.load(shipped / "model.int8.onnx").graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert convolutions
    for node in convolutions:
        weights, scales, _ = (stored[name] for name in maker[node.input[1]].input)
        assert weights.dtype == np.int8
        assert scales.shape == (len(weights),)
        assert maker[node.input[0]].op_type == "DequantizeLinear"
    zeros = {stored[node.input[2]].dtype for node in graph.node if node.op_type == "QuantizeLinear"}
    assert zeros == {np.dtype(np.uint8)}


def test_gates_and_probabilities_stay_in_floating_point(shipped):
    graph = onnx.load(shipped / "model.int8.onnx").graph
    maker = {name: node.op_type for node in graph.node for name in node.output}
    rounded = {maker.get(node.input[0]) for node in graph.node if node.op_type == "QuantizeLinear"}
    assert rounded
    assert not rounded & {"Sigmoid", "HardSigmoid", "Softmax"}
    assert maker[graph.output[0].name] == "Softmax"
    assert graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_a_range_is_the_mean_over_batches(tmp_path):
    """One odd image widens the range of its batch alone, and the mean of all batches by its share."""
    network = tiny_models.entry(mean=[0.5] * 3, std=[0.5] * 3)
    folder = tiny_models.ship(tmp_path, network, precisions=["fp32"])
    images = np.zeros((2 * quantization.BATCH, 32, 32, 3), np.uint8)
    images[: quantization.BATCH, 0] = 100
    images[quantization.BATCH, 0] = 200
    quantization.quantize(folder / "model.fp32.onnx", images, folder / "model.int8.onnx")
    graph = onnx.load(folder / "model.int8.onnx").graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    first = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    assert float(stored[first.input[1]]) == pytest.approx(2 * 150 / 255 / 255, rel=1e-3)  # from -1 to the mean end
