"""One self-contained page that says which network to take, how sure that is, and what it rests on.

It draws scores and what was decided by them; what needs more (timings, histories, images) is shown where it is given,
and said to be absent, with the reason, where it is not.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pocketscope.core import files
from pocketscope.report import exports, page, words
from pocketscope.report.sections.costs import costs_section
from pocketscope.report.sections.differences import differences_section
from pocketscope.report.sections.gain import gain_section
from pocketscope.report.sections.method import PROTOCOL_TEXTS, method_section, models_section
from pocketscope.report.sections.mistakes import examples_section, mistakes_section
from pocketscope.report.sections.scores import scores_section
from pocketscope.report.sections.study import citable_section, study_section
from pocketscope.report.sections.training import pseudo_labels_section, training_section
from pocketscope.statistics import comparison, score_table
from pocketscope.statistics.decision import Decision
from pocketscope.version import VERSION


def build_report(
    folder: str | os.PathLike,
    scores: pd.DataFrame,
    answers: comparison.Answers,
    decision: Decision,
    *,
    protocol: str = "sound",
    title: str = "pocketscope",
    bounds: Sequence[str] = score_table.BOUNDS,
    timings: pd.DataFrame | None = None,
    histories: pd.DataFrame | None = None,
    pseudo_labels: pd.DataFrame | None = None,
    pseudo_label_curves: pd.DataFrame | None = None,
    examples: Sequence[Mapping[str, Any]] = (),
    provenance: Mapping[str, str] | None = None,
    warnings: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    date: str | None = None,
) -> None:
    """Write `folder`/index.html, each figure as SVG and PDF, each table as CSV and LaTeX, and the methods to be cited.

    Parameters
    ----------
    folder
        Where to write.
    scores
        A checked score table, all splits.
    answers
        What `comparison.compare` returns.
    decision
        What `decision.decide` returns.
    protocol
        What `answers` was made with.
    title
        The page's title.
    bounds
        Methods that know every true label, and do not compete.
    timings
        All that was timed, for a table: what `evaluation.evidence.timings` returns.
    histories
        Columns name, epoch, quantity (such as "training loss"), value.
    pseudo_labels
        Columns dataset, method, round, coverage, accuracy (0 to 1; NaN where the truth is unknown), and where there
        are any accuracy_of_given and remark.
    pseudo_label_curves
        Columns dataset, method, coverage, accuracy: of the surest labels, at every threshold.
    examples
        Images to show: kind (the heading they stand under), image (bytes of a PNG or JPEG, or
        pixels: uint8, height x width x 3), truth, answer, confidence.
    provenance
        Versions, device, seeds, digests: label to text.
    warnings
        What the reader must know before anything else, such as that devices were mixed.
    about
        What was studied: see `sections.study`.
    date
        When the page was made, for its foot; equal inputs give equal bytes where none is given.
    """
    folder = Path(folder)
    main = score_table.most_labelled(scores)
    study = {
        "scores": main,
        "competing": score_table.competitors(main, bounds),
        "bounds": main[main["method"].isin(bounds)],
        "all_scores": score_table.competitors(scores, bounds),
        "answers": answers,
        "decision": decision,
        "found": decision.found,
        "timings": timings,
        "protocol": protocol,
    }
    citable, cited_files = citable_section(about, " ".join(PROTOCOL_TEXTS[protocol]))
    sections = [
        scores_section(study),
        differences_section(study),
        gain_section(study),
        costs_section(study),
        mistakes_section(study),
        training_section(study, histories),
        pseudo_labels_section(pseudo_labels, pseudo_label_curves),
        examples_section(examples),
        models_section(study),
        study_section(about),
        method_section(study, provenance or {}),
        citable,
    ]
    headline = _headline(study)
    rendered = page.template().render(
        title=title,
        subtitle=_subtitle(study["competing"]),
        nothing=[(section["title"], section["blocks"]) for section in sections if section["absent"]],
        headline=headline,
        sections=sections,
        warnings=[*warnings, *score_table.score_remarks(scores)],
        version=VERSION,
        date=date,
    )
    headline_table = [headline["table"]] if headline["table"] else []
    exports.write(page.walk([*headline_table, *(block for section in sections for block in section["blocks"])]), folder)
    for name, text in cited_files.items():
        files.write_text(folder / name, text)
    files.write_text(folder / "index.html", words.explain(rendered))


def _subtitle(scores: pd.DataFrame) -> str:
    competing = score_table.with_row(scores)
    parts = [
        page.count(competing["dataset"].nunique(), "data set"),
        page.count(competing["method"].nunique(), "training method"),
        page.count(competing["row"].nunique(), "network")
        + (" and precisions" if len(competing["precision"].unique()) > 1 else ""),
        page.count(competing["split"].nunique(), "split"),
    ]
    return " · ".join(parts)


def _headline(study: dict[str, Any]) -> dict[str, Any]:
    """Say which candidate to take, with the figures that a reader wants first."""
    found = study["found"]
    named = found["datasets"]
    overall = found["overall"]
    chosen = overall or next(iter(named.values()), None)
    if chosen is None:
        return _unresampled_headline(found["best_mean"], found["no_overall"])
    unit = chosen["unit"].replace("dataset", "data set")
    facts = [*_accuracy_fact(chosen)]
    facts += [
        {
            "label": f"F1 × 100, {100 * chosen['level']:g} % interval",
            "value": f"{100 * chosen['f1']:.1f}",
            "note": page.span(chosen["f1_lower"], chosen["f1_upper"]),
        },
        {
            "label": "F1 × 100, corrected for the choice",
            "value": f"{100 * chosen['f1_corrected']:.1f}",
            "note": f"chosen on nine tenths of the {unit}s, scored on the rest",
        },
        _cost_fact(chosen, "size_mb", "File size", "MB"),
        _cost_fact(chosen, "latency_ms", "Latency, one image on a CPU", "ms"),
        _brought(chosen, found["baseline"]),
    ]
    table = None
    if len(named) + (overall is not None) > 1:
        table = _recommendation_table(named, overall)
    return {
        "network": score_table.row_name(chosen["network"], chosen["precision"]),
        "method": chosen["method"],
        "undecided": chosen["outcome"] == "undecided",
        "text": chosen["text"],
        "facts": facts,
        "remark": chosen["remark"],
        "known": chosen["tested"] and chosen["tested"]["text"],
        "table": table,
    }


def _accuracy_fact(chosen: Mapping[str, Any]) -> list[dict[str, str]]:
    if chosen["accuracy"] is None:
        return []
    return [
        {
            "label": f"Right answers in percent, {100 * chosen['level']:g} % interval",
            "value": f"{100 * chosen['accuracy']:.1f}",
            "note": page.span(chosen["accuracy_lower"], chosen["accuracy_upper"]),
        }
    ]


def _unresampled_headline(best: Mapping[str, Any], reason: str) -> dict[str, Any]:
    return {
        "network": score_table.row_name(best["network"], best["precision"]),
        "method": best["method"],
        "undecided": True,
        "text": f"It scores best. There is no interval: {reason}, and no test predictions were given. Therefore, "
        "neither the uncertainty of this result nor whether a smaller network would suffice is known.",
        "facts": [
            {"label": "F1 × 100", "value": f"{100 * best['f1']:.1f}", "note": "no interval: no predictions given"}
        ],
        "remark": None,
        "known": None,
        "table": None,
    }


def _cost_fact(chosen: Mapping[str, Any], key: str, label: str, unit: str) -> dict[str, str]:
    value = chosen[key]
    if value is None:
        return {"label": label, "value": "–", "note": "not measured"}
    best = chosen[f"best_{key}"]
    note = ""
    if best and chosen["candidate"] != chosen["best_candidate"]:
        note = f"the best candidate's: {best:.3g} {unit}"
    return {"label": label, "value": f"{value:.3g} {unit}", "note": note}


def _brought(chosen: Mapping[str, Any], baseline: str) -> dict[str, str]:
    label, gain = "Gain from the unlabelled images", chosen["gain"]
    if chosen["method"] == baseline:
        note = "this candidate was trained on the labelled images alone"
        return {"label": label, "value": "nothing", "note": note}
    if gain is None:
        note = f"the same network was not trained with '{baseline}', so there is nothing to compare with"
        return {"label": label, "value": "–", "note": note}
    return {
        "label": label,
        "value": f"{100 * gain['difference']:+.1f} points",
        "note": f"{page.signed_span(gain['lower'], gain['upper'])}, compared with the same network trained with "
        f"{baseline}",
    }


def _recommendation_table(named: Mapping[str, Any], overall: Mapping[str, Any] | None) -> dict[str, Any]:
    rows = [{"dataset": name, **chosen} for name, chosen in named.items()]
    if overall is not None:
        rows.append({"dataset": "all data sets", **overall})
    frame = pd.DataFrame(rows)
    return page.table(
        "recommendations",
        "The recommended candidate for each data set",
        frame,
        {
            "dataset": "Data set",
            "candidate": "Candidate",
            "f1": ("F1 × 100", page.hundredfold),
            "f1_lower": ("Lower bound", page.hundredfold),
            "f1_upper": ("Upper bound", page.hundredfold),
            "f1_corrected": ("Corrected for the choice", page.hundredfold),
            "size_mb": ("File size, MB", page.short),
            "latency_ms": ("Latency, ms", page.short),
            "outcome": "Outcome",
        },
    )
