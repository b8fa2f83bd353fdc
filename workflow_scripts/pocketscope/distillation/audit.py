"""What became of unlabelled images: how many were labelled, how surely, and, where the truth is known, how rightly."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pocketscope.distillation import vote
from pocketscope.tables.audit import AUDIT, COVERAGE
from pocketscope.tables.online_pseudo_labels import epoch_remarks
from pocketscope.tables.probabilities import probability_array

POINTS = 200  # of a curve: more cannot be told apart in a figure


def classes(proposed: pa.Table, names: Sequence[str], truth: Mapping[str, str], **about: Any) -> pa.Table:
    """Count what teachers gave and what was accepted, in all and by class.

    Parameters
    ----------
    proposed
        Schema proposals.PROPOSALS.
    names
        All class names.
    truth
        Class by image, where it is known.
    about
        Columns `method` and `round`.

    Returns
    -------
    pyarrow.Table
        Schema AUDIT.
    """
    return _counted(proposed, names, truth, vote.round_remarks(proposed, names), about)


def epochs(guesses: pa.Table, names: Sequence[str], truth: Mapping[str, str], method: str, network: str) -> pa.Table:
    """Count what a consistency method guessed and learned in each epoch that was stored; see `classes`.

    Parameters
    ----------
    guesses
        Schema online_pseudo_labels.ONLINE_PSEUDO_LABELS.
    """
    found = [AUDIT.empty_table()]
    for epoch in sorted(set(guesses["epoch"].to_pylist())):
        of_epoch = guesses.filter(pc.equal(guesses["epoch"], epoch))
        about = {"method": method, "network": network, "epoch": epoch}
        found.append(_counted(of_epoch, names, truth, epoch_remarks(of_epoch, names), about))
    return pa.concat_tables(found)


def coverage(proposed: pa.Table, truth: Mapping[str, str], **about: Any) -> pa.Table:
    """Return accuracy against coverage at every threshold (at most 200, evenly spread), where the truth is known.

    Parameters
    ----------
    proposed, truth, about
        See `classes`.

    Returns
    -------
    pyarrow.Table
        Schema COVERAGE.
    """
    frame = _with_truth(proposed, truth)
    frame = frame[frame["true"].notna()].sort_values("confidence", ascending=False, kind="stable")
    if frame.empty:
        return COVERAGE.empty_table()
    right = (frame["label"] == frame["true"]).to_numpy().cumsum() / np.arange(1, len(frame) + 1)
    confidence = frame["confidence"].to_numpy()
    # Images of equal confidence come and go together.
    last = np.flatnonzero(np.append(confidence[1:] != confidence[:-1], True))
    picked = last[np.unique(np.linspace(0, len(last) - 1, min(POINTS, len(last))).round().astype(int))]
    count = len(picked)
    return pa.table(
        {
            "method": [about["method"]] * count,
            "round": np.full(count, about["round"], np.int32),
            "threshold": confidence[picked].astype(float),
            "coverage": (picked + 1) / len(frame),
            "accuracy": right[picked],
        },
        schema=COVERAGE,
    )


def kept(proposed: Mapping[int, pa.Table], labels: pa.Table) -> pa.Table:
    """Return the candidates that a method's last label set is made of: a round can label anew what another labelled.

    Parameters
    ----------
    proposed
        By round (schema proposals.PROPOSALS).
    labels
        Schema label_set.LABEL_SET.

    Returns
    -------
    pyarrow.Table
        Schema proposals.PROPOSALS.
    """
    return pa.concat_tables(
        table.filter(pc.is_in(table["image_id"], labels.filter(pc.equal(labels["round"], number))["image_id"]))
        for number, table in proposed.items()
    )


def review(proposed: pa.Table, names: Sequence[str], paths: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """List the accepted labels for a person to look at, the most suspicious first.

    How far a label can be believed is cleanlab's normalised margin, adjusted for how sure teachers are of each class as
    a whole (Northcutt et al. 2021, "Confident Learning"; Kuan and Mueller 2022). The truth is not asked.

    Parameters
    ----------
    proposed
        Schema proposals.PROPOSALS.
    names
        Class names in the order of the probabilities.
    paths
        The files of each image.

    Returns
    -------
    pandas.DataFrame
        Columns path (of the first file), class, confidence, agreement, quality (0 to 1, low is suspicious) and label:
        empty, for a person's. Given back as a data set's corrections, what is empty changes nothing.
    """
    chosen = proposed.filter(proposed["accepted"])
    columns = ["path", "class", "confidence", "agreement", "quality", "label"]
    if not len(chosen):
        return pd.DataFrame(columns=columns)
    place = {name: i for i, name in enumerate(names)}
    frame = chosen.select(["image_id", "label", "confidence", "agreement"]).to_pandas()
    given = frame["label"].map(place).to_numpy()
    frame = frame.rename(columns={"label": "class"}).assign(label="")
    frame["quality"] = _quality(given, probability_array(chosen).astype(float))
    frame["path"] = [paths[image_id][0] for image_id in frame["image_id"]]
    return frame.sort_values(["quality", "path"], kind="stable")[columns].reset_index(drop=True)


def _quality(given: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    # cleanlab takes many seconds to import.
    from cleanlab.rank import get_label_quality_scores

    scaled = probabilities / probabilities.sum(axis=1, keepdims=True)
    return get_label_quality_scores(given, scaled, method="normalized_margin", adjust_pred_probs=True)


def _with_truth(proposed: pa.Table, truth: Mapping[str, str]) -> pd.DataFrame:
    frame = proposed.select(["image_id", "label", "confidence", "accepted"]).to_pandas()
    return frame.assign(true=[truth.get(image_id) for image_id in frame["image_id"]])


def _counted(
    proposed: pa.Table, names: Sequence[str], truth: Mapping[str, str], remarks: Sequence[str], about: Mapping[str, Any]
) -> pa.Table:
    frame = _with_truth(proposed, truth)
    rows = [_line(frame, None) | {"remark": "; ".join(remarks) or None}]
    rows += [_line(frame[frame["label"] == name], name) | {"remark": None} for name in names]
    return pa.Table.from_pylist([dict(about) | row for row in rows], schema=AUDIT)


def _line(frame: pd.DataFrame, name: str | None) -> dict[str, Any]:
    accepted = frame[frame["accepted"].astype(bool)]
    known = accepted[accepted["true"].notna()]
    given = frame[frame["true"].notna()]
    return {
        "class": name,
        "given": len(frame),
        "accepted": len(accepted),
        "confidence": float(accepted["confidence"].mean()) if len(accepted) else None,
        "known": len(known),
        "accuracy": float((known["label"] == known["true"]).mean()) if len(known) else None,
        "accuracy_of_given": float((given["label"] == given["true"]).mean()) if len(given) else None,
    }
