"""How the candidates of one data set differ: as the files that were tested, and as ways of training.

*These files differ* is a claim about new images alone, and one seed is enough. *The methods differ* is about new
trainings too, and needs `FEWEST_SEEDS`. Each is tested over all pairs of candidates at once, because the data choose
which pair a reader looks at; with a control that was declared, over the pairs with it.

References
----------
.. [1] G. Y. Zou, A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics
       in Medicine 27, 2008, 1693-1702.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pocketscope.statistics import bootstrap, simultaneous
from pocketscope.tables.comparison import NOT_SHOWN
from pocketscope.tables.decision import DIFFERENCES

FEWEST_SEEDS = 3  # below, two trainings are all that is known of their variance


def with_reference(
    result: bootstrap.Bootstrap,
    reference: str,
    *,
    declared: bool = False,
    methods: bool = True,
    families: int = 1,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Compare every candidate of a data set with one of them, the best first.

    Parameters
    ----------
    result
        The data set's resampled scores.
    reference
        The candidate to compare with.
    declared
        Whether the reference was named before the data were seen: then the pairs with it are the family, else all
        pairs are.
    methods
        Whether to test methods too, where there are seeds enough.
    families
        How many data sets are tested likewise: errors are counted over all of them.
    alpha
        One minus the level of the intervals; the chance of any false difference.

    Returns
    -------
    pandas.DataFrame
        The columns of `tables.decision.DIFFERENCES` but the first. Each interval is its own pair's. The wider one, of
        new trainings, adds the seeds' reach by the squares of the distances from the point [1]_. A verdict needs both
        an adjusted p-value below alpha and an interval that leaves out zero.
    """
    at = {name: i for i, name in enumerate(result.rows)}
    chosen = at[reference]
    order = [i for i in np.argsort(-result.point, kind="stable") if i != chosen]
    files, trained = judge_all(
        result.parts,
        result.per_seed,
        result.scatter,
        control=chosen if declared else None,
        methods=methods,
        families=families,
    )
    seeds = result.per_seed.shape[1]
    found = simultaneous.trainings(result.per_seed, result.scatter) if seeds > 1 and len(result.rows) > 1 else None
    rows = []
    for i in order:
        line = bootstrap.difference(result, [i], [chosen], alpha=alpha)
        point, lower, upper = line["difference"], line["lower"], line["upper"]
        # One seed: nothing is known of others.
        reach = math.nan if found is None else float(simultaneous.reach(found, [i], [chosen], alpha)[0])
        line |= {
            "lower_with_seeds": point - math.hypot(point - lower, reach),
            "upper_with_seeds": point + math.hypot(upper - point, reach),
            "seed_deviation": (
                math.nan if found is None else float((result.per_seed[i] - result.per_seed[chosen]).std(ddof=1))
            ),
        }
        names = (result.rows[i], reference)
        pair = frozenset((i, chosen))
        line |= {"candidate": names[0], "reference": names[1], **_judged(files[pair], line, names, "", alpha)}
        rows.append(line | _judged(trained.get(pair), line, names, "_with_seeds", alpha))
    return pd.DataFrame(rows, columns=DIFFERENCES.names[1:])


def judge_all(
    parts: ArrayLike,
    per_seed: ArrayLike,
    scatter: ArrayLike,
    *,
    control: int | None = None,
    files: bool = True,
    methods: bool = True,
    families: int = 1,
) -> tuple[dict[frozenset, tuple[float, float]], dict[frozenset, tuple[float, float]]]:
    """Test which `files`, and which `methods`, differ: all pairs, or those with a control.

    Parameters
    ----------
    parts, per_seed, scatter
        What each unit adds to each row's score, shape (units, rows); scores by seed, shape (rows, seeds); and the
        variance over seeds that is the images', shape (rows,).
    control
        The number of a row that was declared.
    files, methods
        What to test.
    families
        How many data sets are tested likewise.

    Returns
    -------
    tuple of dict
        Of each pair (a set of two row numbers) its own p-value and the adjusted one: of files, and of methods; empty
        where it was not asked for, and of methods where there are fewer than `FEWEST_SEEDS` seeds.
    """
    count, seeds = np.shape(per_seed)
    pairs = simultaneous.all_pairs(count) if control is None else simultaneous.with_control(count, control)
    keys = [frozenset(pair) for pair in pairs.tolist()]

    def of(trainings: simultaneous.Trainings | None) -> dict[frozenset, tuple[float, float]]:
        found = simultaneous.step_down(parts, pairs, trainings)
        adjusted = simultaneous.over_independent(found.p_adjusted, families)
        return dict(zip(keys, zip(found.p.tolist(), adjusted.tolist(), strict=True), strict=True))

    enough = methods and seeds >= FEWEST_SEEDS
    return of(None) if files else {}, of(simultaneous.trainings(per_seed, scatter)) if enough else {}


def _judged(found: tuple[float, float] | None, line: dict, names: tuple[str, str], suffix: str, alpha: float) -> dict:
    if found is None:
        return {f"p{suffix}": math.nan, f"p_adjusted{suffix}": math.nan, f"verdict{suffix}": None}
    p, adjusted = found
    clear = line[f"lower{suffix}"] > 0 or line[f"upper{suffix}"] < 0
    better = names[0] if line["difference"] > 0 else names[1]
    shown = adjusted < alpha and clear
    return {
        f"p{suffix}": p,
        f"p_adjusted{suffix}": adjusted,
        f"verdict{suffix}": f"{better} is better" if shown else NOT_SHOWN,
    }
