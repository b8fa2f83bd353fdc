"""Which candidate to take: the smallest and fastest that is shown to lose no more than a margin against the best."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pocketscope.core.errors import InputError
from pocketscope.statistics import bootstrap, score_table

MARGIN = 2.0  # points of F1
CHEAPEST = {"size_mb": "smallest", "latency_ms": "fastest"}  # what a candidate of the lowest cost is called


def recommend(
    result: bootstrap.Bootstrap,
    costs: pd.DataFrame | None = None,
    *,
    margin: float = MARGIN,
    alpha: float = 0.05,
) -> dict[str, Any]:
    """Recommend the cheapest candidate whose paired lower bound of F1 minus the best one's lies above ``-margin``.

    The bound is the lower end of the bootstrap's (1 - alpha) percentile interval of the difference, on the same units
    (non-inferiority by a confidence interval); below six units there is none. What is cheap is told by `cost`.

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
        Ready for JSON. `candidate`, `f1` with `f1_lower` and `f1_upper`,
        `f1_corrected` (freed of the choice's luck, by `bootstrap.corrected_for_choice`), `size_mb`, `latency_ms`;
        the same of the best one (`best_candidate`, ...); `difference` and `difference_lower` of the two; `passing` (all
        candidates within the margin); `undecided` (those that may be within); `outcome` (`cheaper`, `best`,
        `undecided`, `unpriced`);
        `units_needed`; `text`, which says it in words.
    """
    best = int(np.argmax(result.point))
    gap = result.point - result.point[best]
    cut = bootstrap.tail(result.units, alpha)
    lower, upper = np.nanquantile(result.inside - result.inside[:, [best]], [cut, 1 - cut], axis=0)
    allowed = margin / 100
    enough = result.units >= bootstrap.FEWEST_UNITS
    passing = (lower > -allowed) & enough
    passing[best] = True
    prices = cost(result.rows, costs)
    candidate = _cheapest(passing[None], prices, result.point[None])[0]
    undecided = ~passing & ((upper > -allowed) | (not enough))
    picked = _chosen_on_resamples(result, prices, allowed, alpha)
    bounds = bootstrap.interval(result, alpha)
    found = {
        **_describe(result, bounds, costs, int(candidate), "", picked),
        **_describe(result, bounds, costs, best, "best_", np.argmax(np.nan_to_num(result.inside, nan=-1), axis=1)),
        "difference": float(gap[candidate]),
        "difference_lower": float(lower[candidate]),
        "margin": margin,
        "level": 1 - alpha,
        "unit": result.unit,
        "units": result.units,
        "passing": [name for name, good in zip(result.rows, passing, strict=True) if good],
        "undecided": [name for name, open_ in zip(result.rows, undecided, strict=True) if open_],
        "remark": bootstrap.reliability_remark(result),
    }
    # Where no gap is within the margin as measured, more units would sooner rule the others out than let them in.
    promising = not enough or bool(np.delete(gap > -allowed, best).any())
    found["outcome"] = _outcome(found, bool(np.isfinite(prices).any()), promising)
    found["units_needed"] = (
        _units_needed(result, gap, lower, allowed, prices, best) if found["outcome"] == "undecided" else None
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
        ``{"overall": ... or None, "datasets": {dataset: ...}}``, ready for JSON, each as `recommend` returns it with
        the keys of its candidates (`method`, `network`, `precision`, `best_method`, ...), and the resamples that it
        rests on, by dataset and, as "overall", over datasets.
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
    if len(cells) > 1:
        resamples["overall"] = bootstrap.over_datasets(cells)
        found["overall"] = recommend(resamples["overall"], prices, margin=margin, alpha=alpha)
    for chosen in [*found["datasets"].values(), *([found["overall"]] if found["overall"] else [])]:
        chosen |= (
            keys.loc[chosen["candidate"]].to_dict() | keys.loc[chosen["best_candidate"]].add_prefix("best_").to_dict()
        )
    return found, resamples


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


def _cheapest(passing: NDArray[np.bool_], prices: NDArray, scores: NDArray) -> NDArray[np.int64]:
    """Return per line the passing candidate of the lowest price, of equal prices the best score."""
    # Ranks of prices lie at least 1 apart, scores between 0 and 1: one number orders by both.
    order = stats.rankdata(prices, method="dense")[None] - np.nan_to_num(scores) / 2
    return np.argmin(np.where(passing, order, math.inf), axis=1)


def _chosen_on_resamples(
    result: bootstrap.Bootstrap, prices: NDArray, allowed: float, alpha: float
) -> NDArray[np.int64]:
    """Apply the rule on every resample, with normal bounds: a bootstrap inside each would cost samples squared."""
    scores = np.nan_to_num(result.inside)
    covariance = np.atleast_2d(np.cov(scores, rowvar=False))
    variance = np.diag(covariance)
    best = np.argmax(scores, axis=1)
    of_difference = variance[None] + variance[best][:, None] - 2 * covariance[best]
    reach = -stats.norm.ppf(bootstrap.tail(result.units, alpha)) * np.sqrt(np.maximum(of_difference, 0))
    lines = np.arange(len(scores))
    passing = scores - scores[lines, best][:, None] - reach > -allowed
    passing &= result.units >= bootstrap.FEWEST_UNITS
    passing[lines, best] = True
    return _cheapest(passing, prices, scores)


def _describe(
    result: bootstrap.Bootstrap,
    bounds: NDArray,
    costs: pd.DataFrame | None,
    candidate: int,
    prefix: str,
    picked: NDArray,
) -> dict[str, Any]:
    name = result.rows[candidate]
    found = {
        "candidate": name,
        "f1": float(result.point[candidate]),
        "f1_lower": float(bounds[candidate, 0]),
        "f1_upper": float(bounds[candidate, 1]),
        "f1_corrected": bootstrap.corrected_for_choice(result, picked),
    }
    for column in ("size_mb", "latency_ms"):
        value = costs[column].get(name, math.nan) if costs is not None and column in costs else math.nan
        found[column] = None if math.isnan(value) else float(value)
    return {prefix + key: value for key, value in found.items()}


def _outcome(found: dict[str, Any], priced: bool, promising: bool) -> str:
    if found["candidate"] != found["best_candidate"]:
        return "cheaper"
    if found["undecided"] and len(found["passing"]) == 1 and promising:
        return "undecided"
    return "best" if priced else "unpriced"


def _units_needed(
    result: bootstrap.Bootstrap, gap: NDArray, lower: NDArray, allowed: float, prices: NDArray, best: int
) -> int:
    """Return how many test units would carry the cheapest promising candidate over the margin, if gaps stay.

    The distance from point to bound shrinks with the root of the number of units: ``n = n0 (distance / (margin +
    gap))^2``.
    """
    if result.units < bootstrap.FEWEST_UNITS:
        return bootstrap.FEWEST_UNITS
    promising = (gap > -allowed) & (np.arange(len(gap)) != best)
    candidate = _cheapest(promising[None], prices, result.point[None])[0]
    return math.ceil(result.units * ((gap[candidate] - lower[candidate]) / (allowed + gap[candidate])) ** 2)


def _text(found: dict[str, Any], priced_by: list[str]) -> str:
    margin = f"{found['margin']:g} point{'s' if found['margin'] != 1 else ''} of F1"
    units = "data sets" if found["unit"] == "dataset" else f"test {found['unit']}s"
    if found["outcome"] == "cheaper":
        loss = max(0.0, -100 * found["difference_lower"])
        cheapest = " and ".join(CHEAPEST[column] for column in priced_by)
        return (
            f"{found['candidate']} is the {cheapest} candidate that loses less than {margin} against the best, "
            f"{found['best_candidate']}: at most {loss:.1f} with {100 * found['level']:g} % confidence."
        )
    if found["outcome"] == "undecided" and found["units"] < bootstrap.FEWEST_UNITS:
        return (
            f"{found['candidate']} scores best. {found['units']} {units} are too few to show that another candidate "
            f"loses less than {margin} against it: {bootstrap.FEWEST_UNITS} are the minimum."
        )
    if found["outcome"] == "undecided":
        return (
            f"{found['candidate']} scores best. {found['units']:,} {units} are too few to decide whether "
            f"{len(found['undecided'])} other candidate{'s lose' if len(found['undecided']) > 1 else ' loses'} less "
            f"than {margin} against it. About {found['units_needed']:,} {units} would be enough, if the gaps stay as "
            "measured."
        )
    if found["outcome"] == "unpriced":
        return f"{found['candidate']} scores best. No file sizes or latencies are known, so none can be called cheaper."
    return f"{found['candidate']} scores best. No cheaper candidate is shown to lose less than {margin} against it."
