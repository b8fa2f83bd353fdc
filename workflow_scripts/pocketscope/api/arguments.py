"""What the six calls are given: checked before anything runs, and put into a configuration."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketscope.api.configuration import absolute
from pocketscope.config.base import digest_of_value
from pocketscope.config.views import VIEW_NEEDS
from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean, nearest
from pocketscope.images.files import images_in

TRANSFORMS = ("horizontal_flip", "vertical_flip", "both_flips", "box_blur", "gaussian_blur", "gamma")
TURNS = ("rotate_90", "rotate_270")
BASELINE = "supervised"
FLIPS = ("horizontal_flip", "vertical_flip")  # the symmetries of images of which nothing else is said
_TRAIN, _TEST = {"train", "training"}, {"valid", "validation", "val", "test"}


def configuration(
    name: str,
    method: Mapping[str, Any],
    target: str,
    path: str | os.PathLike,
    unlabelled: str | os.PathLike,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the configuration that a call runs.

    Parameters
    ----------
    name, method
        The method, as under `methods` of a configuration.
    target, path, unlabelled
        As the calls take them.
    options
        Of `Options`, those that are not about the run.
    """
    source = _source(path, unlabelled)
    dataset = _name_of(Path(source["path"]))
    training = options.get("training", "fast")
    training = {"recipe": training} if isinstance(training, str) else dict(training)
    if "batch_size" in options:
        training["batch_size"] = options["batch_size"]
    about = {"source": source, "image_size": options.get("image_size", 224)}
    if "symmetries" in options:
        about["symmetries"] = _names(options["symmetries"], "symmetries")
    _check_symmetries(method.get("views", []), about.get("symmetries", FLIPS))
    split = {"labelled": [options.get("labelled", "all")], "seeds": list(options.get("seeds", [0]))}
    split["evaluation"] = options.get("evaluation", "holdout")
    more = absolute(dict(options.get("config", {})), Path.cwd())
    shared = {"datasets": {dataset: about}, "split": split, "training": training} | more
    if "networks" in options:
        shared["networks"] = {key: dict(value) for key, value in options["networks"].items()}
    baseline = {BASELINE: {"labels": "human"}} if options.get("baseline", True) else {}
    precisions = _names(options.get("precisions", ["fp32"]), "precisions")
    candidate = {"method": name, "network": target, "precision": precisions[0] if precisions else "fp32"}
    apart = ("methods", "students", "views", "ship", "statistics")  # what calls of one study may differ in
    return {
        "study": f"{dataset}-{digest_of_value({key: shared[key] for key in shared if key not in apart})}",
        "methods": baseline | {name: dict(method)},
        "students": {target: precisions},
        "views": ["identity", *TRANSFORMS] + (list(TURNS) if "quarter_turn" in about.get("symmetries", ()) else []),
        "ship": {"candidate": candidate},
    } | shared


def confidence_of(confidence: float) -> float:
    """Return a confidence, or raise InputError where it is no share."""
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise InputError(f"confidence is {confidence!r}; it must be a number from 0 to 1, such as 0.8")
    return float(confidence)


def one_name(name: Any, argument: str) -> str:
    """Return the name of one network, or raise InputError where it is something else."""
    if not isinstance(name, str):
        several = isinstance(name, Sequence) and len(name) > 1 and argument == "base_model"
        remedy = "; model_distillation takes several" if several else ""
        raise InputError(f"{argument} is {name!r}; give the name of one network{remedy}")
    return name


def several_names(names: Any) -> list[str]:
    """Return the names of two networks or more, or raise InputError."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise InputError(
            f"base_models is {names!r}; give a list of names, or use plain_distillation for one base model"
        )
    found = [one_name(name, "base_models") for name in names]
    if len(set(found)) < 2 or len(set(found)) < len(found):
        raise InputError(f"base_models is {found!r}; give two names or more, each once")
    return found


def _names(given: Any, argument: str) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"{argument} is {given!r}; give a list")
    return list(given)


def transform_names(given: Any) -> list[str]:
    """Return the names of transforms, or raise InputError with the nearest right one."""
    found = _names(given, "transforms")
    for name in found:
        if name not in TRANSFORMS + TURNS:
            raise InputError(f"there is no transform {name!r}{nearest(str(name), TRANSFORMS + TURNS)}")
    if not found or len(set(found)) < len(found):
        raise InputError(f"transforms is {found!r}; give one or more, each once")
    return found


def _check_symmetries(views: Sequence[str], symmetries: Sequence[str]) -> None:
    for view in views:
        if lacking := VIEW_NEEDS.get(view, set()) - set(symmetries):
            raise InputError(
                f"the transform '{view}' asks for the symmetry '{min(lacking)}', which `symmetries` does not have: "
                "leave the transform out where it changes what an image shows, else name the symmetry"
            )


def _source(path: Any, unlabelled: Any) -> dict[str, str]:
    """Return the source of a call's images, with its paths checked: a call ends before Snakemake begins."""
    top = _folder(path, "path", "one sub-folder per class")
    inside = {entry.name.casefold(): entry for entry in sorted(top.iterdir()) if entry.is_dir()}
    train = [inside[name] for name in inside if name in _TRAIN]
    tests = [inside[name] for name in inside if name in _TEST]
    source = {"kind": "folder", "path": str(train[0] if train else top)}
    if train and len(tests) > 1:
        names = " and ".join(repr(folder.name) for folder in tests)
        raise InputError(f"path: {top} holds {names}: leave the one that is the test set, and move the other away")
    if train and tests:
        source["test"] = str(tests[0])
    if unlabelled is None:
        raise InputError("unlabelled: name a folder of unlabelled images; without any, train with pocketscope.run")
    others = _folder(unlabelled, "unlabelled", "unlabelled images")
    if others in (top, *train, *tests):
        raise InputError(f"unlabelled: {others} is the folder of the labelled images; name another one")
    if not next(iter(images_in(str(others))), None):
        raise InputError(f"unlabelled: {others} contains no images; put the unlabelled images into it")
    return source | {"unlabelled": str(others)}


def _folder(given: Any, argument: str, holding: str) -> Path:
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"{argument} is {given!r}; give the path of a folder with {holding}")
    folder = Path(os.path.abspath(Path(given).expanduser()))  # noqa: PTH100 (resolve would follow links)
    if not folder.is_dir():
        beside = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
        what = "is a file, not a folder" if folder.exists() else "there is no such folder"
        raise InputError(f"{argument}: {folder}: {what}{did_you_mean(folder.name, beside, '; correct the path')}")
    return folder


def _name_of(path: Path) -> str:
    """Return a data set's name: that of its folder, with what a name may not hold left out."""
    named = path.parent.name if path.name.casefold() in _TRAIN else path.name
    return re.sub(r"[^A-Za-z0-9_-]+", "_", named).strip("_-") or "images"
