"""A label set: which images a network is trained on, and as what."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

LABEL_SET = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),  # 1 where people labelled
        pa.field("source", pa.string(), nullable=False),  # human or pseudo
        pa.field("round", pa.int32(), nullable=False),  # in which the label was accepted; 0 is people's
        pa.field("probabilities", pa.list_(pa.float32())),  # what is trained on in the label's place, where not null
    ]
)


def digest_of_labels(labels: pa.Table) -> str:
    """Return 16 hexadecimal digits that stand for which images have which labels, whoever gave them."""
    pairs = sorted(zip(labels["image_id"].to_pylist(), labels["label"].to_pylist(), strict=True))
    return hashlib.sha256(repr(pairs).encode()).hexdigest()[:16]


def human_labels(image_ids: list[str], labels: list[str]) -> pa.Table:
    """Return the label set (schema LABEL_SET) of what people, or the truth, say of images."""
    count = len(image_ids)
    return pa.table(
        {
            "image_id": image_ids,
            "label": labels,
            "confidence": np.ones(count, np.float32),
            "source": ["human"] * count,
            "round": np.zeros(count, np.int32),
            "probabilities": pa.nulls(count, pa.list_(pa.float32())),
        },
        schema=LABEL_SET,
    )


def by_people(labels: pa.Table) -> pa.Table:
    """Return those rows of a label set that people labelled."""
    return labels.filter(np.asarray(labels["source"].to_numpy(zero_copy_only=False) == "human", dtype=bool))


def count_labels(labels: pa.ChunkedArray, classes: Sequence[str]) -> np.ndarray:
    place = {name: i for i, name in enumerate(classes)}
    return np.bincount([place[label] for label in labels.to_pylist()], minlength=len(classes))
