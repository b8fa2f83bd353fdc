"""The scores of every candidate."""

import pyarrow as pa

METRICS = pa.schema(
    [
        pa.field("metric", pa.string(), nullable=False),
        pa.field("class", pa.string()),  # null: the figure of the whole
        pa.field("value", pa.float64(), nullable=False),
    ]
)
KEYS = ("dataset", "split", "method", "network", "precision")
SCORES = pa.schema([pa.field(name, pa.string(), nullable=False) for name in KEYS] + list(METRICS))
