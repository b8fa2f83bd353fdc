"""The study's configuration: one typed model, validated before anything runs.

Defaults live here and nowhere else. `config/config.schema.json`, which editors complete and check against, is
generated from this module by `python -m pocketscope schema`.
"""

import csv
import difflib
import functools
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from pocketscope.errors import InputError

# Names become parts of file names, wildcards and column values: nothing that a shell or a regular expression reads.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Share = Annotated[float, Field(gt=0, lt=1)]
Precision = Literal["fp32", "int8"]


def _each_once(names: list[Any]) -> list[Any]:
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"'{twice[0]}' stands there twice; name it once")
    return names


Symmetry = Literal["horizontal_flip", "vertical_flip", "quarter_turn"]
View = Literal[
    "identity", "horizontal_flip", "vertical_flip", "both_flips", "rotate_90", "rotate_270", "box_blur",
    "gaussian_blur", "gamma",
]  # fmt: skip
# Which symmetries of a data set a view rests on; the others change no geometry.
VIEW_NEEDS: dict[str, set[str]] = {
    "horizontal_flip": {"horizontal_flip"},
    "vertical_flip": {"vertical_flip"},
    "both_flips": {"horizontal_flip", "vertical_flip"},
    "rotate_90": {"quarter_turn"},
    "rotate_270": {"quarter_turn"},
}
RESERVED = {"datasets"}  # folders of results/ that are no study's: packed images, which studies share
WORTH = 1.1  # times as quick as in fp32, a training in bfloat16 is worth its rounding
BEST_TEACHER = "best_teacher"  # the student that is a method's best teacher


class Model(BaseModel):
    """A part of the configuration: unknown keys are refused, values are checked but not converted by guess."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DigitsSource(Model):
    """The 1,797 images of handwritten digits, 8 x 8 pixels, that scikit-learn carries."""

    kind: Literal["digits"]


class FolderSource(Model):
    """A folder with one sub-folder a class."""

    kind: Literal["folder"]
    path: str = Field(description="The folder; a relative path starts at the folder of the Snakefile.")
    unlabelled: str | None = Field(None, description="A folder of images that nobody has labelled.")
    test: str | None = Field(None, description="A folder, one sub-folder a class, whose images are the test part.")


class Columns(Model):
    """The names of a table's columns, where they are not path, label, group and role."""

    path: str | None = None
    label: str | None = None
    group: str | None = None
    role: str | None = None


class TableSource(Model):
    """A CSV or Parquet table with a row an image."""

    kind: Literal["table"]
    path: str = Field(description="The table; a relative path starts at the folder of the Snakefile.")
    images: str | None = Field(None, description="The folder that the table's paths start from; else the table's own.")
    columns: Columns | None = Field(
        None, description="The columns' names, where they are others; group, role: optional."
    )
    outside: bool = Field(False, description="Whether paths may lead out of the folder of images.")


class ParquetSource(Model):
    """Parquet files as Hugging Face writes image data sets."""

    kind: Literal["parquet"]
    path: str = Field(description="A file, a folder or a pattern.")
    image: str | None = Field(None, description="The images' column. Default: image.")
    label: str | None = Field(None, description="The labels' column. Default: label.")
    group: str | None = Field(None, description="The column of patient, slide or plate.")
    test: str | None = Field(None, description="A file, a folder or a pattern of images that are the test part.")


class MedmnistSource(Model):
    """A set of MedMNIST, which the medmnist package downloads; its own test part is kept."""

    kind: Literal["medmnist"]
    name: str = Field(description="The set, such as bloodmnist.")
    size: Literal[28, 64, 128, 224] = Field(28, description="Side of the images, in pixels.")
    path: str | None = Field(None, description="The .npz file, where it has been downloaded already.")


class Expected(Model):
    """What a data set should hold, so that a study on another version of it does not pass unnoticed."""

    images: int | None = Field(None, ge=1, description="Image files, copies included.")
    classes: int | dict[str, int] | None = Field(
        None, description="How many classes; or the classes, each with its number of image files."
    )


