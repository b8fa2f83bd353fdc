"""How a question is answered: soundly, or as the first study did."""

import itertools
import math

import numpy as np
from scipy import stats

from pocketscope.statistics import hypothesis_tests
from pocketscope.statistics.questions import Question
from pocketscope.tables.comparison import ALL_ALIKE, DIFFERENT, NOT_SHOWN, TOO_FEW

QUADE_BELOW = 5  # with fewer groups, Quade's test has more power than Friedman's (Conover 1999, section 5.8)


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
