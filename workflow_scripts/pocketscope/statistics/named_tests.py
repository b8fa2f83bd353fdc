"""Questions answered by an omnibus test and a post-hoc that a person names, and every omnibus test beside another.

Which pairs: all against a declared control, else all. Pairs are compared by what the omnibus test is made from: by mean
ranks where it ranks, by paired t-tests where it is an analysis of variance.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pocketscope.core.errors import InputError
from pocketscope.statistics import adjustments, bayes, hypothesis_tests, post_hoc, protocols
from pocketscope.statistics.questions import Question
from pocketscope.tables.comparison import ALL_ALIKE, NO_OMNIBUS, TOO_FEW

TESTS = ("friedman", "iman-davenport", "quade", "aligned-ranks", "signed-rank", "anova", "corrected-t")
POST_HOCS = ("holm", "bonferroni-dunn", "finner", "li", "nemenyi", "shaffer", "bergmann-hommel")
OF_CONTROLS = ("bonferroni-dunn", "finner", "li")  # against a control alone
OF_ALL_PAIRS = ("nemenyi", "shaffer", "bergmann-hommel")
BY_RANKS = {
    "friedman": post_hoc.friedman_ranks,
    "iman-davenport": post_hoc.friedman_ranks,
    "quade": post_hoc.quade_ranks,
    "aligned-ranks": post_hoc.aligned_ranks,
}
IN_WORDS = {
    "friedman": "z of mean ranks",
    "iman-davenport": "z of mean ranks",
    "quade": "z of Quade's ranks",
    "aligned-ranks": "z of aligned ranks",
    "signed-rank": "Wilcoxon signed-rank",
    "anova": "paired t",
    "corrected-t": "corrected resampled t",
    "holm": "Holm",
    "bonferroni-dunn": "Bonferroni-Dunn",
    "finner": "Finner",
    "li": "Li",
    "nemenyi": "Nemenyi",
    "shaffer": "Shaffer, static",
    "bergmann-hommel": "Bergmann-Hommel",
}


class Named(NamedTuple):
    """A test and a post-hoc by name; `test_share` is for `corrected-t`: which share of the images the test set is."""

    test: str = "iman-davenport"
    post_hoc: str = "holm"
    test_share: float = 0.25


class _Pair(NamedTuple):
    """A comparison: statistic, p, effect size (positive where the first is better)."""

    statistic: float
    p: float
    effect: float


def check(named: Named, controls: Sequence[str]) -> None:
    """Raise InputError where a name is unknown, or a post-hoc does not go with a test or with the controls."""
    for value, known, what in ((named.test, TESTS, "test"), (named.post_hoc, POST_HOCS, "post-hoc")):
        if value not in known:
            raise InputError(f"the {what} '{value}' is unknown; there are {', '.join(known)}")
    if named.post_hoc in OF_CONTROLS and not controls:
        raise InputError(f"{IN_WORDS[named.post_hoc]} compares with a control: name one with --control")
    if named.post_hoc in OF_ALL_PAIRS and controls:
        raise InputError(
            f"{IN_WORDS[named.post_hoc]} adjusts for all pairs: leave --control out, or take one of holm, "
            f"{', '.join(OF_CONTROLS)}"
        )
    if named.post_hoc == "nemenyi" and named.test not in ("friedman", "iman-davenport"):
        raise InputError("Nemenyi's test goes by Friedman's mean ranks: take the test friedman or iman-davenport")
    if not 0 < named.test_share < 1:
        raise InputError(f"the test set's share is {named.test_share:g}; it must lie between 0 and 1")


def reason_to_skip(question: Question, control: str | None, named: Named) -> str | None:
    """Say why a post-hoc does not apply to a question, None where it does."""
    k = question.scores.shape[1]
    if named.post_hoc in OF_CONTROLS and control is None:
        return f"{IN_WORDS[named.post_hoc]} compares with a control, and none of these groups is one"
    if named.post_hoc == "bergmann-hommel" and k > adjustments.MOST_GROUPS:
        return f"Bergmann-Hommel's procedure takes at most {adjustments.MOST_GROUPS} groups, and there are {k}"
    return None


def answer(question: Question, control: str | None, alpha: float, named: Named) -> tuple[list[dict], dict, list[dict]]:
    """Answer a question by the named tests; see `protocols.answer_soundly` for what is returned."""
    values = question.scores.to_numpy(dtype=float)
    n, k = values.shape
    columns = list(question.scores.columns)
    ranked = named.test in BY_RANKS or named.test == "signed-rank"
    smallest = hypothesis_tests.smallest_omnibus_p(n, k) if ranked else 0.0
    name, test = _omnibus(values, named)
    if np.ptp(hypothesis_tests.rounded(values), axis=1).max() == 0:
        verdict = ALL_ALIKE
    elif named.test == "corrected-t":
        verdict = NO_OMNIBUS
    else:
        verdict = TOO_FEW if smallest > alpha else protocols.shown(test.p, alpha)
    omnibus = protocols.omnibus_row(question, name, test, smallest, verdict)
    if named.test == "anova":
        found = post_hoc.repeated_measures(values)
        omnibus |= {"shapiro_p": found.shapiro_p}
    at = None if control is None else columns.index(control)
    chosen = list(itertools.combinations(range(k), 2)) if at is None else [(at, j) for j in range(k) if j != at]
    compare = _comparer(values, named)
    pairs = [compare(i, j) for i, j in chosen]
    adjusted = _adjusted(pairs, named, k)
    reachable = hypothesis_tests.smallest_wilcoxon_p(n, len(chosen)) if named.test == "signed-rank" else math.nan
    rows, means = [], question.scores.mean().to_dict()
    for (i, j), pair, p in zip(chosen, pairs, adjusted, strict=True):
        better = columns[i if pair.effect > 0 else j] if p < alpha and not reachable > alpha else None
        row = protocols.pair_row(question, means, columns[i], columns[j], better)
        if reachable > alpha:
            row["verdict"] = TOO_FEW
        rows.append(
            row
            | {
                "test": f"{IN_WORDS[named.test]}, {IN_WORDS[named.post_hoc]}",
                "statistic": pair.statistic,
                "p": pair.p,
                "p_adjusted": float(p),
                "smallest_p": reachable,
                "effect": "matched-pairs rank-biserial" if ranked else "Cohen's d",
                "effect_size": (
                    hypothesis_tests.rank_biserial(values[:, i] - values[:, j])
                    if ranked
                    else hypothesis_tests.cohens_d(values[:, i], values[:, j])
                ),
            }
        )
    return protocols.group_rows(question, control), omnibus, rows


def every_omnibus(question: Question) -> Iterator[dict]:
    """Yield a row of `tables.comparison.TESTS` for each omnibus test, whatever the number of groups."""
    values = question.scores.to_numpy(dtype=float)
    n, k = values.shape
    keys = {"question": question.name, "subject": question.subject, "datasets": n, "groups": k}
    smallest = hypothesis_tests.smallest_omnibus_p(n, k)
    for name, test in (
        ("Friedman", hypothesis_tests.friedman(values)),
        ("Friedman, ties not corrected", hypothesis_tests.friedman(values, ties=False)),
        ("Iman-Davenport", hypothesis_tests.iman_davenport(values)),
        ("Iman-Davenport, ties not corrected", hypothesis_tests.iman_davenport(values, ties=False)),
        ("Quade", hypothesis_tests.quade(values)),
        ("Friedman, aligned ranks", post_hoc.aligned_friedman(values)),
    ):
        # The curve goes on where the permutations of ranks end.
        remark = f"no p-value of ranks is below {smallest:.2g} here" if test.p < smallest else None
        yield keys | {
            "test": name, "statistic": test.statistic, "df1": float(test.degrees[0]),
            "df2": math.nan if test.degrees[1] is None else float(test.degrees[1]),
            "p": max(test.p, smallest), "remark": remark,
        }  # fmt: skip
    found = post_hoc.repeated_measures(values)
    yield keys | {
        "test": "Repeated-measures ANOVA, Greenhouse-Geisser", "statistic": found.statistic,
        "df1": found.epsilon * found.degrees[0], "df2": found.epsilon * found.degrees[1], "p": found.corrected_p,
        "remark": _conditions(found),
    }  # fmt: skip


def _conditions(found: post_hoc.RepeatedMeasures, alpha: float = 0.05) -> str:
    said = []
    if math.isnan(found.mauchly_p):
        said.append("sphericity cannot be tested with so few data sets")
    elif found.mauchly_p < alpha:
        said.append(f"not spherical (Mauchly p {found.mauchly_p:.2g}), corrected for it")
    else:
        said.append(f"sphericity is not rejected (Mauchly p {found.mauchly_p:.2g})")
    if found.shapiro_p < alpha:
        said.append(f"residuals are not normal (Shapiro-Wilk p {found.shapiro_p:.2g}): go by the ranks")
    return "; ".join(said)


def _omnibus(values: NDArray[np.float64], named: Named) -> tuple[str, hypothesis_tests.Omnibus]:
    if named.test == "friedman":
        return "Friedman", hypothesis_tests.friedman(values)
    if named.test == "quade":
        return "Quade", hypothesis_tests.quade(values)
    if named.test == "aligned-ranks":
        return "Friedman, aligned ranks", post_hoc.aligned_friedman(values)
    if named.test == "anova":
        found = post_hoc.repeated_measures(values)
        # The uncorrected degrees are whole; the p-value is the corrected one, which holds without sphericity too.
        omnibus = hypothesis_tests.Omnibus(found.statistic, found.degrees, found.corrected_p)
        return f"Repeated-measures ANOVA, Greenhouse-Geisser epsilon {found.epsilon:.3f}", omnibus
    if named.test == "corrected-t":
        return "none", hypothesis_tests.Omnibus(math.nan, (values.shape[1] - 1, None), math.nan)
    return "Iman-Davenport", hypothesis_tests.iman_davenport(values)


def _comparer(values: NDArray[np.float64], named: Named) -> Callable[[int, int], _Pair]:
    if named.test in BY_RANKS:
        ranked = BY_RANKS[named.test](values)

        def by_ranks(i: int, j: int) -> _Pair:
            z = ranked.z(i, j)
            return _Pair(z, float(2 * stats.norm.sf(abs(z))), z)

        return by_ranks
    if named.test == "signed-rank":

        def by_signs(i: int, j: int) -> _Pair:
            difference = values[:, i] - values[:, j]
            test = hypothesis_tests.wilcoxon(difference)
            return _Pair(test.statistic, test.p, hypothesis_tests.rank_biserial(difference))

        return by_signs

    def by_means(i: int, j: int) -> _Pair:
        difference = hypothesis_tests.rounded(values[:, i] - values[:, j], like=values)
        if named.test == "corrected-t":
            test = bayes.corrected_t(difference, named.test_share)
            return _Pair(test.statistic, test.p, float(difference.mean()))
        if np.ptp(difference) == 0:
            mean = float(difference[0])
            return _Pair(math.copysign(math.inf, mean) if mean else 0.0, 0.0 if mean else 1.0, mean)
        paired = stats.ttest_1samp(difference, 0)
        return _Pair(float(paired.statistic), float(paired.pvalue), float(difference.mean()))

    return by_means


def _adjusted(pairs: Sequence[_Pair], named: Named, groups: int) -> NDArray[np.float64]:
    p = [pair.p for pair in pairs]
    if named.post_hoc == "nemenyi":
        return post_hoc.nemenyi_p([pair.statistic for pair in pairs], groups)
    if named.post_hoc == "shaffer":
        return adjustments.shaffer(p, groups)
    if named.post_hoc == "bergmann-hommel":
        return adjustments.bergmann_hommel(p, groups)
    simple = {
        "holm": hypothesis_tests.holm,
        "bonferroni-dunn": adjustments.bonferroni,
        "finner": adjustments.finner,
        "li": adjustments.li,
    }
    return simple[named.post_hoc](p)
