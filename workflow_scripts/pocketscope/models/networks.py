"""Networks: built by their library's name, loaded with pretrained weights, saved and read back."""

import importlib.util
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from pocketscope.core import own_functions
from pocketscope.core.errors import InputError
from pocketscope.core.files import whole
from pocketscope.core.messages import did_you_mean, nearest

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Classifier(nn.Module):
    """A network without its own head, a linear head for our classes, and the normalisation that the weights expect.

    Parameters
    ----------
    backbone
        Maps normalised images, float (N, 3, H, W), to pooled features, float (N, `features`).
    features
        Number of features.
    classes
        Number of classes.
    mean, std
        Of each channel, of images in [0, 1].
    folded
        The pretrained weights came with batch normalisation folded into the convolutions, without statistics.
    """

    def __init__(
        self,
        backbone: nn.Module,
        features: int,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        folded: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.folded = folded
        self.head = nn.Linear(features, classes)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return pooled features, float (N, features), of images in [0, 1], float (N, 3, H, W)."""
        return self.backbone((images - self.mean) / self.std)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, float (N, classes), of images in [0, 1], float (N, 3, H, W)."""
        return self.head(self.features(images))


@dataclass(frozen=True)
class Trained:
    """A trained classifier with what is needed to use it; `load` says of it whether it had started pretrained."""

    classifier: Classifier
    classes: list[str]
    image_size: int
    pretrained: bool = False


def build(network: Mapping[str, Any], classes: int, root: Path, *, seed: int) -> Classifier:
    """Build a network of the catalogue with its pretrained weights and a new head.

    Parameters
    ----------
    network
        An entry of the catalogue as `base.plain` gives it.
    classes
        Number of classes.
    root
        The folder that relative paths of weights start from.
    seed
        Draws what is not pretrained.

    Raises
    ------
    pocketscope.core.errors.InputError
        The library has no such network, or its weights cannot be had or do not fit.
    """
    torch.manual_seed(seed)
    backbone = _create(network, root, pretrained=network["weights"] == "hub")
    if isinstance(network["weights"], Mapping):
        _load_weights(backbone, network, root)
    mean, std = _normalisation(network, backbone)
    folded = is_pretrained(network) and any(is_folded(module) for module in backbone.modules())
    return Classifier(*_without_head(backbone, network), classes, mean, std, folded=folded)


def check_in_timm(name: str, image_sizes: Iterable[int] = ()) -> None:
    """Make sure that timm has a network with pretrained weights; nothing is downloaded.

    Parameters
    ----------
    name
        timm's name, with or without the tag of its weights: `ghostnet_100`, `ghostnet_100.in1k`.
    image_sizes
        Sides of the images that it is to see, pixels.

    Raises
    ------
    pocketscope.core.errors.InputError
        timm has no such network, no such tag, no weights for it, which would begin with random ones, or weights for
        images of one size alone.
    """
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise InputError(f"timm {timm.__version__} has no network '{architecture}'{_near(architecture, timm)}")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if not tags:
        raise InputError(
            f"timm has no pretrained weights for '{architecture}'; name another network, or add an entry to the "
            "catalogue with 'weights: none', or with weights from a file"
        )
    if tag and tag not in tags:
        raise InputError(f"timm has no weights '{tag}' for '{architecture}'{nearest(tag, tags)}")
    about = timm.get_pretrained_cfg(name)
    if about.fixed_input_size and (other := set(image_sizes) - {about.input_size[-1]}):
        raise InputError(
            f"timm's '{name}' takes images of {about.input_size[-1]} x {about.input_size[-1]} pixels alone, and a data "
            f"set has 'image_size: {min(other)}'; change that, or name another network"
        )


def is_pretrained(network: Mapping[str, Any]) -> bool:
    """Return whether a network of the catalogue starts from pretrained weights."""
    return network["weights"] != "none"


def licence(network: Mapping[str, Any], classifier: Classifier) -> str | None:
    """Return the licence of the pretrained weights: the catalogue's word, else timm's."""
    told = getattr(classifier.backbone, "pretrained_cfg", None) or {}
    return network.get("licence") or (told.get("license") if network["weights"] == "hub" else None)


def named(network: Mapping[str, Any]) -> str:
    """Return what builds a network, for people."""
    if own := network.get("build"):
        return f"{own['file']}:{own['function']}"
    return f"{network['library']}'s '{network['name']}'"


def is_folded(module: nn.Module) -> bool:
    """Return whether a module is batch normalisation that does nothing: mean 0 and variance 1 in every channel."""
    if not isinstance(module, nn.modules.batchnorm._BatchNorm) or not module.affine or module.running_mean is None:
        return False
    return not module.running_mean.any() and bool((module.running_var == 1).all())


def depths(classifier: Classifier) -> list[tuple[float, list[nn.Parameter]]]:
    """Return the parameters by depth: 0 for the block that sees the image, 1 for the head.

    Containers that only run their children in order are opened, so that a depth belongs to a block as the network's
    authors drew it; the blocks are spread evenly.
    """
    blocks = [*_blocks(classifier.backbone), classifier.head]
    return [(i / (len(blocks) - 1), list(block.parameters())) for i, block in enumerate(blocks)]


def save(trained: Trained, network: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write a trained classifier as safetensors, with all that `load` needs in the file's metadata."""
    about = {"network": dict(network), "classes": trained.classes, "image_size": trained.image_size}
    about["folded"] = trained.classifier.folded  # found in the pretrained weights alone: those in the file hide it
    tensors = {name: tensor.contiguous() for name, tensor in trained.classifier.state_dict().items()}
    with whole(path) as temporary:
        save_file(tensors, temporary, metadata={"pocketscope": json.dumps(about, sort_keys=True)})


def load(path: str | os.PathLike, root: Path | None = None) -> Trained:
    """Read a classifier that `save` wrote; it is in evaluation mode, on the CPU.

    Parameters
    ----------
    path
        The file.
    root
        The folder that the relative path of a network's own function starts from.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is cut short, or `save` did not write it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["pocketscope"])
        network, folded = about["network"], about["folded"]
        tensors = load_file(path)
    except (SafetensorError, KeyError) as error:
        raise InputError(f"{path}: cut short, or not made by pocketscope ({error}); delete it and run again") from error
    backbone = _create(network, root, pretrained=False)
    classifier = Classifier(
        *_without_head(backbone, network), len(about["classes"]), IMAGENET_MEAN, IMAGENET_STD, folded=folded
    )  # the file holds the normalisation too
    classifier.load_state_dict(tensors)
    return Trained(classifier.eval(), about["classes"], about["image_size"], is_pretrained(network))


def _create(network: Mapping[str, Any], root: Path | None = None, *, pretrained: bool) -> nn.Module:
    if network.get("build"):
        return _build_own(network, root)
    # Each library takes seconds to import: only the one that is needed.
    library, name, options = network["library"], network["name"], network.get("options", {})
    try:
        if library == "timm":
            import timm

            if pretrained:
                check_in_timm(name)
            elif not timm.is_model(name.partition(".")[0]):
                raise InputError(f"timm {timm.__version__} has no network '{name}'{_near(name, timm)}")
            return timm.create_model(name, pretrained=pretrained, **options)
        import torchvision.models

        if name not in torchvision.models.list_models(torchvision.models):
            known = torchvision.models.list_models(torchvision.models)
            raise InputError(
                f"torchvision has no network '{name}'"
                + did_you_mean(name, known, "; `torchvision.models.list_models()` lists the available ones")
            )
        return torchvision.models.get_model(name, weights="DEFAULT" if pretrained else None, **options)
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise InputError(
            f"the weights of {library}'s '{name}' cannot be downloaded ({type(error).__name__}: {error}). Without "
            "access to the hub, give the network weights from a file or a Python package in the catalogue, "
            "or 'weights: none'"
        ) from error


def _near(name: str, timm: ModuleType) -> str:
    return did_you_mean(name, timm.list_models(), "; `timm.list_models()` lists the available ones")


def _without_head(backbone: nn.Module, network: Mapping[str, Any]) -> tuple[nn.Module, int]:
    """Return the network up to its pooled features, and their number."""
    if network.get("build"):
        return backbone, _count_features(backbone, network)
    if network["library"] == "timm":
        backbone.reset_classifier(0)
        return backbone, backbone.head_hidden_size or backbone.num_features
    if network["name"].startswith("squeezenet"):
        # Its head is a convolution, a ReLU and a mean. Mean and linear head change places without a difference; the
        # ReLU, which keeps logits from falling below 0, is left out.
        backbone.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return backbone, 512
    path, last = [(path, module) for path, module in backbone.named_modules() if isinstance(module, nn.Linear)][-1]
    backbone.set_submodule(path, nn.Identity())
    return backbone, last.in_features


def _build_own(network: Mapping[str, Any], root: Path | None) -> nn.Module:
    """Call a user's function, which returns a network without a head."""
    named = f"{network['build']['file']}:{network['build']['function']}"
    function = own_functions.load(network["build"], root)
    try:
        backbone = function(**network.get("options", {}))
    except Exception as error:
        raise InputError(f"{named} failed ({type(error).__name__}: {error}); correct it, or its 'options'") from error
    if not isinstance(backbone, nn.Module):
        raise InputError(f"{named} returned {type(backbone).__name__}, not a torch.nn.Module")
    return backbone


def _count_features(backbone: nn.Module, network: Mapping[str, Any]) -> int:
    named, side = f"{network['build']['file']}:{network['build']['function']}", 64
    training = backbone.training
    try:
        with torch.no_grad():
            found = backbone.eval()(torch.zeros(2, 3, side, side))
    except Exception as error:  # some networks see images of one size alone
        if isinstance(count := getattr(backbone, "num_features", None), int):
            return count
        raise InputError(
            f"{named}: the network fails on two images of {side} pixels ({type(error).__name__}: {error}); correct it, "
            "or give it the attribute `num_features`"
        ) from error
    finally:
        backbone.train(training)
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != 2 or not found.is_floating_point():
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise InputError(
            f"{named}: of two images the network makes {shape}; it must make features (2, F): pool them, and leave out "
            "the layer that knows classes"
        )
    return found.shape[1]


def _normalisation(network: Mapping[str, Any], backbone: nn.Module) -> tuple[Sequence[float], Sequence[float]]:
    # timm keeps what the weights expect beside the network; torchvision's all expect ImageNet's.
    known = getattr(backbone, "pretrained_cfg", {})
    mean, std = network.get("mean"), network.get("std")
    return mean or known.get("mean", IMAGENET_MEAN), std or known.get("std", IMAGENET_STD)


def _load_weights(backbone: nn.Module, network: Mapping[str, Any], root: Path) -> None:
    weights = network["weights"]
    path = _packaged(weights) if "package" in weights else root / weights["file"]
    if not path.is_file():
        raise InputError(f"the weights of {named(network)} do not exist: {path}")
    try:
        # `weights_only` refuses a pickle that would run code.
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        if weights.get("layout") == "efficientnet_pytorch":
            state = _from_efficientnet_pytorch(state, backbone)
        backbone.load_state_dict(state)
    except Exception as error:
        raise InputError(f"{path} does not contain the weights of {named(network)}: {error}") from (error)


def _packaged(weights: Mapping[str, str]) -> Path:
    found = importlib.util.find_spec(weights["package"])
    if found is None or not found.submodule_search_locations:
        raise InputError(f"the Python package '{weights['package']}', which contains the weights, is not installed")
    return Path(next(iter(found.submodule_search_locations))) / weights["file"]


def _from_efficientnet_pytorch(state: Mapping[str, torch.Tensor], backbone: nn.Module) -> dict[str, torch.Tensor]:
    """Rename the tensors of EfficientNet-PyTorch's layout to timm's: blocks are counted on there, by stage here."""
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    expanding = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
                 "_project_conv": "conv_pwl", "_bn2": "bn3"}  # fmt: skip
    direct = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    places = [f"blocks.{i}.{j}" for i, stage in enumerate(backbone.blocks) for j in range(len(stage))]
    expands = {int(name.split(".")[1]) for name in state if "._expand_conv." in name}
    renamed = {}
    for name, tensor in state.items():
        if name.startswith("_blocks."):
            _, number, module, kind = name.split(".")
            inner = expanding if int(number) in expands else direct
            renamed[f"{places[int(number)]}.{inner[module]}.{kind}"] = tensor
        else:
            module, kind = name.split(".")
            renamed[f"{outer[module]}.{kind}"] = tensor
    return renamed


def _blocks(module: nn.Module) -> list[nn.Module]:
    opened = []
    for child in module.children():
        # torchvision keeps a whole network in one child, `features`; timm its blocks in `blocks`.
        opened += _blocks(child) if isinstance(child, nn.Sequential | nn.ModuleList) else [child]
    return [block for block in opened if next(block.parameters(), None) is not None]