class Dataset(Model):
    """One set of images."""

    source: Annotated[
        DigitsSource | FolderSource | TableSource | ParquetSource | MedmnistSource, Field(discriminator="kind")
    ]
    classes: Annotated[list[str], AfterValidator(_each_once)] | None = Field(
        None, description="The classes to keep; all where none are named.", min_length=2
    )
    page: int = Field(0, ge=0, description="Which page of a TIFF, or frame of a DICOM file, is the image.")
    image_size: int = Field(224, ge=16, le=1024, description="Side of the square that every network sees, in pixels.")
    fit: Literal["squeeze", "crop", "pad"] = Field("squeeze", description="How an oblong image becomes a square.")
    positive: str | None = Field(
        None, description="Two classes: the one whose F1 is reported; the rarer one where none is named."
    )
    symmetries: Annotated[list[Symmetry], AfterValidator(_each_once)] = Field(
        default=["horizontal_flip", "vertical_flip"],
        description="Flips and turns that leave an image's class what it was: augmentation and teachers' views use no "
        "others.",
    )
    max_skipped_share: float = Field(
        0.1, ge=0, le=1, description="Stop where a larger share of the files cannot be read."
    )
    expect: Expected | None = Field(None, description="What should be there; anything else is an error.")
    corrections: str | None = Field(
        None, description="A table of path and label, such as answers.csv with its column label filled in."
    )


class Split(Model):
    """Which images are tested on, labelled and unlabelled."""

    labelled: Annotated[list[Annotated[int, Field(ge=1)] | Literal["all"]], AfterValidator(_each_once)] = Field(
        default=[25], min_length=1, description="Labelled images a class, validation part included; each is a split."
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], AfterValidator(_each_once)] = Field(default=[0], min_length=1)
    evaluation: Literal["holdout", "crossvalidation"] = Field(
        "holdout",
        description="holdout: one part of the images is tested on; crossvalidation: each labelled image once.",
    )
    folds: int = Field(5, ge=2, le=20, description="Parts of a cross-validation; each is trained without.")
    test_share: Share = 0.25
    test_seed: int = Field(
        0, ge=0, description="Draws the test part, or the folds, which are equal for every k and every seed."
    )
    validation_share: Share = Field(0.2, description="Share of the labelled images that choose the best epoch.")
    min_validation: int = Field(
        50,
        ge=1,
        description="There is a validation part where more than half of the classes have so many labelled images.",
    )
    strict: bool = Field(False, description="A class with fewer images than asked for is an error, not a warning.")


class Method(Model):
    """Where a method's labels come from."""

    labels: Literal["human", "full", "teachers"] = Field(
        "teachers",
        description="human: the labelled images alone; full: every training image's true label, the upper bound; "
        "teachers: the labelled images, and those that the teachers label.",
    )
    teachers: Annotated[list[Name], AfterValidator(_each_once)] = Field(
        default=[], description="Networks that label; several are an ensemble."
    )
    fold_teachers: bool = Field(
        False,
        description="The fold teachers of a full cross-fit vote, each trained without one fold, in the place of "
        "the one that is trained on all labels.",
    )
    views: Annotated[list[View], AfterValidator(_each_once)] | Literal["auto"] = Field(
        default=["identity"],
        min_length=1,
        description="What the teachers see of each image; auto: all of the study's views, without those that held-out "
        "labelled images show to be harmful.",
    )
    calibration: Literal["none", "temperature"] = Field(
        "none", description="temperature: each teacher's confidence is scaled on labelled images that it has not seen."
    )
    vote: Literal["mean_probability", "majority"] = Field(
        "mean_probability", description="How the predictions of all teachers and views become one label."
    )
    acceptance: Literal["threshold", "per_class"] = Field(
        "threshold",
        description="threshold: every label above it; per_class: of the images given to each class the surest `share`.",
    )
    threshold: float = Field(
        0.8, ge=0, le=1, description="A label is accepted where its confidence is strictly above this."
    )
    share: float = Field(0.5, gt=0, le=1, description="Of the images given to a class, with `acceptance: per_class`.")
    targets: Literal["hard", "soft"] = Field(
        "hard", description="soft: students learn the teachers' mean probabilities in the place of the label."
    )
    target_temperature: float = Field(1.0, gt=0, le=5, description="Below 1 soft targets are sharpened.")
    rounds: int = Field(1, ge=1, le=20, description="How often teachers are trained and label, at most.")
    stop: Literal["unlabelled", "rounds", "no_improvement"] = Field(
        "unlabelled",
        description="unlabelled: a label once given stays, and rounds end when none is left to give; rounds: each "
        "round labels anew all that people did not; no_improvement: like unlabelled, and rounds end when the teachers' "
        "validation F1 no longer rises.",
    )
    training: Literal["fast", "frozen", "paper", "paper_automl"] | None = Field(
        None, description="The recipe that the students are trained by, where it is not that of the study's 'training'."
    )

    @model_validator(mode="after")
    def _teachers_fit_labels(self) -> "Method":
        if self.labels == "teachers" and not self.teachers:
            raise ValueError("a method that takes its labels from teachers names at least one network in 'teachers'")
        if self.labels != "teachers" and (unused := self.model_fields_set - {"labels", "training"}):
            raise ValueError(f"with 'labels: {self.labels}' the key '{min(unused)}' has no effect; leave it out")
        for key, other, value in (
            ("share", "acceptance", "per_class"),
            ("target_temperature", "targets", "soft"),
            ("stop", "rounds", None),
        ):
            if key in self.model_fields_set and (self.rounds == 1 if value is None else getattr(self, other) != value):
                wanted = "more than one of 'rounds'" if value is None else f"'{other}: {value}'"
                raise ValueError(f"'{key}' has no effect without {wanted}; leave it out")
        if self.fold_teachers and self.rounds > 1:
            raise ValueError("fold teachers are trained on people's labels alone: 'fold_teachers' allows one round")
        return self

    @property
    def needs_held_out(self) -> bool:
        """Whether something is chosen or calibrated on labelled images that the teachers were not trained on."""
        return self.calibration != "none" or self.views == "auto"


