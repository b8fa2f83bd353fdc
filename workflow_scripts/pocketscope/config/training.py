"""Recipes by which networks are trained."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pocketscope.config.base import Model, OwnFunction


class Augmentation(Model):
    """Random changes of every training image, drawn anew each time; flips are the data set's `symmetries`."""

    rotation: float = Field(15, ge=0, le=180, description="Largest rotation in either direction, in degrees.")
    zoom: float = Field(0.1, ge=0, lt=1, description="Largest change in either direction, as a share.")
    translation: float = Field(
        0.05, ge=0, lt=1, description="Largest shift in either direction, as a share of the side."
    )
    brightness: float = Field(
        0.05, ge=0, lt=1, description="Largest change in either direction, as a share of full white."
    )
    contrast: float = Field(0.05, ge=0, lt=1, description="Largest change in either direction, as a share.")
    own: OwnFunction | None = Field(
        None, description="FILE.py:FUNCTION, which changes each batch after all that; default: none."
    )


STEPS = ("epochs", "steps", "steps_from_scratch")
# What has no effect where no layer but the head is trained, and what has none where a regression fits the head.
# `batch_size` always has one: the training steps that are timed are of this size.
OF_STEPS = {"steps_exponent", "lowest_layer_lr_ratio", "n_evaluations", "patience"}
OF_GRADIENTS = {
    "learning_rate", "learning_rate_from_scratch", "max_grad_norm", "weight_decay", "batch_norm", "ema",
    "label_smoothing", "class_weights", "mixup", "labelled_fraction", "monitor", "augmentation",
}  # fmt: skip


def _refuse_without_effect(given: Mapping[str, Any], *, regression: bool) -> None:
    """Raise ValueError where a key of a `training` of the head alone has no effect on how the head is trained."""
    if unused := (OF_STEPS | (OF_GRADIENTS if regression else set())) & set(given):
        head = ", and a regression fits the head" if regression else ""
        raise ValueError(f"only the head is trained{head}: '{min(unused)}' has no effect; leave it out")


PAPER: dict[str, Any] = {
    "head": 2,
    "batch_size": 32,
    "learning_rate": "minimum",
    "learning_rate_from_scratch": "minimum",
    "lowest_layer_lr_ratio": 0.01,
    "max_grad_norm": 0.0,
    "batch_norm": "trained",
    "ema": 0.0,
    "label_smoothing": 0.0,
    "monitor": "accuracy",
    "augmentation": {"rotation": 10, "zoom": 0.1, "translation": 0, "brightness": 0.1, "contrast": 0.2},
}
# A recipe is what it changes of `fast`, whose values are the defaults of Training.
RECIPES: dict[str, dict[str, Any]] = {
    "fast": {},
    # The features of the pretrained network as they are, and a logistic regression: no layer is trained.
    "frozen": {"steps": 0, "steps_from_scratch": 0},
    # Both studies': 2 epochs of the head, then 50 (A) or 8 (B) of all layers, at rates that a range test finds.
    "paper": PAPER | {"epochs": 50, "n_evaluations": 50, "patience": 8},
    "paper_automl": PAPER | {"epochs": 8, "n_evaluations": 8, "patience": 8},
}


class Training(Model):
    """How a network is trained: a new head on frozen features, then all layers."""

    recipe: Literal["fast", "frozen", "paper", "paper_automl"] = Field(
        "fast", description="Source of the default values of the other keys."
    )
    head: Literal["regression"] | Annotated[int, Field(ge=0)] = Field(
        "regression",
        description="How the new head of a pretrained network is trained before the rest: a logistic regression, with "
        "its regularisation from cross-validation, or this many epochs of gradient steps.",
    )
    steps: int = Field(
        200, ge=0, description="Training steps of all layers, from pretrained weights, for a hundred images or fewer."
    )
    steps_from_scratch: int = Field(600, ge=0, description="The same, without pretrained weights.")
    steps_exponent: float = Field(
        0.5, ge=0, le=1, description="With n times a hundred images, there are n ** steps_exponent times as many steps."
    )
    epochs: float | None = Field(None, gt=0, description="Passes over the images, instead of a number of steps.")
    batch_size: int = Field(16, ge=2)
    learning_rate: Annotated[float, Field(gt=0)] | Literal["minimum", "tenth_of_minimum"] = Field(
        5e-4,
        description="Learning rate of the highest layers, at the maximum of the one-cycle schedule; or how a "
        "range test finds it.",
    )
    learning_rate_from_scratch: Annotated[float, Field(gt=0)] | Literal["minimum", "tenth_of_minimum"] = Field(
        3e-3, description="Learning rate of all layers, without pretrained weights."
    )
    lowest_layer_lr_ratio: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Learning rate of the lowest layers as a share of the highest layers', with pretrained weights.",
    )
    max_grad_norm: float = Field(
        1.0,
        ge=0,
        description="Gradient clipping: gradients with a larger norm are scaled down to this norm; 0: no clipping.",
    )
    weight_decay: float = Field(0.01, ge=0)
    batch_norm: Literal["frozen", "trained"] = Field(
        "frozen",
        description="frozen: batch normalisation keeps its pretrained statistics (weights that it was folded into have "
        "none, and each batch's are used); trained: each batch's statistics are used.",
    )
    ema: float = Field(0.99, ge=0, lt=1, description="Decay of the moving average of the weights; 0: no average.")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Share of each label that is spread over all classes.")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: rare classes count as much as frequent ones."
    )
    mixup: float = Field(
        0.0, ge=0, description="Alpha of the Beta distribution that mixing shares are drawn from; 0: no mixup."
    )
    labelled_fraction: float = Field(0.5, ge=0, le=1, description="Share of images with human labels in each batch.")
    n_evaluations: int = Field(
        10, ge=1, description="Number of evaluations on the validation set; each is an epoch in the tables."
    )
    patience: int = Field(
        5, ge=1, description="Early stopping: stop after this many evaluations without an improvement."
    )
    monitor: Literal["f1", "accuracy", "loss"] = Field(
        "f1", description="Metric on the validation set that chooses the best epoch."
    )
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="before")
    @classmethod
    def _of_recipe(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        recipe = RECIPES.get(given.get("recipe", "fast"), {})
        if given.get("epochs") and (unused := {"steps", "steps_from_scratch", "steps_exponent"} & set(given)):
            raise ValueError(f"with 'epochs' the key '{min(unused)}' has no effect; leave one of them out")
        if {"steps", "steps_from_scratch"} & set(given):
            recipe = recipe | {"epochs": None}
        if given.get("recipe") == "frozen" and (against := [key for key in ("epochs", "steps") if given.get(key)]):
            raise ValueError(f"'recipe: frozen' trains only the head: leave it out, or '{against[0]}'")
        chosen = {"head": "regression", "steps": 1, "steps_from_scratch": 1} | recipe | dict(given)
        if not any(chosen.get(key) for key in STEPS):
            _refuse_without_effect(given, regression=chosen["head"] == "regression")
        changes = given.get("augmentation", {})
        if isinstance(changes, Mapping):
            given = dict(given) | {"augmentation": recipe.get("augmentation", {}) | dict(changes)}
        return recipe | dict(given)
