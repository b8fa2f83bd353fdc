"""The sections of the report: each takes the study and returns blocks, or says why it has nothing to show."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pocketscope import comparison, figures, page, recommendation, resampling, score_table

ROWS_DRAWN = 40  # in a figure with a line a row; the table beside it holds all
SUBJECTS_DRAWN = 20  # of one question: more ranks than that nobody looks at, and the tables hold them
CLASSES_BESIDE = 5  # a matrix of more classes has no room beside another figure
COST_LABELS = {"latency_ms": "latency (ms an image, CPU)", "size_mb": "file size (MB)"}
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


PAIR_COLUMNS = {
    "first": "First",
    "second": "Second",
    "difference": ("Difference, points", page.signed_hundredfold),
    "statistic": ("Statistic", page.short),
    "p": ("p", page.p_cell),
    "p_adjusted": ("p adjusted", page.p_cell),
    "effect_size": ("Effect size", page.short),
    "verdict": "Verdict",
}
OMNIBUS_COLUMNS = {
    "question": "Question",
    "subject": "Subject",
    "datasets": ("Datasets", str),
    "groups": ("Groups", str),
    "test": "Test",
    "statistic": ("Statistic", page.short),
    "p": ("p", page.p_cell),
    "smallest_p": ("Smallest p", page.p_cell),
    "kendalls_w": ("Kendall's W", page.short),
    "verdict": "Verdict",
}
DIFFERENCE_COLUMNS = {
    "first": "Row",
    "difference": ("Difference, points", page.signed_hundredfold),
    "lower": ("from", page.signed_hundredfold),
    "upper": ("to", page.signed_hundredfold),
    "lower_with_seeds": ("from, seeds too", page.signed_hundredfold),
    "upper_with_seeds": ("to, seeds too", page.signed_hundredfold),
    "seed_deviation": ("Deviation over seeds", page.hundredfold),
    "p_adjusted": ("p adjusted", page.p_cell),
    "verdict": "Verdict",
}


def scores(study: dict[str, Any]) -> dict[str, Any]:
    """Show F1 by method and network."""
    frame = study["scores"]
    cells = score_table.cells(study["competing"])
    means = cells.mean()
    grid = means.unstack("method")  # noqa: PD010 - nothing is aggregated
    grid = grid.reindex(
        index=list(dict.fromkeys(cells.columns.get_level_values("row"))),
        columns=list(dict.fromkeys(cells.columns.get_level_values("method"))),
    )
    method, row = means.idxmax()
    n = len(cells)
    best = f"The best mean is {100 * means.max():.1f}, of {row} with method {method}."
    blocks = [
        page.text(
            best if means.size > 1 else f"There is one row: {row} with method {method}, {100 * means.max():.1f}."
        ),
        page.figure("heat_map", figures.heat_map(grid), f"Heat map of F1 by network and training method. {best}"),
    ]
    if positive := _positive_classes(study["evidence"]):
        blocks.append(page.text(positive))
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
    columns = {"network": "Network", "method": "Method", "mean": ("F1 × 100", page.hundredfold)}
    if n > 1:
        columns |= {
            "deviation": ("Standard deviation over datasets", page.hundredfold),
            "lowest": ("Lowest dataset", page.hundredfold),
            "highest": ("Highest dataset", page.hundredfold),
        }
    blocks.append(page.table("f1-by-row", "F1 of every row, mean over datasets and splits", summary, columns))
    long = score_table.with_row(frame)[["dataset", "split", "method", "row", "value"]]
    every = {
        "dataset": "Dataset",
        "split": "Split",
        "method": "Method",
        "row": "Network",
        "value": ("F1 × 100", page.hundredfold),
    }
    blocks.append(page.details("Every score", [page.table("every-score", "Every score", long, every)]))
    if len(frame["split"].unique()) < len(study["all_scores"]["split"].unique()):
        kept = ", ".join(sorted(frame["split"].unique()))
        blocks.insert(0, page.text(f"Shown and compared are the splits with the most labelled images: {kept}."))
    bound = study["bounds"]
    if 0 < len(bound) < len(frame):
        blocks.append(
            page.text(
                f"Trained on all true labels, the same networks reach {100 * bound['value'].mean():.1f} on average: "
                "a bound, which does not compete."
            )
        )
    return page.section("scores", "F1 by method and network", blocks)


def differences(study: dict[str, Any]) -> dict[str, Any]:
    """Show which differences the tests find, and which questions do not apply."""
    answers: comparison.Answers = study["answers"]
    blocks = []
    order = [("methods", "mean over networks")]
    order += [(question, "mean over methods") for question in ("networks", "families", "precisions")]
    asked = list(answers.omnibus[["question", "subject"]].itertuples(index=False, name=None))
    others = [key for key in asked if key not in order]
    for key in (key for key in order if key in asked):
        blocks += _question_blocks(study, *key)
    count = Counter(question for question, _ in others)
    for name in count:
        inner = [
            block
            for key in others
            if key[0] == name
            for block in _question_blocks(study, *key, with_figure=count[name] <= SUBJECTS_DRAWN)
        ]
        blocks.append(page.details(f"{QUESTION_TITLES[name]}, one by one", inner))
    if len(asked):
        blocks.append(page.table("omnibus", "All omnibus tests", answers.omnibus, OMNIBUS_COLUMNS, folded=True))
    for dataset, result in study["resamples"].items():
        if dataset != "overall":
            blocks += _resampled_blocks(study, dataset, result)
    reasons: dict[str, list[str]] = {}
    for row in answers.skipped.itertuples():
        reasons.setdefault(row.reason, []).append(f"{QUESTION_TITLES[row.question]} ({_abridged(row.subject)})")
    blocks += [page.absent(f"{'; '.join(names)}: {reason}.") for reason, names in reasons.items()]
    return page.section("differences", "Which differences are real", blocks)


def _question_blocks(
    study: dict[str, Any], question: str, subject: str, with_figure: bool = True
) -> list[dict[str, Any]]:
    answers: comparison.Answers = study["answers"]
    groups, omnibus, pairs = (_pick(frame, question, subject) for frame in answers[:3])
    row = omnibus.iloc[0]
    heading = f"{QUESTION_TITLES[question]}: {subject}"
    blocks = [{"kind": "heading", "text": heading}, page.text(_verdict(row, pairs, study["alpha"]))]
    name = f"ranks-{question}-{page.slug(subject)}"
    if with_figure and 2 < len(groups) <= 80:
        order = ", ".join(groups.sort_values("rank")["group"].head(5))
        blocks.append(
            page.figure(
                "rank_diagram",
                figures.rank_diagram(groups, pairs, datasets=int(row["datasets"])),
                f"Mean ranks of {len(groups)} {question}, the best first: {order}{'…' if len(groups) > 5 else ''}.",
                name=name,
            )
        )
    blocks.append(
        page.table(f"pairs-{question}-{page.slug(subject)}", f"Pairs: {heading}", pairs, PAIR_COLUMNS, folded=True)
    )
    return blocks


def _verdict(row: pd.Series, pairs: pd.DataFrame, alpha: float) -> str:
    """Say in words what an omnibus test and its pairs found."""
    if row["verdict"] == comparison.ALL_ALIKE:
        return "All groups score alike on every dataset: there is nothing to test."
    freedom = ", ".join(str(row[name]) for name in ("df1", "df2") if not pd.isna(row[name]))
    statistic = (
        "" if math.isnan(row["statistic"]) or not freedom else f" F({freedom}) = {page.short(row['statistic'])},"
    )
    text = f"{row['test']}:{statistic} p\u00a0{page.p(row['p'])}; Kendall's W {row['kendalls_w']:.2f}. "
    different = int(pairs["better"].notna().sum())
    if row["verdict"] == comparison.TOO_FEW:
        return text + (
            f"No verdict: {row['datasets']} datasets could not give a p-value below {page.short(row['smallest_p'])} "
            f"whatever the scores were, and the level is {alpha:g}."
        )
    text += "The groups differ. " if row["verdict"] == comparison.DIFFERENT else "No difference is shown. "
    unreachable = pairs["verdict"] == comparison.TOO_FEW
    if unreachable.all():
        return text + (
            f"No verdict on pairs: with {row['datasets']} datasets and {len(pairs)} comparisons, Holm's adjusted "
            f"p-value cannot fall below {page.short(pairs['smallest_p'].min())}. Declare a control, or bring more "
            "datasets."
        )
    return text + f"Of {page.count(len(pairs), 'pair')} compared, {different} differ{'s' if different == 1 else ''}."


def _resampled_blocks(study: dict[str, Any], dataset: str, result: resampling.Bootstrap) -> list[dict[str, Any]]:
    """Compare every row of one dataset with the recommended one."""
    chosen = study["found"]["datasets"][dataset]["row"]
    if len(result.rows) < 2:
        return [page.absent(f"{dataset}: there is one row, and nothing to compare it with.")]
    lines = resampling.differences(
        result, [(row, chosen) for row in result.rows if row != chosen], alpha=study["alpha"]
    )
    lines = lines.sort_values("difference", ascending=False)
    shown = lines.head(ROWS_DRAWN)
    points = 100 * shown[["difference", "lower", "upper"]]
    figure = figures.gains(points.assign(name=shown["first"]), label=f"points of F1 × 100 above {chosen}")
    different = int((lines["verdict"] != "no difference shown").sum())
    remark = resampling.reliability_remark(result)
    text = (
        f"Of {page.count(len(lines), 'row')} compared with {chosen}, {different} differ{'s' if different == 1 else ''} "
        f"from it (Holm), by {result.units:,} test {result.unit}s resampled. {remark or ''}"
    )
    name = f"resampled-{page.slug(dataset)}"
    alt = f"Difference of every row from {chosen}, with intervals; {different} differ."
    return [
        {"kind": "heading", "text": dataset},
        page.text(text),
        page.figure("resampled", figure, alt, name=name),
        page.table(f"{name}-table", f"{dataset}: rows against {chosen}", lines, DIFFERENCE_COLUMNS, folded=True),
    ]


def gain(study: dict[str, Any]) -> dict[str, Any]:
    """Show what every method gained over training on the labelled images alone."""
    title = "What the unlabelled images brought"
    cells = score_table.cells(study["competing"])
    methods = list(dict.fromkeys(cells.columns.get_level_values("method")))
    baseline = study["baseline"]
    if baseline not in methods or len(methods) < 2:
        reason = (
            f"no row was trained on the labelled images alone (method '{baseline}')"
            if baseline not in methods
            else "no other method was run"
        )
        return page.section(
            "gain", title, [page.absent(f"The gain over supervised training does not apply: {reason}.")]
        )
    blocks = []
    if len(cells) > 2:
        lines = pd.DataFrame(
            [_gain_over_datasets(cells, method, baseline, study["alpha"]) for method in methods if method != baseline]
        )
        blocks += _gain_blocks(
            lines, "over-datasets", f"Mean over networks, t interval over {len(cells)} datasets", study
        )
    elif len(cells) == 2:
        blocks.append(page.absent("Two datasets are too few for an interval over datasets."))
    for dataset, result in study["resamples"].items():
        if dataset != "overall":
            lines = pd.DataFrame(
                [_gain_on_units(result, m, baseline, study["alpha"]) for m in methods if m != baseline]
            )
            label = f"{dataset}: mean over networks, {result.units:,} test {result.unit}s resampled"
            blocks += _gain_blocks(lines, page.slug(dataset), label, study)
    if not blocks:
        blocks.append(page.absent("One dataset without its test predictions gives no interval."))
    return page.section("gain", title, blocks)


def _gain_over_datasets(cells: pd.DataFrame, method: str, baseline: str, alpha: float) -> dict[str, Any]:
    difference = 100 * (cells[method].mean(axis=1) - cells[baseline].mean(axis=1))
    n = len(difference)
    reach = stats.t.ppf(1 - alpha / 2, n - 1) * difference.std(ddof=1) / math.sqrt(n)
    mean = float(difference.mean())
    return {"name": method, "difference": mean, "lower": mean - reach, "upper": mean + reach}


def _gain_on_units(result: resampling.Bootstrap, method: str, baseline: str, alpha: float) -> dict[str, Any]:
    of = {name: [i for i, row in enumerate(result.rows) if row.startswith(f"{name}/")] for name in (method, baseline)}
    resampled = 100 * (result.inside[:, of[method]].mean(axis=1) - result.inside[:, of[baseline]].mean(axis=1))
    cut = resampling.tail(result.units, alpha)
    lower, upper = np.nanquantile(resampled, [cut, 1 - cut])
    point = 100 * float(result.point[of[method]].mean() - result.point[of[baseline]].mean())
    return {"name": method, "difference": point, "lower": float(lower), "upper": float(upper)}


def _gain_blocks(lines: pd.DataFrame, name: str, label: str, study: dict[str, Any]) -> list[dict[str, Any]]:
    level = f"{100 * (1 - study['alpha']):g} %"
    said = "; ".join(
        f"{row.name_} {row.difference:+.1f}" for row in lines.rename(columns={"name": "name_"}).itertuples()
    )
    figure = figures.gains(lines, label=f"points of F1 × 100 gained over {study['baseline']} ({level} interval)")
    columns = {
        "name": "Method",
        "difference": ("Gain, points", page.signed),
        "lower": ("from", page.signed),
        "upper": ("to", page.signed),
    }
    return [
        page.text(f"{label}."),
        page.figure("gains", figure, f"Gain in F1 over supervised training: {said}.", name=f"gain-{name}"),
        page.table(f"gain-{name}-table", f"Gain over {study['baseline']}: {label}", lines, columns, folded=True),
    ]


def trade_off(study: dict[str, Any]) -> dict[str, Any]:
    """Show F1 against latency and file size, what int8 costs, and all that was timed."""
    title = "F1 against latency and size"
    lost = _lost_by_quantising(study)
    cells = score_table.cells(study["competing"]).mean()
    names = [f"{method}/{row}" for method, row in cells.index]
    costs = recommendation.candidate_costs(names, study["costs"])
    if costs is None or costs.isna().all(axis=None):
        return page.section(
            "trade-off",
            title,
            [page.absent("No timing table was given: sizes and latencies of the networks are not known."), *lost],
        )
    points = costs.assign(
        f1=cells.to_numpy(), method=[m for m, _ in cells.index], network=[row for _, row in cells.index]
    )
    points["name"] = points["network"]
    blocks = []
    for column, label in COST_LABELS.items():
        if column not in points or points[column].isna().all():
            blocks.append(page.absent(f"The {label} is not known."))
            continue
        if unknown := int(points[column].isna().sum()):
            missing = ", ".join(dict.fromkeys(points.loc[points[column].isna(), "network"]))
            blocks.append(page.text(f"{page.count(unknown, 'row')} without a known {label} ({missing}) left out."))
        figure = figures.trade_off(points, column, label)
        alt = f"F1 against {label}, one mark a row; a line joins those that no cheaper row beats."
        blocks.append(page.figure("trade_off", figure, alt, name=f"trade-off-{column.replace('_', '-')}"))
    table = points.sort_values("f1", ascending=False)
    columns = {
        "network": "Network",
        "method": "Method",
        "f1": ("F1 × 100", page.hundredfold),
        **({"size_mb": ("Size, MB", page.short)} if "size_mb" in table else {}),
        **({"latency_ms": ("Latency, ms", page.short)} if "latency_ms" in table else {}),
    }
    blocks.append(page.table("costs", "F1, size and latency of every row", table, columns, folded=True))
    blocks += lost
    if study["timings"] is not None:
        blocks += _timing_blocks(study["timings"])
    return page.section("trade-off", title, blocks)


def _lost_by_quantising(study: dict[str, Any]) -> list[dict[str, Any]]:
    """Tell by network how many points of F1 the int8 files lose against the fp32 files."""
    keys = ["dataset", "split", "method", "network"]
    wide = study["competing"].pivot_table(index=keys, columns="precision", values="value", observed=True)
    if not {"fp32", "int8"} <= set(wide) or (both := wide.dropna()).empty:
        return []
    lines = []
    for network, part in both.groupby("network", sort=False):
        lost = 100 * (part["fp32"] - part["int8"])
        lines.append(
            {"network": network, "fp32": part["fp32"].mean(), "int8": part["int8"].mean(), "lost": lost.mean(),
             "most": lost.max(), "pairs": len(part)}
        )  # fmt: skip
    columns = {
        "network": "Network",
        "fp32": ("F1 × 100, fp32", page.hundredfold),
        "int8": ("F1 × 100, int8", page.hundredfold),
        "lost": ("Lost, points", page.signed),
        "most": ("Lost at most", page.signed),
        "pairs": ("Pairs of files", page.short),
    }
    caption = "F1 lost by quantising, mean over datasets, splits and methods"
    return [page.table("quantising", caption, pd.DataFrame(lines), columns)]


def _timing_blocks(timings: pd.DataFrame) -> list[dict[str, Any]]:
    """Show all that was timed, a line a form of a network."""
    shown = timings.assign(
        form=timings["runtime"].map({"pytorch": "PyTorch, eager", "onnxruntime": "ONNX Runtime"})
        + ", "
        + timings["precision"],
        parameters=timings["parameters"] / 1e6,
        flops=timings["flops"] / 1e9,
    )
    columns = {
        "network": "Network",
        "form": "Form",
        "image_size": ("Side, px", page.short),
        "threads": ("Threads", page.short),
        "latency_ms": ("Latency, ms", page.short),
        "latency_p5_ms": ("5th percentile", page.short),
        "latency_p95_ms": ("95th percentile", page.short),
        "images_per_second": ("Images/s in batches of 32", page.short),
        "memory_mb": ("Memory, MB", page.short),
        "file_mb": ("File, MB", page.short),
        "parameters": ("Parameters, 10⁶", page.short),
        "flops": ("GFLOP an image", page.short),
        "training_step_ms": ("Training step, ms", page.short),
    }
    said = (
        "Latency is of one image, the median. The forms of a network took turns, and with them a model that never "
        "changes; times of different networks are corrected by it. Memory is the most that a process holds that "
        "classifies one image, libraries included."
    )
    return [page.text(said), page.table("timings", "Every network's timings", shown, columns, folded=True)]


def errors(study: dict[str, Any]) -> dict[str, Any]:
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
        "mean over seeds)."
    )


def learning(study: dict[str, Any], histories: pd.DataFrame | None) -> dict[str, Any]:
    """Show F1 against the number of labelled images, and the course of training."""
    blocks = []
    frame = study["all_scores"]
    frame = frame.assign(labelled=frame["split"].map(score_table.labelled_per_class).astype(float))
    frame = frame[np.isfinite(frame["labelled"])]
    if len(frame["labelled"].unique()) > 1:
        by_seed = frame.assign(seed=frame["split"].str.replace(r"^k\w+?_", "", regex=True))
        means = by_seed.groupby(["method", "labelled", "seed"], sort=False)["value"].mean()
        summary = means.groupby(["method", "labelled"], sort=False).agg(["mean", "std"]).reset_index()
        lines = summary.rename(columns={"method": "name", "labelled": "x", "mean": "y"})
        lines = lines.assign(lower=lines["y"] - lines["std"], upper=lines["y"] + lines["std"])
        figure = figures.curves(lines, x_label="labelled images a class")
        blocks.append(
            page.figure("learning_curve", figure, "F1 against the number of labelled images, one line a method.")
        )
    else:
        blocks.append(
            page.absent(
                "A curve over the number of labelled images needs splits with different numbers (k10_…, k25_…)."
            )
        )
    if histories is None or histories.empty:
        blocks.append(page.absent("No training histories were given."))
    else:
        blocks += _history_blocks(histories, study["found"]["datasets"])
    return page.section("learning", "Learning curves", blocks)


def _history_blocks(histories: pd.DataFrame, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Draw a figure a data set and quantity; the trainings of the recommended network have the colours."""
    parts = histories["name"].str.split("/", n=1)
    frame = histories.assign(dataset=parts.str[0].where(parts.str.len() > 1, ""), name=parts.str[-1])
    blocks = []
    frame = frame.sort_values("dataset", key=lambda names: names.map({n: i for i, n in enumerate(names.unique())}))
    for (dataset, quantity), lines in frame.groupby(["dataset", "quantity"], sort=False):
        if dataset and dataset not in [block.get("text") for block in blocks]:
            blocks.append({"kind": "heading", "text": dataset})
        recommended = found.get(dataset, {}).get("network")
        others = lines["name"].str.rpartition("/")[2] != recommended
        lines = lines.assign(others=others).sort_values("others", kind="stable")
        lines = lines.rename(columns={"epoch": "x", "value": "y"})
        figure = figures.curves(lines, x_label="epoch", y_label=str(quantity), percent=False)
        about = f"{dataset}: {quantity}" if dataset else str(quantity)
        blocks.append(page.figure("history", figure, f"{about} by epoch.", name=f"history-{page.slug(about)}"))
    return blocks