# The papers' values, and values for hundreds of steps from pretrained weights.
CONSISTENCY_PRESETS: dict[tuple[str, str], dict[str, Any]] = {
    ("fixmatch", "reference"): {
        "unlabelled_ratio": 7, "unlabelled_weight": 1.0, "ramp_up": 0, "ema_rises": False, "threshold": 0.95,
    },
    ("fixmatch", "fast"): {
        "warm_start": True, "duration": 4.0, "unlabelled_ratio": 1, "unlabelled_weight": 1.0, "ramp_up": 0,
        "ema_rises": True, "threshold": 0.95,
    },
    ("mixmatch", "reference"): {
        "unlabelled_ratio": 1, "unlabelled_weight": 75.0, "ramp_up": 16000, "ema_rises": False, "guesses": 2,
        "temperature": 0.5, "alpha": 0.75,
    },
    ("mixmatch", "fast"): {
        "warm_start": True, "unlabelled_ratio": 1, "unlabelled_weight": 3.0, "ramp_up": 0.4, "ema_rises": True,
        "guesses": 2, "temperature": 0.5, "alpha": 0.1,
    },
}  # fmt: skip
CONSISTENCY_KEYS = {"fixmatch": {"threshold"}, "mixmatch": {"guesses", "temperature", "alpha"}}


def _by_preset(schema: dict[str, Any]) -> None:
    """Take a default out of a key's schema for editors: the value depends on the preset."""
    schema.pop("default", None)


