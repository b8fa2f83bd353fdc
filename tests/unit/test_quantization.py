"""The int8 file: which parts of it are 8 bits wide, by which ranges, and that it answers as the fp32 file does."""

from collections import Counter

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper
from onnxruntime.quantization import shape_inference

import tiny_models
from pocketscope.deploy import quantization
from pocketscope.inference import onnx_model

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
    images = tiny_models.noise(200, 64, seed=5)
    found = {}
    for precision in ("fp32", "int8"):
        model = onnx_model.open_model(shipped / f"model.{precision}.onnx", threads=1)
        found[precision] = onnx_model.probabilities(model, images)
    assert len(set(found["fp32"].argmax(1))) > 1
    same = (found["fp32"].argmax(1) == found["int8"].argmax(1)).mean()
    assert same > 0.5
    # Random batch normalisation makes much of what hardly differs between images: often the best class is a near tie.
    if "squeezenet" in str(shipped):
        assert same > 0.95
        assert np.abs(found["fp32"] - found["int8"]).mean() < 0.02


def test_the_image_goes_into_the_first_layer_as_it_is(shipped):
    """Normalisation is in the weights, of four pixels each; before them nothing is in floating point."""
    graph = onnx.load(shipped / "model.int8.onnx").graph
    assert {tensor.name for tensor in graph.initializer} <= {name for node in graph.node for name in node.input}
    first = next(place for place, node in enumerate(graph.node) if node.op_type == "Conv")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    weights = maker[graph.node[first].input[1]].input[0]  # computed as the file is opened, as one half is stored
    assert value_of(weights, onnx.load(shipped / "model.int8.onnx"), tiny_models.noise(1, 64)).shape[1] == 12
    _, step, zero = (stored.get(name) for name in maker[graph.node[first].input[0]].input)
    assert (step, zero) == (1, 114)  # 255 times the mean of ImageNet's channels
    assert not {"Cast", "Sub", "BatchNormalization", "QuantizeLinear"} & {node.op_type for node in graph.node[:first]}


@pytest.mark.parametrize(
    ("name", "inside"),  # outputs that see no padding, which is grey and was the mean colour
    [
        ("resnet18", slice(2, -1)),
        ("tf_efficientnet_lite0", slice(0, -1)),
        ("squeezenet1_1", slice(None)),
        ("shufflenet_v2_x0_5", slice(1, None)),
    ],
)
@pytest.mark.parametrize("size", [32, 48])
def test_the_first_layer_computes_the_same_of_bytes_up_to_the_border(name, inside, size, tmp_path):
    library = "timm" if name.startswith("tf_") else "torchvision"
    folder = tiny_models.ship(tmp_path, tiny_models.entry(name, library), precisions=["fp32"], size=size)
    shape_inference.quant_pre_process(folder / "model.fp32.onnx", folder / "prepared.onnx", skip_symbolic_shape=True)
    first = first_layer(onnx.load(folder / "prepared.onnx"))
    changed = onnx.load(folder / "prepared.onnx")
    assert quantization._read_bytes_in_first_layer(changed.graph)
    images = tiny_models.noise(8, size)
    before, after = (
        value_of(tensor, model, images)
        for tensor, model in ((first, onnx.load(folder / "prepared.onnx")), ("first", changed))
    )
    assert before.shape == after.shape
    assert before.std() > 0.01
    difference = np.abs(before - after) / before.std()
    assert difference[..., inside, inside].max() < 1e-4
    assert difference.max() < 0.5


def first_layer(model):
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    reader = next(node for node in model.graph.node if convolution.output[0] in node.input)
    return reader.output[0] if reader.op_type in ("Relu", "Clip") else convolution.output[0]


def value_of(tensor, model, images):
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    session = onnx_model.new_session(model.SerializeToString(), threads=1)
    return session.run([tensor], {"images": images})[0]


def test_no_operator_set_is_named_that_is_not_used(shipped):
    """ONNX Runtime names all that it knows; a version that does not know one of them refuses the file."""
    model = onnx.load(shipped / "model.int8.onnx")
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]
    assert "Pad" not in {node.op_type for node in model.graph.node}  # of int8, or negative: OpenCV refuses it


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_1"])
def test_weights_that_stand_further_are_computed_and_not_stored(name, tmp_path, monkeypatch):
    network, images = tiny_models.entry(name), tiny_models.noise(8, 32)
    answers, sizes = [], []
    for folder in ("once", "twice"):
        shipped = tiny_models.ship(tmp_path / folder, network) / "model.int8.onnx"
        answers.append(onnx_model.probabilities(onnx_model.open_model(shipped, threads=1), images))
        sizes.append(shipped.stat().st_size)
        monkeypatch.setattr(quantization, "_store_first_weights_once", lambda graph: None)
    assert np.array_equal(*answers)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(("size", "stride"), [(30, 2), (32, 1)])  # no multiple of four pixels; another stride
def test_other_first_layers_are_left_alone(size, stride, tmp_path):
    folder = tiny_models.ship(tmp_path, tiny_models.entry("mobilenet_v2"), precisions=["fp32"], size=size)
    shape_inference.quant_pre_process(folder / "model.fp32.onnx", folder / "prepared.onnx", skip_symbolic_shape=True)
    model = onnx.load(folder / "prepared.onnx")
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    next(entry for entry in convolution.attribute if entry.name == "strides").ints[:] = [stride, stride]
    nodes = len(model.graph.node)
    assert quantization._read_bytes_in_first_layer(model.graph) == {}
    assert len(model.graph.node) == nodes


