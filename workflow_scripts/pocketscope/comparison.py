"""The questions that a study asks of its scores, answered by one of two protocols.

`paper` follows the published study of compact networks; `sound` leaves out what in it cannot be defended. Where and why
they differ is written in docs/statistics.md.
"""

import difflib
import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import stats

from pocketscope import files, hypothesis_tests, score_table, tables
from pocketscope.errors import InputError

PROTOCOLS = ("sound", "paper")
QUADE_BELOW = 5  # with fewer groups, Quade's test has more power than Friedman's (Conover 1999, section 5.8)

GROUPS = pa.schema(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("deviation", pa.float64(), nullable=False),  # over datasets, ddof 0
        pa.field("rank", pa.float64(), nullable=False),  # mean over datasets, 1 the best
        pa.field("control", pa.bool_(), nullable=False),
    ]
)
OMNIBUS = pa.schema(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("datasets", pa.int64(), nullable=False),
        pa.field("groups", pa.int64(), nullable=False),
        pa.field("test", pa.string(), nullable=False),
        pa.field("statistic", pa.float64()),
        pa.field("df1", pa.int64()),
        pa.field("df2", pa.int64()),
        pa.field("p", pa.float64()),
        pa.field("smallest_p", pa.float64(), nullable=False),
        pa.field("kendalls_w", pa.float64(), nullable=False),
        pa.field("shapiro_p", pa.float64()),
        pa.field("levene_p", pa.float64()),
        pa.field("verdict", pa.string(), nullable=False),
    ]
)
PAIRS = pa.schema(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("first", pa.string(), nullable=False),
        pa.field("second", pa.string(), nullable=False),
        pa.field("difference", pa.float64(), nullable=False),  # of the means, first less second
        pa.field("test", pa.string(), nullable=False),
        pa.field("statistic", pa.float64(), nullable=False),
        pa.field("p", pa.float64()),
        pa.field("p_adjusted", pa.float64(), nullable=False),
        pa.field("smallest_p", pa.float64()),
        pa.field("effect", pa.string(), nullable=False),
        pa.field("effect_size", pa.float64(), nullable=False),
        pa.field("better", pa.string()),
        pa.field("verdict", pa.string(), nullable=False),
    ]
)
SKIPPED = pa.schema(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

SCHEMAS = (GROUPS, OMNIBUS, PAIRS, SKIPPED)
DTYPES = {pa.string(): "str", pa.float64(): "float64", pa.int64(): "Int64", pa.bool_(): "bool"}

DIFFERENT = "a difference"
NOT_SHOWN = "no difference shown"
TOO_FEW = "too few datasets to tell"
ALL_ALIKE = "all groups score alike"


class Question(NamedTuple):
    """What is compared (`name`), where (`subject`), and the scores, index dataset, columns groups."""

    name: str
    subject: str
    scores: pd.DataFrame


class Answers(NamedTuple):
    """The four tables of a comparison, under `GROUPS`, `OMNIBUS`, `PAIRS` and `SKIPPED`."""

    groups: pd.DataFrame
    omnibus: pd.DataFrame
    pairs: pd.DataFrame
    skipped: pd.DataFrame

    def by_name(self) -> dict[str, tuple[pd.DataFrame, pa.Schema]]:
        """Return each table with its schema, by the name of its file."""
        return dict(zip(self._fields, zip(self, SCHEMAS, strict=True), strict=True))


def compare(
    scores: pd.DataFrame,
    *,
    protocol: str = "sound",
    controls: Sequence[str] = (),
    families: Mapping[str, str] | None = None,
    bounds: Sequence[str] = score_table.BOUNDS,
    alpha: float = 0.05,
) -> Answers:
    """Answer every question that a score table can be asked.

    Parameters
    ----------
    scores
        A table as `score_table.check` returns it. A dataset counts once: its splits are averaged.
    protocol
        `sound` or `paper`.
    controls
        Names of methods, rows (network and precision), families, precisions, or `method/row`. A question that has one
        of them among its groups compares the others with it; `sound` compares all pairs in the rest, and `paper` always
        takes the best-ranked.
    families
        Which family a network belongs to, by the network's or row's name.
    bounds
        Methods that know every true label, and do not compete.
    alpha
        The level of significance.

    Returns
    -------
    Answers
        Tidy frames; a question that does not apply is in `skipped`, with the reason.

    Raises
    ------
    pocketscope.errors.InputError
        The protocol or a control is unknown.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol '{protocol}' is unknown; the protocols are {', '.join(PROTOCOLS)}")
    answer = answer_soundly if protocol == "sound" else answer_as_the_paper
    asked = list(
        questions(
            score_table.competitors(scores, bounds),
            families or {},
            rows=protocol == "paper" or any("/" in c for c in controls),
        )
    )
    _check_controls(controls, asked)
    groups, omnibus, pairs, skipped = [], [], [], []
    for question in asked:
        if reason := _reason_to_skip(question):
            skipped.append({"question": question.name, "subject": question.subject, "reason": reason})
            continue
        control = next((name for name in controls if name in question.scores.columns), None)
        found = answer(question, control, alpha)
        groups += found[0]
        omnibus.append(found[1])
        pairs += found[2]
    return Answers(*map(_frame, (groups, omnibus, pairs, _together(skipped)), SCHEMAS))


def write(answers: Answers, folder: str | os.PathLike, *, notes: Mapping[str, Any] | None = None) -> list[Path]:
    """Write the four tables as Parquet and as CSV into `folder`, and return their paths."""
    written = []
    for name, (frame, schema) in answers.by_name().items():
        parquet = Path(folder) / f"{name}.parquet"
        tables.write(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), parquet, schema, notes=notes)
        files.write_text(parquet.with_suffix(".csv"), frame.to_csv(index=False))
        written += [parquet, parquet.with_suffix(".csv")]
    return written


def questions(scores: pd.DataFrame, families: Mapping[str, str], *, rows: bool = False) -> Iterator[Question]:
    """Yield the questions of a score table: networks, families, methods, precisions and, where `rows`, all rows at
    once.

    A question whose frame has fewer than two groups or datasets is yielded too: to be skipped with the reason.
    """
    cells = score_table.cells(scores)
    methods = list(dict.fromkeys(cells.columns.get_level_values("method")))
    names = list(dict.fromkeys(cells.columns.get_level_values("row")))
    family_of = score_table.row_families(scores, families)
    for method in methods:
        yield Question("networks", method, cells[method])
    by_row = {name: cells.xs(name, axis=1, level="row") for name in names}
    over_methods = _means(by_row)
    yield Question("networks", "mean over methods", over_methods)
    for method in methods:
        yield Question("families", method, _family_means(cells[method], family_of))
    yield Question("families", "mean over methods", _family_means(over_methods, family_of))
    yield Question("methods", "mean over networks", _means({method: cells[method] for method in methods}))
    for name in names:
        yield Question("methods", name, by_row[name])
    yield from _precision_questions(scores, methods)
    if rows:
        yield Question("rows", "all", cells.set_axis([f"{method}/{row}" for method, row in cells.columns], axis=1))


def answer_soundly(question: Question, control: str | None, alpha: float) -> tuple[list[dict], dict, list[dict]]:
    """Answer by ranks and signed ranks, without pre-tests; no verdict that so few datasets could not support."""
    values = question.scores.to_numpy()
    n, k = values.shape
    smallest = hypothesis_tests.smallest_omnibus_p(n, k)
    verdict = _omnibus_verdict(values, smallest, alpha)
    if k == 2:
        name, test = "Wilcoxon signed-rank (see the pair)", None
    elif k < QUADE_BELOW:
        name, test = "Quade", hypothesis_tests.quade(values)
    else:
        name, test = "Iman-Davenport", hypothesis_tests.iman_davenport(values)
    if test:
        test = test._replace(p=max(test.p, smallest))  # F's curve has no end, the permutations of ranks do
    omnibus = _omnibus_row(question, name, test, smallest, verdict or (_shown(test.p, alpha) if test else ""))
    pairs = _signed_rank_pairs(question, control, alpha)
    if test is None:
        omnibus |= {key: pairs[0][key] for key in ("statistic", "p")} | {"smallest_p": pairs[0]["smallest_p"]}
        omnibus["verdict"] = verdict or (DIFFERENT if pairs[0]["better"] else pairs[0]["verdict"])
    return _group_rows(question, control), omnibus, pairs


def answer_as_the_paper(question: Question, control: str | None, alpha: float) -> tuple[list[dict], dict, list[dict]]:
    """Answer as study A does: pre-tests on the pooled values, then means or ranks against the best group.

    Normal (Shapiro-Wilk) with equal variances (Levene about medians): one-way ANOVA with Bonferroni-Dunn; otherwise
    Quade's F below five groups or Iman-Davenport's F without tie correction, with z-tests of average ranks and Holm. A
    declared `control` is not used: the paper takes the best.
    """
    values = question.scores.to_numpy()
    n, k = values.shape
    shapiro_p, levene_p = _assumptions(values)
    as_means = min(shapiro_p, levene_p) > alpha
    if as_means:
        name, test = "ANOVA", hypothesis_tests.anova(values)
        best = int(np.argmax(values.mean(axis=0)))
        statistic, adjusted = hypothesis_tests.bonferroni_dunn(values, best)
        p = np.full(k, math.nan)
    else:
        quade = k < QUADE_BELOW
        name = "Quade" if quade else "Iman-Davenport, ties not corrected"
        test = hypothesis_tests.quade(values) if quade else hypothesis_tests.iman_davenport(values, ties=False)
        best = int(np.argmin(hypothesis_tests.average_ranks(values)))
        statistic, p = hypothesis_tests.control_z(values, best)
        adjusted = np.ones(k)
        others = np.delete(np.arange(k), best)
        adjusted[others] = hypothesis_tests.holm(p[others])
    columns = list(question.scores.columns)
    omnibus = _omnibus_row(question, name, test, hypothesis_tests.smallest_omnibus_p(n, k), _shown(test.p, alpha)) | {
        "shapiro_p": shapiro_p,
        "levene_p": levene_p,
    }
    pairs = []
    for j in (j for j in range(k) if j != best):
        pairs.append(
            _pair_row(question, columns[best], columns[j], columns[best] if adjusted[j] < alpha else None)
            | {
                "test": "Bonferroni-Dunn t" if as_means else "z of average ranks, Holm",
                "statistic": float(statistic[j]),
                "p": float(p[j]),
                "p_adjusted": float(adjusted[j]),
                "smallest_p": math.nan,
                "effect": "Cohen's d",
                "effect_size": hypothesis_tests.cohens_d(values[:, best], values[:, j]),
            }
        )
    return _group_rows(question, columns[best]), omnibus, pairs


def _signed_rank_pairs(question: Question, control: str | None, alpha: float) -> list[dict]:
    values = question.scores.to_numpy()
    columns = list(question.scores.columns)
    if control is None:
        chosen = list(itertools.combinations(range(len(columns)), 2))
    else:
        at = columns.index(control)
        chosen = [(at, j) for j in range(len(columns)) if j != at]
    differences = [values[:, i] - values[:, j] for i, j in chosen]
    tests = [hypothesis_tests.wilcoxon(difference) for difference in differences]
    adjusted = hypothesis_tests.holm([test.p for test in tests])
    rows = []
    for (i, j), difference, test, p in zip(chosen, differences, tests, adjusted, strict=True):
        # The bound of the pair's own step: Holm multiplies the smallest p-value by the number of comparisons.
        smallest = hypothesis_tests.smallest_wilcoxon_p(len(values), len(chosen))
        # The ranks decide which is better, as they decide the test: the means may point the other way.
        effect = hypothesis_tests.rank_biserial(difference)
        better = columns[i if effect > 0 else j] if p < alpha and smallest <= alpha else None
        row = _pair_row(question, columns[i], columns[j], better)
        if smallest > alpha:
            row["verdict"] = TOO_FEW
        rows.append(
            row
            | {
                "test": "Wilcoxon signed-rank, Holm",
                "statistic": test.statistic,
                "p": test.p,
                "p_adjusted": float(p),
                "smallest_p": smallest,
                "effect": "matched-pairs rank-biserial",
                "effect_size": effect,
            }
        )
    return rows


def _pair_row(question: Question, first: str, second: str, better: str | None) -> dict:
    difference = float(question.scores[first].mean() - question.scores[second].mean())
    return {
        "question": question.name,
        "subject": question.subject,
        "first": first,
        "second": second,
        "difference": difference,
        "better": better,
        "verdict": f"{better} is better" if better else NOT_SHOWN,
    }


def _omnibus_row(
    question: Question, name: str, test: hypothesis_tests.Omnibus | None, smallest: float, verdict: str
) -> dict:
    n, k = question.scores.shape
    return {
        "question": question.name,
        "subject": question.subject,
        "datasets": n,
        "groups": k,
        "test": name,
        "statistic": test.statistic if test else math.nan,
        "df1": test.degrees[0] if test else None,
        "df2": test.degrees[1] if test else None,
        "p": test.p if test else math.nan,
        "smallest_p": smallest,
        "kendalls_w": hypothesis_tests.kendalls_w(question.scores),
        "shapiro_p": math.nan,
        "levene_p": math.nan,
        "verdict": verdict,
    }


def _group_rows(question: Question, control: str | None) -> list[dict]:
    ranks = hypothesis_tests.average_ranks(question.scores)
    rows = []
    for (group, values), rank in zip(question.scores.items(), ranks, strict=True):
        rows.append(
            {
                "question": question.name,
                "subject": question.subject,
                "group": group,
                "mean": float(values.mean()),
                "deviation": float(values.std(ddof=0)),
                "rank": float(rank),
                "control": group == control,
            }
        )
    return rows


def _assumptions(values: np.ndarray) -> tuple[float, float]:
    """Return the p-values of Shapiro-Wilk on the pooled values and of Levene about medians; 0 where neither runs."""
    if values.size < 3 or np.ptp(values) == 0:
        return 0.0, 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        levene = float(stats.levene(*values.T, center="median").pvalue)
    return float(stats.shapiro(values.ravel()).pvalue), 0.0 if math.isnan(levene) else levene


def _omnibus_verdict(values: np.ndarray, smallest: float, alpha: float) -> str | None:
    """Return the verdict that needs no test, or None."""
    if np.all(np.ptp(np.round(values, hypothesis_tests.DECIMALS), axis=1) == 0):
        return ALL_ALIKE
    return TOO_FEW if smallest > alpha else None


def _shown(p: float, alpha: float) -> str:
    return DIFFERENT if p < alpha else NOT_SHOWN


def _reason_to_skip(question: Question) -> str | None:
    n, k = question.scores.shape
    if question.name == "families" and k < 2:
        return (
            "no families of networks are declared"
            if k == 0
            else f"all networks with a family belong to '{question.scores.columns[0]}'"
        )
    if k < 2:
        what = question.name.removesuffix("s") if question.name != "families" else "family"
        found = f"only '{question.scores.columns[0]}'" if k else "none that has two"
        return f"there is one {what} and nothing to compare it with: {found}"
    if n < 2:
        return (
            "one dataset is no sample of datasets: rank tests over datasets do not apply; its test images are "
            "resampled instead where the predictions are at hand"
        )
    return None


def _together(skipped: list[dict]) -> list[dict]:
    """Name the subjects that were skipped for one reason in one row."""
    subjects: dict[tuple[str, str], list[str]] = {}
    for row in skipped:
        subjects.setdefault((row["question"], row["reason"]), []).append(row["subject"])
    return [{"question": q, "subject": ", ".join(names), "reason": reason} for (q, reason), names in subjects.items()]


def _frame(rows: list[dict], schema: pa.Schema) -> pd.DataFrame:
    """Build a frame with the column types of `schema`, whether or not there are rows."""
    columns = {field.name: pd.Series([row[field.name] for row in rows], dtype=DTYPES[field.type]) for field in schema}
    return pd.DataFrame(columns)


def _precision_questions(scores: pd.DataFrame, methods: list[str]) -> Iterator[Question]:
    """Yield fp32 against the reduced precisions, over the networks that have them all."""
    per_network = scores.groupby("network", sort=False)["precision"].nunique()
    precisions = list(scores["precision"].unique())
    both = per_network[per_network == len(precisions)].index
    scores = scores[scores["network"].isin(both)]
    for method in [*methods, "mean over methods"]:
        part = scores[scores["method"] == method] if method in methods else scores
        grouped = part.groupby(["dataset", "precision"], sort=False)["value"].mean().round(score_table.DECIMALS)
        wide = grouped.unstack("precision")  # noqa: PD010 - nothing is aggregated
        columns = [precision for precision in precisions if precision in wide]
        yield Question("precisions", method, wide[columns] if len(part) else pd.DataFrame())


def _family_means(values: pd.DataFrame, family_of: Mapping[str, str]) -> pd.DataFrame:
    members: dict[str, list[str]] = {}
    for row in values.columns:
        if row in family_of:
            members.setdefault(family_of[row], []).append(row)
    return _means({family: values[rows] for family, rows in members.items()}, values.index)


def _means(parts: Mapping[str, pd.DataFrame], index: pd.Index | None = None) -> pd.DataFrame:
    means = {name: part.mean(axis=1).round(score_table.DECIMALS) for name, part in parts.items()}
    return pd.DataFrame(means, index=index)


def _check_controls(controls: Sequence[str], asked: list[Question]) -> None:
    known = list(dict.fromkeys(str(name) for question in asked for name in question.scores.columns))
    for control in controls:
        if control not in known:
            near = difflib.get_close_matches(control, known, n=1)
            hint = f"is it '{near[0]}'?" if near else f"there are {', '.join(known[:12])}"
            raise InputError(
                f"the control '{control}' is no method, network, family or precision of the scores; {hint}"
            )