class Consistency(Model):
    """A method that learns labelled and unlabelled images at once."""

    teachers: ClassVar[list[str]] = []
    training: ClassVar[None] = None

    labels: Literal["consistency"]
    algorithm: Literal["fixmatch", "mixmatch"]
    preset: Literal["fast", "reference"] = Field(
        "fast", description="Where the keys that are not given have their values from; reference: the papers'."
    )
    warm_start: bool = Field(
        False, description="Start from the network that was trained on people's labels.", json_schema_extra=_by_preset
    )
    distribution_alignment: bool = Field(
        False, description="Guesses are made as frequent, by class, as the labels are. For sets of like classes."
    )
    duration: float = Field(
        1.0,
        gt=0,
        description="Steps, as a multiple of those that the study gives a training on the labels alone.",
        json_schema_extra=_by_preset,
    )
    unlabelled_ratio: int = Field(
        0, ge=1, le=15, description="Unlabelled images in a batch, for each labelled one.", json_schema_extra=_by_preset
    )
    unlabelled_weight: float = Field(
        0, ge=0, description="Weight of the unlabelled loss.", json_schema_extra=_by_preset
    )
    ramp_up: float = Field(
        0,
        ge=0,
        description="How long that weight rises from 0: up to 1 a share of the steps, above 1 a number of steps.",
        json_schema_extra=_by_preset,
    )
    ema: float = Field(0.999, gt=0, lt=1, description="Decay of the moving average of the weights, which is kept.")
    ema_rises: bool = Field(
        True, description="At step t the decay is at most (1 + t) / (10 + t).", json_schema_extra=_by_preset
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Of people's labels, in the place of the study's: a network that learned smoothed labels is seldom "
        "as sure as `threshold` asks.",
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="FixMatch: a guess is learned where its confidence reaches this.",
        json_schema_extra=_by_preset,
    )
    guesses: int | None = Field(
        None, ge=1, le=8, description="MixMatch: changed copies that are guessed at.", json_schema_extra=_by_preset
    )
    temperature: float | None = Field(
        None, gt=0, le=1, description="MixMatch: below 1 guesses are sharpened.", json_schema_extra=_by_preset
    )
    alpha: float | None = Field(
        None,
        gt=0,
        description="MixMatch: of the Beta distribution that shares are drawn from.",
        json_schema_extra=_by_preset,
    )

    @model_validator(mode="before")
    @classmethod
    def _of_preset(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("algorithm") not in CONSISTENCY_KEYS:
            return given
        algorithm = given["algorithm"]
        others = set().union(*(keys for name, keys in CONSISTENCY_KEYS.items() if name != algorithm))
        if unused := others & set(given):
            raise ValueError(f"with 'algorithm: {algorithm}' the key '{min(unused)}' has no effect; leave it out")
        named = {key: value for key, value in given.items() if value is not None}
        return CONSISTENCY_PRESETS.get((algorithm, given.get("preset", "fast")), {}) | named

    @property
    def images_a_label(self) -> int:
        """How many images go through the network at once for each labelled one, itself included."""
        return 1 + self.unlabelled_ratio * (self.guesses or 2)  # FixMatch: one weakly and one strongly changed copy


AnyMethod = Annotated[
    Annotated[Method, Tag("Method")] | Annotated[Consistency, Tag("Consistency")],
    Discriminator(lambda given: "Consistency" if _labels(given) == "consistency" else "Method"),
]


def _labels(method: Any) -> Any:
    return method.get("labels") if isinstance(method, Mapping) else getattr(method, "labels", None)


class ViewStrengths(Model):
    """How strong the views are that are no symmetry."""

    box_blur: int = Field(3, ge=3, le=15, description="Side of the window, in pixels; odd.")
    gaussian_blur: float = Field(1.0, gt=0, le=4, description="Standard deviation, in pixels.")
    gamma: float = Field(1.5, gt=0, le=5, description="Exponent of the brightness; above 1 darkens.")

    @model_validator(mode="after")
    def _is_felt(self) -> "ViewStrengths":
        if self.gamma == 1:
            raise ValueError("a gamma of 1 changes nothing; take another, or leave 'gamma' out of the views")
        if self.box_blur % 2 == 0:
            raise ValueError("'box_blur' is odd, so that the window has a middle")
        return self


class Augmentation(Model):
    """Random changes of every training image, drawn anew each time; flips are the data set's `symmetries`."""

    rotation: float = Field(15, ge=0, le=180, description="Degrees, at most, either way.")
    zoom: float = Field(0.1, ge=0, lt=1, description="Share, at most, either way.")
    translation: float = Field(0.05, ge=0, lt=1, description="Share of the side, at most, either way.")
    brightness: float = Field(0.05, ge=0, lt=1, description="Share of full white, at most, either way.")
    contrast: float = Field(0.05, ge=0, lt=1, description="Share, at most, either way.")


PAPER: dict[str, Any] = {
    "head": 2,
    "batch_size": 32,
    "learning_rate": "minimum",
    "learning_rate_from_scratch": "minimum",
    "lowest_layers": 0.01,
    "gradient_norm": 0.0,
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
    "paper": PAPER | {"epochs": 50, "evaluations": 50, "patience": 8},
    "paper_automl": PAPER | {"epochs": 8, "evaluations": 8, "patience": 8},
}


class Training(Model):
    """How a network is trained: a new head on frozen features, then all layers."""

    recipe: Literal["fast", "frozen", "paper", "paper_automl"] = Field(
        "fast", description="Where the keys that are not given have their values from."
    )
    head: Literal["regression"] | Annotated[int, Field(ge=0)] = Field(
        "regression",
        description="How a pretrained network's new head is trained before the rest: a logistic regression, its "
        "strength by cross-validation, or so many epochs of gradient steps.",
    )
    steps: int = Field(
        200, ge=0, description="Steps of all layers, from pretrained weights, for a hundred images or fewer."
    )
    steps_from_scratch: int = Field(600, ge=0, description="The same without pretrained weights.")
    growth: float = Field(
        0.5, ge=0, le=1, description="With n times a hundred images there are n ** growth times as many steps."
    )
    epochs: float | None = Field(None, gt=0, description="Passes over the images, in the place of a number of steps.")
    batch_size: int = Field(16, ge=2)
    learning_rate: Annotated[float, Field(gt=0)] | Literal["minimum", "tenth_of_minimum"] = Field(
        5e-4,
        description="Of the highest layers, at the top of the one-cycle schedule; or how a range test finds it.",
    )
    learning_rate_from_scratch: Annotated[float, Field(gt=0)] | Literal["minimum", "tenth_of_minimum"] = Field(
        3e-3, description="Of all layers, without pretrained weights."
    )
    lowest_layers: float = Field(
        1.0, gt=0, le=1, description="Learning rate of the lowest layers as a share of the highest's, if pretrained."
    )
    gradient_norm: float = Field(
        1.0, ge=0, description="Gradients of a larger norm are scaled down to this one; 0: none are."
    )
    weight_decay: float = Field(0.01, ge=0)
    batch_norm: Literal["frozen", "trained"] = Field(
        "frozen",
        description="frozen: pretrained batch normalisation keeps the statistics that its weights came with (weights "
        "that it was folded into have none: there it takes each batch's); trained: it takes each batch's.",
    )
    ema: float = Field(0.99, ge=0, lt=1, description="Decay of the moving average of the weights; 0: none.")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="Share of each label that is spread over all classes.")
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: rare classes count as much as frequent ones."
    )
    mixup: float = Field(0.0, ge=0, description="Alpha of the Beta distribution that shares are drawn from; 0: none.")
    human_share: float = Field(0.5, ge=0, le=1, description="Share of each batch that people labelled.")
    evaluations: int = Field(
        10, ge=1, description="How often the validation part is looked at; an epoch in the tables."
    )
    patience: int = Field(5, ge=1, description="Stop after so many evaluations without a better one.")
    monitor: Literal["f1", "accuracy", "loss"] = Field("f1", description="Of the validation part: what is better.")
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="before")
    @classmethod
    def _of_recipe(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        recipe = RECIPES.get(given.get("recipe", "fast"), {})
        if given.get("epochs") and (unused := {"steps", "steps_from_scratch", "growth"} & set(given)):
            raise ValueError(f"with 'epochs' the key '{min(unused)}' has no effect; leave one of them out")
        if {"steps", "steps_from_scratch"} & set(given):
            recipe = recipe | {"epochs": None}
        if given.get("recipe") == "frozen" and (against := [key for key in ("epochs", "steps") if given.get(key)]):
            raise ValueError(f"'recipe: frozen' trains no layer but the head: leave it out, or '{against[0]}'")
        chosen = {"head": "regression", "steps": 1, "steps_from_scratch": 1} | recipe | dict(given)
        if not any(chosen.get(key) for key in STEPS):
            _refuse_without_effect(given, regression=chosen["head"] == "regression")
        changes = given.get("augmentation", {})
        if isinstance(changes, Mapping):
            given = dict(given) | {"augmentation": recipe.get("augmentation", {}) | dict(changes)}
        return recipe | dict(given)


STEPS = ("epochs", "steps", "steps_from_scratch")
# What has no effect where no layer but the head is trained, and what has none where a regression fits the head.
# `batch_size` always has one: the training steps that are timed are of this size.
OF_STEPS = {"growth", "lowest_layers", "evaluations", "patience"}
OF_GRADIENTS = {
    "learning_rate", "learning_rate_from_scratch", "gradient_norm", "weight_decay", "batch_norm", "ema",
    "label_smoothing", "class_weights", "mixup", "human_share", "monitor", "augmentation",
}  # fmt: skip


def _refuse_without_effect(given: Mapping[str, Any], *, regression: bool) -> None:
    """Raise ValueError where a key of a `training` of the head alone has no effect on how the head is trained."""
    if unused := (OF_STEPS | (OF_GRADIENTS if regression else set())) & set(given):
        head = ", and a regression fits the head" if regression else ""
        raise ValueError(f"no layer but the head is trained{head}: '{min(unused)}' has no effect; leave it out")


class Statistics(Model):
    """How rows are compared; docs/statistics.md says what each protocol does."""

    protocol: Literal["sound", "paper"] = Field("sound", description="paper: as the published comparison did.")
    controls: Annotated[list[str], AfterValidator(_each_once)] = Field(
        default=[],
        description="What the others are compared with (methods, networks, families, precisions); else all pairs.",
    )
    alpha: Share = Field(0.05, description="Level of significance, and one minus the level of all intervals.")
    margin: float = Field(2.0, ge=0, description="Points of F1 that a smaller network may lose to be recommended.")


class Row(Model):
    """A row of the study's tables."""

    method: Name
    network: Name
    precision: Precision = "fp32"


class Ship(Model):
    """What the target `ship` makes: a model trained on every label, and its answers."""

    row: Row | None = Field(None, description="What to ship; the recommended row where none is named.")
    sure: Share = Field(
        0.9, description="An answer is sure where at least this share of test answers as probable were right."
    )


class Compute(Model):
    """What a job may take of a machine."""

    threads: int = Field(1, ge=1, description="Threads of a job that runs a network.")
    device: Literal["auto", "cpu"] = Field("auto", description="auto: a GPU where there is one.")
    arithmetic: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Of the forward pass in training. auto: bf16 where it was quicker by a tenth for the network, at "
        "the nearest size, on the device, by config/arithmetic.csv; fp32 elsewhere, and where that has no row.",
    )


