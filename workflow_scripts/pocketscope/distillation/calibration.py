"""Confidence that means something: one temperature a teacher, from labelled images that it was not trained on."""

import numpy as np
from scipy.optimize import minimize_scalar

LOWEST, HIGHEST = 0.5, 5.0
PRIOR_SPREAD = 0.5  # standard deviation of log T: a few dozen images alone would put T anywhere between 0.05 and 20
FOLDS = 5
BINS = 15
SMALLEST = 1e-12  # a probability of 0 for the true class would make every loss infinite


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(logits / T) from softmax(logits): above 1 less sure, below 1 surer.

    Parameters
    ----------
    probabilities
        float (..., classes).
    temperature
        T > 0.
    """
    if temperature == 1.0:
        return probabilities
    # The largest becomes 1 first, so that no power of a small number loses all its digits.
    powers = (probabilities / probabilities.max(axis=-1, keepdims=True)) ** (1 / temperature)
    return powers / powers.sum(axis=-1, keepdims=True)


def losses(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return each image's negative log-likelihood, float64 (N,), of its true class.

    Parameters
    ----------
    probabilities
        float (N, classes).
    truth
        int (N,).
    """
    return -np.log(np.maximum(probabilities[np.arange(len(truth)), truth].astype(np.float64), SMALLEST))


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


def _most_likely(probabilities: np.ndarray, truth: np.ndarray) -> float:
    def penalised(log_temperature: float) -> float:
        scaled = scale(probabilities, float(np.exp(log_temperature)))
        return losses(scaled, truth).sum() + 0.5 * (log_temperature / PRIOR_SPREAD) ** 2

    found = minimize_scalar(penalised, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(found.x))
