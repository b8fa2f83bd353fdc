"""Which candidate to take: the smallest and fastest that is shown to lose no more than a margin against the best.

References
----------
.. [1] J. C. Hsu, "Multiple Comparisons: Theory and Methods", Chapman & Hall, 1996, chapter 4 (comparisons with the
       best).
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pocketscope.core.errors import InputError
from pocketscope.statistics import bootstrap, intervals, score_table

log = logging.getLogger(__name__)

MARGIN = 2.0  # points of F1
MOST_CANDIDATES = 2000  # resampled at once: each has 2,000 resamples, and each two a covariance
FEWEST_DATASETS = 6  # from fewer, nothing is concluded about other data sets: not even six wins of six go below 0.03
ALIKE = 1e-9  # scores that lie closer are the same
CHEAPEST = {"size_mb": "smallest", "latency_ms": "fastest"}  # what a candidate of the lowest cost is called


def recommend(
    result: bootstrap.Bootstrap,
    costs: pd.DataFrame | None = None,
    *,
    margin: float = MARGIN,
    alpha: float = 0.05,
) -> dict[str, Any]:
    """Recommend the cheapest candidate that is shown to lose less than ``margin`` against every other one.

    Shown by the lower bound of its paired difference in F1, which lies above ``-margin`` against each of the others
    (non-inferiority by a confidence interval). Which of them is truly the best need not be known, and no luck of the
    best-looking one is taken for its worth: of a candidate that loses the margin against the truly best one, the bound
    against that one alone keeps its promise [1]_. The bounds of all candidates hold at once, because the cheapest of
    many that pass is taken (`bootstrap.simultaneous_tail`). Below six data sets there is none. What is cheap is told by
    `cost`.

    Where none is, the best-scoring one is taken, or the cheapest that is shown to lose less than the margin against it.

    Parameters
    ----------
    result
        Scores between 0 and 1, resampled.
    costs
        Index candidate, columns size_mb and latency_ms, either of which may be missing or NaN. Without any, the best
        candidate is recommended.
    margin
        Points of F1 (hundredths) that a cheaper candidate may lose.
    alpha
        One minus the level of the intervals.

    Returns
    -------
    dict
        Ready for JSON. `candidate`, `f1` with `f1_lower` and `f1_upper` (None below three data sets), `f1_corrected`
        (freed of the choice's luck, which the lower bound is too), `accuracy` with `accuracy_lower` and
        `accuracy_upper` (None where units are data sets), `size_mb`, `latency_ms`; the same of the best one
        (`best_candidate`, ...); `ties`, which score as the best does; `difference` of the two, and the simultaneous
        `difference_lower` against whichever is the best (where undecided: against the best-scoring one); `passing`
        (all candidates within the margin); `undecided` (those that may be within); `outcome` (`cheaper`, `best`,
        `undecided`, `unpriced`); `units_needed`; `tested`, what the test images say of the accuracy and how many more
        would change it; `text`, which says it in words.
    """
    prices = cost(result.rows, costs)
    best = _best(result.point, prices)
    gap = result.point - result.point[best]
    allowed = margin / 100
    enough = result.unit != "dataset" or result.units >= FEWEST_DATASETS
    others = np.delete(np.arange(len(gap)), best)
    tail = bootstrap.simultaneous_tail(result.low[:, others] - result.high[:, [best]], alpha / 2)
    lower = np.quantile(result.low - result.high[:, [best]], tail, axis=0)
    lower[best] = 0.0
    upper = np.quantile(result.high - result.low[:, [best]], 1 - tail, axis=0)
    close, against_best = (lower > -allowed) & enough, lower.copy()
    for i in np.flatnonzero(close):
        lower[i] = min(lower[i], _lowest(result, i, tail, allowed, best))
    passing = (lower > -allowed) & enough
    passing[best] = close[best] = True
    shown = passing.sum() > 1
    candidate = int(_cheapest((passing if shown else close)[None], prices, result.point[None])[0])
    undecided = ~passing & (~(upper < -allowed) | (not enough))
    picked = _chosen_without_folds(result, prices, allowed, tail, enough)
    bounds = bootstrap.interval(result, alpha)
    found = {
        **_describe(result, bounds, costs, candidate, "", result.choice.score(picked), alpha),
        **_describe(result, bounds, costs, best, "best_", result.choice.score(_best_of_each(result, prices)), alpha),
        "ties": [result.rows[i] for i in others if gap[i] > -ALIKE],
        "difference": float(gap[candidate]),
        "difference_lower": float((lower if shown else against_best)[candidate]) if enough else None,
        "margin": margin,
        "level": 1 - alpha,
        "unit": result.unit,
        "units": result.units,
        "passing": [name for name, good in zip(result.rows, passing, strict=True) if good],
        "undecided": [name for name, open_ in zip(result.rows, undecided, strict=True) if open_],
        "remark": bootstrap.remark(result),
        "tested": _tested(result, candidate, alpha),
    }
    # Where no gap is within the margin as measured, more units would sooner rule the others out than let them in.
    promising = not enough or bool((gap[others] > -allowed).any())
    found["outcome"] = _outcome(found, bool(np.isfinite(prices).any()), promising)
    found["units_needed"] = (
        _units_needed(result, gap, lower, allowed, prices, best, tail) if found["outcome"] == "undecided" else None
    )
    found["text"] = _text(found, counted(result.rows, costs))
    return found


def for_study(
    scores: pd.DataFrame,
    costs: pd.DataFrame | None = None,
    evidence: Mapping[str, bootstrap.Evidence] | None = None,
    *,
    bounds: Sequence[str] = score_table.BOUNDS,
    margin: float = MARGIN,
    alpha: float = 0.05,
) -> tuple[dict[str, Any], dict[str, bootstrap.Bootstrap]]:
    """Recommend a candidate for each dataset with test predictions, and over all datasets where there are several.

    Parameters
    ----------
    scores
        A checked score table.
    costs
        Columns network, and where known precision, size_mb and latency_ms: one line a network and precision.
    evidence
        By dataset, its test predictions.
    bounds
        Methods that know every true label, and cannot be recommended.
    margin, alpha
        As in `recommend`.

    Returns
    -------
    tuple
        ``{"overall": ... or None, "no_overall": why so, "datasets": {dataset: ...}}``, ready for JSON, each as
        `recommend` returns it with the keys of its candidates (`method`, `network`, `precision`, `best_method`,
        ...), and the resamples that it rests on, by dataset and, as "overall", over datasets.
    """
    competing = score_table.competitors(scores, bounds)
    keys = score_table.candidates(competing)
    cells = score_table.cells(competing).set_axis(keys.index, axis=1)
    prices = candidate_costs(keys, costs)
    found: dict[str, Any] = {"overall": None, "datasets": {}}
    resamples = {}
    for dataset, given in (evidence or {}).items():
        data = bootstrap.align(given.predictions, given.truth, given.classes, given.groups)
        samples = bootstrap.enough_samples(len(data.rows))
        resamples[dataset] = bootstrap.bootstrap(data, positive=given.positive, samples=samples)
        found["datasets"][dataset] = recommend(resamples[dataset], prices, margin=margin, alpha=alpha)
    found["no_overall"] = _no_overall(*cells.shape)
    if found["no_overall"] is None:
        resamples["overall"] = bootstrap.over_datasets(cells)
        found["overall"] = recommend(resamples["overall"], prices, margin=margin, alpha=alpha)
    for chosen in [*found["datasets"].values(), *([found["overall"]] if found["overall"] else [])]:
        chosen |= (
            keys.loc[chosen["candidate"]].to_dict() | keys.loc[chosen["best_candidate"]].add_prefix("best_").to_dict()
        )
    return found, resamples


def _no_overall(datasets: int, candidates: int) -> str | None:
    """Say why there is no recommendation over data sets, None where there is one."""
    if datasets < 2:
        return "the scores of one data set say nothing about other data sets"
    if candidates > MOST_CANDIDATES:
        reason = (
            f"{candidates:,} candidates are too many to resample, more than {MOST_CANDIDATES:,}; leave out methods or "
            "networks that are out of the question"
        )
        log.warning("no candidate is recommended: %s", reason)  # at once: the rest takes a while
        return reason
    return None


def candidate_costs(candidates: pd.DataFrame, costs: pd.DataFrame | None) -> pd.DataFrame | None:
    """Give every candidate its network's costs at its precision, None where there are no costs.

    Parameters
    ----------
    candidates
        What `score_table.candidates` returns.
    costs
        Columns network, and where known precision, size_mb and latency_ms.

    Raises
    ------
    pocketscope.core.errors.InputError
        A network has two lines at one precision, such as of two runtimes.
    """
    if costs is None:
        return None
    if "precision" not in costs:
        costs = costs.assign(precision="fp32")
    columns = [column for column in ("size_mb", "latency_ms") if column in costs]
    by_form = costs.set_index(["network", "precision"])[columns].astype(float)
    if by_form.index.has_duplicates:
        network, precision = by_form.index[by_form.index.duplicated()][0]
        raise InputError(f"the costs of '{network}' at {precision} are given twice: choose one runtime")
    forms = pd.MultiIndex.from_frame(candidates[["network", "precision"]])
    return by_form.reindex(forms).set_axis(candidates.index)


def cost(candidates: list[str], costs: pd.DataFrame | None) -> NDArray[np.float64]:
    """Return the relative cost of every candidate, shape (candidates,): infinite where unknown.

    The geometric mean of file size and latency, each relative to its smallest: halving either is worth the same. Which
    of the two count is told by `counted`.
    """
    columns = counted(candidates, costs)
    if not columns:
        return np.full(len(candidates), math.inf)
    logs = np.log(costs.reindex(candidates)[columns].to_numpy(dtype=float)).mean(axis=1)
    return np.nan_to_num(np.exp(logs - np.nanmin(logs)), nan=math.inf)


def counted(candidates: list[str], costs: pd.DataFrame | None) -> list[str]:
    """Return which of size_mb and latency_ms make the cost of `candidates`: those known of all that have either.

    Where neither is, the one known of more candidates, of equally many the size: it is the same on every machine.
    Candidates without it cannot be compared with the others, and their cost is unknown. Empty where none has a cost.
    """
    if costs is None:
        return []
    known = costs.reindex(candidates).reindex(columns=list(CHEAPEST)).notna()
    known = known[known.any(axis=1)]
    if known.empty:
        return []
    everywhere = list(known.columns[known.all()])
    return everywhere or [known.sum().idxmax()]


def _best(scores: NDArray, prices: NDArray) -> int:
    """Return the best-scoring candidate, of those that score alike the cheapest, of these the first by name."""
    return int(_cheapest((scores > scores.max() - ALIKE)[None], prices, np.zeros((1, len(scores))))[0])


def _cheapest(passing: NDArray[np.bool_], prices: NDArray, scores: NDArray) -> NDArray[np.int64]:
    """Return per line the passing candidate of the lowest price, of equal prices the best score, then by name."""
    # Ranks of prices lie at least 1 apart, scores between 0 and 1: one number orders by both. Rows are sorted by name.
    order = np.unique(prices, return_inverse=True)[1][None] - np.round(scores, 9) / 2
    return np.argmin(np.where(passing, order, math.inf), axis=1)


def _lowest(result: bootstrap.Bootstrap, row: int, tail: float, allowed: float, best: int) -> float:
    """Return the lowest of a row's bounds against all others, or some bound below the margin if there is one."""
    # A cheap look first: where the ends of the two scores lie apart, so does their difference.
    own, others = np.quantile(result.low[:, row], tail / 2), np.quantile(result.high, 1 - tail / 2, axis=0)
    close = np.flatnonzero(own - others <= -allowed)
    close = close[(close != row) & (close != best)]
    lowest = math.inf
    for start in range(0, len(close), 16):
        draws = result.low[:, [row]] - result.high[:, close[start : start + 16]]
        lowest = min(lowest, float(np.quantile(draws, tail, axis=0).min()))
        if lowest <= -allowed:
            break
    return lowest


def _best_of_each(result: bootstrap.Bootstrap, prices: NDArray) -> NDArray[np.int64]:
    scores = result.choice.inside
    return _cheapest(scores > scores.max(axis=1, keepdims=True) - ALIKE, prices, np.zeros_like(scores))


def _chosen_without_folds(
    result: bootstrap.Bootstrap, prices: NDArray, allowed: float, tail: float, enough: bool
) -> NDArray[np.int64]:
    """Apply the rule without each fold, with normal bounds: weights inside each would cost samples times folds."""
    scores = result.choice.inside
    chosen = np.zeros_like(scores, dtype=bool)
    chosen[np.arange(len(scores)), _best_of_each(result, prices)] = True
    if enough and not np.isnan(result.low).any():
        covariance = np.atleast_2d(np.cov(result.low, rowvar=False)) / result.choice.share
        variance = np.diag(covariance)
        centre = result.low.mean(axis=0) - result.point  # the unit more pulls a row down, and its rivals up
        rival = result.high.mean(axis=0) - result.point
        deviation = np.sqrt(np.maximum(variance[:, None] + variance[None] - 2 * covariance, 0))
        reach = -stats.norm.ppf(tail) * deviation - centre[:, None] + rival[None]
        np.fill_diagonal(reach, -math.inf)
        for line, row in zip(scores, chosen, strict=True):
            within = line[:, None] - line[None] - reach > -allowed
            passing = within.all(axis=1)
            row |= passing if (passing & ~row).any() else within[:, np.argmax(row)]
    return _cheapest(chosen, prices, scores)


def _describe(
    result: bootstrap.Bootstrap,
    bounds: NDArray,
    costs: pd.DataFrame | None,
    candidate: int,
    prefix: str,
    corrected: float,
    alpha: float,
) -> dict[str, Any]:
    name, f1 = result.rows[candidate], float(result.point[candidate])
    # An interval about a choice's score is lowered by the choice's luck at its lower end.
    lower, upper = bounds[candidate] - [max(0.0, f1 - corrected), 0]
    share = bootstrap.accuracy(result, candidate, alpha)
    found = {
        "candidate": name,
        "f1": f1,
        "f1_lower": None if math.isnan(lower) else float(max(0.0, lower)),
        "f1_upper": None if math.isnan(upper) else float(upper),
        "f1_corrected": corrected,
        "accuracy": share and share.right / share.tested,
        "accuracy_lower": share and share.lower,
        "accuracy_upper": share and share.upper,
    }
    for column in ("size_mb", "latency_ms"):
        value = costs[column].get(name, math.nan) if costs is not None and column in costs else math.nan
        found[column] = None if math.isnan(value) else float(value)
    return {prefix + key: value for key, value in found.items()}


def _tested(result: bootstrap.Bootstrap, candidate: int, alpha: float) -> dict[str, Any] | None:
    share = bootstrap.accuracy(result, candidate, alpha)
    if share is None:
        return None
    groups = result.units if result.unit == "group" else None
    return {**share._asdict(), "text": intervals.in_words(share, alpha, groups)}


def _outcome(found: dict[str, Any], priced: bool, promising: bool) -> str:
    if found["candidate"] != found["best_candidate"] and len(found["passing"]) > 1:
        return "cheaper"
    if found["undecided"] and len(found["passing"]) == 1 and promising:
        return "undecided"
    return "best" if priced else "unpriced"


def _units_needed(
    result: bootstrap.Bootstrap,
    gap: NDArray,
    lower: NDArray,
    allowed: float,
    prices: NDArray,
    best: int,
    tail: float,
) -> int:
    """Return how many test units would carry the first cheaper candidate over the margin, if gaps stay.

    From point to bound, what units differ by shrinks with the root of their number, and what the unit more may do with
    the number itself: with x the root of ``n0 / n``, ``a x + b x^2`` comes down to ``margin + gap``.
    """
    if result.unit == "dataset" and result.units < FEWEST_DATASETS:
        return FEWEST_DATASETS
    promising = np.flatnonzero((gap > -allowed) & (np.arange(len(gap)) != best))
    cheaper = promising[prices[promising] < prices[best]]
    needed = []
    for i in cheaper if len(cheaper) else promising:
        distance, allowance = gap[i] - lower[i], allowed + gap[i]
        varied = math.sqrt(result.units) * float((result.parts[:, i] - result.parts[:, best]).std())
        a = distance if result.unit == "dataset" else min(distance, -float(stats.norm.ppf(tail)) * varied)
        b = distance - a
        root = (math.sqrt(a * a + 4 * b * allowance) - a) / (2 * b) if b > 1e-12 else allowance / a
        needed.append(result.units / root**2)
    return math.ceil(min(needed))


def _text(found: dict[str, Any], priced_by: list[str]) -> str:
    margin = f"{found['margin']:g} point{'s' if found['margin'] != 1 else ''} of F1"
    units = "data sets" if found["unit"] == "dataset" else f"test {found['unit']}s"
    candidate, best = found["candidate"], found["best_candidate"]
    few = found["unit"] == "dataset" and found["units"] < FEWEST_DATASETS
    if found["outcome"] == "cheaper":
        loss = max(0.0, -100 * found["difference_lower"])
        cheapest = " and ".join(CHEAPEST[column] for column in priced_by)
        against = f"the best, {best}" if not found["ties"] else f"the best ({_names([best, *found['ties']])})"
        return (
            f"{candidate} is the {cheapest} candidate that is shown to lose less than {margin} against every other "
            f"one: at most {loss:.1f} with {100 * found['level']:g} % confidence. It scores "
            f"{100 * abs(found['difference']):.1f} {'less than' if found['difference'] < -ALIKE else 'from'} {against}."
        )
    if found["ties"]:
        taken = f", and {candidate} is the cheapest of them" if found["outcome"] != "unpriced" else ""
        leads = f"{_names([candidate, *found['ties']])} score alike, and best{taken}."
    else:
        leads = f"{candidate} scores best."
    if found["outcome"] == "undecided" and few:
        return (
            f"{leads} {found['units']} {units} are too few to show that another candidate loses less than {margin} "
            f"against it: {FEWEST_DATASETS} are the minimum."
        )
    if found["outcome"] == "undecided":
        if candidate != best:
            loss = max(0.0, -100 * found["difference_lower"])
            leads = f"{best} scores best, and {candidate}, which is cheaper, loses at most {loss:.1f} against it."
        return (
            f"{leads} {found['units']:,} {units} are too few to decide whether "
            f"{len(found['undecided'])} other candidate{'s lose' if len(found['undecided']) > 1 else ' loses'} less "
            f"than {margin}. About {_rounded(found['units_needed'])} {units} would be enough for one of them, "
            "if the gaps stay as measured."
        )
    if found["outcome"] == "unpriced":
        return f"{leads} No file sizes or latencies are known, so none can be called cheaper."
    return f"{leads} No cheaper candidate is shown to lose less than {margin} against it."


def _rounded(count: int) -> str:
    """Write a count with two digits that count: more, nobody knows."""
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{math.ceil(count / step) * step:,}"


def _names(names: Sequence[str]) -> str:
    """Join names, the first four of them."""
    shown = list(names) if len(names) <= 5 else [*names[:4], f"{len(names) - 4} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
