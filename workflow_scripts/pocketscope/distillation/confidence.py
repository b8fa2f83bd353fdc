"""How sure a prediction is, made more or less so, and what it costs where it is wrong."""

import numpy as np

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
