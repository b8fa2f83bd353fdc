"""Sections: model cards, and how all was computed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pocketscope.report import page
from pocketscope.statistics import score_table

PROTOCOL_TEXTS = {
    "sound": (
        "Protocol: sound. Groups are compared by their ranks on the data sets: Iman and Davenport's F with correction "
        "for ties, and Quade's F for fewer than five groups. Pairs are tested by exchanging their scores within data "
        "sets, all pairs of the page's main questions at once (step-down of the largest statistic, Romano and Wolf). "
        "The effect size is the matched-pairs rank-biserial correlation (−1 to 1). No verdict is given where the "
        "data sets are too few to reach the significance level.",
    ),
    "named": (
        "Tests by name: the omnibus test and the adjustment of pairs that were asked for, which the tables name. "
        "Errors are counted for each question by itself.",
    ),
    "paper": (
        "Protocol: paper. The tests of the published study of compact networks: Shapiro-Wilk and Levene on the pooled "
        "values. If neither rejects, ANOVA with Bonferroni-Dunn. Otherwise, Quade's F for fewer than five groups or "
        "Iman-Davenport's F without correction for ties, then z-tests of mean ranks against the group with the best "
        "mean rank, with Holm's adjustment. The effect size is Cohen's d.",
        "This protocol has four weaknesses. Pre-tests choose the test. The control is chosen by the data that test it. "
        "The z-tests of mean ranks depend on which other groups are in the table. Cohen's d over data sets mixes "
        "their difficulty into the denominator. The protocol 'sound' avoids all four.",
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
    interval = f"{100 * found['f1']:.1f} ({page.span(found['f1_lower'], found['f1_upper'])})"
    right = f"{100 * found['accuracy']:.1f} ({page.span(found['accuracy_lower'], found['accuracy_upper'])})"
    facts = {
        "Data set": dataset,
        "Splits": ", ".join(splits),
        "Classes": ", ".join(found["classes"]),
        "F1 is that of": found["positive"] or "all classes, mean",
        "Training method": found["method"],
        f"Right answers in percent, {100 * found['level']:g} % interval": right,
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
        "text": "The model knows only these classes: any image gets one of them as its answer. The figures hold for "
        "images taken in the same way as those of this data set.",
    }


def method_section(study: dict[str, Any], provenance: Mapping[str, str]) -> dict[str, Any]:
    """Say how the figures were computed and where they come from."""
    blocks = [page.text(text) for text in PROTOCOL_TEXTS[study["protocol"]]]
    blocks.append(
        page.text(
            "The test units of a data set (groups such as patients where given, else images) get random weights, 2,000 "
            "times or more. All candidates' and seeds' predictions of a unit stay together. One unit more is imagined: "
            "answered wrongly for the lower end of an interval, and rightly for its upper end. For a share of right "
            "answers this is Clopper and Pearson's interval. F1 is that of all classes of the data set, those without "
            "a test image included. Over several data sets, intervals are Student's t. A candidate's F1 is corrected "
            "for the choice: a candidate is chosen on nine tenths of the units and scored on the rest, in turns. Its "
            "interval is lowered by as much at its lower end."
        )
    )
    if provenance:
        frame = pd.DataFrame(provenance.items(), columns=["what", "value"])
        blocks.append(
            page.table("provenance", "Versions, device, seeds and digests", frame, {"what": "What", "value": "Value"})
        )
    else:
        blocks.append(page.absent("Device, seeds and digests are not known, because the scores were made elsewhere."))
    return page.section("method", "How this was computed", blocks)
