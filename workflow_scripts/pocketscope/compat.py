"""The published library's calls, by its spellings: a script runs once its import line names this module.

    from pocketscope.compat import *

Inés et al., Semi-Supervised Learning for Image Classification using Compact Networks in the BioMedical Context. Names
and order of the arguments, and the names of networks and transforms, are the library's; what a call does, and what it
leaves in `outputPath`, is pocketscope's (docs/python.md says what differs). Each call returns a `pocketscope.Result`,
and takes the `pocketscope.Options` by name too.
"""

import os
from collections.abc import Sequence
from typing import Any

import yaml

from pocketscope.api import arguments, calls, workflow
from pocketscope.api.result import Result
from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean, nearest

__all__ = [
    "FixMatch", "MixMatch", "dataDistillation", "fixMatch", "mixMatch", "modelDataDistillation", "modelDistillation",
    "plainDistillation", "pureDistillation",
]  # fmt: skip

# The library's names, and those of config/networks.yaml. Of MixNet its code trains the large variant.
NETWORKS = {
    "ResNet18": "resnet18", "ResNet50": "resnet50", "ResNet101": "resnet101", "EfficientNet": "efficientnet_b3",
    "FBNet": "fbnet", "MixNet": "mixnet", "MNasNet": "mnasnet", "MobileNet": "mobilenet_v2",
    "SqueezeNet": "squeezenet", "ShuffleNet": "shufflenet",
}  # fmt: skip
TRANSFORMS = {
    "H Flip": "horizontal_flip", "V Flip": "vertical_flip", "H+V Flip": "both_flips", "Blurring": "box_blur",
    "Gaussian Blur": "gaussian_blur", "Gamma": "gamma",
}  # fmt: skip
# The library's README lists these too; neither study used them.
LEFT_OUT = ("Median Blur", "Bilateral Filter", "Equalize histogram", "2D-Filter")


def plainDistillation(
    baseModel: str,
    targetModel: str,
    path: str | os.PathLike,
    pathUnlabelled: str | os.PathLike,
    outputPath: str | os.PathLike,
    bs: int | None = None,
    size: int | Sequence[int] = 224,
    confidence: float = 0.8,
    **options: Any,
) -> Result:
    """See `pocketscope.plain_distillation`; `bs` is the batch size (default: the recipe's), `size` the images' side.

    Examples
    --------
    >>> from pocketscope.compat import plainDistillation
    >>> result = plainDistillation("ResNet50", "ResNet18", "labelled", "unlabelled", "out", confidence=1.5)
    Traceback (most recent call last):
    pocketscope.core.errors.InputError: confidence is 1.5; it must be a number from 0 to 1, such as 0.8
    """
    names = (_network(baseModel, "baseModel", options), _network(targetModel, "targetModel", options))
    return calls.plain_distillation(*names, path, pathUnlabelled, outputPath, confidence, **_sizes(bs, size), **options)


def dataDistillation(
    baseModel: str,
    targetModel: str,
    transforms: Sequence[str],
    path: str | os.PathLike,
    pathUnlabelled: str | os.PathLike,
    outputPath: str | os.PathLike,
    bs: int | None = None,
    size: int | Sequence[int] = 224,
    confidence: float = 0.8,
    **options: Any,
) -> Result:
    """See `pocketscope.data_distillation`."""
    names = (_network(baseModel, "baseModel", options), _network(targetModel, "targetModel", options))
    seen = _transforms(transforms)
    return calls.data_distillation(
        *names, path, pathUnlabelled, outputPath, confidence, seen, **_sizes(bs, size), **options
    )


def modelDistillation(
    baseModels: Sequence[str],
    targetModel: str,
    path: str | os.PathLike,
    pathUnlabelled: str | os.PathLike,
    outputPath: str | os.PathLike,
    bs: int | None = None,
    size: int | Sequence[int] = 224,
    confidence: float = 0.8,
    **options: Any,
) -> Result:
    """See `pocketscope.model_distillation`."""
    names = (_networks(baseModels, options), _network(targetModel, "targetModel", options))
    return calls.model_distillation(*names, path, pathUnlabelled, outputPath, confidence, **_sizes(bs, size), **options)


