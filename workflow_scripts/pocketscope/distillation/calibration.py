"""How far teachers are believed: one temperature each, and no view that they see badly.

Both rest on labelled images that the teachers were not trained on.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize_scalar

from pocketscope.core.temperature import scale
from pocketscope.distillation.confidence import losses
from pocketscope.distillation.held_out import known_classes
from pocketscope.tables.teachers import TEACHERS

log = logging.getLogger(__name__)

LOWEST, HIGHEST = 0.5, 5.0
PRIOR_SPREAD = 0.5  # standard deviation of log T: a few dozen images alone would put T anywhere between 0.05 and 20
FOLDS = 5
BINS = 15


def calibrate(
    held_out: Mapping[str, pa.Table],
    split: pa.Table,
    classes: list[str],
    views: Sequence[str],
    *,
    temperatures: bool,
    drop_views: bool,
) -> pa.Table:
    """Say how far each teacher is believed, and which views vote.

    Parameters
    ----------
    held_out
        By teacher, its predictions of labelled images that it, or its like, was not trained on (schema
        predictions.PREDICTIONS).
    split
        Schema split.SPLIT; it shows the labels of labelled and validation images alone.
    classes
        Class names in the order of the probabilities.
    views
        Those that are asked for.
    temperatures
        Whether a temperature is fitted to each teacher; it is 1 otherwise.
    drop_views
        Whether views do not vote that the teachers see badly.

    Returns
    -------
    pyarrow.Table
        Schema teachers.TEACHERS.
    """
    seen = {
        (name, view): known_classes(table, split, classes, [view])
        for name, table in held_out.items()
        for view in ["identity", *views]
    }
    believed = dict.fromkeys(held_out, 1.0)
    for name in held_out if temperatures else ():
        (identity,), truth = seen[name, "identity"]
        believed[name] = temperature(identity, truth)
        log.info("%s: temperature %.2f from %d held-out images", name, believed[name], len(truth))
    kept = _without_harmful(seen, believed, views) if drop_views else views
    rows = []
    for name in held_out:
        for view in views:
            (found,), truth = seen[name, view]
            row = {"teacher": name, "view": view, "votes": view in kept, "images": len(truth)}
            rows.append(row | {"temperature": believed[name]} | _errors(found, scale(found, believed[name]), truth))
    if not any(row["images"] for row in rows):
        log.warning("the teachers were trained on every labelled image: nothing is calibrated, and no view is dropped")
    return pa.Table.from_pylist(rows, schema=TEACHERS)


def temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature that the images ask for, 1 where they do not show that another one is better.

    Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks"), as the maximum a posteriori under
    log T ~ N(0, 0.5^2), within [0.5, 5]. It is kept only where, fitted to four fifths of the images, it lowers the loss
    of the rest, summed over five folds.

    Parameters
    ----------
    probabilities
        float (N, classes), of images that the teacher was not trained on.
    truth
        int (N,).
    """
    if len(truth) < 2 * FOLDS:
        return 1.0
    fold = np.arange(len(truth)) % FOLDS
    gained = 0.0
    for held_out in range(FOLDS):
        rest, test = fold != held_out, fold == held_out
        fitted = _most_likely(probabilities[rest], truth[rest])
        after = scale(probabilities[test], fitted)
        gained += (losses(probabilities[test], truth[test]) - losses(after, truth[test])).sum()
    return _most_likely(probabilities, truth) if gained > 0 else 1.0


def expected_calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean distance of confidence from accuracy over 15 bins of equal width, in [0, 1].

    Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; bins as in Guo et al. 2017.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [np.abs((right[bins == b] - confidence[bins == b]).sum()) for b in range(BINS)]
    return float(sum(gaps) / len(truth))


def worse_than_identity(view: np.ndarray, identity: np.ndarray) -> bool:
    """Return whether a view's losses are worse than the image's own by more than two standard errors.

    Parameters
    ----------
    view, identity
        float (N,): the losses of the same held-out images.
    """
    difference = view - identity
    if len(difference) < 2:
        return False
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return bool(difference.mean() > 2 * error and difference.mean() > 0)


def _without_harmful(
    seen: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]],
    temperatures: Mapping[str, float],
    views: Sequence[str],
) -> list[str]:
    """Drop the views under which the teachers' mean loss is worse than the image's own beyond two standard errors."""
    mean = {}
    for view in views:
        each = [losses(scale(seen[name, view][0][0], t), seen[name, view][1]) for name, t in temperatures.items()]
        mean[view] = np.mean(each, axis=0)
    worse = [view for view in views if worse_than_identity(mean[view], mean["identity"])]
    if worse:
        log.info("views that do not vote, because the teachers predict them worse: %s", ", ".join(worse))
    return [view for view in views if view not in worse]


def _errors(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    if not len(truth):
        return {}
    return {
        "loss": losses(before, truth).mean(),
        "calibrated_loss": losses(after, truth).mean(),
        "calibration_error": expected_calibration_error(before, truth),
        "calibrated_error": expected_calibration_error(after, truth),
    }


def _most_likely(probabilities: np.ndarray, truth: np.ndarray) -> float:
    def penalised(log_temperature: float) -> float:
        scaled = scale(probabilities, float(np.exp(log_temperature)))
        return losses(scaled, truth).sum() + 0.5 * (log_temperature / PRIOR_SPREAD) ** 2

    found = minimize_scalar(penalised, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(found.x))
