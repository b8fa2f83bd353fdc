"""Section: which differences are real."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pocketscope.report import figures, page
from pocketscope.report.matrix import MOST_GROUPS, comparison_matrix
from pocketscope.statistics import comparison, matrix, post_hoc, score_table
from pocketscope.statistics.differences import FEWEST_SEEDS
from pocketscope.tables.comparison import ALL_ALIKE, DIFFERENT, FOR_READING, NOT_SHOWN, TOO_FEW

CANDIDATES_DRAWN = 40  # in a figure with a line for each; the table beside it holds all
SUBJECTS_DRAWN = 20  # of one question: more ranks than that nobody looks at, and the tables hold them
QUESTION_TITLES = {
    "methods": "Methods",
    "networks": "Networks",
    "families": "Network families",
    "precisions": "Precisions: full against reduced",
    "rows": "All candidates",
    "gains": "Gain over the baseline, by network",
}


PAIR_COLUMNS = {
    "first": "First",
    "second": "Second",
    "difference": ("Difference, points", page.signed_hundredfold),
    "statistic": ("Statistic", page.short),
    "p": ("p", page.p_cell),
    "p_adjusted": ("p adjusted", page.p_cell),
    "effect_size": ("Effect size", page.short),
    "probability_first": ("P(first better)", page.p_cell),
    "probability_equal": ("P(equal)", page.p_cell),
    "probability_second": ("P(second better)", page.p_cell),
    "verdict": "Verdict",
}
OMNIBUS_COLUMNS = {
    "question": "Question",
    "subject": "Subject",
    "datasets": ("Data sets", str),
    "groups": ("Groups", str),
    "test": "Test",
    "statistic": ("Statistic", page.short),
    "p": ("p", page.p_cell),
    "smallest_p": ("Smallest p", page.p_cell),
    "kendalls_w": ("Kendall's W", page.short),
    "verdict": "Verdict",
}
TEST_COLUMNS = {
    "question": "Question",
    "subject": "Subject",
    "groups": ("Groups", str),
    "test": "Test",
    "statistic": ("Statistic", page.short),
    "df1": ("df 1", page.short),
    "df2": ("df 2", page.short),
    "p": ("p", page.p_cell),
    "remark": "Remark",
}
DIFFERENCE_COLUMNS = {
    "candidate": "Candidate",
    "difference": ("Difference, points", page.signed_hundredfold),
    "lower": ("Lower bound", page.signed_hundredfold),
    "upper": ("Upper bound", page.signed_hundredfold),
    "lower_with_seeds": ("Lower bound, with seeds", page.signed_hundredfold),
    "upper_with_seeds": ("Upper bound, with seeds", page.signed_hundredfold),
    "seed_deviation": ("Standard deviation over seeds", page.hundredfold),
    "p_adjusted": ("p adjusted, files", page.p_cell),
    "verdict": "These files",
    "p_adjusted_with_seeds": ("p adjusted, methods", page.p_cell),
    "verdict_with_seeds": "The methods",
}
UNCONTROLLED = (
    "Errors are counted for each question by itself. This does not bound how often some difference on the page is "
    "false: the protocol 'sound' does."
)


def differences_section(study: dict[str, Any]) -> dict[str, Any]:
    """Show which differences the tests find, and which questions do not apply."""
    answers: comparison.Answers = study["answers"]
    alpha = study["found"]["alpha"]
    blocks = _family_blocks(answers.pairs, study["protocol"], alpha) + _posterior_blocks(answers.pairs, study["found"])
    order = [("methods", "mean over networks")]
    order += [(question, "mean over methods") for question in ("networks", "families", "precisions")]
    asked = list(answers.omnibus[["question", "subject"]].itertuples(index=False, name=None))
    others = [key for key in asked if key not in order]
    for key in (key for key in order if key in asked):
        blocks += _question_blocks(study, *key) + _matrix_blocks(study, *key)
    count = Counter(question for question, _ in others)
    for name in count:
        inner = [
            block
            for key in others
            if key[0] == name
            for block in _question_blocks(study, *key, with_figure=count[name] <= SUBJECTS_DRAWN)
        ]
        blocks.append(page.details(f"{QUESTION_TITLES[name]}: each comparison", inner))
    if len(asked):
        blocks.append(page.table("omnibus", "All omnibus tests", answers.omnibus, OMNIBUS_COLUMNS, folded=True))
        caption = "Friedman, Iman-Davenport, Quade and others, whatever the number of groups"
        blocks.append(page.table("tests", caption, answers.tests, TEST_COLUMNS, folded=True))
    for dataset in study["found"]["datasets"]:
        blocks += _resampled_blocks(study, dataset)
    reasons: dict[str, list[str]] = {}
    for row in answers.skipped.itertuples():
        reasons.setdefault(row.reason, []).append(f"{QUESTION_TITLES[row.question]} ({_abridged(row.subject)})")
    blocks += [page.absent(f"{'; '.join(names)}: {reason}.") for reason, names in reasons.items()]
    return page.section("differences", "Which differences are significant", blocks)


def _family_blocks(pairs: pd.DataFrame, protocol: str, alpha: float) -> list[dict[str, Any]]:
    """Say over which comparisons of data sets errors are counted, and how often the page is wrong."""
    if pairs.empty:
        return []
    if protocol != "sound":
        return [page.text(UNCONTROLLED)]
    tested = pairs[pairs["verdict"] != FOR_READING]
    main = page.count(len(tested[["question", "subject"]].drop_duplicates()), "main question")
    return [
        page.text(
            f"The methods differ: a claim about data sets like these. The {page.count(len(tested), 'pair')} of "
            f"{main} are tested at once, so that at most {100 * alpha:g} of 100 such pages would claim any difference "
            "between equal methods or networks. What is folded away, of one method or one network, is for reading: "
            "it has no verdict."
        )
    ]


def _posterior_blocks(pairs: pd.DataFrame, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say what the probabilities in the tables of pairs are."""
    if not pairs["probability_equal"].notna().any():
        return []
    margin = next((one["margin"] for one in (found["overall"], *found["datasets"].values()) if one), None)
    within = f"{margin:g} points of F1" if margin is not None else "the margin"
    return [
        page.text(
            "The tables of pairs also give how probable it is that the first or the second is better by more than "
            f"{within}, or that they are equal within that, on data sets like these (Bayesian signed-rank test, "
            "Benavoli et al. 2017). These probabilities are each pair's own: no correction for many pairs is in them."
        )
    ]