class Config(Model):
    """A study."""

    study: Name = Field(description="Its results lie in results/{study}.")
    seed: int = Field(0, ge=0, description="Every random stream of the study is derived from it.")
    datasets: dict[Name, Dataset] = Field(min_length=1)
    split: Split = Split()
    methods: dict[Name, AnyMethod] = Field(min_length=1)
    students: dict[Name, list[Precision]] = Field(
        min_length=1, description="The networks that are compared, each with the precisions that are evaluated."
    )
    views: Annotated[list[View], AfterValidator(_each_once)] = Field(
        default=["identity", "horizontal_flip", "vertical_flip", "both_flips", "box_blur", "gaussian_blur", "gamma"],
        description="The views that teachers predict, once for every method; a method chooses among them.",
    )
    view_strengths: ViewStrengths = ViewStrengths()
    crossfit: Literal["frozen", "full"] = Field(
        "frozen",
        description="Where there is no validation part, held-out predictions come from folds: frozen, of a head on the "
        "pretrained features; full, of teachers trained without a fold.",
    )
    crossfit_folds: int = Field(5, ge=2, le=10, description="Of the cross-fit.")
    training: Training = Training()
    statistics: Statistics = Statistics()
    ship: Ship = Ship()
    compute: Compute = Compute()
    catalogue: str = Field("config/networks.yaml", description="The networks that may be named.")

    @field_validator("study")
    @classmethod
    def _folder_of_its_own(cls, study: str) -> str:
        if study.casefold() in RESERVED:  # on some disks `Datasets` is the same folder
            raise ValueError(f"results/{study} holds the packed images of all studies; take another name")
        return study

    @field_validator("students")
    @classmethod
    def _precisions(cls, students: dict[str, list[str]]) -> dict[str, list[str]]:
        for network, precisions in students.items():
            if not precisions or len(set(precisions)) < len(precisions):
                raise ValueError(f"'{network}' needs each of its precisions once: [fp32], [int8] or [fp32, int8]")
        return students

    @model_validator(mode="after")
    def _row_that_ships(self) -> "Config":
        row = self.ship.row
        if row is None:
            return self
        if row.method not in self.methods:
            raise ValueError(f"ship.row.method: there is no method '{row.method}'{_nearest(row.method, self.methods)}")
        if self.methods[row.method].labels == "full":
            raise ValueError(f"ship.row.method: '{row.method}' is the upper bound; name a method that could be used")
        if row.precision not in self.students.get(row.network, []):
            rows = [f"{network} {precision}" for network, all_ in self.students.items() for precision in all_]
            raise ValueError(
                f"ship.row: '{row.network} {row.precision}' is not measured by this study; 'students' has "
                f"{', '.join(rows)}"
            )
        return self

    @model_validator(mode="after")
    def _references(self) -> "Config":
        for name, method in self.methods.items():
            if isinstance(method, Consistency):
                self._consistency(name)
                continue
            views = self.views if method.views == "auto" else method.views
            if missing := sorted(set(views) - set(self.views)):
                raise ValueError(f"methods.{name}.views: '{missing[0]}' is not among the study's 'views'; add it there")
            if "identity" not in self.views and (method.needs_held_out or method.stop == "no_improvement"):
                raise ValueError(f"methods.{name}: what it chooses rests on the view 'identity'; add it to 'views'")
            validated = [self.has_validation(labelled) for labelled in self.split.labelled]
            if method.fold_teachers and (self.crossfit != "full" or True in validated):
                raise ValueError(
                    f"methods.{name}: fold teachers are those of 'crossfit: full', and of splits without a validation "
                    "part (split.min_validation)"
                )
            if method.stop == "no_improvement" and False in validated:
                raise ValueError(
                    f"methods.{name}: 'stop: no_improvement' looks at the validation part, which splits with fewer "
                    f"than {self.split.min_validation} labelled a class do not have (split.min_validation)"
                )
            for dataset, settings in self.datasets.items():
                if not allowed_views(views, settings.symmetries):
                    raise ValueError(
                        f"methods.{name}.views: the symmetries of '{dataset}' leave none of them; add 'identity'"
                    )
        return self

    @model_validator(mode="after")
    def _best_teacher(self) -> "Config":
        if BEST_TEACHER in self.students:
            if not any(method.teachers for method in self.methods.values()):
                raise ValueError(f"students: '{BEST_TEACHER}' is the best of the teachers, and no method has any")
            if "identity" not in self.views:
                raise ValueError(f"students: '{BEST_TEACHER}' is chosen by the view 'identity'; add it to 'views'")
        return self

    def _consistency(self, name: str) -> None:
        if name in ("human", "full", "audit"):
            raise ValueError(f"methods.{name}: a method of consistency has another name; a folder has this one")
        if not self.training.steps or not self.training.steps_from_scratch:
            raise ValueError(f"methods.{name}: consistency is learned in steps, of which 'training' has none")

    def has_validation(self, labelled: int | str) -> bool | None:
        """Return whether a split with so many labelled images a class has a validation part; None: the data decide."""
        return None if labelled == "all" else labelled >= self.split.min_validation


