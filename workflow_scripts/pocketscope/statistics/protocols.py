"""How a question is answered: soundly, or as the first study did."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from pocketscope.statistics import hypothesis_tests, post_hoc, simultaneous
from pocketscope.statistics.questions import Question
from pocketscope.tables.comparison import ALL_ALIKE, DIFFERENT, FOR_READING, NOT_SHOWN, TOO_FEW

QUADE_BELOW = 5  # with fewer groups, Quade's test has more power than Friedman's (Conover 1999, section 5.8)


def answer_soundly(
    asked: Sequence[Question], controls: Sequence[str | None], alpha: float
) -> list[tuple[list[dict], dict, list[dict]]]:
    """Answer by ranks and exchanges within data sets, without pre-tests; `controls` holds each question's.

    The pairs of all main questions are tested at once: alpha bounds the chance that any difference is found where none
    is, in all of them together. Of the other questions the same figures are given, each for itself, and no verdict.
    """
    found = pairs_at_once([q for q in asked if q.main], [c for q, c in zip(asked, controls, strict=True) if q.main])
    answers = []
    for question, control in zip(asked, controls, strict=True):
        pairs, tested = found.pop(0) if question.main else pairs_at_once([question], [control])[0]
        answers.append(_answer_soundly(question, control, pairs, tested, alpha))
    return answers


def pairs_at_once(
    asked: Sequence[Question], controls: Sequence[str | None]
) -> list[tuple[np.ndarray, simultaneous.Tested]]:
    """Test the pairs of several questions on the same data sets at once; return each one's pairs and what was found.

    All pairs of a question, or those with its control, which comes first in them.
    """
    pairs, columns = [], []
    for question, control in zip(asked, controls, strict=True):
        names = list(question.scores.columns)
        if control is None:
            chosen = simultaneous.all_pairs(len(names))
        else:
            chosen = simultaneous.with_control(len(names), names.index(control))[:, ::-1]
        pairs.append(chosen)
        columns.append(question.scores.sort_index().to_numpy())
    if not pairs:
        return []
    starts = np.cumsum([0, *(part.shape[1] for part in columns)])
    joined = np.concatenate([part + first for part, first in zip(pairs, starts[:-1], strict=True)])
    together = simultaneous.step_down(np.round(np.hstack(columns), hypothesis_tests.DECIMALS), joined)
    ends = np.cumsum([len(part) for part in pairs])
    split = [np.split(values, ends[:-1]) for values in together]
    return [(part, simultaneous.Tested(*(values[i] for values in split))) for i, part in enumerate(pairs)]


def _answer_soundly(
    question: Question, control: str | None, chosen: np.ndarray, tested: simultaneous.Tested, alpha: float
) -> tuple[list[dict], dict, list[dict]]:
    values = question.scores.to_numpy()
    n, k = values.shape
    smallest = hypothesis_tests.smallest_omnibus_p(n, k)
    pairs = _exchanged_pairs(question, chosen, tested, alpha)
    if k == 2:
        name, test = "exchanges (see the pair)", None
    elif k < QUADE_BELOW:
        name, test = "Quade", hypothesis_tests.quade(values)
    else:
        name, test = "Iman-Davenport", hypothesis_tests.iman_davenport(values)
    if test:
        test = test._replace(p=max(test.p, smallest))  # F's curve has no end, the permutations of ranks do
    if np.all(np.ptp(np.round(values, hypothesis_tests.DECIMALS), axis=1) == 0):
        verdict = ALL_ALIKE
    elif not question.main:
        verdict = FOR_READING
    else:
        verdict = DIFFERENT if any(pair["better"] for pair in pairs) else pairs[0]["verdict"]
    omnibus = omnibus_row(question, name, test, smallest, verdict)
    if test is None:
        omnibus |= {"statistic": abs(pairs[0]["statistic"])} | {key: pairs[0][key] for key in ("p", "smallest_p")}
    return group_rows(question, control), omnibus, pairs


def answer_as_the_paper(question: Question, control: str | None, alpha: float) -> tuple[list[dict], dict, list[dict]]:
    """Answer as study A does: pre-tests on the pooled values, then means or ranks against the best group.

    Normal (Shapiro-Wilk) with equal variances (Levene about medians): one-way ANOVA with Bonferroni-Dunn; otherwise
    Quade's F and ranks below five groups, Iman-Davenport's F without tie correction and average ranks else; then
    z-tests and Holm. The paper takes the best as control; a declared `control` takes its place.
    """
    values = question.scores.to_numpy()
    n, k = values.shape
    columns = list(question.scores.columns)
    declared = None if control is None else columns.index(control)
    shapiro_p, levene_p = _assumptions(values)
    as_means = min(shapiro_p, levene_p) > alpha
    if as_means:
        name, test = "ANOVA", hypothesis_tests.anova(values)
        best = declared if declared is not None else int(np.argmax(values.mean(axis=0)))
        statistic, adjusted = hypothesis_tests.bonferroni_dunn(values, best)
        p = np.full(k, math.nan)
        compared_by = "Bonferroni-Dunn t"
    else:
        quade = k < QUADE_BELOW
        name = "Quade" if quade else "Iman-Davenport, ties not corrected"
        test = hypothesis_tests.quade(values) if quade else hypothesis_tests.iman_davenport(values, ties=False)
        ranked = post_hoc.quade_ranks(values) if quade else post_hoc.friedman_ranks(values)
        best = declared if declared is not None else int(np.argmin(ranked.ranks))
        statistic = (ranked.ranks - ranked.ranks[best]) / ranked.error
        p = 2 * stats.norm.sf(np.abs(statistic))
        compared_by = f"z of {'Quade' if quade else 'average'} ranks, Holm"
        adjusted = np.ones(k)
        others = np.delete(np.arange(k), best)
        adjusted[others] = hypothesis_tests.holm(p[others])
    omnibus = omnibus_row(question, name, test, hypothesis_tests.smallest_omnibus_p(n, k), shown(test.p, alpha)) | {
        "shapiro_p": shapiro_p,
        "levene_p": levene_p,
    }
    pairs, means = [], question.scores.mean().to_dict()
    for j in (j for j in range(k) if j != best):
        # A declared control may be the worse one.
        better = columns[best if statistic[j] > 0 else j] if adjusted[j] < alpha else None
        pairs.append(
            pair_row(question, means, columns[best], columns[j], better)
            | {
                "test": compared_by,
                "statistic": float(statistic[j]),
                "p": float(p[j]),
                "p_adjusted": float(adjusted[j]),
                "smallest_p": math.nan,
                "effect": "Cohen's d",
                "effect_size": hypothesis_tests.cohens_d(values[:, best], values[:, j]),
            }
        )
    return group_rows(question, columns[best]), omnibus, pairs


def _exchanged_pairs(question: Question, chosen: np.ndarray, tested: simultaneous.Tested, alpha: float) -> list[dict]:
    values = question.scores.to_numpy()
    columns = list(question.scores.columns)
    smallest = simultaneous.smallest_p(len(values))
    effects = hypothesis_tests.rank_biserials(values, chosen)
    means = question.scores.mean().to_dict()
    rows = []
    for (i, j), statistic, p, adjusted, effect in zip(chosen, *tested, effects, strict=True):
        better = columns[i if statistic > 0 else j] if adjusted < alpha and question.main else None
        row = pair_row(question, means, columns[i], columns[j], better)
        if not question.main:
            row["verdict"] = FOR_READING
        elif smallest > alpha:
            row["verdict"] = TOO_FEW
        rows.append(
            row
            | {
                "test": "exchanges within data sets, step-down",
                "statistic": float(statistic),
                "p": float(p),
                "p_adjusted": float(adjusted),
                "smallest_p": smallest,
                "effect": "matched-pairs rank-biserial",
                "effect_size": float(effect),
            }
        )
    return rows


def pair_row(question: Question, means: Mapping[str, float], first: str, second: str, better: str | None) -> dict:
    """Return what every row of PAIRS begins with; `means` by group."""
    difference = means[first] - means[second]
    return {
        "question": question.name,
        "subject": question.subject,
        "first": first,
        "second": second,
        "difference": difference,
        "better": better,
        "verdict": f"{better} is better" if better else NOT_SHOWN,
    }


def omnibus_row(
    question: Question, name: str, test: hypothesis_tests.Omnibus | None, smallest: float, verdict: str
) -> dict:
    """Return a row of OMNIBUS; without a test its statistic is NaN."""
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


def group_rows(question: Question, control: str | None) -> list[dict]:
    """Return the rows of GROUPS."""
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


def shown(p: float, alpha: float) -> str:
    """Return the verdict of an omnibus p-value."""
    return DIFFERENT if p < alpha else NOT_SHOWN
