"""What unlabelled images bring: methods of distillation against supervised training, frozen features and all labels.

    python benchmarks/distillation.py development --data DIR --weights DIR --work DIR [--seconds 100]
    python benchmarks/distillation.py show        --data DIR --weights DIR --work DIR [--seconds 100]

`development` compares ways of labelling on the training side of the project's own splits: the test part is left out,
and a second one is drawn of what remains. `show` scores the methods on the test part: nothing is chosen by it.

The functions are the workflow's own; what is left out is the start of a job for each of them. `cells.py` says what the
benchmarks of training share.
"""

import argparse
import time
from itertools import product
from pathlib import Path
from typing import Any

import cells
import numpy as np
import pyarrow as pa

from pocketscope.config.base import plain
from pocketscope.config.methods import Method
from pocketscope.config.study import Config
from pocketscope.config.views import ViewStrengths, allowed_views
from pocketscope.core import parquet
from pocketscope.distillation import audit, calibration, cross_fit, folds, predict_views, rounds
from pocketscope.distillation.held_out import held_out
from pocketscope.models import networks
from pocketscope.tables.images import read_images
from pocketscope.tables.label_set import human_labels
from pocketscope.tables.predictions import PREDICTIONS, predictions_table
from pocketscope.tables.split import images_with
from pocketscope.tables.teachers import believed
from pocketscope.training.batches import load_examples

NAMES = ("seed", "dataset", "size", "labelled", "part", "teacher", "labels", "student", "method")
ONE, THREE = ["efficientnet_lite0"], ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
VIEWS = list(Config.model_fields["views"].default)
STRENGTHS = plain(ViewStrengths())
PER_CLASS = {"selection": "top_share_per_class", "threshold": 0.0}
CALIBRATED = {"views": "auto", "calibration": "temperature"}

FOLDS = 5
LEFT_OUT = [f"human.f{fold}" for fold in range(FOLDS)]  # people's labels but those of a fold
# `labels` of a method is who labelled; the rest is the method's configuration.
BOUNDS: dict[str, dict[str, Any]] = {
    "frozen": {"labels": "human", "training": "frozen"},
    "supervised": {"labels": "human"},
    "full": {"labels": "full"},
}
DEVELOPMENT = BOUNDS | {
    "plain 0": {"teachers": ONE, "threshold": 0.0},
    "plain 0.8": {"teachers": ONE},
    "plain, 0.8 of each class": {"teachers": ONE, **PER_CLASS, "share": 0.8},
    "data 0": {"teachers": ONE, "views": VIEWS, "threshold": 0.0},
    "data 0.8": {"teachers": ONE, "views": VIEWS},
    "data, 0.8 of each class": {"teachers": ONE, "views": VIEWS, **PER_CLASS, "share": 0.8},
    "data_iter 0.8": {"teachers": ONE, "views": VIEWS, "rounds": 2},
    "data_iter 0.8, all anew": {"teachers": ONE, "views": VIEWS, "rounds": 2, "stop": "rounds"},
    "data_iter, 0.8 of each class": {"teachers": ONE, "views": VIEWS, **PER_CLASS, "share": 0.8, "rounds": 2},
    "model 0": {"teachers": THREE, "threshold": 0.0},
    "model 0.8": {"teachers": THREE},
    "plain 0, fold teachers": {"teachers": ONE, "threshold": 0.0, "fold_teachers": True},
    "model_data 0.8": {"teachers": THREE, "views": VIEWS},
    "model_data, 0.8 of each class": {"teachers": THREE, "views": VIEWS, **PER_CLASS, "share": 0.8},
    "model_data_iter 0.8": {"teachers": THREE, "views": VIEWS, "rounds": 2},
    "model_data_iter, 0.8 of each class": {"teachers": THREE, "views": VIEWS, **PER_CLASS, "share": 0.8, "rounds": 2},
    "model_data 0.8, soft": {"teachers": THREE, "views": VIEWS, "targets": "soft"},
    "model_data 0": {"teachers": THREE, "views": VIEWS, "threshold": 0.0},
    "model_data 0, soft": {"teachers": THREE, "views": VIEWS, "threshold": 0.0, "targets": "soft"},
    "auto 0.8": {"teachers": THREE, **CALIBRATED},
    "auto 0": {"teachers": THREE, **CALIBRATED, "threshold": 0.0},
    "auto, half of each class": {"teachers": THREE, **CALIBRATED, **PER_CLASS, "share": 0.5},
    "auto, 0.8 of each class": {"teachers": THREE, **CALIBRATED, **PER_CLASS, "share": 0.8},
    "auto 0, soft": {"teachers": THREE, **CALIBRATED, "threshold": 0.0, "targets": "soft"},
    "auto 0.8, soft": {"teachers": THREE, **CALIBRATED, "targets": "soft"},
    "auto, 0.8 of each class, soft": {"teachers": THREE, **CALIBRATED, **PER_CLASS, "share": 0.8, "targets": "soft"},
}
SHOW = BOUNDS | {
    "plain": {"teachers": ONE},
    "data": {"teachers": ONE, "views": VIEWS},
    "model": {"teachers": THREE},
    "model_data": {"teachers": THREE, "views": VIEWS},
    "plain, threshold 0": {"teachers": ONE, "threshold": 0.0},
    "model_data, threshold 0": {"teachers": THREE, "views": VIEWS, "threshold": 0.0},
    "model_data, soft": {"teachers": THREE, "views": VIEWS, "targets": "soft"},
    "model_data, threshold 0, soft": {"teachers": THREE, "views": VIEWS, "threshold": 0.0, "targets": "soft"},
    "data_iter": {"teachers": ONE, "views": VIEWS, "rounds": 2},
    "model_iter": {"teachers": THREE, "rounds": 2},
    "model_data, 0.8 of each class": {"teachers": THREE, "views": VIEWS, **PER_CLASS, "share": 0.8},
    "model_data_iter": {"teachers": THREE, "views": VIEWS, "rounds": 2},
    "model_data_iter, 0.8 of each class": {"teachers": THREE, "views": VIEWS, **PER_CLASS, "share": 0.8, "rounds": 2},
}


