"""Model files of tiny networks with random weights: quick to make, and whole in all that a user's files have."""

import numpy as np
import torch

from pocketscope.config.base import plain
from pocketscope.config.catalogue import Network
from pocketscope.deploy import quantization
from pocketscope.models import networks, onnx_export

CLASSES = ["dark", "bright", 'a "third", odd one']


def entry(name="shufflenet_v2_x0_5", library="torchvision", **more):
    """An entry of the catalogue, as the workflow hands it to scripts."""
    network = Network(library=library, name=name, family="manual", weights="none", **more)
    return plain(network)


def noise(count, size=32, seed=0):
    """Images whose mean brightness differs, so that answers do."""
    rng = np.random.default_rng(seed)
    bright = rng.integers(0, 256, (count, 1, 1, 3))
    return np.clip(bright + rng.integers(-60, 60, (count, size, size, 3)), 0, 255).astype(np.uint8)


def build(network, size=32):
    """A network whose answers differ between images: batch normalisation knows the images' statistics."""
    classifier = networks.build(network, len(CLASSES), None, seed=0)
    pixels = torch.from_numpy(noise(16, size)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        for module in classifier.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the mean over what it sees
        classifier.train()(pixels)
        classifier.eval()
        logits = classifier(pixels)
        scale = logits.std(0).mean()
        classifier.head.weight.div_(scale)
        classifier.head.bias.sub_(logits.mean(0)).div_(scale)
    return networks.Trained(classifier, CLASSES, size)


def ship(folder, network=None, *, resize="stretch", page=0, size=32, precisions=("fp32", "int8")):
    """Write the files of a network: model.safetensors and model.{precision}.onnx."""
    network = network or entry()
    trained = build(network, size)
    folder.mkdir(parents=True, exist_ok=True)
    networks.save(trained, network, folder / "model.safetensors")
    about = onnx_export.description(network, {"resize": resize, "page": page}, "0123456789abcdef")
    onnx_export.to_onnx(trained, folder / "model.fp32.onnx", images=noise(4, size), about=about)
    if "int8" in precisions:
        quantization.quantize(folder / "model.fp32.onnx", noise(32, size), folder / "model.int8.onnx")
    return folder
