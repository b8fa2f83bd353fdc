"""The methods of a study in words that a paper can take over: made of its configuration, and of nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

RESIZES = {
    "stretch": "changing their proportions",
    "crop": "after cropping to the middle square",
    "pad": "after padding with black to a square",
}
SCRATCH = "none"


def paragraphs(settings: Mapping[str, Any], statistics: str) -> list[str]:
    """Return the paragraphs: data, training, methods, evaluation.

    Parameters
    ----------
    settings
        `config`, the study's configuration as plain values, with its defaults, and `networks`, of each that it uses its
        entry of the catalogue.
    statistics
        What the study's protocol does, in words.
    """
    config = settings["config"]
    named = [_method(name, method, settings) for name, method in config["methods"].items()]
    return [
        _data(config),
        _training(config["training"], settings["networks"]),
        "Training methods. " + " ".join(named),
        _evaluation(config, settings["networks"], statistics),
    ]


def _data(config: Mapping[str, Any]) -> str:
    split = config["split"]
    sizes: dict[tuple[int, str], list[str]] = {}
    for name, dataset in config["datasets"].items():
        sizes.setdefault((dataset["image_size"], dataset["resize"]), []).append(name)
    medmnist = [name for name, one in config["datasets"].items() if one["source"]["kind"] == "medmnist"]
    scaled = "; ".join(
        f"{side} × {side} pixels by antialiased bilinear interpolation, {RESIZES[how]} ({_listed(names)})"
        for (side, how), names in sizes.items()
    )
    labelled = _listed(["all" if k == "all" else str(k) for k in split["labelled"]], "or")
    if split["evaluation"] == "crossvalidation":
        tested = f"Each labelled image was tested on once, in a cross-validation of {split['folds']} folds."
    else:
        tested = (
            f"A share of {100 * split['test_share']:g} % of the images, drawn by a hash of each image (of each group, "
            "such as a patient, where groups are known), was the test set. It was the same for all methods, numbers of "
            "labels and seeds."
        )
    seeds = len(split["seeds"])
    drawn = f"{seeds} random draws" if seeds > 1 else "one random draw"
    validated = (
        f"With {split['min_validation']} or more labelled images per class, {100 * split['validation_share']:g} % of "
        "them were the validation set."
    )
    return (
        f"Data. {'The data set was' if len(config['datasets']) == 1 else 'The data sets were'} "
        f"{_listed(list(config['datasets']))}"
        + (f" ({_listed(medmnist)} from MedMNIST)" if medmnist else "")
        + f". Images were resized to {scaled}. {tested} Of the other images {labelled} per class were labelled, in "
        f"{drawn}; the rest was used without labels. {validated} "
        "Identical images were counted once."
    )


def _training(training: Mapping[str, Any], networks: Mapping[str, Mapping[str, Any]]) -> str:
    pretrained = [name for name, network in networks.items() if network["weights"] != SCRATCH]
    scratch = [name for name in networks if name not in pretrained]
    text = "Training. "
    if pretrained:
        text += f"{_listed(pretrained)} started from published weights, as a rule pretrained on ImageNet. "
        if training["head"] == "regression":
            text += (
                "A new head was fitted first, as an L2-regularised logistic regression on the features of the frozen "
                "network, its strength chosen by cross-validation, or C = 1 where a class has fewer than ten images. "
            )
        elif training["head"]:
            text += f"A new head was trained first, for {training['head']} epochs. "
    if scratch:
        text += f"{_listed(scratch)} started from random weights. "
    if training["epochs"]:
        budget = f"{training['epochs']:g} epochs"
    else:
        parts = [f"{training['steps']} steps"] if pretrained else []
        parts += [f"{training['steps_from_scratch']} steps from random weights"] if scratch else []
        growing = (
            f", times (images / 100) to the power of {training['steps_exponent']:g} for more than a hundred images"
        )
        budget = " and ".join(parts) + (growing if training["steps_exponent"] else "")
    if not training["epochs"] and not any(training[key] for key in ("steps", "steps_from_scratch")):
        return text + "No other layer was trained."
    rate = training["learning_rate"]
    rates = (
        f"a maximum learning rate of {rate:g}"
        if isinstance(rate, float | int)
        else "a learning rate found by a range test"
    )
    parts = [f"AdamW on a one-cycle schedule with {rates}", f"weight decay {training['weight_decay']:g}",
             f"batches of {training['batch_size']} images"]  # fmt: skip
    if training["max_grad_norm"]:
        parts.append(f"gradients clipped to a norm of {training['max_grad_norm']:g}")
    if training["label_smoothing"]:
        parts.append(f"label smoothing of {training['label_smoothing']:g}")
    if training["mixup"]:
        parts.append(f"mixup (alpha {training['mixup']:g})")
    if training["ema"]:
        parts.append(f"an exponential moving average of the weights (decay {training['ema']:g})")
    changed = training["augmentation"]
    text += f"All layers were then trained for {budget}, by {_listed(parts)}. "
    text += (
        f"Images were augmented by the flips that the data set allows, rotations up to {changed['rotation']:g}°, zooms "
        f"of {100 * changed['zoom']:g} %, shifts of {100 * changed['translation']:g} %, and changes of brightness and "
        f"contrast of {100 * changed['brightness']:g} and {100 * changed['contrast']:g} %. "
    )
    monitored = {"f1": "F1", "accuracy": "accuracy", "loss": "loss"}[training["monitor"]]
    return text + (
        f"Where there was a validation set, the epoch with the best {monitored} on it was kept; elsewhere the last one."
    )


def _method(name: str, method: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    kind = method["labels"]
    recipe = f", by the recipe '{method['training']}'" if method.get("training") else ""
    if kind == "human":
        return f"'{name}' was trained on the labelled images alone{recipe}."
    if kind == "full":
        return f"'{name}', an upper bound, was trained on the true labels of all training images{recipe}."
    if kind == "consistency":
        algorithm = {"fixmatch": "FixMatch", "mixmatch": "MixMatch"}[method["algorithm"]]
        started = "from the network trained on the labelled images" if method["warm_start"] else "from the start"
        return (
            f"'{name}' was {algorithm} on labelled and unlabelled images at once, {started}, with "
            f"{method['unlabelled_ratio']} unlabelled images for each labelled one."
        )
    views = settings["config"]["views"] if method["views"] == "auto" else method["views"]
    who = "the teacher" if len(method["teachers"]) == 1 else "the teachers"
    text = f"In '{name}', {who} {_listed(method['teachers'])}, trained on the labelled images, gave the others "
    text += (
        "pseudo-labels (distillation), "
        if len(views) == 1
        else f"pseudo-labels under {len(views)} views ({_listed(views)}; data distillation), "
    )
    text += {"mean_probability": "by the mean of all probabilities", "majority": "by a majority vote"}[method["vote"]]
    if method["calibration"] == "temperature":
        text += " after temperature scaling"
    if method["views"] == "auto":
        text += ", without views that harmed predictions of held-out labelled images"
    if method["selection"] == "threshold":
        text += f"; those with a confidence above {method['threshold']:g} were accepted"
    else:
        text += f"; the most confident {100 * method['share']:g} % of each class were accepted"
    if method["rounds"] > 1:
        text += f", in up to {method['rounds']} rounds"
    text += f". The compact networks then learnt human labels and pseudo-labels{recipe}"
    return text + (", as soft targets." if method["targets"] == "soft" else ".")


def _evaluation(config: Mapping[str, Any], networks: Mapping[str, Any], statistics: str) -> str:
    forms = {form for precisions in config["students"].values() for form in precisions}
    quantised = (
        " Models in int8 were quantised after training (static quantisation with calibration images of the training "
        "set, 8-bit activations, 7-bit weights per channel that are rounded by GPTQ)."
        if "int8" in forms
        else ""
    )
    libraries = sorted({network["library"] for network in networks.values()})
    return (
        f"Evaluation. The compared networks were {_listed(list(config['students']))} (PyTorch, {_listed(libraries)}). "
        f"Each was written as an ONNX file, and this file was evaluated by ONNX Runtime.{quantised} The score is F1, "
        "of the rarer class where there are two, unless another is named, else the mean over the classes. "
        f"{statistics} A candidate is recommended if it is the cheapest that is shown to lose less than "
        f"{config['statistics']['margin']:g} points of F1. The significance level is "
        f"{config['statistics']['alpha']:g}. All steps ran as a Snakemake workflow."
    )


def _listed(names: Sequence[str], last: str = "and") -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"
