"""What ships: which candidate, what its model files are made of, and what shows which of its answers are reliable."""

from collections.abc import Mapping
from typing import Any

from pocketscope.plan.study_plan import SHIP, StudyPlan

INT8_MAY_LOSE = 1.0  # points of F1, shown to be lost: beyond, fp32 ships


def default_method(plan: StudyPlan) -> str:
    """Return the method that ships where the test cannot tell methods apart.

    The one that the configuration names; else the first whose labels teachers make, else the first.
    """
    able = [name for name, method in plan.config.methods.items() if method.labels != "full"]
    return plan.config.ship.method or next((name for name in able if name in plan.distilling), able[0])


def candidate_that_ships(plan: StudyPlan, recommended: Mapping[str, Any]) -> dict[str, str]:
    """Return method, network and precision of what ships, by what is recommended for a data set.

    The same network and precision by the default method goes first, unless the test set shows it to lose more than
    the margin: of candidates of equal cost, a dozen test images recommend whichever chance favours. In fp32, if int8 is
    shown to lose more than a point of F1: a network that is much cheaper may be within a wider margin all the same, and
    yet is better whole.

    Parameters
    ----------
    plan
        The study.
    recommended
        Of `pocketscope.statistics.recommendation.recommend`: `candidate` with its `method`, `network` and
        `precision`, `passing` and `undecided`; and `int8`, of `pocketscope.statistics.decision.decide`.
    """
    chosen = {key: recommended[key] for key in ("method", "network", "precision")}
    twin = default_method(plan) + recommended["candidate"].removeprefix(chosen["method"])
    if twin in (*recommended["passing"], *recommended["undecided"]):
        chosen["method"] = default_method(plan)
    lost = int8_loss(recommended, chosen)
    if chosen["precision"] == "int8" and lost and (lost["lower"] or 0) > INT8_MAY_LOSE / 100:
        chosen["precision"] = "fp32"
    return chosen


def int8_loss(recommended: Mapping[str, Any], candidate: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return what int8 costs a candidate's network: `difference`, `lower` and `upper`; None where nothing measured it.

    Parameters
    ----------
    recommended
        See `candidate_that_ships`.
    candidate
        Its method and network.
    """
    of = (candidate["method"], candidate["network"])
    return next((line for line in recommended.get("int8", ()) if (line["method"], line["network"]) == of), None)


def what_ships(plan: StudyPlan, dataset: str, candidate: Mapping[str, str]) -> dict[str, str | list[str]]:
    """Return what a shipped model is made of: itself, its labels, and what the study's candidate predicts.

    Both precisions ship. `also` is what the other one predicts, where the study measures it.

    Parameters
    ----------
    plan
        The study.
    dataset
        The data set whose model ships.
    candidate
        Method, network and precision.
    """
    shipped = plan.run_of(candidate | {"dataset": dataset, "split": SHIP})
    tested = _tested(plan)
    runs = [plan.run_of(candidate | {"dataset": dataset, "split": split}) for split in tested]
    others = [form for form in plan.config.students[candidate["network"]] if form != candidate["precision"]]
    return {
        "fp32": shipped.onnx("fp32"),
        "int8": shipped.onnx("int8"),
        "labels": plan.labels_of(dataset, SHIP, plan.final_label_set(candidate["method"])),
        "predictions": [run.test(candidate["precision"]) for run in runs],
        "also": [run.test(form) for form in others for run in runs],
        "truths": [plan.layout.split(dataset, split).truth for split in tested],
    }


def shown_by(plan: StudyPlan, dataset: str, candidate: Mapping[str, str]) -> dict[str, str | list[str]]:
    """Return what shows which answers of a shipped model are reliable: itself, and models made without a fold each.

    Where the study is a cross-validation these are its own; where no folds are asked for, those with its test set.

    Parameters
    ----------
    plan, dataset, candidate
        See `what_ships`.
    """
    shipped = plan.run_of(candidate | {"dataset": dataset, "split": SHIP})
    folds = list(plan.ship_folds) or _tested(plan)
    runs = [plan.run_of(candidate | {"dataset": dataset, "split": split}) for split in folds]
    return {
        "fp32": shipped.onnx("fp32"),
        "int8": shipped.onnx("int8"),
        "folds": [run.onnx(candidate["precision"]) for run in runs],
        "predictions": [run.test(candidate["precision"]) for run in runs],
        "truths": [plan.layout.split(dataset, split).truth for split in folds],
    }


def _tested(plan: StudyPlan) -> list[str]:
    """Return the splits that a shipped candidate was tested on: the most labels, and one seed.

    The folds of one seed test each image once. Others would test the same images again.
    """
    most = max(plan.config.split.labelled, key=lambda k: float("inf") if k == "all" else k)
    wanted = {"labelled": most, "seed": plan.config.split.seeds[0]}
    return [split for split, drawn in plan.splits.items() if wanted.items() <= drawn.items()]