def _question_blocks(
    study: dict[str, Any], question: str, subject: str, with_figure: bool = True
) -> list[dict[str, Any]]:
    answers: comparison.Answers = study["answers"]
    groups, omnibus, pairs = (_pick(frame, question, subject) for frame in answers[:3])
    row = omnibus.iloc[0]
    heading = f"{QUESTION_TITLES[question]}: {subject}"
    blocks = [{"kind": "heading", "text": heading}, page.text(_verdict(row, pairs, study["found"]["alpha"]))]
    name = f"ranks-{question}-{page.slug(subject)}"
    if with_figure and 2 < len(groups) <= 80 and row["verdict"] != FOR_READING:
        order = ", ".join(groups.sort_values("rank")["group"].head(5))
        critical = _critical(groups, row, study["found"]["alpha"])
        blocks.append(
            page.figure(
                "rank_diagram",
                figures.rank_diagram(groups, pairs, datasets=int(row["datasets"]), critical=critical),
                f"Mean ranks of {len(groups)} {question}, best first: {order}{'…' if len(groups) > 5 else ''}.",
                name=name,
            )
        )
    without = () if pairs["probability_equal"].notna().any() else comparison.POSTERIOR
    columns = {key: told for key, told in PAIR_COLUMNS.items() if key not in without}
    blocks.append(
        page.table(
            f"pairs-{question}-{page.slug(subject)}",
            f"Pairwise comparisons: {heading}",
            pairs,
            columns,
            folded=True,
        )
    )
    return blocks


def _matrix_blocks(study: dict[str, Any], question: str, subject: str) -> list[dict[str, Any]]:
    """Show the multi-comparison matrix of the methods or networks, folded away."""
    if question not in ("methods", "networks"):
        return []
    cells = score_table.cells(study["competing"])
    level = "method" if question == "methods" else "row"
    values = cells.T.groupby(level=level, sort=False).mean().T
    if not 2 < len(values.columns) <= MOST_GROUPS:
        return []
    figure = comparison_matrix(matrix.multi_comparison(values), alpha=study["found"]["alpha"])
    alt = f"Multi-comparison matrix of {len(values.columns)} {question}: differences, wins, ties, losses, and p."
    drawn = page.figure("matrix", figure, alt, name=f"matrix-{question}")
    return [page.details(f"Multi-comparison matrix: {QUESTION_TITLES[question].lower()}", [drawn])]


def _critical(groups: pd.DataFrame, row: pd.Series, alpha: float) -> tuple[str, float]:
    """Return the test that has a critical difference of mean ranks here, and that."""
    test = "bonferroni-dunn" if groups["control"].any() else "nemenyi"
    found = post_hoc.critical_difference(len(groups), int(row["datasets"]), alpha, test)
    return ("Bonferroni-Dunn" if test == "bonferroni-dunn" else "Nemenyi"), found