def pseudo_label(frame: pd.DataFrame | None, curves: pd.DataFrame | None) -> dict[str, Any]:
    """Show how many images were labelled automatically, and how many of these rightly, at every threshold."""
    title = "Labels that teachers gave by themselves"
    if frame is None or frame.empty:
        return page.section(
            "pseudo-labels", title, [page.absent("No automatic labels were given, or no method makes any.")]
        )
    blocks = []
    if frame["accuracy"].isna().all():
        blocks.append(
            page.absent("Whether automatic labels are right is not known: the unlabelled images' truth is not.")
        )
    elif curves is not None and not curves.empty:
        rounds = frame[frame["method"].isin(curves["method"])]
        last = rounds.sort_values("round").drop_duplicates(["dataset", "method"], keep="last")
        by_dataset = curves.groupby("dataset", sort=False)
        for dataset, lines in by_dataset:
            if len(by_dataset) > 1:
                blocks.append({"kind": "heading", "text": dataset})
            figure = figures.coverage(lines, last[last["dataset"] == dataset].dropna(subset=["accuracy"]))
            alt = f"{dataset}: accuracy of the surest automatic labels against how many are taken; a mark shows where "
            alt += "each method stopped."
            blocks.append(page.figure("coverage", figure, alt, name=f"coverage-{page.slug(str(dataset))}"))
    columns = {
        "dataset": "Dataset",
        "method": "Method",
        "round": "Round",
        "epoch": "Epoch",
        "coverage": ("Accepted, %", page.hundredfold),
        "accuracy": ("Of these right, %", page.hundredfold),
        "accuracy_of_given": ("Right if all were accepted, %", page.hundredfold),
        "remark": "Remark",
    }
    columns = {name: shown for name, shown in columns.items() if name in frame and frame[name].notna().any()}
    blocks.append(page.table("pseudo-label-table", "Automatic labels by method and round or epoch", frame, columns))
    return page.section("pseudo-labels", title, blocks)


