"""How good predictions are: F1 and its kin, overall and by class."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.tables.predictions import PREDICTIONS
from pocketscope.tables.probabilities import probability_array
from pocketscope.tables.scores import KEYS, METRICS, SCORES
from pocketscope.tables.split import TRUTH, without_fold


def measure(probabilities: np.ndarray, truth: list[str], classes: list[str], positive: str | None) -> pa.Table:
    """Compare predictions with the truth.

    Parameters
    ----------
    probabilities
        float (N, classes).
    truth
        N class names.
    classes
        Names, in the order of the probabilities.
    positive
        Of two classes the one that is looked for: F1, precision and recall are its own. None: they are the mean over
        the classes that occur in `truth` (macro); a class without a test image has no F1, and is not counted as 0.

    Returns
    -------
    pyarrow.Table
        Schema METRICS: `f1`, `precision`, `recall`, `accuracy`, `log_loss` and `images` of the whole (class null), and
        `f1`, `precision`, `recall` and `images` of each class that occurs. F1 and its kin lie in [0, 1].
    """
    if not truth:
        return pa.table({"metric": ["images"], "class": [None], "value": [0.0]}, schema=METRICS)
    names = np.asarray(classes, dtype=object)
    predicted = names[probabilities.argmax(axis=1)]
    present = sorted(set(truth))
    by_class = precision_recall_fscore_support(truth, predicted, labels=present, zero_division=0)
    rows = []
    for name, values in zip(("precision", "recall", "f1", "images"), by_class, strict=True):
        rows += [(name, label, float(value)) for label, value in zip(present, values, strict=True)]
        if name == "images":
            rows.append((name, None, float(len(truth))))
        elif positive is None:
            rows.append((name, None, float(np.mean(values))))
        else:
            # A test set without a positive image has no recall; 0 says that none was found.
            rows.append((name, None, float(values[present.index(positive)]) if positive in present else 0.0))
    rows.append(("accuracy", None, float(accuracy_score(truth, predicted))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # float32 rows sum to 1 within 1e-7
        rows.append(("log_loss", None, float(log_loss(truth, probabilities.astype(np.float64), labels=classes))))
    rows.sort(key=lambda row: (row[1] is not None, row[1] or "", row[0]))
    return pa.Table.from_pylist([dict(zip(METRICS.names, row, strict=True)) for row in rows], schema=METRICS)


def score(
    rows: Sequence[Mapping[str, str]],
    predictions: Sequence[str],
    truths: Mapping[tuple[str, str], str],
    positive: Mapping[str, str | None],
) -> pa.Table:
    """Measure every row of a study's tables.

    The folds of a cross-validation are measured together, as one split: each predicts other images, and the mean of
    their F1 would be that of a few images each, with classes that some of them do not hold.

    Parameters
    ----------
    rows
        Of each the dataset, split, method, network and precision.
    predictions
        Of each what it predicts of its test set (schema predictions.PREDICTIONS, notes `classes`).
    truths
        By dataset and split, the table of true labels (schema split.TRUTH).
    positive
        By dataset, see `measure`.

    Returns
    -------
    pyarrow.Table
        Schema SCORES.

    Raises
    ------
    pocketscope.core.errors.InputError
        The folds of a row have different classes.
    """
    truth_at = {place: _labels(path) for place, path in truths.items()}
    together: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for row, path in zip(rows, predictions, strict=True):
        key = tuple(without_fold(row[name]) if name == "split" else row[name] for name in KEYS)
        together.setdefault(key, []).append((row["split"], path))
    parts = []
    for key, folds in together.items():
        found = _pool([path for _, path in folds], [truth_at[key[0], split] for split, _ in folds])
        measured = measure(*found, positive[key[0]])
        constant = {name: pa.repeat(pa.scalar(value), len(measured)) for name, value in zip(KEYS, key, strict=True)}
        parts.append(pa.table(constant | {name: measured[name] for name in METRICS.names}, schema=SCORES))
    return pa.concat_tables(parts)


def pool(predictions: Sequence[str], truths: Sequence[str]) -> tuple[np.ndarray, list[str], list[str]]:
    """Read what the folds of one row predict, and the truth: the arguments of `measure`.

    Parameters
    ----------
    predictions
        A table of each fold (schema predictions.PREDICTIONS, notes `classes`); one where there are no folds.
    truths
        The table of true labels of each (schema split.TRUTH).

    Returns
    -------
    tuple
        Probabilities, float32 (N, classes); N true labels; the classes.

    Raises
    ------
    pocketscope.core.errors.InputError
        The folds have different classes.
    """
    return _pool(predictions, [_labels(path) for path in truths])


def _pool(predictions: Sequence[str], truths: Sequence[Mapping[str, str]]) -> tuple[np.ndarray, list[str], list[str]]:
    found, truth, classes = [], [], None
    for path, label_of in zip(predictions, truths, strict=True):
        predicted, named = parquet.read(path, PREDICTIONS), parquet.notes(path)["classes"]
        if classes not in (None, named):
            raise InputError(f"{path} and {predictions[0]} have different classes; delete the older file and run again")
        classes = named
        found.append(probability_array(predicted))
        truth += [label_of[image_id] for image_id in predicted["image_id"].to_pylist()]
    return np.concatenate(found), truth, classes


def _labels(path: str) -> dict[str, str]:
    return parquet.mapping(path, TRUTH, "image_id", "label")