def main() -> None:
    """Compute what is not there yet, as long as the time lasts, and print the table."""
    parser = cells.parser(__doc__.splitlines()[0])
    parser.add_argument("--students", nargs="+", default=["squeezenet1_1"], choices=list(cells.NETWORKS))
    parser.add_argument("--labelled", type=int, default=25)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--methods", nargs="+", help="all where none are named")
    options = parser.parse_args()
    cells.compute(
        options.work / f"distillation-{options.what}.jsonl",
        asked(options),
        NAMES,
        lambda cell: measure(cell, options),
        options.seconds,
        lambda done: cells.summary(
            [cell for cell in done if "student" in cell],
            ["student", "labelled", "dataset", "method"],
            ["accepted", "accuracy", "accuracy_of_given", "seconds"],
        ),
    )


def asked(options: argparse.Namespace) -> list[cells.Cell]:
    """Return what is to be measured: all of one seed first, teachers before the methods that ask them."""
    methods = DEVELOPMENT if options.what == "development" else SHOW
    chosen = {name: method for name, method in methods.items() if name in (options.methods or methods)}
    found = []
    for seed, dataset in product(options.seeds, options.datasets):
        place = {"seed": seed, "dataset": dataset, "size": options.size, "labelled": options.labelled}
        place |= {"part": options.what}
        needed = {name for method in chosen.values() for name in method.get("teachers", [])}
        found += [place | {"teacher": name, "labels": "human"} for name in THREE if name in needed]
        for name, method in chosen.items():
            after = [f"{name}.r{number}" for number in range(1, method.get("rounds", 1))]
            label_sets = LEFT_OUT if method.get("fold_teachers") else after
            pairs = product(label_sets, method.get("teachers", []))
            found += [place | {"teacher": teacher, "labels": of} for of, teacher in pairs]
            found += [place | {"student": student, "method": name} for student in options.students]
    return found


def measure(cell: cells.Cell, options: argparse.Namespace) -> dict[str, Any]:
    """Train a teacher and keep what it says; or label by a method, train the student, and score it."""
    images = cells.pack(cell, options)
    split, truth, notes = cells.split(images, cell)
    if "teacher" in cell:
        return teach(cell, images, split, notes, options)
    method = (DEVELOPMENT if cell["part"] == "development" else SHOW)[cell["method"]]
    found: dict[str, Any] = {}
    if "teachers" in method:
        labels, found = label(cell, cell["method"], method.get("rounds", 1), split, truth, notes, options)
    else:
        labels = cells.labels_of(split, truth, method["labels"])
    settings = cells.settings({"recipe": method.get("training", "fast")})
    started = time.process_time()
    classifier, _ = cells.train(cell["student"], labels, images, split, notes, cell, settings, options)
    seconds = time.process_time() - started
    f1 = cells.score(classifier, images, split, truth, notes)
    return found | {"f1": f1, "seconds": round(seconds, 1), "labels_in_all": len(labels)}


