"""How far the probabilities of a model that ships can be believed, and from which one on its answers are reliable.

No image is left that the model has not seen. What it can claim is shown by models that were made like it, each without
a fold of the labels: they say of that fold what the shipped model would say of a new image, or somewhat less well,
since they learnt from fewer labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from pocketscope.core.temperature import scale
from pocketscope.distillation.calibration import expected_calibration_error, temperature
from pocketscope.statistics.label_shift import class_shares
from pocketscope.statistics.reliable import LEVEL, least_reliable, more_needed

COMPARED = 512  # unlabelled images on which the folds' models are compared with the one that ships
FEWEST = 30  # of them, below which they are not compared, and the classes' shares not estimated
RANGE = np.log(0.1), np.log(50.0)  # of a temperature


class Folds(NamedTuple):
    """What models say that were made without a fold of the labels each.

    seen
        float (N, classes): of the labelled images, each by the model that did not see it.
    truth
        int (N,).
    unlabelled
        float (folds, M, classes): what each model says of the same unlabelled images.
    """

    seen: np.ndarray
    truth: np.ndarray
    unlabelled: np.ndarray


def measure(folds: Folds, classes: Sequence[str], share: float) -> dict[str, Any]:
    """Return what the folds show, ready for JSON.

    The bound rests on the probabilities as they are: the temperature, which the same images fit, enters it by the
    weights of the classes alone. A single fold is a test set, which bounds and never fits.

    Parameters
    ----------
    folds
        What the folds' models say.
    classes
        Names, in the order of the probabilities.
    share
        Of reliable answers that are right, at least.

    Returns
    -------
    dict
        `images` (labelled ones) and how many of them were answered `right`; `share` and `level`; `reliable` (see
        `Reliable`; of the folds' probabilities as they are); `more_labels` (at least so many are needed; 0 where
        answers are reliable); `temperature` of the folds' models, and their expected `calibration_error` before and
        after; `class_shares`: by class `labelled` and `unlabelled` (estimated).
    """
    confidence, right = folds.seen.max(axis=1), folds.seen.argmax(axis=1) == folds.truth
    fitted = temperature(folds.seen, folds.truth) if len(folds.unlabelled) > 1 else 1.0
    among = np.bincount(folds.truth, minlength=len(classes)) / max(len(folds.truth), 1)
    everything = scale(folds.unlabelled, fitted).reshape(-1, len(classes))
    compared = len(right) > 0 and folds.unlabelled.shape[1] >= FEWEST
    pool = class_shares(everything, among) if compared else among
    found = least_reliable(confidence, right, share, (pool / np.maximum(among, 1e-12))[folds.truth])
    each = (folds.seen, scale(folds.seen, fitted))
    errors = [expected_calibration_error(seen, folds.truth) if len(right) else None for seen in each]
    return {
        "images": len(right),
        "right": int(right.sum()),
        "folds": len(folds.unlabelled),
        "share": share,
        "level": LEVEL,
        "reliable": found._asdict(),
        "more_labels": 0 if found.probability is not None else more_needed(confidence, right, share),
        "temperature": fitted,
        "calibration_error": dict(zip(("before", "after"), errors, strict=True)),
        "class_shares": {
            name: {"labelled": float(a), "unlabelled": float(b) if compared else None}
            for name, a, b in zip(classes, among, pool, strict=True)
        },
    }


def transfer(folds: Folds, measured: Mapping[str, Any], shipped: np.ndarray) -> dict[str, float | None]:
    """Return the `temperature` of a shipped model file, and the `probability` from which on its answers are reliable.

    Models that learnt from more labels are surer, so that a probability of the folds' models is not worth the same
    here. On unlabelled images, which all of them can answer, the shipped model is made as sure on average as the
    folds' models are after their own temperature; and as large a share of its answers is called reliable.

    Parameters
    ----------
    folds, measured
        What the folds' models say, and what `measure` made of it.
    shipped
        float (M, classes): what the shipped model says of the unlabelled images of `folds`.
    """
    fitted, least = measured["temperature"], measured["reliable"]["probability"]
    if len(shipped) < FEWEST:
        if least is not None:
            sure = scale(folds.seen, fitted).max(axis=1)
            least = _rounded_down(sure[folds.seen.max(axis=1) >= least].min())
        return {"temperature": fitted, "probability": least}
    wanted = float(scale(folds.unlabelled, fitted).max(axis=-1).mean())
    own = _as_sure(shipped, wanted, fitted)
    if least is not None:
        among = float((folds.unlabelled.max(axis=-1) >= least).mean())
        ranked = np.sort(scale(shipped, own).max(axis=1))[::-1]
        count = int(among * len(ranked) + 1e-9)
        least = _rounded_down(ranked[count - 1]) if count else None
    return {"temperature": own, "probability": least}


def _rounded_down(probability: float) -> float:
    """Return six digits: among other images of a batch a probability differs in the last ones."""
    return float(np.floor(float(probability) * 1e6) / 1e6)


def _as_sure(probabilities: np.ndarray, wanted: float, otherwise: float) -> float:
    """Return the temperature at which the mean probability of the answers is as wanted."""

    def surer(log_temperature: float) -> float:
        return float(scale(probabilities, float(np.exp(log_temperature))).max(axis=1).mean()) - wanted

    if not surer(RANGE[0]) > 0 > surer(RANGE[1]):
        return otherwise
    return float(np.exp(brentq(surer, *RANGE, xtol=1e-6)))