def examples(examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
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


def models(models: Sequence[Mapping[str, Any]], study: dict[str, Any]) -> dict[str, Any]:
    """Show a card for each shipped model; where none is shipped, for the row that is recommended for each dataset."""
    cards = list(models) or [_card(name, found, study) for name, found in study["found"]["datasets"].items()]
    if not cards:
        return page.section("models", "Model cards", [page.absent("No row is recommended from these scores.")])
    return page.section("models", "Model cards", [{"kind": "card", **card} for card in cards])


def _card(dataset: str, found: Mapping[str, Any], study: dict[str, Any]) -> dict[str, Any]:
    classes, positive = study["evidence"][dataset].classes, study["evidence"][dataset].positive
    splits = sorted(set(study["scores"].loc[study["scores"]["dataset"] == dataset, "split"]))
    interval = f"{100 * found['f1']:.1f} ({100 * found['f1_lower']:.1f} to {100 * found['f1_upper']:.1f})"
    facts = {
        "Dataset": dataset,
        "Splits": ", ".join(splits),
        "Classes": ", ".join(classes),
        "F1 is that of": "all classes, mean" if positive is None else classes[positive],
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


def method(study: dict[str, Any], provenance: Mapping[str, str]) -> dict[str, Any]:
    """Say how the figures were computed and where they come from."""
    blocks = [page.text(text) for text in PROTOCOL_TEXTS[study["protocol"]]]
    blocks.append(
        page.text(
            "A dataset's test units (groups such as patients where given, else images) are resampled 2,000 times or "
            "more with replacement, all rows' and seeds' predictions of a unit together. Intervals are percentiles, "
            "expanded as few units need it. Over several datasets, the datasets are resampled. A row's F1 is "
            "corrected for its choice by choosing on each resample and scoring on what it left out."
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


def _positive_classes(evidence: Mapping[str, Any]) -> str:
    """Say of which classes F1 is, where it is not the mean over all."""
    named = [f"'{one.classes[one.positive]}' ({name})" for name, one in evidence.items() if one.positive is not None]
    others = "; of the other datasets it is the mean over the classes" if len(named) < len(evidence) else ""
    return f"F1 is that of one class of two: {', '.join(named)}{others}." if named else ""


def _abridged(subjects: str) -> str:
    """Name a few subjects, and count them where they are many."""
    names = subjects.split(", ")
    return subjects if len(names) <= 3 else f"all {len(names)}"


def _pick(frame: pd.DataFrame, question: str, subject: str) -> pd.DataFrame:
    return frame[(frame["question"] == question) & (frame["subject"] == subject)]
