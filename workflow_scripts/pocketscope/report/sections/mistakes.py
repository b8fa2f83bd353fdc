"""Sections: where the recommended candidate errs, and example images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pocketscope.report import figures, page
from pocketscope.statistics.reliable import LEVEL

CLASSES_BESIDE = 5  # a matrix of more classes has no room beside another figure


def mistakes_section(study: dict[str, Any]) -> dict[str, Any]:
    """Show which classes the recommended candidate confuses, and whether its confidence can be believed."""
    title = "Errors and confidence of the recommended candidate"
    if not study["found"]["datasets"]:
        return page.section(
            "errors", title, [page.absent("No test predictions were given. Confusion and reliability are not known.")]
        )
    blocks = []
    every, reliable = study["decision"].answers, study["decision"].reliable.set_index("dataset")
    for dataset, chosen in study["found"]["datasets"].items():
        given, classes = every[every["dataset"] == dataset], chosen["classes"]
        truth, answers = (pd.Categorical(given[name], classes).codes for name in ("truth", "answer"))
        confidence = given["confidence"].to_numpy()
        counts = np.zeros((len(classes), len(classes)))
        np.add.at(counts, (truth, answers), 1 / given["split"].nunique())
        right = truth == answers
        blocks.append({"kind": "heading", "text": f"{dataset}: {chosen['candidate']}"})
        if never := [classes[c] for c in range(len(classes)) if not (answers == c).any()]:
            blocks.append(page.text(f"Classes that were never predicted: {', '.join(never)}."))
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
        gap = f"The mean confidence is {100 * confidence.mean():.0f} %. Correct answers: {100 * right.mean():.0f} %."
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
        blocks.append(page.text(_what_is_reliable(reliable.loc[dataset])))
    return page.section("errors", title, blocks)


def _what_is_reliable(found: pd.Series) -> str:
    """Say from which probability on answers are reliable, and of how many test images that says something."""
    promised = f"at least {100 * found['share']:g} % of the answers"
    if pd.isna(found["probability"]):
        return (
            f"No answer is reliable. {found['right']:,} of {found['tested']:,} test images were answered correctly. "
            f"This shows for no probability that {promised} with this or a higher probability are correct. At least "
            f"{found['more_labels']:,} more test images are needed to show it. What ships is judged by all labelled "
            "images, each by a model that has not seen it."
        )
    covered = 100 * found["answered"] / found["tested"]
    return (
        f"Answers with a probability of {found['probability']:.4f} or more are reliable. {found['answered']:,} of "
        f"{found['tested']:,} test images ({covered:.0f} %) have such an answer, and {found['right']:,} of these "
        f"answers are correct. This shows, with {100 * LEVEL:g} % confidence, that {promised} with this or a higher "
        "probability are correct."
    )


def _worst_confusion(counts: np.ndarray, classes: Sequence[str]) -> str:
    off = counts - np.diag(np.diag(counts))
    if not off.any():
        return "No image was misclassified."
    i, j = np.unravel_index(np.argmax(off), off.shape)
    return (
        f"The most frequent error: {classes[i]} classified as {classes[j]} ({off[i, j]:.3g} of {counts[i].sum():.3g} "
        "images, mean over seeds)."
    )


def examples_section(examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Show example images by kind."""
    if not examples:
        return page.section("examples", "Example images", [page.absent("No images were given.")])
    shown: dict[str, list[dict[str, str]]] = {}
    for example in examples:
        source = page.image_source(example["image"])
        said = (
            f"answer {example['answer']} ({100 * example['confidence']:.0f} % confidence), "
            f"true label {example.get('truth') or 'unknown'}"
        )
        shown.setdefault(str(example["kind"]), []).append({"source": source, "text": said})
    blocks = [{"kind": "images", "heading": kind, "images": images} for kind, images in shown.items()]
    return page.section("examples", "Example images", blocks)
