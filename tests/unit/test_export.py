"""The ONNX file: it says all that a user of it must know, and answers as torch does."""

import json

import numpy as np
import onnx
import pyarrow as pa
import pytest
import torch
from torch import nn

import tiny_models
from pocketscope.core.errors import InputError
from pocketscope.inference import onnx_model
from pocketscope.models import networks, onnx_export
from pocketscope.tables.label_set import digest_of_labels, human_labels


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    network = tiny_models.entry(licence="BSD-3-Clause")
    return tiny_models.ship(tmp_path_factory.mktemp("shipped"), network, resize="pad", page=2)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_file_alone_says_how_to_use_it_and_what_it_rests_on(shipped, precision):
    (entry,) = onnx.load(shipped / f"model.{precision}.onnx").metadata_props
    assert json.loads(entry.value) == {
        "classes": tiny_models.CLASSES,
        "image_size": 32,
        "resize": "pad",
        "page": 2,
        "network": "torchvision shufflenet_v2_x0_5",
        "licence": "BSD-3-Clause",
        "training_data": "0123456789abcdef",
        "resampling": "bilinear, antialiased",
        "normalisation": {"in_the_graph": True, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    }
    opened = onnx_model.open_model(shipped / f"model.{precision}.onnx", threads=1)
    assert (opened.classes, opened.image_size, opened.resize, opened.page) == (tiny_models.CLASSES, 32, "pad", 2)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_operators_are_the_standard_ones_of_the_oldest_version_so_that_old_runtimes_open_the_file(shipped, precision):
    model = onnx.load(shipped / f"model.{precision}.onnx")
    # Opset 13 is the first with a scale for each channel, and format 7 the first that holds it.
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]
    assert model.ir_version == 7
    assert not {node.domain for node in model.graph.node} - {""}
    assert [entry.key for entry in model.metadata_props] == ["pocketscope"]
    onnx.checker.check_model(model, full_check=True)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param
    assert not batch.dim_value


def test_an_operator_that_came_later_raises_the_version_no_further_than_it_must(tmp_path):
    shrunk = odd(lambda x: nn.functional.grid_sample(x, torch.zeros(x.shape[0], 2, 2, 2), align_corners=False))
    onnx_export.to_onnx(shrunk, tmp_path / "m.onnx", images=tiny_models.noise(2, 8))
    model = onnx.load(tmp_path / "m.onnx")
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 16)]
    assert model.ir_version == 8


def test_batches_of_any_size_give_what_torch_gives(shipped):
    images = tiny_models.noise(7, seed=1)
    trained = networks.load(shipped / "model.safetensors")
    with torch.inference_mode():
        expected = trained.classifier(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).softmax(1).numpy()
    opened = onnx_model.open_model(shipped / "model.fp32.onnx", threads=1)
    assert np.abs(onnx_model.probabilities(opened, images) - expected).max() < 1e-5
    alone = np.concatenate([onnx_model.probabilities(opened, image[None]) for image in images])
    assert np.abs(alone - expected).max() < 1e-5
    assert len(set(expected.argmax(1))) > 1  # else any constant would pass


def test_the_digest_is_of_images_and_labels_alone():
    def labels(names, confidence=1.0):
        ids = [f"i{place}" for place in range(len(names))]
        table = human_labels(ids, names)
        column = pa.array([confidence] * len(names), pa.float32())
        return table.set_column(table.column_names.index("confidence"), "confidence", column)

    digest = digest_of_labels(labels(["a", "b", "b"]))
    assert digest == digest_of_labels(labels(["a", "b", "b"], 0.9))
    assert digest == digest_of_labels(labels(["a", "b", "b"])[::-1])
    assert digest != digest_of_labels(labels(["a", "b", "a"]))
    assert digest != digest_of_labels(labels(["a", "b"]))


class _Odd(nn.Module):
    """A network that does more than ONNX can say: `act` is put between its layers."""

    def __init__(self, act):
        super().__init__()
        self.layer, self.act = nn.Conv2d(3, 4, 3), act

    def forward(self, x):
        return self.act(self.layer(x)).mean((2, 3))


def odd(act):
    return networks.Trained(networks.Classifier(_Odd(act), 4, 3, (0.5,) * 3, (0.5,) * 3).eval(), ["a", "b", "c"], 8)


def test_an_operator_without_an_onnx_form_is_named_with_its_network(tmp_path):
    with pytest.raises(InputError, match=r"network 'timm besselnet'.*bessel_j0") as error:
        onnx_export.to_onnx(
            odd(torch.special.bessel_j0),
            tmp_path / "m.onnx",
            images=tiny_models.noise(2, 8),
            about={"network": "timm besselnet"},
        )
    assert "choose another network" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_than_torch_is_not_written(tmp_path):
    """Tracing keeps the branch that the example took; real images take the other."""
    images = np.full((2, 8, 8, 3), 255, np.uint8)
    branching = odd(lambda x: 50 * x if x.mean() > 0 else x)
    with torch.no_grad():
        branching.classifier.backbone.layer.weight.fill_(1 / 9)
    with pytest.raises(RuntimeError, match="differ from torch's by up to"):
        onnx_export.to_onnx(branching, tmp_path / "m.onnx", images=images, about={"network": "branching"})
    assert not list(tmp_path.iterdir())
