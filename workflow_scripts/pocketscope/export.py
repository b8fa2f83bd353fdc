"""Write a trained classifier as ONNX: the file that a user ships, and the one that is evaluated."""

import json
import os

import onnx
import torch
from torch import nn

from pocketscope.files import whole
from pocketscope.networks import Trained

OPSET = 17  # read by ONNX Runtime's mobile and web builds


class _Shipped(nn.Module):
    """From a photograph's own numbers to probabilities, so that no user has to know about normalisation."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.permute(0, 3, 1, 2).float() / 255
        return self.classifier(pixels).softmax(dim=1)


def to_onnx(trained: Trained, path: str | os.PathLike) -> None:
    """Write `trained` as ONNX.

    The input `images` is uint8 (N, H, W, 3), RGB as `pixels` gives it, any N; the output `probabilities` is float32
    (N, classes). Normalisation is a part of the graph. The file's metadata holds, as JSON, the class names in the
    output's order and the image size.
    """
    example = torch.zeros(2, trained.image_size, trained.image_size, 3, dtype=torch.uint8)
    with whole(path) as temporary:
        torch.onnx.export(
            _Shipped(trained.classifier).eval(),
            (example,),
            temporary,
            dynamo=False,  # half the time of the other exporter, and one dependency less; the graphs are equal
            opset_version=OPSET,
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_axes={"images": {0: "n"}, "probabilities": {0: "n"}},
        )
        model = onnx.load(temporary)
        about = {"classes": trained.classes, "image_size": trained.image_size}
        onnx.helper.set_model_props(model, {"pocketscope": json.dumps(about, sort_keys=True)})
        onnx.checker.check_model(model)
        onnx.save(model, temporary)
