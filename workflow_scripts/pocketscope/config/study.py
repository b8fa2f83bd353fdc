"""The study's configuration: one typed model, validated before anything runs.

Defaults live here and nowhere else. `config/config.schema.json`, which editors complete and check against, is
generated from this module by `pocketscope schema`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from pocketscope.config import yaml_files
from pocketscope.config.base import (
    Model,
    Name,
    NetworkName,
    Precision,
    Share,
    each_once,
    name_in_timm,
    with_network_keys,
)
from pocketscope.config.catalogue import BEST_TEACHER, Network
from pocketscope.config.datasets import Dataset, Split
from pocketscope.config.messages import validate
from pocketscope.config.methods import AnyMethod, Consistency
from pocketscope.config.training import Training
from pocketscope.config.views import View, ViewStrengths, allowed_views
from pocketscope.core import own_functions
from pocketscope.core.errors import InputError
from pocketscope.core.messages import nearest

RESERVED = {"datasets"}  # folders of results/ that are no study's: packed images, which studies share


class Statistics(Model):
    """How candidates are compared; docs/statistics.md says what each protocol does."""

    protocol: Literal["sound", "paper"] = Field("sound", description="paper: the tests of the published comparison.")
    controls: Annotated[list[str], AfterValidator(each_once), AfterValidator(with_network_keys)] = Field(
        default=[],
        description="Methods, networks, families or precisions that the others are compared with. Default: all pairs.",
    )
    alpha: Share = Field(0.05, description="Significance level; all intervals have the confidence level 1 - alpha.")
    margin: float = Field(
        2.0, ge=0, description="Points of F1 that a cheaper candidate may lose and still be recommended."
    )


class Candidate(Model):
    """A candidate of the study's tables."""

    method: Name
    network: NetworkName
    precision: Precision = "fp32"


class Ship(Model):
    """What the target `ship` makes: a model trained on every label, and its answers."""

    candidate: Candidate | None = Field(None, description="The candidate to ship. Default: the recommended one.")
    method: Name | None = Field(
        None,
        description="The method that ships where the test set cannot tell it from the recommended one, network and "
        "precision being the same. Default: the first method with teachers.",
    )
    reliable: Share = Field(
        0.9,
        description="An answer is reliable if labelled images show that at least this share of predictions with the "
        "same or a higher probability is correct.",
    )
    folds: int = Field(
        4,
        ge=0,
        le=20,
        description="So many more times the candidate is trained, each time without another fold of the labels: this "
        "shows which answers of the shipped model are reliable. A cross-validation has folds of its own. 0: the "
        "study's test set shows it.",
    )

    @field_validator("folds")
    @classmethod
    def _more_than_one(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("one fold is all labels, and leaves none to train on; give 0, or 2 or more")
        return folds


class Compute(Model):
    """What a job may take of a machine."""

    threads: int = Field(1, ge=1, description="Threads of each job that runs a network.")
    device: Literal["auto", "cpu"] = Field("auto", description="auto: a GPU if there is one.")
    train_dtype: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Number format of the forward pass in training. auto: bf16 where config/train_dtype.csv "
        "shows it to be "
        "faster by more than a tenth, for the network at the nearest image size on this kind of device; else fp32.",
    )
    shard_size: int = Field(
        2048,
        ge=1,
        description="Files of a data set that one job decodes. A folder or a table of more files is decoded in shards, "
        "side by side; a file stays in its shard, so that files that come later are decoded alone.",
    )