def _verdict(row: pd.Series, pairs: pd.DataFrame, alpha: float) -> str:
    """Say in words what an omnibus test and its pairs found."""
    if row["verdict"] == ALL_ALIKE:
        return "All groups score alike on every data set. There is nothing to test."
    freedom = ", ".join(str(row[name]) for name in ("df1", "df2") if not pd.isna(row[name]))
    statistic = (
        "" if math.isnan(row["statistic"]) or not freedom else f" F({freedom}) = {page.short(row['statistic'])},"
    )
    text = f"{row['test']}:{statistic} p\u00a0{page.p(row['p'])}; Kendall's W {row['kendalls_w']:.2f}. "
    different = int(pairs["better"].notna().sum())
    if row["verdict"] == FOR_READING:
        return text + "For reading, without a verdict."
    if row["verdict"] == TOO_FEW:
        return text + (
            f"No verdict: with {row['datasets']} data sets the p-value cannot fall below "
            f"{page.short(row['smallest_p'])}, whatever the scores are. The significance level is {alpha:g}."
        )
    text += "The groups differ. " if row["verdict"] == DIFFERENT else "No significant difference is shown. "
    unreachable = pairs["verdict"] == TOO_FEW
    if unreachable.all():
        return text + (
            f"No verdict on pairs: with {row['datasets']} data sets and {len(pairs)} comparisons, Holm's adjusted "
            f"p-value cannot fall below {page.short(pairs['smallest_p'].min())}. Declare a control, or add more data "
            "sets."
        )
    return text + f"{different} of {page.count(len(pairs), 'pair')} differ{'s' if different == 1 else ''}."


def _resampled_blocks(study: dict[str, Any], dataset: str) -> list[dict[str, Any]]:
    """Show how every candidate of one dataset compares with the recommended one, or with a declared control."""
    chosen, alpha, every = study["found"]["datasets"][dataset], study["found"]["alpha"], study["decision"].differences
    lines = every[every["dataset"] == dataset]
    if lines.empty:
        return [page.absent(f"{dataset}: there is only one candidate, so there is nothing to compare it with.")]
    reference = lines["reference"].iloc[0]
    shown = lines.head(CANDIDATES_DRAWN)
    points = 100 * shown[["difference", "lower", "upper"]]
    figure = figures.gains(points.assign(name=shown["candidate"]), label=f"points of F1 × 100 above {reference}")
    different = int((lines["verdict"] != NOT_SHOWN).sum())
    name = f"resampled-{page.slug(dataset)}"
    alt = f"Difference of every candidate from {reference}, with intervals. {different} differ significantly."
    caption = f"{dataset}: candidates compared with {reference}"
    blocks = [{"kind": "heading", "text": dataset}]
    blocks += [page.text(text) for text in _claims(lines, chosen, every["dataset"].nunique(), study, alpha)]
    return [
        *blocks,
        page.figure("resampled", figure, alt, name=name),
        page.table(f"{name}-table", caption, lines, DIFFERENCE_COLUMNS, folded=True),
    ]


def _claims(
    lines: pd.DataFrame, chosen: Mapping[str, Any], datasets: int, study: dict[str, Any], alpha: float
) -> list[str]:
    """Say of a data set which files differ, which methods, and over what errors are counted."""
    reference, count = lines["reference"].iloc[0], len(lines)
    declared = reference != chosen["candidate"]
    family = "all pairs with this control" if declared else "all pairs of candidates"
    where = f", on {page.count(datasets, 'data set')}," if datasets > 1 else ""
    rate = (
        f"Tested are {family}{where} at once: at most {100 * alpha:g} of 100 such pages would claim any difference "
        "between equal {}."
    )

    def said(verdicts: pd.Series) -> str:
        different = int((verdicts != NOT_SHOWN).sum())
        return f"{different} of {page.count(count, 'candidate')} differ{'s' if different == 1 else ''} from {reference}"

    texts = [
        f"These files differ, a claim about new images ({chosen['units']:,} test {chosen['unit']}s): "
        f"{said(lines['verdict'])}. {rate.format('files')}"
    ]
    seeds = study["scores"].loc[study["scores"]["dataset"] == lines["dataset"].iloc[0], "split"]
    if lines["verdict_with_seeds"].notna().any():
        texts.append(
            f"The methods differ, a claim about new trainings too: {said(lines['verdict_with_seeds'])}. "
            + rate.format("methods")
        )
    elif seeds.nunique() >= FEWEST_SEEDS:
        texts.append("Whether the methods differ is told above, over the data sets.")
    else:
        texts.append(
            "Whether the methods differ, were they trained anew, is not told: that needs "
            f"{FEWEST_SEEDS} seeds, or six data sets."
        )
    return texts


def _abridged(subjects: str) -> str:
    """Name a few subjects, and count them where they are many."""
    names = subjects.split(", ")
    return subjects if len(names) <= 3 else f"all {len(names)}"


def _pick(frame: pd.DataFrame, question: str, subject: str) -> pd.DataFrame:
    return frame[(frame["question"] == question) & (frame["subject"] == subject)]
