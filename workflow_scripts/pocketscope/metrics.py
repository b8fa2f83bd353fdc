"""How good predictions are: F1 and its kin, overall and by class."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support

from pocketscope.errors import InputError

METRICS = pa.schema(
    [
        pa.field("metric", pa.string(), nullable=False),
        pa.field("class", pa.string()),  # null: the figure of the whole
        pa.field("value", pa.float64(), nullable=False),
    ]
)
SCORES = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("dataset", "split", "method", "network", "precision")]
    + list(METRICS)
)


def positive(asked: str | None, notes: Mapping[str, Any]) -> str | None:
    """Return the positive class of a data set: the one asked for, else the rarer of two, else None.

    Raises
    ------
    pocketscope.errors.InputError
        The class that was asked for does not exist, or there are more than two classes.
    """
    if asked is None:
        return notes["positive"]
    if asked not in notes["classes"]:
        raise InputError(f"positive: there is no class '{asked}'; there are {', '.join(notes['classes'])}")
    if len(notes["classes"]) > 2:
        raise InputError(
            f"positive: '{asked}' is one of {len(notes['classes'])} classes; F1 is their mean; leave it out"
        )
    return asked


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
            # A test part without a positive image has no recall; 0 says that none was found.
            rows.append((name, None, float(values[present.index(positive)]) if positive in present else 0.0))
    rows.append(("accuracy", None, float(accuracy_score(truth, predicted))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # float32 rows sum to 1 within 1e-7
        rows.append(("log_loss", None, float(log_loss(truth, probabilities.astype(np.float64), labels=classes))))
    rows.sort(key=lambda row: (row[1] is not None, row[1] or "", row[0]))
    return pa.Table.from_pylist([dict(zip(METRICS.names, row, strict=True)) for row in rows], schema=METRICS)


def collect(tables: list[pa.Table], rows: list[dict[str, str]]) -> pa.Table:
    """Join the metrics of runs (schema METRICS) into one table (schema SCORES).

    Parameters
    ----------
    tables
        One for each run.
    rows
        For each run its dataset, split, method, network and precision.
    """
    parts = []
    for table, row in zip(tables, rows, strict=True):
        constant = {name: pa.repeat(pa.scalar(row[name]), len(table)) for name in SCORES.names if name in row}
        parts.append(pa.table(constant | {name: table[name] for name in METRICS.names}, schema=SCORES))
    return pa.concat_tables(parts)
