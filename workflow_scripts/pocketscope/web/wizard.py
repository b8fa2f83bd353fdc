"""From three choices to an ordinary configuration file, which `snakemake --configfile` runs anywhere."""

from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from pocketscope.web.project import Project

STUDENT = "efficientnet_lite0"
QUICK_FOLDS = 3  # of a quick look without an exam: each is a training more
VIEWS = ["identity", "horizontal_flip", "vertical_flip", "both_flips", "box_blur", "gaussian_blur", "gamma"]
TEACHERS = ["efficientnet_lite0", "efficientnet_lite1"]

Process = Literal["supervised", "frozen", "plain", "data", "model", "model_data", "fixmatch", "mixmatch"]
# What each process of the two studies does: the page shows it.
PROCESSES: dict[Process, str] = {
    "supervised": "a network learns your labels alone",
    "frozen": "a ready-made network stays as it is, and only its last step learns your labels",
    "plain": "another network, the teacher, learns your labels and labels the other images; the network learns both",
    "data": "the same, and the teacher looks at each image several times, mirrored, blurred, darkened",
    "model": "two teachers label the other images",
    "model_data": "two teachers, who look at each image several times",
    "fixmatch": "the network labels the other images itself while it learns, those that it is sure of",
    "mixmatch": "the network learns from mixtures of labelled and other images",
}
PRESETS: dict[str, list[Process]] = {
    "quick": ["frozen"],
    "recommended": ["supervised", "model_data"],
    "full": [*PROCESSES],
}


class Choice(BaseModel):
    """What a person chose.

    Attributes
    ----------
    preset
        `quick`: the frozen head; `recommended`: distillation beside supervised training; `full`: every process.
    processes, students, teachers, views, threshold, rounds, seeds, steps, image_size
        In place of the preset's, where given.
    symmetries
        Flips and turns that do not change an image's class.
    group
        What belongs together: `folder`, or a pattern of file names; None: nothing does.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    preset: Literal["quick", "recommended", "full"] = "recommended"
    processes: list[Process] | None = Field(None, min_length=1)
    students: list[str] = Field([STUDENT], min_length=1)
    teachers: list[str] = Field(TEACHERS, min_length=1)
    views: list[str] = Field(VIEWS, min_length=1)
    threshold: float | None = Field(None, gt=0, lt=1)
    rounds: int = Field(1, ge=1, le=20)
    seeds: int = Field(1, ge=1, le=10)
    steps: int | None = Field(None, ge=10, le=100_000)
    image_size: int = Field(128, ge=16, le=1024)
    symmetries: list[str] = ["horizontal_flip", "vertical_flip"]
    group: str | None = None


def configuration(project: Project, choice: Choice, *, exam: bool, unlabelled: bool) -> dict[str, Any]:
    """Return the configuration of a study.

    Parameters
    ----------
    project
        Whose images.
    choice
        What the person chose.
    exam
        Whether images were set aside to test on: they are the test set, and no other label tests.
    unlabelled
        Whether images without a label are left; without any, processes that learn from them are left out.
    """
    source = {"kind": "folder", "unlabelled": str(project.folder)}
    if choice.group:
        source["group"] = choice.group
    processes = choice.processes or PRESETS[choice.preset]
    if not unlabelled:
        processes = [one for one in processes if one in ("supervised", "frozen")] or ["supervised"]
    split: dict[str, Any] = {"labelled": ["all"]}
    if choice.seeds > 1:
        split["seeds"] = list(range(choice.seeds))
    if not exam:
        split["evaluation"] = "crossvalidation"
    study: dict[str, Any] = {
        "study": "study",
        "datasets": {
            project.dataset: {
                "source": source,
                "labels": str(project.journal),
                **({"page": project.page} if project.page else {}),
                "image_size": choice.image_size,
                "symmetries": choice.symmetries,
            }
        },
        "split": split,
        "methods": {one: _method(one, choice) for one in processes},
        "students": {one: ["fp32", "int8"] for one in choice.students},
    }
    if choice.preset == "quick":
        study |= _one_model(study, exam)
    if choice.steps:
        study["training"] = {"steps": choice.steps}
    return study


def _one_model(study: dict[str, Any], exam: bool) -> dict[str, Any]:
    """Return what a quick look changes in a study of one model: it is tested and ships, and nothing is compared.

    What ships is named, so that it waits for no recommendation, no timing of networks and no report: these are made
    by `snakemake` without a target, when somebody asks for them.
    """
    (network, *more), (method, *others) = study["students"], study["methods"]
    if more or others or "seeds" in study["split"]:
        return {}
    # The exam shows which answers are reliable: four trainings less.
    ship = {"candidate": {"method": method, "network": network, "precision": "fp32"}} | ({"folds": 0} if exam else {})
    split = study["split"] | ({} if exam else {"folds": QUICK_FOLDS})
    return {"split": split, "students": {network: ["fp32"]}, "ship": ship}


def _method(process: Process, choice: Choice) -> dict[str, Any]:
    if process == "supervised":
        return {"labels": "human"}
    if process == "frozen":
        return {"labels": "human", "training": "frozen"}
    if process in ("fixmatch", "mixmatch"):
        return {"labels": "consistency", "algorithm": process}
    method: dict[str, Any] = {"teachers": choice.teachers if "model" in process else choice.teachers[-1:]}
    if "data" in process:
        method["views"] = choice.views
    if choice.threshold is not None:
        method["threshold"] = choice.threshold
    if choice.rounds > 1:
        method |= {"rounds": choice.rounds, "stop": "rounds"}
    return method


def as_text(configuration: dict[str, Any], command: str) -> str:
    """Return a configuration as the text of its file."""
    said = "# Written by the desk. It runs without it, too:\n#\n"
    said += f"#     {command}\n#\n# config/config.yaml explains every key.\n"
    return said + yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True, width=100)