def modelDataDistillation(
    baseModels: Sequence[str],
    targetModel: str,
    transforms: Sequence[str],
    path: str | os.PathLike,
    pathUnlabelled: str | os.PathLike,
    outputPath: str | os.PathLike,
    bs: int | None = None,
    size: int | Sequence[int] = 224,
    confidence: float = 0.8,
    **options: Any,
) -> Result:
    """See `pocketscope.model_data_distillation`."""
    names = (_networks(baseModels, options), _network(targetModel, "targetModel", options))
    seen = _transforms(transforms)
    return calls.model_data_distillation(
        *names, path, pathUnlabelled, outputPath, confidence, seen, **_sizes(bs, size), **options
    )


def fixMatch(
    targetModel: str,
    path: str | os.PathLike,
    pathUnlabelled: str | os.PathLike,
    outputPath: str | os.PathLike,
    bs: int | None = None,
    size: int | Sequence[int] = 224,
    **options: Any,
) -> Result:
    """See `pocketscope.fixmatch`."""
    name = _network(targetModel, "targetModel", options)
    return calls.fixmatch(name, path, pathUnlabelled, outputPath, **_sizes(bs, size), **options)


def mixMatch(
    targetModel: str,
    path: str | os.PathLike,
    pathUnlabelled: str | os.PathLike,
    outputPath: str | os.PathLike,
    bs: int | None = None,
    size: int | Sequence[int] = 224,
    **options: Any,
) -> Result:
    """See `pocketscope.mixmatch`."""
    name = _network(targetModel, "targetModel", options)
    return calls.mixmatch(name, path, pathUnlabelled, outputPath, **_sizes(bs, size), **options)


pureDistillation, FixMatch, MixMatch = plainDistillation, fixMatch, mixMatch


def _network(name: Any, argument: str, options: dict[str, Any]) -> str:
    """Return the catalogue's name of a network that is given by either name."""
    if not isinstance(name, str):
        more = "; modelDistillation takes several" if argument == "baseModel" and isinstance(name, list | tuple) else ""
        raise InputError(f"{argument} is {name!r}; give the name of one network{more}")
    if name in NETWORKS:
        return NETWORKS[name]
    known = [*NETWORKS, *options.get("networks", ()), *_catalogue(options)]
    if name not in known and ":" not in name:  # `timm:NAME` is any network of timm's
        right = did_you_mean(name, NETWORKS, nearest(name, known))
        raise InputError(f"{argument}: there is no network {name!r}{right}")
    return name


def _networks(names: Any, options: dict[str, Any]) -> list[str]:
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InputError(f"baseModels is {names!r}; give a list of names, or use plainDistillation for one base model")
    return [_network(name, "baseModels", options) for name in names]


def _catalogue(options: dict[str, Any]) -> list[str]:
    given = options.get("config", {}).get("catalogue")
    path = given or workflow.root() / "config/networks.yaml"
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a text or a path
            return list(yaml.safe_load(file))
    except OSError:
        return []


def _transforms(names: Any) -> list[str]:
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InputError(f"transforms is {names!r}; give a list of names")
    known = [*TRANSFORMS, *arguments.TRANSFORMS, *arguments.TURNS]
    for name in names:
        if name in LEFT_OUT:
            raise InputError(f"the transform {name!r} is not offered; there are: {', '.join(TRANSFORMS)}")
        if name not in known:
            right = did_you_mean(str(name), TRANSFORMS, nearest(str(name), known))
            raise InputError(f"there is no transform {name!r}{right}")
    return [TRANSFORMS.get(name, name) for name in names]


def _sizes(bs: Any, size: Any) -> dict[str, int]:
    if bs is not None and (isinstance(bs, bool) or not isinstance(bs, int) or bs < 2):
        raise InputError(f"bs is {bs!r}; the batch size is a whole number, 2 or more (confidence is given by its name)")
    sides = {size} if isinstance(size, int) else set(size) if isinstance(size, list | tuple) else set()
    if len(sides) != 1 or not all(isinstance(side, int) and not isinstance(side, bool) for side in sides):
        raise InputError(f"size is {size!r}; networks see square images: give one number of pixels")
    return {"image_size": sides.pop()} | ({} if bs is None else {"batch_size": bs})
