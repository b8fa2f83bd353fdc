"""Write a trained classifier as ONNX: the file that a user ships, and the one that is evaluated."""

import copy
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import torch
from torch import nn

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.core.files import whole
from pocketscope.models import learnt_images, networks, tensors
from pocketscope.models.networks import Classifier, Trained, named
from pocketscope.tables.images import load_images
from pocketscope.tables.label_set import by_people, digest_of_labels

# The oldest in which weights are rounded by channel, so that old runtimes open the int8 file too; and the newest whose
# operators `quantization` knows, for networks that need a later one.
OPSETS = range(13, 18)
PARITY_IMAGES = 8
RESAMPLING = "bilinear, antialiased"  # as `images.resize` does it
PARITY = 1e-4  # of probabilities; sums in another order differ by 1e-7 to 1e-5
EPSILON = 1e-12  # of the normalisation: torch 2.11 wants one above 0; beside a variance it is lost in rounding


class _Shipped(nn.Module):
    """From a photograph's own numbers to probabilities, so that no user has to know about normalisation.

    Normalisation is one operator. ONNX Runtime computes a difference and a quotient with the channels last where a
    quantised convolution follows, so slowly that they took a third of the time of int8 MobileNetV2.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.backbone, self.head = classifier.backbone, classifier.head
        self.register_buffer("mean", 255 * classifier.mean.flatten())
        self.register_buffer("variance", (255 * classifier.std.flatten()).square())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.permute(0, 3, 1, 2).float()
        normalised = nn.functional.batch_norm(pixels, self.mean, self.variance, eps=EPSILON)
        return self.head(self.backbone(normalised)).softmax(dim=1)


def ship(
    trained: Trained,
    path: str | os.PathLike,
    *,
    network: Mapping[str, Any],
    images: str | os.PathLike,
    labels: pa.Table,
) -> None:
    """Write `trained` as ONNX, with all that a user of the file must know; see `to_onnx` and `description`.

    Parameters
    ----------
    trained, path
        See `to_onnx`.
    network
        Its entry of the catalogue as `base.plain` gives it.
    images
        The packed images.
    labels
        The label set that it was trained on (schema label_set.LABEL_SET); on the first of its images the file is
        compared with torch.
    """
    network = {**network, "licence": networks.licence(network, trained.classifier)}
    about = description(network, parquet.notes(images), digest_of_labels(labels))
    # Nobody has looked at the others: they may be of anything.
    seen = sorted(by_people(labels)["image_id"].to_pylist())[: learnt_images.MOST]
    about["learnt_images"] = learnt_images.describe(load_images(images, seen))
    shown = load_images(images, labels["image_id"].to_pylist()[:PARITY_IMAGES])
    to_onnx(trained, path, images=shown, about=about)


def to_onnx(
    trained: Trained, path: str | os.PathLike, *, images: np.ndarray, about: Mapping[str, Any] | None = None
) -> None:
    """Write `trained` as ONNX, and make sure that ONNX Runtime gives the probabilities that torch gives.

    The input `images` is uint8 (N, H, W, 3), RGB as `pixels` gives it, any N; the output `probabilities` is float32
    (N, classes). Normalisation is a part of the graph.

    Parameters
    ----------
    trained
        The classifier, on the CPU.
    path
        The file. Its metadata holds, as JSON, the class names in the output's order, the image size and `about`.
    images
        uint8 (N, H, W, 3): real images of the data set, on which the two are compared.
    about
        What else the file has to say of itself; see `description`.

    Raises
    ------
    pocketscope.core.errors.InputError
        The network has an operator that ONNX, or ONNX Runtime, does not have.
    RuntimeError
        The file's probabilities are not torch's: the network does something that depends on the image's values.
    """
    about = {**(about or {}), "classes": trained.classes, "image_size": trained.image_size}
    scales = {name: getattr(trained.classifier, name).flatten().tolist() for name in ("mean", "std")}
    about["normalisation"] = {"in_the_graph": True} | {name: [round(v, 6) for v in scales[name]] for name in scales}
    name = about.get("network", type(trained.classifier.backbone).__name__)
    with whole(path) as temporary:
        _export(trained, temporary, name)
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, {"pocketscope": json.dumps(about, sort_keys=True)})
        model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)
        onnx.checker.check_model(model)
        onnx.save(model, temporary)
        _assert_parity(trained, temporary, images[:PARITY_IMAGES], name)


def description(network: Mapping[str, Any], preprocessing: Mapping[str, Any], training_data: str) -> dict[str, Any]:
    """Return what a model file says of itself beside its classes and image size, so that it alone is enough.

    Parameters
    ----------
    network
        An entry of the catalogue as `base.plain` gives it.
    preprocessing
        The notes of the packed images: `resize` and `page`, as `pixels` takes them.
    training_data
        A digest of the label set.

    Returns
    -------
    dict
        `network`, `licence` (of the pretrained weights; None where there are none, or nobody said), `resize`,
        `resampling`, `page` and `training_data`.
    """
    return {
        "network": f"{network['library']} {network['name']}" if network.get("library") else named(network),
        "licence": network.get("licence"),
        "resize": preprocessing["resize"],
        "resampling": RESAMPLING,
        "page": preprocessing["page"],
        "training_data": training_data,
    }


def _export(trained: Trained, path: str | os.PathLike, name: str) -> None:
    """Write the graph in the lowest of `OPSETS` that has the network's operators."""
    example = torch.zeros(2, trained.image_size, trained.image_size, 3, dtype=torch.uint8)
    shipped = _Shipped(_with_constant_padding(trained)).eval()
    for opset in OPSETS:
        try:
            torch.onnx.export(
                shipped,
                (example,),
                path,
                dynamo=False,  # half the time of the other exporter, and one dependency less; the graphs are equal
                opset_version=opset,
                input_names=["images"],
                output_names=["probabilities"],
                dynamic_axes={"images": {0: "n"}, "probabilities": {0: "n"}},
            )
        except torch.onnx.errors.OnnxExporterError as error:
            refused = error
        else:
            return
    raise InputError(f"network '{name}' cannot be written as ONNX: {refused}; choose another network") from refused


