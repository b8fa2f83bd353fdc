"""What networks say of labelled images that they were not trained on.

They are the validation set, or all labelled images by out-of-fold predictions where there is none.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pocketscope.core.errors import InputError
from pocketscope.distillation.confidence import losses
from pocketscope.tables.predictions import arrange_views
from pocketscope.tables.split import images_with


def held_out(predictions: pa.Table, split: pa.Table, out_of_fold: pa.Table | None = None) -> pa.Table:
    """Return those predictions that are of the validation set; where there is none, those out of fold, if given."""
    image_ids, _ = images_with(split, "validation")
    if not image_ids and out_of_fold is not None:
        return out_of_fold
    return predictions.filter(pc.is_in(predictions["image_id"], pa.array(image_ids, pa.string())))


def known_classes(
    predictions: pa.Table, split: pa.Table, classes: list[str], views: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is predicted of the images whose label the split shows, and their classes.

    Parameters
    ----------
    predictions
        Schema predictions.PREDICTIONS.
    split
        Schema split.SPLIT; it shows the labels of labelled and validation images alone.
    classes
        Class names in the order of the probabilities.
    views
        Which views, in the order wanted.

    Returns
    -------
    tuple of numpy.ndarray
        float32 (views, N, classes), and class indices, int64 (N,).
    """
    image_ids, seen = arrange_views(predictions, views)
    place = {name: i for i, name in enumerate(classes)}
    shown = zip(split["image_id"].to_pylist(), split["label"].to_pylist(), strict=True)
    known = {image_id: place[label] for image_id, label in shown if label is not None}
    rows = [i for i, image_id in enumerate(image_ids) if image_id in known]
    return seen[:, rows], np.array([known[image_ids[i]] for i in rows], dtype=np.int64)


def validation_score(predictions: pa.Table, split: pa.Table, classes: list[str]) -> tuple[float, float]:
    """Return macro F1 and the negated mean loss on the labelled images that a table predicts unseen: larger is better.

    Parameters
    ----------
    predictions
        Schema predictions.PREDICTIONS: of the validation set, or out of fold.
    split
        Schema split.SPLIT.
    classes
        Class names in the order of the probabilities.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no labelled image among them.
    """
    # scikit-learn takes seconds to import, and most rounds do not ask.
    from sklearn.metrics import f1_score

    seen, truth = known_classes(predictions, split, classes, ["identity"])
    if not len(truth):
        raise InputError(
            "there is no validation set to choose the best teacher by; lower split.min_validation, or label more images"
        )
    f1 = f1_score(truth, seen[0].argmax(axis=1), average="macro", zero_division=0)
    return float(f1), -float(losses(seen[0], truth).mean())
