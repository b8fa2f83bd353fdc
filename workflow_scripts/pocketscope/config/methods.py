"""Training methods, as a configuration gives them."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from pocketscope.config.base import Model, NetworkName, OwnFunction, each_once
from pocketscope.config.views import View


class Method(Model):
    """Where a method's labels come from."""

    labels: Literal["human", "full", "teachers"] = Field(
        "teachers",
        description="human: human labels only; full: the true label of every training image, the upper bound; "
        "teachers: human labels and the teachers' pseudo-labels.",
    )
    teachers: Annotated[list[NetworkName], AfterValidator(each_once)] = Field(
        default=[], description="Networks that make the pseudo-labels; several form an ensemble."
    )
    fold_teachers: bool = Field(
        False,
        description="Whether the fold teachers of a full cross-fit vote, each trained without one fold, instead of "
        "the teacher that is trained on all labels.",
    )
    views: Annotated[list[View], AfterValidator(each_once)] | Literal["auto"] = Field(
        default=["identity"],
        min_length=1,
        description="Versions of each image that the teachers predict; auto: all views of the study, except those that "
        "are harmful on held-out labelled images.",
    )
    calibration: Literal["none", "temperature"] = Field(
        "none",
        description="temperature: each teacher's confidence is scaled on labelled images that it was not trained on.",
    )
    vote: Literal["mean_probability", "majority"] | OwnFunction = Field(
        "mean_probability",
        description="How the predictions of all teachers and views are combined into one label; or FILE.py:FUNCTION.",
    )
    selection: Literal["threshold", "top_share_per_class"] = Field(
        "threshold",
        description="Which predictions become pseudo-labels. threshold: all predictions above `threshold`; "
        "top_share_per_class: the most confident `share` of each predicted class.",
    )
    threshold: float = Field(
        0.8, ge=0, le=1, description="A pseudo-label is accepted if its confidence is strictly above this."
    )
    share: float = Field(
        0.5, gt=0, le=1, description="Accepted share of each predicted class, with `selection: top_share_per_class`."
    )
    targets: Literal["hard", "soft"] = Field(
        "hard", description="soft: students learn the teachers' mean probabilities instead of the label."
    )
    target_temperature: float = Field(1.0, gt=0, le=5, description="Below 1, soft targets are sharpened.")
    rounds: int = Field(
        1, ge=1, le=20, description="Maximum number of rounds; in each, teachers are trained and make pseudo-labels."
    )
    stop: Literal["all_labelled", "rounds", "no_improvement"] = Field(
        "all_labelled",
        description="all_labelled: accepted pseudo-labels stay, and rounds end when no image is left to label; rounds: "
        "each round makes all pseudo-labels anew; no_improvement: like all_labelled, but rounds also end when the "
        "teachers' validation F1 no longer rises.",
    )
    training: Literal["fast", "frozen", "paper", "paper_automl"] | None = Field(
        None, description="The students' training recipe. Default: the study's 'training'."
    )

    @model_validator(mode="after")
    def _teachers_fit_labels(self) -> "Method":
        if self.labels == "teachers" and not self.teachers:
            raise ValueError("a method with 'labels: teachers' needs at least one network in 'teachers'")
        if self.labels != "teachers" and (unused := self.model_fields_set - {"labels", "training"}):
            raise ValueError(f"with 'labels: {self.labels}' the key '{min(unused)}' has no effect; leave it out")
        for key, other, value in (
            ("share", "selection", "top_share_per_class"),
            ("target_temperature", "targets", "soft"),
            ("stop", "rounds", None),
        ):
            if key in self.model_fields_set and (self.rounds == 1 if value is None else getattr(self, other) != value):
                wanted = "more than one of 'rounds'" if value is None else f"'{other}: {value}'"
                raise ValueError(f"'{key}' has no effect without {wanted}; leave it out")
        if self.fold_teachers and self.rounds > 1:
            raise ValueError("fold teachers are trained on human labels only: 'fold_teachers' allows one round")
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
        "unlabelled_ratio": 1, "unlabelled_weight": 75.0, "ramp_up": 16000, "ema_rises": False, "n_augmentations": 2,
        "temperature": 0.5, "alpha": 0.75,
    },
    ("mixmatch", "fast"): {
        "warm_start": True, "unlabelled_ratio": 1, "unlabelled_weight": 3.0, "ramp_up": 0.4, "ema_rises": True,
        "n_augmentations": 2, "temperature": 0.5, "alpha": 0.1,
    },
}  # fmt: skip
CONSISTENCY_KEYS = {"fixmatch": {"threshold"}, "mixmatch": {"n_augmentations", "temperature", "alpha"}}


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
        "fast", description="Source of the default values of the other keys; reference: the papers' values."
    )
    warm_start: bool = Field(
        False, description="Start from the network that was trained on human labels.", json_schema_extra=_by_preset
    )
    distribution_alignment: bool = Field(
        False,
        description="Online pseudo-labels are made as frequent, by class, as the human labels. For data sets "
        "with balanced classes.",
    )
    duration: float = Field(
        1.0,
        gt=0,
        description="Number of steps, as a multiple of the steps of a training run on the human labels only.",
        json_schema_extra=_by_preset,
    )
    unlabelled_ratio: int = Field(
        0,
        ge=1,
        le=15,
        description="Unlabelled images in a batch for each labelled image.",
        json_schema_extra=_by_preset,
    )
    unlabelled_weight: float = Field(
        0, ge=0, description="Weight of the unlabelled loss.", json_schema_extra=_by_preset
    )
    ramp_up: float = Field(
        0,
        ge=0,
        description="How long the weight of the unlabelled loss rises from 0: up to 1, a share of the steps; "
        "above 1, a number of steps.",
        json_schema_extra=_by_preset,
    )
    ema: float = Field(
        0.999, gt=0, lt=1, description="Decay of the moving average of the weights; the averaged weights are kept."
    )
    ema_rises: bool = Field(
        True, description="Whether the decay at step t is at most (1 + t) / (10 + t).", json_schema_extra=_by_preset
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Label smoothing of the human labels, instead of the study's. A network that learned "
        "smoothed labels is seldom as confident as `threshold` demands.",
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="FixMatch: an online pseudo-label is learned if its confidence reaches this.",
        json_schema_extra=_by_preset,
    )
    n_augmentations: int | None = Field(
        None,
        ge=1,
        le=8,
        description="MixMatch: number of augmented copies whose predictions are averaged into a pseudo-label.",
        json_schema_extra=_by_preset,
    )
    temperature: float | None = Field(
        None,
        gt=0,
        le=1,
        description="MixMatch: below 1, online pseudo-labels are sharpened.",
        json_schema_extra=_by_preset,
    )
    alpha: float | None = Field(
        None,
        gt=0,
        description="MixMatch: alpha of the Beta distribution that mixing shares are drawn from.",
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
    def images_per_label(self) -> int:
        """How many images go through the network at once for each labelled one, itself included."""
        return 1 + self.unlabelled_ratio * (
            self.n_augmentations or 2
        )  # FixMatch: one weakly and one strongly changed copy


AnyMethod = Annotated[
    Annotated[Method, Tag("Method")] | Annotated[Consistency, Tag("Consistency")],
    Discriminator(lambda given: "Consistency" if _labels(given) == "consistency" else "Method"),
]


def _labels(method: Any) -> Any:
    return method.get("labels") if isinstance(method, Mapping) else getattr(method, "labels", None)
