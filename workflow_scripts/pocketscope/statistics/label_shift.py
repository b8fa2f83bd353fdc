"""How frequent classes are among images that nobody labelled."""

import numpy as np

ROUNDS = 1000
STEP = 1e-6  # largest change of a share below which it ends


def class_shares(probabilities: np.ndarray, among_labels: np.ndarray) -> np.ndarray:
    """Estimate the share of each class among unlabelled images, float64 (classes,).

    Expectation maximisation after Saerens et al. 2002, "Adjusting the Outputs of a Classifier to New a Priori
    Probabilities". People often label about as many images of each class, whatever their shares are; it is assumed that
    images of one class look alike in both sets (label shift). The estimate is as good as the probabilities are
    calibrated (Alexandari et al. 2020, "Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label
    Shift Adaptation").

    Parameters
    ----------
    probabilities
        float (N, classes): of the unlabelled images.
    among_labels
        float (classes,): the share of each class among the images that the probabilities were learnt from. A class
        that is missing there is missing in the estimate.
    """
    present = among_labels > 0
    seen, prior = probabilities[:, present].astype(np.float64), among_labels[present] / among_labels.sum()
    shares = prior
    for _ in range(ROUNDS if len(seen) else 0):
        each = seen * (shares / prior)
        before, shares = shares, (each / each.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(shares - before).max() < STEP:
            break
    found = np.zeros(len(among_labels))
    found[present] = shares
    return found
