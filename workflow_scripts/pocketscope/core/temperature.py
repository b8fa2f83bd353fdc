"""Temperature scaling: how sure a prediction is, made more or less so."""

import numpy as np


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