def teach(
    cell: cells.Cell, images: Path, split: pa.Table, notes: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Train a teacher, and write what it says of the training side, and out of fold of the labelled images."""
    if cell["labels"] == "human":
        labels = cells.labels_of(split, split, "human")
    elif cell["labels"] in LEFT_OUT:
        labels = left_out(cell, split)[LEFT_OUT.index(cell["labels"])]
    else:
        method, _, number = cell["labels"].rpartition(".r")
        labels, _ = label(cell, method, int(number), split, None, notes, options)
    started = time.process_time()
    classifier, _ = cells.train(cell["teacher"], labels, images, split, notes, cell, cells.settings({}), options)
    trained = time.process_time()
    views = allowed_views(VIEWS, cells.DATASETS[cell["dataset"]]["symmetries"])
    wanted = [i for role in ("labelled", "validation", "unlabelled") for i in images_with(split, role)[0]]
    seen = predict_views.probabilities(
        classifier, read_images(images, wanted), len(wanted), views, STRENGTHS, cells.CPU
    )
    path = said(cell, cell["teacher"], cell["labels"], options)
    path.parent.mkdir(exist_ok=True)
    parquet.write(predictions_table(seen[0], views, seen[1]), path, PREDICTIONS)
    predicted = time.process_time()
    if cell["labels"] == "human" and not images_with(split, "validation")[0]:
        write_out_of_fold(cell, labels, images, split, notes, views, options)
    return {"seconds": round(trained - started, 1), "predicting": round(predicted - trained, 1)}


def left_out(cell: cells.Cell, split: pa.Table) -> list[pa.Table]:
    """Return people's labels without each fold."""
    labels = cells.labels_of(split, split, "human")
    units = folds.units(labels["image_id"].to_pylist(), split)
    fold = folds.assign(labels["label"].to_pylist(), units, FOLDS, cell["seed"])
    return [labels.filter(np.asarray(fold != number)) for number in range(FOLDS)]


def write_out_of_fold(
    cell: cells.Cell,
    labels: pa.Table,
    images: Path,
    split: pa.Table,
    notes: dict[str, Any],
    views: list[str],
    options: argparse.Namespace,
) -> None:
    """Predict the labelled images from pretrained features, each without its fold."""
    labelled = load_examples(images, labels, notes["classes"])
    image_ids = labels["image_id"].to_pylist()
    fold = folds.assign(labels["label"].to_pylist(), folds.units(image_ids, split), FOLDS, cell["seed"])
    classifier = networks.build(
        cells.NETWORKS[cell["teacher"]], len(notes["classes"]), options.weights.resolve(), seed=0
    )
    seen = cross_fit.frozen(
        classifier, labelled.images, labelled.targets.argmax(axis=1), fold, views, STRENGTHS, cells.CPU
    )
    path = said(cell, cell["teacher"], "out_of_fold", options)
    parquet.write(predictions_table(image_ids, views, seen), path, PREDICTIONS)


def label(
    cell: cells.Cell,
    name: str,
    last: int,
    split: pa.Table,
    truth: pa.Table | None,
    notes: dict[str, Any],
    options: argparse.Namespace,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return a method's label set after its round `last`, and what the audit says of it."""
    method = (DEVELOPMENT if cell["part"] == "development" else SHOW)[name]
    settings = plain(Method(**method))
    symmetries = cells.DATASETS[cell["dataset"]]["symmetries"]
    views = allowed_views(VIEWS if settings["views"] == "auto" else settings["views"], symmetries)
    labels, asked = human_labels(*images_with(split, "labelled")), "human"
    for number in range(1, last + 1):
        predictions, names, unseen = [], [], {}
        for teacher in settings["teachers"]:
            trained_on = LEFT_OUT if settings["fold_teachers"] else [asked]
            seen = [parquet.read(said(cell, teacher, of, options), PREDICTIONS) for of in trained_on]
            if settings["fold_teachers"]:
                unseen[teacher] = folds.join(seen, [kept["image_id"].to_pylist() for kept in left_out(cell, split)])
            elif (out_of_fold := said(cell, teacher, "out_of_fold", options)).is_file():
                unseen[teacher] = parquet.read(out_of_fold, PREDICTIONS)
            else:
                unseen[teacher] = held_out(seen[0], split)
            predictions += seen
            names += [teacher] * len(seen)
        about = calibration.calibrate(
            unseen,
            split,
            notes["classes"],
            views,
            temperatures=settings["calibration"] == "temperature",
            drop_views=settings["views"] == "auto",
        )
        temperatures, vote = believed(about)
        labels, proposed = rounds.label(
            predictions,
            [temperatures[teacher] for teacher in names],
            labels,
            split,
            notes["classes"],
            settings,
            vote,
            number,
        )
        asked = f"{name}.r{number}"
    found = {"temperatures": sorted(set(np.round(about["temperature"].to_pylist(), 2).tolist()))}
    found["dropped"] = sorted({row["view"] for row in about.to_pylist() if not row["votes"]})
    if truth is not None:
        known = dict(zip(*truth.to_pydict().values(), strict=True))
        total = audit.classes(proposed, notes["classes"], known, method=name, round=last).to_pylist()[0]
        unlabelled = len(images_with(split, "unlabelled")[0])
        pseudo = [
            row for row in labels.select(["image_id", "label", "source"]).to_pylist() if row["source"] == "pseudo"
        ]
        right = [known[row["image_id"]] == row["label"] for row in pseudo]
        found |= {"accepted": len(right) / unlabelled, "accuracy": float(np.mean(right)) if right else None}
        found |= {"accuracy_of_given": total["accuracy_of_given"], "remark": total["remark"]}
    return labels, found


def said(cell: cells.Cell, teacher: str, labels: str, options: argparse.Namespace) -> Path:
    """Return the file of what a teacher says."""
    names = [str(cell[name]) for name in ("part", "dataset", "size", "labelled", "seed")]
    return options.work / "said" / ("-".join([*names, labels, teacher]).replace(" ", "_") + ".parquet")


if __name__ == "__main__":
    main()