class PackageWeights(Model):
    """Weights that an installed Python package carries as a `.pth` file."""

    package: str
    file: str = Field(description="Path of the file inside the package.")
    layout: Literal["library", "efficientnet_pytorch"] = Field(
        "library", description="How the tensors are named: as the library does, or as EfficientNet-PyTorch does."
    )


class FileWeights(Model):
    """Weights from a file: safetensors, or a `.pth` of tensors alone."""

    file: str = Field(description="A relative path starts at the folder of the Snakefile.")


class Network(Model):
    """A network by the library that builds it."""

    library: Literal["timm", "torchvision"]
    name: str = Field(description="The library's own name of the network.")
    family: str = Field(description="How the network was designed; the statistics compare families.")
    weights: Literal["none", "hub"] | PackageWeights | FileWeights = Field(
        description="none, hub (the library downloads them), or a file or a Python package that holds them."
    )
    licence: str | None = Field(None, description="Of the weights; it is written into every model file made of them.")
    options: dict[str, Any] = Field(default={}, description="Passed to the library when the network is built.")
    mean: list[float] | None = Field(None, description="Of each channel, of images in [0, 1]; else the library's.")
    std: list[float] | None = None


def load(raw: Mapping[str, Any], root: Path) -> tuple[Config, dict[str, Network]]:
    """Validate a study's configuration and read the catalogue of networks that it names.

    Parameters
    ----------
    raw
        The configuration as YAML gives it.
    root
        The folder that relative paths start from.

    Returns
    -------
    tuple of Config and dict of str to Network
        The study, and those networks of the catalogue that it uses.

    Raises
    ------
    pocketscope.errors.InputError
        A key is unknown (the nearest known one is named), a value is wrong, or a network is not in the catalogue.
    """
    study = _validate(Config, raw, "configuration")
    path = root / study.catalogue
    if not path.is_file():
        raise InputError(f"catalogue: {path} does not exist")
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    used = sorted(
        (set(study.students) - {BEST_TEACHER}) | {name for method in study.methods.values() for name in method.teachers}
    )
    networks = {}
    for name in used:
        if name not in entries:
            raise InputError(f"network '{name}' is not in {study.catalogue}{_nearest(name, entries)}")
        networks[name] = _validate(Network, entries[name], f"{study.catalogue}: {name}")
    _check_features(study, networks)
    _check_training(study, networks)
    _check_controls(study, networks)
    return study, networks


