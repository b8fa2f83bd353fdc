"""One self-contained page that says which network to take, how sure that is, and what it rests on.

It is built from a score table alone; what needs more (predictions, timings, histories, images) is shown where it is
given, and said to be absent, with the reason, where it is not.
"""

import base64
import html
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from scipy import stats

from pocketscope import __version__, comparison, figures, files, recommendation, resampling, score_table

BASELINE = "supervised"
TABLE_ROWS = 1500  # beyond, a page is slow on a phone; the CSV files hold all
MAIN_SUBJECTS = ("mean over networks", "mean over methods")
COST_LABELS = {"latency_ms": "latency (ms an image, CPU)", "size_mb": "file size (MB)"}


def build(
    folder: str | os.PathLike,
    scores: pd.DataFrame,
    answers: comparison.Answers,
    *,
    protocol: str = "sound",
    alpha: float = 0.05,
    margin: float = recommendation.MARGIN,
    title: str = "pocketscope",
    costs: pd.DataFrame | None = None,
    evidence: Mapping[str, resampling.Evidence] | None = None,
    histories: pd.DataFrame | None = None,
    pseudo_labels: pd.DataFrame | None = None,
    examples: Sequence[Mapping[str, Any]] = (),
    models: Sequence[Mapping[str, Any]] = (),
    provenance: Mapping[str, str] | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Write `folder`/index.html, `folder`/recommendation.json and `folder`/figures/*.svg.

    Parameters
    ----------
    folder
        Where to write.
    scores
        A checked score table, all splits.
    answers
        What `comparison.compare` returns.
    protocol, alpha, margin
        What `answers` was made with, and how many points of F1 a cheaper row may lose.
    title
        The page's title.
    costs
        Columns network, and where known precision, size_mb (file), latency_ms (one image).
    evidence
        Test predictions by dataset.
    histories
        Columns name, epoch, quantity (such as "training loss"), value.
    pseudo_labels
        Columns dataset, method, round, coverage, accuracy (0 to 1; NaN where the truth is unknown).
    examples
        Images to show: kind (the heading they stand under), image (bytes of a PNG or JPEG), truth, answer, confidence.
    models
        One card a shipped model: name, facts (label to text), and text.
    provenance
        Versions, device, seeds, digests: label to text.
    warnings
        What the reader must know before anything else, such as that devices were mixed.

    Returns
    -------
    dict
        The recommendation, as in recommendation.json.
    """
    folder = Path(folder)
    main = score_table.most_labelled(scores)
    found, resamples = recommendation.for_study(main, costs, evidence, margin=margin, alpha=alpha)
    study = {
        "scores": main,
        "all_scores": scores,
        "answers": answers,
        "found": found,
        "resamples": resamples,
        "costs": costs,
        "evidence": evidence or {},
        "alpha": alpha,
        "protocol": protocol,
    }
    sections = [
        _scores_section(study),
        _differences_section(study),
        _gain_section(study),
        _trade_off_section(study),
        _errors_section(study),
        _learning_section(study, histories),
        _pseudo_label_section(pseudo_labels),
        _examples_section(examples),
        _models_section(models),
        _method_section(study, provenance or {}),
    ]
    page = _template().render(
        title=title,
        subtitle=_subtitle(main),
        headline=_headline(study),
        sections=sections,
        warnings=[*warnings, *score_table.remarks(scores)],
        version=__version__,
    )
    for section in sections:
        for block in _blocks(section["blocks"]):
            if block["kind"] == "figure":
                files.write_text(folder / "figures" / f"{block['id']}.svg", block["svg"])
    files.write_text(folder / "index.html", page)
    files.write_text(folder / "recommendation.json", json.dumps(found, indent=2, allow_nan=False))
    return found


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("report.html")


def _subtitle(scores: pd.DataFrame) -> str:
    competing = score_table.with_row(score_table.competitors(scores))
    parts = [
        _count(competing["dataset"].nunique(), "dataset"),
        _count(competing["method"].nunique(), "training method"),
        _count(competing["row"].nunique(), "network")
        + (" and precisions" if competing["precision"].nunique() > 1 else ""),
        _count(competing["split"].nunique(), "split"),
    ]
    return " · ".join(parts)


# --- the headline -----------------------------------------------------------------------------------------------------


def _headline(study: dict[str, Any]) -> dict[str, Any]:
    """Say which row to take, with the figures that a reader wants first."""
    found = study["found"]
    named = found["datasets"]
    overall = found["overall"]
    if len(named) == 1 and overall is None:
        key, chosen = next(iter(named.items()))
    elif overall is not None:
        key, chosen = "overall", overall
    elif named:
        key, chosen = next(iter(named.items()))
    else:
        return _unresampled_headline(study)
    facts = [
        {
            "label": f"F1 × 100, {100 * chosen['level']:g} % interval",
            "value": f"{100 * chosen['f1']:.1f}",
            "note": f"{100 * chosen['f1_lower']:.1f} to {100 * chosen['f1_upper']:.1f}",
        },
        {
            "label": "F1 × 100, corrected for the choice",
            "value": f"{100 * chosen['f1_corrected']:.1f}",
            "note": f"scored on {chosen['unit']}s left out of each resample that chose",
        },
        _cost_fact(chosen, "size_mb", "File size", "MB"),
        _cost_fact(chosen, "latency_ms", "Latency, one image on a CPU", "ms"),
        _brought(study, key, chosen),
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
        "table": table,
    }


def _unresampled_headline(study: dict[str, Any]) -> dict[str, Any]:
    cells = score_table.cells(score_table.competitors(study["scores"])).mean()
    method, row = cells.idxmax()
    return {
        "network": row,
        "method": method,
        "undecided": True,
        "text": "It scores best. One dataset without its test predictions gives no interval, so that how sure this "
        "is, and "
        "whether a smaller network would do, cannot be said.",
        "facts": [
            {"label": "F1 × 100", "value": f"{100 * cells.max():.1f}", "note": "no interval: no predictions given"}
        ],
        "remark": None,
        "table": None,
    }


def _cost_fact(chosen: Mapping[str, Any], key: str, label: str, unit: str) -> dict[str, str]:
    value = chosen[key]
    if value is None:
        return {"label": label, "value": "–", "note": "not measured: no timing table was given"}
    best = chosen[f"best_{key}"]
    note = ""
    if best and chosen["row"] != chosen["best_row"]:
        note = f"the best row's: {best:.3g} {unit}"
    return {"label": label, "value": f"{value:.3g} {unit}", "note": note}


def _brought(study: dict[str, Any], key: str, chosen: Mapping[str, Any]) -> dict[str, str]:
    label = "What the unlabelled images brought"
    row = score_table.row_name(chosen["network"], chosen["precision"])
    reference = f"{BASELINE}/{row}"
    result = study["resamples"][key]
    if chosen["method"] == BASELINE:
        return {"label": label, "value": "nothing", "note": "this row was trained on the labelled images alone"}
    if reference not in result.rows:
        return {"label": label, "value": "–", "note": f"there is no row '{reference}' to compare with"}
    line = resampling.differences(result, [(chosen["row"], reference)], alpha=study["alpha"]).iloc[0]
    return {
        "label": label,
        "value": f"{100 * line['difference']:+.1f} points",
        "note": f"{100 * line['lower']:+.1f} to {100 * line['upper']:+.1f}, against {BASELINE} training of the same "
        "network",
    }


def _recommendation_table(named: Mapping[str, Any], overall: Mapping[str, Any] | None) -> dict[str, Any]:
    rows = [{"dataset": name, **chosen} for name, chosen in named.items()]
    if overall is not None:
        rows.append({"dataset": "all datasets", **overall})
    frame = pd.DataFrame(rows)
    return _table(
        "recommendations",
        "The row to take, by dataset",
        frame,
        {
            "dataset": "Dataset",
            "row": "Row",
            "f1": ("F1 × 100", _hundredfold),
            "f1_lower": ("from", _hundredfold),
            "f1_upper": ("to", _hundredfold),
            "f1_corrected": ("corrected", _hundredfold),
            "size_mb": ("MB", _short),
            "latency_ms": ("ms", _short),
            "outcome": "Outcome",
        },
    )


# --- the sections -----------------------------------------------------------------------------------------------------


def _scores_section(study: dict[str, Any]) -> dict[str, Any]:
    frame = study["scores"]
    cells = score_table.cells(score_table.competitors(frame))
    means = cells.mean()
    grid = means.unstack("method")  # noqa: PD010 - nothing is aggregated
    grid = grid.reindex(
        index=list(dict.fromkeys(cells.columns.get_level_values("row"))),
        columns=list(dict.fromkeys(cells.columns.get_level_values("method"))),
    )
    method, row = means.idxmax()
    n = len(cells)
    best = f"The best mean is {100 * means.max():.1f}, of {row} trained with {method}."
    blocks = [
        _text(best if means.size > 1 else f"There is one row: {row} trained with {method}, {100 * means.max():.1f}."),
        _figure("heat_map", figures.heat_map(grid), f"Heat map of F1 by network and training method. {best}"),
    ]
    summary = pd.DataFrame(
        {
            "network": [name for _, name in cells.columns],
            "method": [name for name, _ in cells.columns],
            "mean": means.to_numpy(),
            "deviation": cells.std(ddof=1).to_numpy() if n > 1 else math.nan,
            "lowest": cells.min().to_numpy(),
            "highest": cells.max().to_numpy(),
        }
    ).sort_values("mean", ascending=False)
    columns = {"network": "Network", "method": "Method", "mean": ("F1 × 100", _hundredfold)}
    if n > 1:
        columns |= {
            "deviation": ("Standard deviation over datasets", _hundredfold),
            "lowest": ("Lowest dataset", _hundredfold),
            "highest": ("Highest dataset", _hundredfold),
        }
    blocks.append(_table("f1-by-row", "F1 of every row, mean over datasets and splits", summary, columns))
    long = score_table.with_row(frame)[["dataset", "split", "method", "row", "value"]]
    every = {
        "dataset": "Dataset",
        "split": "Split",
        "method": "Method",
        "row": "Network",
        "value": ("F1 × 100", _hundredfold),
    }
    blocks.append(_details("Every score", [_table("scores", "Every score", long, every)]))
    if len(frame) != len(study["all_scores"]):
        kept = ", ".join(sorted(frame["split"].unique()))
        blocks.insert(0, _text(f"Shown and compared are the splits with the most labelled images: {kept}."))
    bound = frame[frame["method"] == score_table.UPPER_BOUND]
    if len(bound) and frame["method"].nunique() > 1:
        blocks.append(
            _text(
                f"Trained on all true labels, the same networks reach {100 * bound['value'].mean():.1f} on average: a "
                "bound, "
                "which does not compete."
            )
        )
    return _section("scores", "F1 by method and network", blocks)


def _differences_section(study: dict[str, Any]) -> dict[str, Any]:
    answers: comparison.Answers = study["answers"]
    blocks = []
    order = [("methods", MAIN_SUBJECTS[0]), ("networks", MAIN_SUBJECTS[1])]
    asked = list(answers.omnibus[["question", "subject"]].itertuples(index=False, name=None))
    others = [key for key in asked if key not in order]
    for key in (key for key in order if key in asked):
        blocks += _question_blocks(study, *key)
    for name in dict.fromkeys(question for question, _ in others):
        inner = [
            block
            for key in others
            if key[0] == name
            for block in _question_blocks(study, *key, with_figure=name != "rows")
        ]
        blocks.append(_details(f"{QUESTION_TITLES[name]}, one by one", inner))
    if len(asked):
        blocks.append(_table("omnibus", "All omnibus tests", answers.omnibus, OMNIBUS_COLUMNS, folded=True))
    blocks += [
        _absent(f"{QUESTION_TITLES[row.question]} ({row.subject}): {row.reason}.")
        for row in answers.skipped.itertuples()
    ]
    for dataset, result in study["resamples"].items():
        if dataset != "overall":
            blocks.append(_resampled_block(study, dataset, result))
    return _section("differences", "Which differences are real", blocks)


def _question_blocks(
    study: dict[str, Any], question: str, subject: str, with_figure: bool = True
) -> list[dict[str, Any]]:
    answers: comparison.Answers = study["answers"]
    groups, omnibus, pairs = (_pick(frame, question, subject) for frame in answers[:3])
    row = omnibus.iloc[0]
    heading = f"{QUESTION_TITLES[question]}: {subject}"
    blocks = [{"kind": "heading", "text": heading}, _text(_verdict(row, pairs, study["alpha"]))]
    name = f"ranks-{question}-{_slug(subject)}"
    if with_figure and 2 < len(groups) <= 80:
        order = ", ".join(groups.sort_values("rank")["group"].head(5))
        blocks.append(
            _figure(
                "rank_diagram",
                figures.rank_diagram(groups, pairs, datasets=int(row["datasets"])),
                f"Mean ranks of {len(groups)} {question}, the best first: {order}{'…' if len(groups) > 5 else ''}.",
                name=name,
            )
        )
    blocks.append(_table(f"pairs-{question}-{_slug(subject)}", f"Pairs: {heading}", pairs, PAIR_COLUMNS, folded=True))
    return blocks


def _verdict(row: pd.Series, pairs: pd.DataFrame, alpha: float) -> str:
    """Say in words what an omnibus test and its pairs found."""
    if row["verdict"] == comparison.ALL_ALIKE:
        return "All groups score alike on every dataset: there is nothing to test."
    freedom = ", ".join(str(row[name]) for name in ("df1", "df2") if not pd.isna(row[name]))
    statistic = "" if math.isnan(row["statistic"]) or not freedom else f" F({freedom}) = {_short(row['statistic'])},"
    text = f"{row['test']}:{statistic} p {_p(row['p'])}; Kendall's W {row['kendalls_w']:.2f}. "
    different = int(pairs["better"].notna().sum())
    if row["verdict"] == comparison.TOO_FEW:
        return text + (
            f"No verdict: {row['datasets']} datasets could not give a p-value below {_short(row['smallest_p'])} "
            "whatever the "
            f"scores were, and the level is {alpha:g}."
        )
    text += "The groups differ. " if row["verdict"] == comparison.DIFFERENT else "No difference is shown. "
    unreachable = pairs["verdict"] == comparison.TOO_FEW
    if unreachable.all():
        return text + (
            f"No verdict on pairs: with {row['datasets']} datasets and {len(pairs)} comparisons, Holm's adjusted "
            "p-value cannot "
            f"fall below {_short(pairs['smallest_p'].min())}. Declare a control, or bring more datasets."
        )
    return text + f"Of {_count(len(pairs), 'pair')} compared, {different} differ{'s' if different == 1 else ''}."


def _resampled_block(study: dict[str, Any], dataset: str, result: resampling.Bootstrap) -> dict[str, Any]:
    """Compare every row of one dataset with the recommended one."""
    chosen = study["found"]["datasets"][dataset]["row"]
    if len(result.rows) < 2:
        return _absent(f"{dataset}: there is one row, and nothing to compare it with.")
    lines = resampling.differences(
        result, [(row, chosen) for row in result.rows if row != chosen], alpha=study["alpha"]
    )
    remark = resampling.reliability_remark(result)
    text = f"{dataset}: every row against {chosen}, {result.units:,} test {result.unit}s resampled. {remark or ''}"
    table = _table(
        f"resampled-{_slug(dataset)}", text, lines.sort_values("difference", ascending=False), DIFFERENCE_COLUMNS
    )
    return _details(f"{dataset}: rows against the recommended one", [table])


def _gain_section(study: dict[str, Any]) -> dict[str, Any]:
    title = "What the unlabelled images brought"
    cells = score_table.cells(score_table.competitors(study["scores"]))
    methods = list(dict.fromkeys(cells.columns.get_level_values("method")))
    if BASELINE not in methods or len(methods) < 2:
        reason = (
            f"no row was trained on the labelled images alone (method '{BASELINE}')"
            if BASELINE not in methods
            else "no other method was run"
        )
        return _section("gain", title, [_absent(f"The gain over supervised training does not apply: {reason}.")])
    blocks = []
    if len(cells) > 2:
        lines = pd.DataFrame(
            [_gain_over_datasets(cells, method, study["alpha"]) for method in methods if method != BASELINE]
        )
        blocks += _gain_blocks(
            lines, "over-datasets", f"mean over networks, t interval over {len(cells)} datasets", study
        )
    elif len(cells) == 2:
        blocks.append(_absent("Two datasets are too few for an interval over datasets."))
    for dataset, result in study["resamples"].items():
        if dataset != "overall":
            lines = pd.DataFrame([_gain_on_units(result, m, study["alpha"]) for m in methods if m != BASELINE])
            label = f"{dataset}: mean over networks, {result.units:,} test {result.unit}s resampled"
            blocks += _gain_blocks(lines, _slug(dataset), label, study)
    if not blocks:
        blocks.append(_absent("One dataset without its test predictions gives no interval."))
    return _section("gain", title, blocks)


def _gain_over_datasets(cells: pd.DataFrame, method: str, alpha: float) -> dict[str, Any]:
    difference = 100 * (cells[method].mean(axis=1) - cells[BASELINE].mean(axis=1))
    n = len(difference)
    reach = stats.t.ppf(1 - alpha / 2, n - 1) * difference.std(ddof=1) / math.sqrt(n)
    mean = float(difference.mean())
    return {"name": method, "difference": mean, "lower": mean - reach, "upper": mean + reach}


def _gain_on_units(result: resampling.Bootstrap, method: str, alpha: float) -> dict[str, Any]:
    of = {name: [i for i, row in enumerate(result.rows) if row.startswith(f"{name}/")] for name in (method, BASELINE)}
    resampled = 100 * (result.inside[:, of[method]].mean(axis=1) - result.inside[:, of[BASELINE]].mean(axis=1))
    lower, upper = np.nanquantile(resampled, [alpha / 2, 1 - alpha / 2])
    point = 100 * float(result.point[of[method]].mean() - result.point[of[BASELINE]].mean())
    return {"name": method, "difference": point, "lower": float(lower), "upper": float(upper)}


def _gain_blocks(lines: pd.DataFrame, name: str, label: str, study: dict[str, Any]) -> list[dict[str, Any]]:
    level = f"{100 * (1 - study['alpha']):g} %"
    said = "; ".join(
        f"{row.name_} {row.difference:+.1f}" for row in lines.rename(columns={"name": "name_"}).itertuples()
    )
    figure = figures.gains(lines, label=f"points of F1 × 100 gained over {BASELINE} ({level} interval)")
    columns = {
        "name": "Method",
        "difference": ("Gain, points", _signed),
        "lower": ("from", _signed),
        "upper": ("to", _signed),
    }
    return [
        _text(label[0].upper() + label[1:] + "."),
        _figure("gains", figure, f"Gain in F1 over supervised training: {said}.", name=f"gain-{name}"),
        _table(f"gain-{name}-table", f"Gain over {BASELINE}: {label}", lines, columns, folded=True),
    ]


def _trade_off_section(study: dict[str, Any]) -> dict[str, Any]:
    title = "F1 against latency and size"
    cells = score_table.cells(score_table.competitors(study["scores"])).mean()
    names = [f"{method}/{row}" for method, row in cells.index]
    costs = recommendation.candidate_costs(names, study["costs"])
    if costs is None or costs.isna().all(axis=None):
        return _section(
            "trade-off",
            title,
            [_absent("No timing table was given: sizes and latencies of the networks are not known.")],
        )
    points = costs.assign(
        f1=cells.to_numpy(), method=[m for m, _ in cells.index], network=[row for _, row in cells.index]
    )
    points["name"] = points["network"]
    blocks = []
    for column, label in COST_LABELS.items():
        if column not in points or points[column].isna().all():
            blocks.append(_absent(f"The {label} is not known."))
            continue
        if unknown := int(points[column].isna().sum()):
            missing = ", ".join(dict.fromkeys(points.loc[points[column].isna(), "network"]))
            blocks.append(_text(f"{_count(unknown, 'row')} without a known {label} ({missing}) left out."))
        figure = figures.trade_off(points, column, label)
        alt = f"F1 against {label}, one mark a row; a line joins those that no cheaper row beats."
        blocks.append(_figure("trade_off", figure, alt, name=f"trade-off-{column.replace('_', '-')}"))
    table = points.sort_values("f1", ascending=False)
    columns = {
        "network": "Network",
        "method": "Method",
        "f1": ("F1 × 100", _hundredfold),
        **({"size_mb": ("Size, MB", _short)} if "size_mb" in table else {}),
        **({"latency_ms": ("Latency, ms", _short)} if "latency_ms" in table else {}),
    }
    blocks.append(_table("costs", "F1, size and latency of every row", table, columns, folded=True))
    return _section("trade-off", title, blocks)


def _errors_section(study: dict[str, Any]) -> dict[str, Any]:
    title = "Where the recommended row errs, and whether it knows"
    if not study["evidence"]:
        return _section(
            "errors", title, [_absent("No test predictions were given: confusion and reliability are not known.")]
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
            blocks.append(_text(f"Never given as an answer: {', '.join(never)}."))
        worst = _worst_confusion(counts, classes)
        slug = _slug(dataset)
        blocks.append(
            _figure(
                "confusion",
                figures.confusion(counts.round(1), classes),
                f"Confusion matrix. {worst}",
                name=f"confusion-{slug}",
            )
        )
        gap = f"Stated {100 * confidence.mean():.0f} % sure on average, right in {100 * right.mean():.0f} %."
        blocks.append(
            _figure(
                "reliability",
                figures.reliability(confidence, right),
                f"Reliability diagram. {gap}",
                name=f"reliability-{slug}",
            )
        )
        blocks.append(_text(f"{worst} {gap}"))
    return _section("errors", title, blocks)


def _answers_of(given: resampling.Evidence, row: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
        "mean over "
        "seeds)."
    )


def _learning_section(study: dict[str, Any], histories: pd.DataFrame | None) -> dict[str, Any]:
    blocks = []
    frame = score_table.competitors(study["all_scores"])
    frame = frame.assign(labelled=frame["split"].map(score_table.labelled_per_class).astype(float))
    frame = frame[np.isfinite(frame["labelled"])]
    if frame["labelled"].nunique() > 1:
        by_seed = frame.assign(seed=frame["split"].str.replace(r"^k\w+?_", "", regex=True))
        means = by_seed.groupby(["method", "labelled", "seed"], sort=False)["value"].mean()
        summary = means.groupby(["method", "labelled"], sort=False).agg(["mean", "std"]).reset_index()
        lines = summary.rename(columns={"method": "name", "labelled": "x", "mean": "y"})
        lines = lines.assign(lower=lines["y"] - lines["std"], upper=lines["y"] + lines["std"])
        figure = figures.curves(lines, x_label="labelled images a class")
        blocks.append(_figure("learning_curve", figure, "F1 against the number of labelled images, one line a method."))
    else:
        blocks.append(
            _absent("A curve over the number of labelled images needs splits with different numbers (k10_…, k25_…).")
        )
    if histories is None or histories.empty:
        blocks.append(_absent("No training histories were given."))
    else:
        for quantity, part in histories.groupby("quantity", sort=False):
            lines = part.rename(columns={"epoch": "x", "value": "y"})
            figure = figures.curves(lines, x_label="epoch", y_label=str(quantity), percent=False)
            blocks.append(_figure("history", figure, f"{quantity} by epoch.", name=f"history-{_slug(str(quantity))}"))
    return _section("learning", "Learning curves", blocks)


def _pseudo_label_section(frame: pd.DataFrame | None) -> dict[str, Any]:
    title = "Labels that teachers gave by themselves"
    if frame is None or frame.empty:
        return _section("pseudo-labels", title, [_absent("No automatic labels were given, or no method makes any.")])
    frame = frame.assign(name=frame["dataset"] + ", " + frame["method"])
    known = frame.dropna(subset=["accuracy"])
    blocks = []
    if known.empty:
        blocks.append(_absent("Whether automatic labels are right is not known: the unlabelled images' truth is not."))
    else:
        blocks.append(
            _figure("coverage", figures.coverage(known), "Accuracy of automatic labels against their coverage.")
        )
    columns = {
        "dataset": "Dataset",
        "method": "Method",
        "round": "Round",
        "coverage": ("Labelled, %", _hundredfold),
        "accuracy": ("Right, %", _hundredfold),
    }
    blocks.append(_table("pseudo-label-table", "Automatic labels by method and round", frame, columns))
    return _section("pseudo-labels", title, blocks)


def _examples_section(examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not examples:
        return _section("examples", "Example images", [_absent("No images were given.")])
    shown: dict[str, list[dict[str, str]]] = {}
    for example in examples:
        kind = "jpeg" if example["image"][:2] == b"\xff\xd8" else "png"
        source = f"data:image/{kind};base64,{base64.b64encode(example['image']).decode()}"
        said = (
            f"{example['answer']} ({100 * example['confidence']:.0f} % sure); truly {example.get('truth') or 'unknown'}"
        )
        shown.setdefault(str(example["kind"]), []).append({"source": source, "text": said})
    blocks = [{"kind": "images", "heading": kind, "images": images} for kind, images in shown.items()]
    return _section("examples", "Example images", blocks)


def _models_section(models: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not models:
        return _section("models", "Shipped models", [_absent("No model has been shipped from these scores.")])
    return _section("models", "Shipped models", [{"kind": "card", **model} for model in models])


def _method_section(study: dict[str, Any], provenance: Mapping[str, str]) -> dict[str, Any]:
    blocks = [_text(text) for text in PROTOCOL_TEXTS[study["protocol"]]]
    blocks.append(
        _text(
            "A dataset's test units (groups such as patients where given, else images) are resampled 2,000 times with "
            "replacement, all rows' and seeds' predictions of a unit together; intervals are percentiles. Over several "
            "datasets, the datasets are resampled. A row's F1 is corrected for its choice by choosing on each "
            "resample and "
            "scoring on what it left out."
        )
    )
    if provenance:
        frame = pd.DataFrame(provenance.items(), columns=["what", "value"])
        blocks.append(_table("provenance", "Where these figures come from", frame, {"what": "What", "value": "Value"}))
    else:
        blocks.append(_absent("Device, seeds and digests are not known: the scores were made elsewhere."))
    return _section("method", "How this was computed", blocks)


# --- blocks, tables, words --------------------------------------------------------------------------------------------

QUESTION_TITLES = {
    "methods": "Methods",
    "networks": "Networks",
    "families": "Families of networks",
    "precisions": "Full against reduced precision",
    "rows": "All rows",
}
PROTOCOL_TEXTS = {
    "sound": (
        "Protocol: sound. Over datasets, competitors are compared by ranks: Iman and Davenport's F with ties "
        "corrected, "
        "Quade's F below five groups, and for two the signed-rank test alone. Pairs are compared by Wilcoxon's "
        "signed-rank test, "
        "counted out exactly, with Holm's adjustment over the pairs of one question; the effect is the matched-pairs "
        "rank-biserial correlation (−1 to 1). No verdict is given where so few datasets could not reach the level.",
    ),
    "paper": (
        "Protocol: paper. As the published study of compact networks did: Shapiro-Wilk and Levene on the pooled "
        "values; "
        "where both hold, ANOVA with Bonferroni-Dunn; else Quade's F below five groups or Iman-Davenport's F without "
        "tie "
        "correction, then z-tests of mean ranks against the best-ranked with Holm's adjustment; the effect is Cohen's "
        "d.",
        "What is doubtful in it: pre-tests choose the test, the control is chosen by the data that test it, z-tests "
        "of mean "
        "ranks depend on which other competitors are in the table, and d over datasets mixes their difficulty into the "
        "denominator. The protocol 'sound' avoids all four.",
    ),
}


def _section(name: str, title: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    absent = all(block["kind"] == "absent" for block in blocks)
    return {"id": name, "title": title, "blocks": blocks, "absent": absent}


def _text(text: str) -> dict[str, Any]:
    return {"kind": "text", "text": text}


def _absent(text: str) -> dict[str, Any]:
    return {"kind": "absent", "text": text}


def _details(summary: str, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": "details", "summary": summary, "blocks": blocks}


def _figure(caption: str, figure: Any, alt: str, *, name: str | None = None) -> dict[str, Any]:
    name = name or caption.replace("_", "-")
    markup = figures.svg(figure, name).replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt)}" ', 1)
    return {"kind": "figure", "id": name, "svg": markup, "caption": figures.CAPTIONS[caption]}


def _blocks(blocks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all blocks, those inside others too."""
    return [inner for block in blocks for inner in (block, *_blocks(block.get("blocks", ())))]


def _table(
    name: str, caption: str, frame: pd.DataFrame, columns: Mapping[str, Any], *, folded: bool = False
) -> dict[str, Any]:
    """Describe a table for the template: `columns` maps a column to its heading, or to heading and format."""
    heads, body = [], []
    for column, told in columns.items():
        label, formatted = told if isinstance(told, tuple) else (told, None)
        heads.append({"label": label, "numeric": formatted is not None})
    for row in frame.head(TABLE_ROWS)[list(columns)].itertuples(index=False):
        cells = []
        for value, told in zip(row, columns.values(), strict=True):
            missing = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
            text = "–" if missing else told[1](value) if isinstance(told, tuple) else str(value)
            cells.append({"text": text, "raw": "" if missing else value})
        body.append(cells)
    return {
        "kind": "table",
        "id": name,
        "caption": caption,
        "heads": heads,
        "rows": body,
        "folded": folded,
        "left_out": max(0, len(frame) - TABLE_ROWS),
    }


def _pick(frame: pd.DataFrame, question: str, subject: str) -> pd.DataFrame:
    return frame[(frame["question"] == question) & (frame["subject"] == subject)]


def _slug(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _p_cell(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _short(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.3g}"


def _hundredfold(value: float) -> str:
    return f"{100 * value:.1f}"


def _signed(value: float) -> str:
    return f"{value:+.1f}"


def _signed_hundredfold(value: float) -> str:
    return f"{100 * value:+.1f}"


PAIR_COLUMNS = {
    "first": "First",
    "second": "Second",
    "difference": ("Difference, points", _signed_hundredfold),
    "statistic": ("Statistic", _short),
    "p": ("p", _p_cell),
    "p_adjusted": ("p adjusted", _p_cell),
    "effect_size": ("Effect size", _short),
    "verdict": "Verdict",
}
OMNIBUS_COLUMNS = {
    "question": "Question",
    "subject": "Subject",
    "datasets": ("Datasets", str),
    "groups": ("Groups", str),
    "test": "Test",
    "statistic": ("Statistic", _short),
    "p": ("p", _p_cell),
    "smallest_p": ("Smallest p", _p_cell),
    "kendalls_w": ("Kendall's W", _short),
    "verdict": "Verdict",
}
DIFFERENCE_COLUMNS = {
    "first": "Row",
    "difference": ("Difference, points", _signed_hundredfold),
    "lower": ("from", _signed_hundredfold),
    "upper": ("to", _signed_hundredfold),
    "lower_with_seeds": ("from, seeds too", _signed_hundredfold),
    "upper_with_seeds": ("to, seeds too", _signed_hundredfold),
    "seed_deviation": ("Deviation over seeds", _hundredfold),
    "p_adjusted": ("p adjusted", _p_cell),
    "verdict": "Verdict",
}
