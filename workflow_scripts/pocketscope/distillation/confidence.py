"""What a prediction costs where it is wrong."""

import numpy as np

SMALLEST = 1e-12  # a probability of 0 for the true class would make every loss infinite


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