def _check_features(study: Config, networks: Mapping[str, Network]) -> None:
    """Raise InputError where out-of-fold predictions would rest on the features of a network that has learnt none."""
    if study.crossfit == "frozen" and not all(map(study.has_validation, study.split.labelled)):
        asked = [m for m in study.methods.values() if BEST_TEACHER in study.students or getattr(m, "needs_held_out", 0)]
        for name in (name for method in asked for name in method.teachers):
            if networks[name].weights == "none":
                raise InputError(
                    f"teacher '{name}': 'crossfit: frozen' rests on pretrained features, and it has no pretrained "
                    "weights; set 'crossfit: full'"
                )


def _check_training(study: Config, networks: Mapping[str, Network]) -> None:
    """Raise InputError where a network would neither get a head nor take a step."""
    training = study.training
    for name, network in networks.items():
        steps = training.steps_from_scratch if network.weights == "none" else training.steps
        if training.head == 0 and training.epochs is None and not steps:
            raise InputError(
                f"configuration: 'training': with 'head: 0' and no steps '{name}' learns nothing; train its head "
                "('regression', or a number of epochs), or all its layers ('steps', 'steps_from_scratch')"
            )


def _check_controls(study: Config, networks: Mapping[str, Network]) -> None:
    """Raise InputError where a control is nothing that the statistics will compare: they come after all training."""
    names = control_names(study, networks)
    for control in study.statistics.controls:
        if control not in names:
            known = [name for name in names if "/" not in name or "/" in control]
            raise InputError(
                f"configuration: 'statistics.controls': '{control}' is no method, student, family, precision or "
                f"method/student that is compared{_nearest(control, known)}"
            )


