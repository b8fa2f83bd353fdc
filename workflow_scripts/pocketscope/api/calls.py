"""The six calls: each writes the configuration of one method, and runs it.

Calls on the same images with the same settings are one study: they share the split, the networks that are trained on
the labelled images, and what these predict. A second call trains what is new in it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

from pocketscope.api import running
from pocketscope.api.arguments import (
    TRANSFORMS,
    confidence_of,
    configuration,
    one_name,
    several_names,
    transform_names,
)
from pocketscope.api.events import Progress
from pocketscope.api.result import Result
from pocketscope.core.errors import InputError
from pocketscope.core.messages import nearest

_RUN = {"workspace", "ship", "cores", "jobs", "executor", "profile", "progress", "unlock"}


class Options(TypedDict, total=False):
    """What all six calls take by name.

    image_size
        Side of the images that the networks see, pixels. Default: 224.
    batch_size
        Images per training step. Default: the recipe's.
    training
        The recipe (`fast`, `frozen`, `paper`, `paper_automl`), or keys of the configuration's `training`.
    labelled
        Labelled images per class that are used, or `all`. Default: `all`.
    seeds
        Each draws the labelled images, and trains, anew. Default: one, 0.
    evaluation
        `holdout`, or `crossvalidation`, which is worth it below about 40 labelled images per class.
    symmetries
        Flips and turns that do not change an image's class. Default: both flips.
    baseline
        Whether the target network is also trained on the labelled images alone, to see what the others gained. It
        costs one training. Default: True.
    precisions
        Of the target network: `["fp32"]`, or with `int8` too.
    networks
        Networks of your own by name, as in config/networks.yaml.
    config
        Further keys of the configuration; they go before what the call itself says.
    workspace, ship, cores, jobs, executor, profile, progress, unlock
        See `pocketscope.run`.
    """

    image_size: int
    batch_size: int
    training: str | Mapping[str, Any]
    labelled: int | Literal["all"]
    seeds: Sequence[int]
    evaluation: Literal["holdout", "crossvalidation"]
    symmetries: Sequence[str]
    baseline: bool
    precisions: Sequence[str]
    networks: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any]
    workspace: str | os.PathLike
    ship: bool
    cores: int
    jobs: int
    executor: str
    profile: str | os.PathLike
    progress: bool | Callable[[Progress], object]
    unlock: bool


def plain_distillation(
    base_model: str,
    target_model: str,
    path: str | os.PathLike,
    unlabelled: str | os.PathLike,
    output: str | os.PathLike,
    confidence: float = 0.8,
    **options: Unpack[Options],
) -> Result:
    """Train a base model on the labelled images, let it label the others, and train the target model on both.

    Parameters
    ----------
    base_model, target_model
        Names of the catalogue, config/networks.yaml. They may be the same (self-training).
    path
        A folder with one sub-folder per class; or one that holds `train` and `valid`, each with one sub-folder per
        class. The images of `valid` are then the test set, and choose nothing. Otherwise the test set is drawn.
    unlabelled
        A folder of unlabelled images.
    output
        A folder that receives the model, the report, the scores and the tables. See `pocketscope.run`.
    confidence
        A label is accepted if its confidence is above this.
    options
        See `pocketscope.Options`.

    Returns
    -------
    Result

    Raises
    ------
    pocketscope.InputError
        An argument is wrong; the message names it, and the nearest right name.
    pocketscope.RunError
        A job failed: the error has its log.

    Examples
    --------
    >>> import pocketscope
    >>> result = pocketscope.plain_distillation(
    ...     "efficientnet_lite0", "shufflenet_scratch", "labelled", "unlabelled", "plain", 0.5, **small
    ... )
    >>> list(result.scores["method"])
    ['plain']
    """
    method = _distilling([one_name(base_model, "base_model")], ["identity"], confidence)
    return _run("plain", method, target_model, path, unlabelled, output, options)


def data_distillation(
    base_model: str,
    target_model: str,
    path: str | os.PathLike,
    unlabelled: str | os.PathLike,
    output: str | os.PathLike,
    confidence: float = 0.8,
    transforms: Sequence[str] = TRANSFORMS,
    **options: Unpack[Options],
) -> Result:
    """As `plain_distillation`; the base model sees each unlabelled image itself and under each transform.

    Parameters
    ----------
    transforms
        Among horizontal_flip, vertical_flip, both_flips, box_blur, gaussian_blur, gamma, rotate_90 and rotate_270.
        Flips and turns must be among the images' `symmetries`.

    Examples
    --------
    >>> import pocketscope
    >>> result = pocketscope.data_distillation(
    ...     "efficientnet_lite0", "shufflenet_scratch", "labelled", "unlabelled", "data", 0.3,
    ...     transforms=["gaussian_blur", "gamma"], **small
    ... )
    >>> sorted(set(result.label_sets["source"]))
    ['human', 'pseudo']
    """
    method = _distilling([one_name(base_model, "base_model")], ["identity", *transform_names(transforms)], confidence)
    return _run("data", method, target_model, path, unlabelled, output, options)


def model_distillation(
    base_models: Sequence[str],
    target_model: str,
    path: str | os.PathLike,
    unlabelled: str | os.PathLike,
    output: str | os.PathLike,
    confidence: float = 0.8,
    *,
    vote: str = "mean_probability",
    **options: Unpack[Options],
) -> Result:
    """As `plain_distillation`, with several base models that vote.

    Parameters
    ----------
    base_models
        Two names or more.
    vote
        `mean_probability`, as the compact-network study's code, or `majority`, as the AutoML study.

    Examples
    --------
    >>> import pocketscope
    >>> result = pocketscope.model_distillation(
    ...     ["efficientnet_lite0", "efficientnet_lite1"], "shufflenet_scratch", "labelled", "unlabelled", "model", 0.5,
    ...     **small
    ... )
    >>> result.model.classes
    ['0', '1', '2']
    """
    method = _distilling(several_names(base_models), ["identity"], confidence) | {"vote": vote}
    return _run("model", method, target_model, path, unlabelled, output, options)


def model_data_distillation(
    base_models: Sequence[str],
    target_model: str,
    path: str | os.PathLike,
    unlabelled: str | os.PathLike,
    output: str | os.PathLike,
    confidence: float = 0.8,
    transforms: Sequence[str] = TRANSFORMS,
    *,
    vote: str = "mean_probability",
    **options: Unpack[Options],
) -> Result:
    """As `model_distillation`, with the transforms of `data_distillation`.

    Examples
    --------
    >>> import pocketscope
    >>> result = pocketscope.model_data_distillation(
    ...     ["efficientnet_lite0", "efficientnet_lite1"], "shufflenet_scratch", "labelled", "unlabelled", "model_data",
    ...     0.5, transforms=["gaussian_blur", "gamma"], **small
    ... )
    >>> result.predictions.columns[:6].tolist()
    ['dataset', 'split', 'method', 'network', 'precision', 'image_id']
    """
    method = _distilling(several_names(base_models), ["identity", *transform_names(transforms)], confidence) | {
        "vote": vote
    }
    return _run("model_data", method, target_model, path, unlabelled, output, options)


def fixmatch(
    target_model: str,
    path: str | os.PathLike,
    unlabelled: str | os.PathLike,
    output: str | os.PathLike,
    *,
    confidence: float | None = None,
    preset: Literal["fast", "reference"] = "fast",
    **options: Unpack[Options],
) -> Result:
    """Train the target model on labelled and unlabelled images at once, by FixMatch (docs/consistency.md).

    Parameters
    ----------
    confidence
        A prediction is learnt if its confidence reaches this. Default: the preset's, 0.95.
    preset
        `fast`, for hundreds of steps from pretrained weights, or `reference`, the paper's values.

    Examples
    --------
    >>> import pocketscope
    >>> result = pocketscope.fixmatch("efficientnet_lite0", "labelled", "unlabelled", "fixmatch", **small)
    >>> result.candidate()
    {'method': 'fixmatch', 'network': 'efficientnet_lite0', 'precision': 'fp32'}
    """
    method = {"labels": "consistency", "algorithm": "fixmatch", "preset": preset}
    if confidence is not None:
        method["threshold"] = confidence_of(confidence)
    return _run("fixmatch", method, target_model, path, unlabelled, output, options)


def mixmatch(
    target_model: str,
    path: str | os.PathLike,
    unlabelled: str | os.PathLike,
    output: str | os.PathLike,
    *,
    preset: Literal["fast", "reference"] = "fast",
    **options: Unpack[Options],
) -> Result:
    """Train the target model on labelled and unlabelled images at once, by MixMatch (docs/consistency.md).

    Examples
    --------
    >>> import pocketscope
    >>> result = pocketscope.mixmatch("efficientnet_lite0", "labelled", "unlabelled", "mixmatch", **small)
    >>> result.report.name
    'index.html'
    """
    method = {"labels": "consistency", "algorithm": "mixmatch", "preset": preset}
    return _run("mixmatch", method, target_model, path, unlabelled, output, options)


def _run(
    name: str,
    method: Mapping[str, Any],
    target: str,
    path: str | os.PathLike,
    unlabelled: str | os.PathLike,
    output: str | os.PathLike,
    options: Mapping[str, Any],
) -> Result:
    for key in options:
        if key not in Options.__annotations__:
            raise InputError(f"'{key}' is no argument of this call{nearest(key, Options.__annotations__)}")
    if output is None:
        raise InputError("output: name a folder that receives the model, the report and the scores")
    config = configuration(name, method, one_name(target, "target_model"), path, unlabelled, options)
    asked = {key: value for key, value in options.items() if key in _RUN}
    return running.run(config, output=output, **asked)


def _distilling(base_models: list[str], views: list[str], confidence: float) -> dict[str, Any]:
    return {"teachers": base_models, "views": views, "threshold": confidence_of(confidence)}
