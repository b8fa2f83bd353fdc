"""What follows from a study's scores: which candidate to take, and the tables that say why."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from pocketscope.core import files
from pocketscope.statistics import bootstrap, differences, frames, recommendation, reliable, score_table, simultaneous
from pocketscope.tables.decision import ANSWERS, COSTS, DIFFERENCES, GAINS, RELIABLE

SCHEMAS = {"differences": DIFFERENCES, "gains": GAINS, "costs": COSTS, "answers": ANSWERS, "reliable": RELIABLE}
OPENED = ("differences", "gains", "costs", "reliable")  # by people: as CSV too. Answers are a line an image
RECOMMENDATION = "recommendation.json"
SHARE = 0.9  # of reliable answers that are right, at least


class Decision(NamedTuple):
    """The recommendation, and the tables that it rests on (schemas: `tables.decision`).

    `found` is ready for JSON: `overall` (None for the reason `no_overall`) and `datasets` (those with test
    predictions), each as `recommendation.recommend` returns it, with `gain`: what the same network gained over the
    `baseline` (`reference`, `difference`, `lower`, `upper`; None where there is nothing to compare with), and of a
    data set its `classes`, the `positive` one, and `int8`, what int8 costs each network; `best_mean`, the candidate of
    the best mean over data sets;
    `baseline`, `alpha`.
    """

    found: dict[str, Any]
    differences: pd.DataFrame
    gains: pd.DataFrame
    costs: pd.DataFrame
    answers: pd.DataFrame
    reliable: pd.DataFrame


def decide(
    scores: pd.DataFrame,
    costs: pd.DataFrame | None = None,
    evidence: Mapping[str, bootstrap.Evidence] | None = None,
    *,
    bounds: Sequence[str] = score_table.BOUNDS,
    margin: float = recommendation.MARGIN,
    alpha: float = 0.05,
    baseline: str = "supervised",
    share: float = SHARE,
    controls: Sequence[str] = (),
) -> Decision:
    """Recommend a candidate for each data set and over all, and tell what that rests on.

    Parameters
    ----------
    scores
        A checked score table; the splits with the most labelled images count.
    costs
        Columns network, and where known precision, size_mb (file) and latency_ms (one image).
    evidence
        Test predictions by data set. Without any there is no interval on images, and no data set has a recommendation
        of its own.
    bounds
        Methods that know every true label, and do not compete.
    margin, alpha
        As in `recommendation.recommend`.
    baseline
        The method that is trained on the labelled images alone.
    share
        How many of the answers that are called reliable are right, at least; see `reliable.least_reliable`.
    controls
        The first that names a candidate is what the others of a data set are compared with; else the recommended one
        is, which the data chose.
    """
    given = evidence or {}
    main = score_table.most_labelled(scores)
    competing = score_table.competitors(main, bounds)
    found, resamples = recommendation.for_study(main, costs, given, bounds=bounds, margin=margin, alpha=alpha)
    cells, candidates = score_table.cells(competing), score_table.candidates(competing)
    for key, result in resamples.items():
        chosen = found["overall"] if key == "overall" else found["datasets"][key]
        chosen["gain"] = _gain_of(result, chosen, baseline, alpha)
    for dataset, one in given.items():
        named = None if one.positive is None else one.classes[one.positive]
        found["datasets"][dataset] |= {"classes": list(one.classes), "positive": named}
        found["datasets"][dataset]["int8"] = list(_int8_losses(resamples[dataset], candidates, alpha))
    found |= {"best_mean": _best_mean(cells, candidates), "baseline": baseline, "alpha": alpha}
    chosen = {dataset: about["candidate"] for dataset, about in found["datasets"].items()}
    control = next((name for name in controls if name in set(candidates.index)), None)
    compared = {
        dataset: differences.with_reference(
            resamples[dataset],
            control or candidate,
            declared=control is not None,
            # Over data sets enough, the methods are compared once for all (`comparison.compare`).
            methods=simultaneous.smallest_p(len(cells)) > alpha,
            families=len(chosen),
            alpha=alpha,
        ).assign(dataset=dataset)
        for dataset, candidate in chosen.items()
    }
    answers = {name: _answers(name, given[name], candidate) for name, candidate in chosen.items()}
    return Decision(
        found,
        _joined(list(compared.values()), DIFFERENCES),
        frames.frame(list(_gains(cells, candidates, resamples, baseline, alpha)), GAINS),
        _costs(cells, candidates, costs),
        _joined(list(answers.values()), ANSWERS),
        frames.frame(
            [_reliable(part, share) | {"candidate": chosen[dataset]} for dataset, part in answers.items()], RELIABLE
        ),
    )


def write(decision: Decision, folder: str | os.PathLike) -> list[Path]:
    """Write recommendation.json and the tables as Parquet, most as CSV too, into `folder`; return their paths."""
    folder = Path(folder)
    files.write_text(folder / RECOMMENDATION, json.dumps(decision.found, indent=2, allow_nan=False))
    written = [folder / RECOMMENDATION]
    for name, schema in SCHEMAS.items():
        frame = getattr(decision, name)
        written.append(frames.write(frame, folder / f"{name}.parquet", schema))
        if name in OPENED:
            written.append(frames.write_csv(frame, folder / f"{name}.csv"))
    return written


def read(folder: str | os.PathLike) -> Decision:
    """Read what `write` put into `folder`."""
    found = json.loads((Path(folder) / RECOMMENDATION).read_text(encoding="utf-8"))
    return Decision(found, *(frames.read(Path(folder) / f"{name}.parquet", schema) for name, schema in SCHEMAS.items()))


def _joined(parts: list[pd.DataFrame], schema: Any) -> pd.DataFrame:
    return frames.typed(pd.concat(parts, ignore_index=True), schema) if parts else frames.frame([], schema)


def _best_mean(cells: pd.DataFrame, candidates: pd.DataFrame) -> dict[str, Any]:
    means = cells.mean().to_numpy()
    best = candidates[means > means.max() - recommendation.ALIKE].sort_index().iloc[0]
    return {"candidate": best.name, **best.to_dict(), "f1": float(means.max())}


def _gain_of(
    result: bootstrap.Bootstrap, chosen: Mapping[str, Any], baseline: str, alpha: float
) -> dict[str, Any] | None:
    """Compare a recommended candidate with the same network trained by the baseline."""
    reference = score_table.candidate_name(baseline, chosen["network"], chosen["precision"])
    if chosen["method"] == baseline or reference not in result.rows:
        return None
    rows = [result.rows.index(name) for name in (chosen["candidate"], reference)]
    line = bootstrap.difference(result, rows[:1], rows[1:], alpha=alpha)
    return {"reference": reference} | {key: None if math.isnan(value) else value for key, value in line.items()}


def _int8_losses(result: bootstrap.Bootstrap, candidates: pd.DataFrame, alpha: float) -> Iterator[dict[str, Any]]:
    """Yield, for each network that is measured in both precisions, F1 in fp32 less F1 in int8, with its interval."""
    known = candidates.reindex(result.rows).reset_index(drop=True)
    place = {tuple(line): index for index, line in enumerate(known[["method", "network", "precision"]].to_numpy())}
    for (method, network, precision), index in place.items():
        if precision == "int8" and (fp32 := place.get((method, network, "fp32"))) is not None:
            line = bootstrap.difference(result, [fp32], [index], alpha=alpha)
            measured = {key: None if math.isnan(value) else value for key, value in line.items()}
            yield {"method": method, "network": network} | measured


def _gains(
    cells: pd.DataFrame,
    candidates: pd.DataFrame,
    resamples: Mapping[str, bootstrap.Bootstrap],
    baseline: str,
    alpha: float,
) -> Iterator[dict[str, Any]]:
    """Yield what every method gained over the baseline: over three data sets or more, and on the units of each."""
    methods = list(dict.fromkeys(cells.columns.get_level_values("method")))
    others = [method for method in methods if method != baseline]
    if baseline not in methods:
        return
    if len(cells) > 2:
        for method in others:
            yield {"dataset": None, "method": method, "baseline": baseline, "unit": "dataset", "units": len(cells)} | (
                _gain_over_datasets(cells, method, baseline, alpha)
            )
    for dataset, result in resamples.items():
        about = {"dataset": dataset, "baseline": baseline, "unit": result.unit, "units": result.units}
        for method in others if dataset != "overall" else ():
            yield about | {"method": method} | _gain_on_units(result, candidates, method, baseline, alpha)


def _gain_over_datasets(cells: pd.DataFrame, method: str, baseline: str, alpha: float) -> dict[str, float]:
    difference = cells[method].mean(axis=1) - cells[baseline].mean(axis=1)
    n = len(difference)
    reach = float(stats.t.ppf(1 - alpha / 2, n - 1) * difference.std(ddof=1) / math.sqrt(n))
    mean = float(difference.mean())
    return {"difference": mean, "lower": mean - reach, "upper": mean + reach}


def _gain_on_units(
    result: bootstrap.Bootstrap, candidates: pd.DataFrame, method: str, baseline: str, alpha: float
) -> dict[str, float]:
    methods = candidates["method"].reindex(result.rows)
    first, second = (np.flatnonzero(methods == name) for name in (method, baseline))
    return bootstrap.difference(result, first, second, alpha=alpha)


def _costs(cells: pd.DataFrame, candidates: pd.DataFrame, costs: pd.DataFrame | None) -> pd.DataFrame:
    prices = recommendation.candidate_costs(candidates, costs)
    relative = recommendation.cost(list(candidates.index), prices)
    found = candidates.assign(
        candidate=candidates.index, f1=cells.mean().to_numpy(), cost=np.where(np.isfinite(relative), relative, math.nan)
    )
    for column in ("size_mb", "latency_ms"):
        found[column] = math.nan if prices is None or column not in prices else prices[column]
    return frames.typed(found, COSTS)


def _answers(dataset: str, given: bootstrap.Evidence, candidate: str) -> pd.DataFrame:
    """Return what a candidate says of each test image of which the truth is known, seed after seed."""
    label_of = dict(zip(given.truth["image_id"].astype(str), given.truth["label"], strict=True))
    parts = []
    for (name, seed), frame in given.predictions.items():
        if name != candidate:
            continue
        known = frame[frame["image_id"].astype(str).isin(label_of)]
        images, probabilities = known["image_id"].astype(str).tolist(), np.stack(known["probabilities"].to_numpy())
        answer = np.asarray(given.classes, dtype=object)[probabilities.argmax(axis=1)]
        truth = [label_of[image] for image in images]
        columns = {"image_id": images, "truth": truth, "answer": answer, "confidence": probabilities.max(axis=1)}
        parts.append(pd.DataFrame({"dataset": dataset, "split": seed} | columns))
    return pd.concat(parts, ignore_index=True)


def _reliable(answers: pd.DataFrame, share: float) -> dict[str, Any]:
    """Return a line of RELIABLE, by the first seed: another tests the same images again."""
    first = answers[answers["split"] == answers["split"].iloc[0]]
    right = (first["answer"] == first["truth"]).to_numpy()
    given = first["confidence"].to_numpy(), right, share
    found = reliable.least_reliable(*given)
    more = reliable.more_needed(*given) if found.probability is None else 0
    about = {"dataset": first["dataset"].iloc[0], "share": share, "tested": len(first), "more_labels": more}
    return about | found._asdict()
