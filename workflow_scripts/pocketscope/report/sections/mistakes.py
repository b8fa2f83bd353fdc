"""Sections: where the recommended candidate errs, and example images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pocketscope.report import figures, page
from pocketscope.statistics import bootstrap

CLASSES_BESIDE = 5  # a matrix of more classes has no room beside another figure


def mistakes_section(study: dict[str, Any]) -> dict[str, Any]:
    """Show which classes the recommended row confuses, and whether its confidence can be believed."""
    title = "Where the recommended row errs, and whether it knows"
    if not study["evidence"]:
        return page.section(
            "errors", title, [page.absent("No test predictions were given: confusion and reliability are not known.")]
        )
    blocks = []
    for dataset, given in study["evidence"].items():
        row = study["found"]["datasets"][dataset]["row"]
        truth, answers, confidence = _answers_of(given, row)
        classes = list(given.classes)
        seeds = len({seed for name, seed in given.predictions if name == row})
        counts = np.zeros((len(classes), len(classes)))
        np.add.at(counts, (truth, answers), 1 / seeds)
        right = truth == answers
        blocks.append({"kind": "heading", "text": f"{dataset}: {row}"})
        if never := [classes[c] for c in range(len(classes)) if not (answers == c).any()]:
            blocks.append(page.text(f"Never given as an answer: {', '.join(never)}."))
        worst = _worst_confusion(counts, classes)
        slug = page.slug(dataset)
        blocks.append(
            page.figure(
                "confusion",
                figures.confusion(counts.round(1), classes),
                f"Confusion matrix. {worst}",
                beside=len(classes) <= CLASSES_BESIDE,
                name=f"confusion-{slug}",
            )
        )
        gap = f"Stated {100 * confidence.mean():.0f} % sure on average, right in {100 * right.mean():.0f} %."
        blocks.append(
            page.figure(
                "reliability",
                figures.reliability(confidence, right),
                f"Reliability diagram. {gap}",
                beside=len(classes) <= CLASSES_BESIDE,
                name=f"reliability-{slug}",
            )
        )
        blocks.append(page.text(f"{worst} {gap}"))
    return page.section("errors", title, blocks)


def _answers_of(given: bootstrap.Evidence, row: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the true and the given class number and the confidence of every test image and seed of a row."""
    number = {name: i for i, name in enumerate(given.classes)}
    label_of = dict(zip(given.truth["image_id"].astype(str), given.truth["label"], strict=True))
    truth, answers, confidence = [], [], []
    for (name, _), frame in given.predictions.items():
        if name == row:
            known = frame[frame["image_id"].astype(str).isin(label_of)]
            probabilities = np.stack(known["probabilities"].to_numpy())
            truth.append([number[label_of[image]] for image in known["image_id"].astype(str)])
            answers.append(probabilities.argmax(axis=1))
            confidence.append(probabilities.max(axis=1))
    return np.concatenate(truth), np.concatenate(answers), np.concatenate(confidence)


def _worst_confusion(counts: np.ndarray, classes: Sequence[str]) -> str:
    off = counts - np.diag(np.diag(counts))
    if not off.any():
        return "No image was confused."
    i, j = np.unravel_index(np.argmax(off), off.shape)
    return (
        f"Most often confused: {classes[i]} taken for {classes[j]} ({off[i, j]:.3g} of {counts[i].sum():.3g} images, "
        "mean over seeds)."
    )


def examples_section(examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Show example images by kind."""
    if not examples:
        return page.section("examples", "Example images", [page.absent("No images were given.")])
    shown: dict[str, list[dict[str, str]]] = {}
    for example in examples:
        source = page.image_source(example["image"])
        said = (
            f"{example['answer']} ({100 * example['confidence']:.0f} % sure); truly {example.get('truth') or 'unknown'}"
        )
        shown.setdefault(str(example["kind"]), []).append({"source": source, "text": said})
    blocks = [{"kind": "images", "heading": kind, "images": images} for kind, images in shown.items()]
    return page.section("examples", "Example images", blocks)