def test_rounding_moves_no_logit_on_the_mean(shipped):
    """Of the images that it was calibrated with; a difference of logits is one of logarithms of probabilities."""
    images = tiny_models.noise(32, 64)
    means = []
    for precision in ("fp32", "int8"):
        model = onnx_model.open_model(shipped / f"model.{precision}.onnx", threads=1)
        logarithms = np.log(onnx_model.probabilities(model, images).astype(np.float64))
        means.append((logarithms - logarithms[:, :1]).mean(axis=0))
    assert means[0] == pytest.approx(means[1], abs=1e-3)


def test_weights_are_int8_by_channel_and_activations_uint8(shipped):
    graph = onnx.load(shipped / "model.int8.onnx").graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert convolutions
    for node in convolutions:
        name, scales, _ = maker[node.input[1]].input
        weights = stored.get(name)
        if weights is None:
            weights = value_of(name, onnx.load(shipped / "model.int8.onnx"), tiny_models.noise(1, 64))
        scales = stored[scales]
        assert weights.dtype == np.int8
        assert scales.shape == (len(weights),)
        assert maker[node.input[0]].op_type == "DequantizeLinear"
    zeros = {stored[node.input[2]].dtype for node in graph.node if node.op_type == "QuantizeLinear"}
    assert zeros == {np.dtype(np.uint8)}


def test_scales_of_biases_are_products_of_stored_scales(shipped):
    graph = onnx.load(shipped / "model.int8.onnx").graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    maker = {name: node.op_type for node in graph.node for name in node.output}
    dequantized = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored]
    biases = [node for node in dequantized if stored[node.input[0]].data_type == onnx.TensorProto.INT32]
    assert biases
    assert all(len(node.input) == 2 and maker.get(node.input[1]) == "Mul" for node in biases)


def test_gates_and_probabilities_stay_in_floating_point(shipped):
    graph = onnx.load(shipped / "model.int8.onnx").graph
    maker = {name: node.op_type for node in graph.node for name in node.output}
    rounded = {maker.get(node.input[0]) for node in graph.node if node.op_type == "QuantizeLinear"}
    assert rounded
    assert not rounded & {"Sigmoid", "HardSigmoid", "Softmax"}
    assert maker[graph.output[0].name] == "Softmax"
    assert graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_logits_stay_in_floating_point(shipped):
    """In 256 steps the two best would often tie, and rare classes lose."""
    graph = onnx.load(shipped / "model.int8.onnx").graph
    maker = {name: node for node in graph.node for name in node.output}
    softmax = maker[graph.output[0].name]
    assert {maker[name].op_type for name in maker[softmax.input[0]].input if name in maker} == {"Gemm"}


def test_a_range_takes_in_what_few_images_excite(tmp_path):
    """Images unlike the others, as those of a rare class may be, are not cut off, however many others there are."""
    folder = tiny_models.ship(tmp_path, tiny_models.entry(), precisions=["fp32"])
    plain, odd = np.full((7 * quantization.BATCH, 32, 32, 3), 255, np.uint8), tiny_models.noise(quantization.BATCH)
    steps = []
    for images in (plain, odd, np.concatenate([plain, odd])):
        quantization.quantize(folder / "model.fp32.onnx", images, folder / "model.int8.onnx")
        graph = onnx.load(folder / "model.int8.onnx").graph
        stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        first = next(node for node in graph.node if node.op_type == "QuantizeLinear")  # behind a ReLU: ranges from 0 on
        steps.append(float(stored[first.input[1]]))
    assert steps[0] < 0.9 * steps[1]
    assert steps[2] == pytest.approx(steps[1], rel=0.02)  # biases differ a little; a mean would be 0.7 of it


@given(st.lists(st.sampled_from("abc"), max_size=300), st.integers(0, 3))
def test_images_to_quantise_with_are_of_each_class_in_turn(labels, seed):
    """No class has more than another that still has images left, and the order of rows is of no account."""
    ids = [f"{place:03}" for place in range(len(labels))]
    drawn = quantization.drawn(ids, labels, seed)
    assert len(set(drawn)) == len(drawn) == min(len(ids), quantization.CALIBRATION_IMAGES)
    assert drawn == quantization.drawn(ids[::-1], labels[::-1], seed)
    there, found = Counter(labels), Counter(labels[int(image_id)] for image_id in drawn)
    most = max(found.values(), default=0)
    assert all(found[name] >= min(there[name], most - 1) for name in there)


def test_which_images_are_drawn_hangs_on_the_seed():
    ids = [f"{place:03}" for place in range(400)]
    assert quantization.drawn(ids, ["a"] * 400, 0) != quantization.drawn(ids, ["a"] * 400, 1)


def test_weights_have_seven_bits_so_that_no_processor_overflows(shipped):
    """Processors without VNNI add two products of 8 bits in 16: 255 x 64 x 2 fits, 255 x 127 x 2 does not."""
    graph = onnx.load(shipped / "model.int8.onnx").graph
    weights = [
        numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8
    ]
    assert weights
    assert max(np.abs(weight.astype(int)).max() for weight in weights if weight.ndim > 1) <= 64
