"""Write a trained classifier as ONNX: the file that a user ships, and the one that is evaluated."""

import copy
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
            _Shipped(_with_constant_padding(trained)).eval(),
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


@torch.no_grad()  # not inference mode: the copy is traced afterwards
def _with_constant_padding(trained: Trained) -> nn.Module:
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
