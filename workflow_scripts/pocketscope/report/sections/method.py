"""Sections: model cards, and how all was computed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pocketscope.report import page
from pocketscope.statistics import score_table

PROTOCOL_TEXTS = {
    "sound": (
        "Protocol: sound. Over datasets, competitors are compared by ranks: Iman and Davenport's F with ties "
        "corrected, Quade's F below five groups, and for two the signed-rank test alone. Pairs are compared by "
        "Wilcoxon's signed-rank test, counted out exactly, with Holm's adjustment over the pairs of one question; "
        "the effect is the matched-pairs rank-biserial correlation (−1 to 1). No verdict is given where so few "
        "datasets could not reach the level.",
    ),
    "paper": (
        "Protocol: paper. As the published study of compact networks did: Shapiro-Wilk and Levene on the pooled "
        "values; where both hold, ANOVA with Bonferroni-Dunn; else Quade's F below five groups or Iman-Davenport's "
        "F without tie correction, then z-tests of mean ranks against the best-ranked with Holm's adjustment; the "
        "effect is Cohen's d.",
        "What is doubtful in it: pre-tests choose the test, the control is chosen by the data that test it, z-tests "
        "of mean ranks depend on which other competitors are in the table, and d over datasets mixes their "
        "difficulty into the denominator. The protocol 'sound' avoids all four.",
    ),
}


def models_section(study: dict[str, Any]) -> dict[str, Any]:
    """Show a card for the candidate that is recommended for each dataset."""
    cards = [_card(name, found, study) for name, found in study["found"]["datasets"].items()]
    if not cards:
        return page.section("models", "Model cards", [page.absent("No candidate is recommended from these scores.")])
    return page.section("models", "Model cards", [{"kind": "card", **card} for card in cards])


def _card(dataset: str, found: Mapping[str, Any], study: dict[str, Any]) -> dict[str, Any]:
    splits = sorted(set(study["scores"].loc[study["scores"]["dataset"] == dataset, "split"]))
    interval = f"{100 * found['f1']:.1f} ({100 * found['f1_lower']:.1f} to {100 * found['f1_upper']:.1f})"
    facts = {
        "Dataset": dataset,
        "Splits": ", ".join(splits),
        "Classes": ", ".join(found["classes"]),
        "F1 is that of": found["positive"] or "all classes, mean",
        "Training method": found["method"],
        f"F1 × 100, {100 * found['level']:g} % interval": interval,
        "F1 × 100, corrected for the choice": f"{100 * found['f1_corrected']:.1f}",
        f"Test {found['unit']}s": str(found["units"]),
    }
    if found["size_mb"] is not None:
        facts["File size"] = f"{found['size_mb']:.3g} MB"
    if found["latency_ms"] is not None:
        facts["Latency, one image on a CPU"] = f"{found['latency_ms']:.3g} ms"
    return {
        "name": score_table.row_name(found["network"], found["precision"]),
        "facts": facts,
        "text": "It knows these classes and no others: any image gets one of them as its answer. The figures hold for "
        "images taken as those of this dataset were.",
    }


def method_section(study: dict[str, Any], provenance: Mapping[str, str]) -> dict[str, Any]:
    """Say how the figures were computed and where they come from."""
    blocks = [page.text(text) for text in PROTOCOL_TEXTS[study["protocol"]]]
    blocks.append(
        page.text(
            "A dataset's test units (groups such as patients where given, else images) are resampled 2,000 times or "
            "more with replacement, all candidates' and seeds' predictions of a unit together. Intervals are "
            "percentiles, expanded as few units need it. Over several datasets, the datasets are resampled. A "
            "candidate's F1 is corrected for its choice by choosing on each resample and scoring on what it left out."
        )
    )
    if provenance:
        frame = pd.DataFrame(provenance.items(), columns=["what", "value"])
        blocks.append(
            page.table("provenance", "Where these figures come from", frame, {"what": "What", "value": "Value"})
        )
    else:
        blocks.append(page.absent("Device, seeds and digests are not known: the scores were made elsewhere."))
    return page.section("method", "How this was computed", blocks)