def _assert_parity(trained: Trained, path: str | os.PathLike, images: np.ndarray, name: str) -> None:
    import onnxruntime  # here, because training waits for it otherwise

    try:
        session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class of their own
        raise InputError(f"network '{name}' cannot be run by ONNX Runtime: {error}; choose another network") from error
    (found,) = session.run(None, {"images": images})
    with torch.inference_mode():
        pixels = tensors.to_pixels(torch.from_numpy(images), torch.device("cpu"))
        expected = trained.classifier.cpu().eval()(pixels).softmax(dim=1).numpy()
    difference = np.abs(found - expected).max(initial=0)
    if not difference <= PARITY:
        raise RuntimeError(
            f"network '{name}': on {len(images)} images the probabilities of the ONNX file differ from "
            "torch's by up to "
            f"{difference:.2g}, more than {PARITY:g}; the network has an operation that ONNX cannot represent"
        )


@torch.no_grad()  # not inference mode: the copy is traced afterwards
def _with_constant_padding(trained: Trained) -> Classifier:
    """Return a copy of the classifier whose convolutions pad by constants.

    TensorFlow's "same" padding, which timm's `tf_` networks use, is computed from the size of each input. In the graph
    that becomes arithmetic on shapes, which the quantiser would round to 8 bits like any other: some paddings come out
    wrong. Our images have one size, so that each padding is one number.
    """
    classifier = copy.deepcopy(trained.classifier).cpu().eval()
    found: dict[str, torch.Size] = {}
    for path, module in classifier.named_modules():
        if type(module).__name__ == "Conv2dSame":
            module.register_forward_pre_hook(lambda _, inputs, path=path: found.update({path: inputs[0].shape[-2:]}))
    classifier(torch.zeros(1, 3, trained.image_size, trained.image_size))
    for path, size in found.items():
        same = classifier.get_submodule(path)
        pads = [
            max((-(-length // stride) - 1) * stride + (kernel - 1) * dilation + 1 - length, 0)
            for length, kernel, stride, dilation in zip(size, same.kernel_size, same.stride, same.dilation, strict=True)
        ]
        (top, bottom), (left, right) = [(pad // 2, pad - pad // 2) for pad in pads]
        plain = nn.Conv2d(
            same.in_channels, same.out_channels, same.kernel_size, same.stride, 0, same.dilation, same.groups,
            bias=same.bias is not None,
        )  # fmt: skip
        plain.load_state_dict(same.state_dict())
        classifier.set_submodule(path, nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), plain))
    return classifier
