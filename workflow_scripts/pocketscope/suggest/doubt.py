"""Labels of people that may be slips: what a head that did not learn them says otherwise (confident learning)."""

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from pocketscope.suggest import head

FOLDS = 5
FEWEST = 5  # labels of a class, below which nothing is said of them
# Of all labels, the most suspicious. Those that were asked for first are hard to tell: of 100, more than a third look
# wrong while all are right (blood cells, cell cycle). With five wrong ones among them the first 15 hold 2.7 of these on
# average, and all 40 that look wrong 3.6.
SHARE = 0.15


class Slip(NamedTuple):
    """A label that looks wrong: its `row`, what a head says that did not learn it, and with which probability."""

    row: int
    instead: str
    probability: float


def suspicious(points: NDArray[np.floating], labels: list[str]) -> list[Slip]:
    """Return the labels that look most wrong, the most suspicious first (Northcutt, Jiang, Chuang 2021).

    Parameters
    ----------
    points
        float (n, D): rows of `head.Features.wide`.
    labels
        Their classes. Of classes with fewer than `FEWEST` labels nothing is said.
    """
    names, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts[numbers] >= FEWEST)
    if (counts >= FEWEST).sum() < 2:
        return []
    from cleanlab.filter import find_label_issues

    present, given = np.unique(numbers[kept], return_inverse=True)
    model = LogisticRegression(C=head.STRENGTH, tol=1e-3, max_iter=300)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = cross_val_predict(model, points[kept], given, cv=folds, method="predict_proba")
        found = find_label_issues(given, said, return_indices_ranked_by="self_confidence", n_jobs=1)
    best, most = said.argmax(axis=1), math.ceil(SHARE * len(labels))
    return [Slip(int(kept[row]), str(names[present[best[row]]]), float(said[row, best[row]])) for row in found[:most]]