class Config(Model):
    """A study."""

    study: Name = Field(description="Name of the study; its results are in results/{study}.")
    seed: int = Field(0, ge=0, description="Seed that all random numbers of the study are derived from.")
    datasets: dict[Name, Dataset] = Field(min_length=1)
    split: Split = Split()
    methods: dict[Name, AnyMethod] = Field(min_length=1)
    students: dict[NetworkName, list[Precision]] = Field(
        min_length=1,
        description="The networks that are compared, each with its precisions: names of the catalogue, or timm:NAME.",
    )
    views: Annotated[list[View], AfterValidator(each_once)] = Field(
        default=["identity", "horizontal_flip", "vertical_flip", "both_flips", "box_blur", "gaussian_blur", "gamma"],
        description="The views that each teacher predicts, once for all methods; a method chooses among them.",
    )
    view_strengths: ViewStrengths = ViewStrengths()
    crossfit: Literal["frozen", "full"] = Field(
        "frozen",
        description="Source of held-out predictions where there is no validation set. frozen: a head on "
        "pretrained features, "
        "trained without a fold; full: teachers trained without a fold.",
    )
    crossfit_folds: int = Field(5, ge=2, le=10, description="Number of folds of the cross-fit.")
    training: Training = Training()
    statistics: Statistics = Statistics()
    ship: Ship = Ship()
    compute: Compute = Compute()
    catalogue: str = Field("config/networks.yaml", description="File with the networks that can be named.")
    networks: dict[Name, Network] = Field(
        {}, description="Networks of this study, as the catalogue has them; they go before it."
    )

    @field_validator("study")
    @classmethod
    def _folder_of_its_own(cls, study: str) -> str:
        if study.casefold() in RESERVED:  # on some disks `Datasets` is the same folder
            raise ValueError(f"results/{study} contains the packed images of all studies; choose another name")
        return study

    @field_validator("students")
    @classmethod
    def _precisions(cls, students: dict[str, list[str]]) -> dict[str, list[str]]:
        for network, precisions in students.items():
            if not precisions or len(set(precisions)) < len(precisions):
                raise ValueError(f"'{network}' needs each of its precisions once: [fp32], [int8] or [fp32, int8]")
        return students

    @model_validator(mode="after")
    def _candidate_that_ships(self) -> "Config":
        asked, method = self.ship.candidate, self.ship.method
        if method is not None and method not in self.methods:
            raise ValueError(f"ship.method: there is no method '{method}'{nearest(method, self.methods)}")
        if method is not None and self.methods[method].labels == "full":
            raise ValueError(f"ship.method: '{method}' is the upper bound; name a method that can be used")
        if asked is None:
            return self
        if asked.method not in self.methods:
            raise ValueError(
                f"ship.candidate.method: there is no method '{asked.method}'{nearest(asked.method, self.methods)}"
            )
        if self.methods[asked.method].labels == "full":
            raise ValueError(
                f"ship.candidate.method: '{asked.method}' is the upper bound; name a method that can be used"
            )
        if asked.precision not in self.students.get(asked.network, []):
            measured = [f"{network} {precision}" for network, all_ in self.students.items() for precision in all_]
            raise ValueError(
                f"ship.candidate: '{asked.network} {asked.precision}' is not measured by this study; 'students' has "
                f"{', '.join(measured)}"
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
                raise ValueError(f"methods.{name}: the method needs the view 'identity'; add it to 'views'")
            validated = [self.has_validation(labelled) for labelled in self.split.labelled]
            if method.fold_teachers and (self.crossfit != "full" or True in validated):
                raise ValueError(
                    f"methods.{name}: fold teachers need 'crossfit: full', and splits without a validation "
                    "set (split.min_validation)"
                )
            if method.stop == "no_improvement" and False in validated:
                raise ValueError(
                    f"methods.{name}: 'stop: no_improvement' needs a validation set, and splits with fewer than "
                    f"{self.split.min_validation} labelled images per class have none (split.min_validation)"
                )
            for dataset, settings in self.datasets.items():
                if not allowed_views(views, settings.symmetries):
                    raise ValueError(
                        f"methods.{name}.views: the symmetries of '{dataset}' allow none of them; add 'identity'"
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
            raise ValueError(
                f"methods.{name}: a consistency method cannot have this name, which is the name of a folder; rename it"
            )
        if not self.training.steps or not self.training.steps_from_scratch:
            raise ValueError(f"methods.{name}: a consistency method needs training steps, and 'training' has none")

    def has_validation(self, labelled: int | str) -> bool | None:
        """Return whether a split with so many labelled images per class has a validation set; None: the data decide."""
        return None if labelled == "all" else labelled >= self.split.min_validation


def load_config(raw: Mapping[str, Any], root: Path) -> tuple[Config, dict[str, Network]]:
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
    pocketscope.core.errors.InputError
        A key is unknown (the nearest known one is named), a value is wrong, or a network is not in the catalogue.
    """
    study = validate(Config, raw, "configuration")
    path = root / study.catalogue
    if not path.is_file():
        raise InputError(f"catalogue: {path} does not exist")
    entries = yaml_files.load(path)
    used = sorted(
        (set(study.students) - {BEST_TEACHER}) | {name for method in study.methods.values() for name in method.teachers}
    )
    networks = {}
    for name in used:
        if name in study.networks:
            networks[name] = study.networks[name]
        elif name in entries:
            networks[name] = validate(Network, entries[name], f"{study.catalogue}: {name}")
        elif known := name_in_timm(name):
            networks[name] = Network(library="timm", name=known, family="timm", weights="hub")
        else:
            known_names = [*study.networks, *entries]
            raise InputError(
                f"network '{name}' is not in {study.catalogue}{nearest(name, known_names)}. Any network of timm may be "
                "named as it is, such as 'timm:ghostnet_100'; for others, or weights from a file, add an entry to "
                f"'networks' of the configuration, or to {study.catalogue}, whose first lines say how"
            )
    for own in _own_functions(study, networks):
        own_functions.check(own, root)
    _check_features(study, networks)
    _check_training(study, networks)
    _check_controls(study, networks)
    return study, networks


def _own_functions(study: Config, networks: Mapping[str, Network]) -> list[str]:
    """Return the functions of a user's files that a study names, as FILE.py:FUNCTION."""
    named = [study.training.augmentation.own, *(network.build for network in networks.values())]
    named += [getattr(method, "vote", None) for method in study.methods.values()]
    return [name for name in named if name and re.match(own_functions.PATTERN, name)]


def _check_features(study: Config, networks: Mapping[str, Network]) -> None:
    """Raise InputError where out-of-fold predictions would rest on the features of a network that has learnt none."""
    if study.crossfit == "frozen" and not all(map(study.has_validation, study.split.labelled)):
        asked = [m for m in study.methods.values() if BEST_TEACHER in study.students or getattr(m, "needs_held_out", 0)]
        for name in (name for method in asked for name in method.teachers):
            if networks[name].weights == "none":
                raise InputError(
                    f"teacher '{name}': 'crossfit: frozen' needs pretrained features, and this network has no "
                    "pretrained weights; set 'crossfit: full'"
                )


def _check_training(study: Config, networks: Mapping[str, Network]) -> None:
    """Raise InputError where a network would neither get a head nor take a step."""
    training = study.training
    for name, network in networks.items():
        steps = training.steps_from_scratch if network.weights == "none" else training.steps
        if training.head == 0 and training.epochs is None and not steps:
            raise InputError(
                f"configuration: 'training': with 'head: 0' and no steps, '{name}' learns nothing; train its head "
                "('regression', or a number of epochs), or all its layers ('steps', 'steps_from_scratch')"
            )


def _check_controls(study: Config, networks: Mapping[str, Network]) -> None:
    """Raise InputError where a control is nothing that the statistics will compare: they come after all training."""
    names = control_names(study, networks)
    for control in study.statistics.controls:
        if control not in names:
            known = [name for name in names if "/" not in name or "/" in control]
            raise InputError(
                f"configuration: 'statistics.controls': '{control}' is not a method, student, family, precision "
                f"or method/student that is compared{nearest(control, known)}"
            )


def control_names(study: Config, networks: Mapping[str, Network]) -> list[str]:
    """Return what `statistics.controls` may name: each group that `questions.questions` will compare.

    Rows are students with their precision (`resnet18`, `resnet18 int8`). Upper bounds do not compete unless there is
    nothing else, and precisions are compared over the networks that have them all.
    """
    methods = [name for name, method in study.methods.items() if method.labels != "full"] or list(study.methods)
    candidates, families = [], []
    for name, precisions in study.students.items():
        for precision in precisions:
            candidates.append(name if precision == "fp32" else f"{name} {precision}")
            if precision != "fp32":
                families.append("quantised")
            elif name in networks:
                families.append(networks[name].family)
    every = {precision for precisions in study.students.values() for precision in precisions}
    compared = sorted(every) if any(set(precisions) == every for precisions in study.students.values()) else []
    pairs = [f"{method}/{candidate}" for method in methods for candidate in candidates]
    return list(dict.fromkeys([*methods, *candidates, *families, *compared, *pairs]))


def read_config(path: Path, root: Path) -> tuple[Config, dict[str, Network]]:
    """Read, validate and return a configuration file; see `load`."""
    return load_config(yaml_files.load(path), root)


def json_schema() -> str:
    """Return the JSON schema of a configuration file, as text."""
    return json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