def control_names(study: Config, networks: Mapping[str, Network]) -> list[str]:
    """Return what `statistics.controls` may name: each group that `comparison.questions` will compare.

    Rows are students with their precision (`resnet18`, `resnet18 int8`). Upper bounds do not compete unless there is
    nothing else, and precisions are compared over the networks that have them all.
    """
    methods = [name for name, method in study.methods.items() if method.labels != "full"] or list(study.methods)
    rows, families = [], []
    for name, precisions in study.students.items():
        for precision in precisions:
            rows.append(name if precision == "fp32" else f"{name} {precision}")
            if precision != "fp32":
                families.append("quantised")
            elif name in networks:
                families.append(networks[name].family)
    every = {precision for precisions in study.students.values() for precision in precisions}
    compared = sorted(every) if any(set(precisions) == every for precisions in study.students.values()) else []
    pairs = [f"{method}/{row}" for method in methods for row in rows]
    return list(dict.fromkeys([*methods, *rows, *families, *compared, *pairs]))


def read(path: Path, root: Path) -> tuple[Config, dict[str, Network]]:
    """Read, validate and return a configuration file; see `load`."""
    return load(yaml.safe_load(path.read_text(encoding="utf-8")), root)


def arithmetics(network: str, image_size: int, root: Path) -> dict[str, str]:
    """Return fp32 or bf16 by kind of device: bf16 where it clearly trains `network` quicker, at the nearest size known.

    The table `config/arithmetic.csv` is written by `benchmarks/train_throughput.py`: device, network (the library's own
    name), image_size, and images/s in fp32 and bf16.
    """
    nearest: dict[str, tuple[float, str]] = {}
    for row in _throughputs(root / "config/arithmetic.csv"):
        if row["network"] == network:
            distance = abs(math.log(int(row["image_size"]) / image_size))
            chosen = "bf16" if float(row["bf16"]) > WORTH * float(row["fp32"]) else "fp32"
            nearest[row["device"]] = min(nearest.get(row["device"], (math.inf, "")), (distance, chosen))
    return {device: chosen for device, (_, chosen) in sorted(nearest.items())}


def allowed_views(views: Iterable[str], symmetries: Iterable[str]) -> list[str]:
    """Return those views that leave an image's class what it was, by the symmetries of its data set."""
    allowed = set(symmetries)
    return [view for view in views if VIEW_NEEDS.get(view, set()) <= allowed]


def schema() -> str:
    """Return the JSON schema of a configuration file, as text."""
    return json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def plain(model: BaseModel) -> dict[str, Any]:
    """Return a part of the configuration as plain, ordered values, fit for a rule's `params`."""
    return json.loads(model.model_dump_json())


def digest(value: Any) -> str:
    """Return eight hexadecimal digits that stand for a plain value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


@functools.cache  # asked for by every training
def _throughputs(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _validate(model: type[BaseModel], raw: Any, where: str) -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InputError("\n".join(f"{where}: {_message(model, fault)}" for fault in error.errors())) from None


def _message(model: type[BaseModel], fault: Mapping[str, Any]) -> str:
    # pydantic puts the chosen member of a union into the path; a user's file does not have it.
    path = [str(part) for i, part in enumerate(fault["loc"]) if not _is_union_member(fault["loc"], i)]
    key = ".".join(path) or "the whole"
    if fault["type"] == "extra_forbidden":
        return f"'{key}' is not a key{_nearest(path[-1], _siblings(model, fault['loc']))}"
    if fault["type"] == "missing":
        return f"'{key}' is missing"
    return f"'{key}': {fault['msg'].removeprefix('Value error, ')}"


def _is_union_member(path: tuple[Any, ...], i: int) -> bool:
    part = str(path[i])
    return (
        "[" in part
        or part.startswith("constrained-")
        or (i > 0 and path[i - 1] == "source" and i < len(path) - 1)
        or (i == 2 and path[0] == "methods" and part in ("Method", "Consistency"))
    )


def _siblings(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Return the keys that are known where the last part of `path` stands."""
    here = model.model_json_schema()
    definitions = here.get("$defs", {})
    for part in path[:-1]:
        here = _resolve(here, definitions)
        if "oneOf" in here or "anyOf" in here:
            options = [_resolve(option, definitions) for option in here.get("oneOf", here.get("anyOf"))]
            of_kind = [o for o in options if o.get("properties", {}).get("kind", {}).get("const") == part]
            here = next((o for o in [*of_kind, *options] if o in of_kind or o.get("title") == part), here)
            continue
        named = here.get("properties", {}).get(part)
        here = named or next(iter(here.get("patternProperties", {}).values()), {})
    return list(_resolve(here, definitions).get("properties", {}))


def _resolve(here: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    options = [option for option in here.get("anyOf", []) if option.get("type") != "null"]
    if len(options) == 1:  # a key that may be left out
        here = options[0]
    return definitions[here["$ref"].rsplit("/", 1)[1]] if "$ref" in here else here


def _nearest(name: str, known: Any) -> str:
    known = list(known)
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.5):
        return f"; did you mean '{close[0]}'?"
    return f"; there are: {', '.join(sorted(known))}" if known else ""
