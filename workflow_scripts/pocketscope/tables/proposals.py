"""What a round's teachers voted on."""

import pyarrow as pa

PROPOSALS = pa.schema(  # all that a round's teachers voted on
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("agreement", pa.float32(), nullable=False),  # share of the predictions that name the label
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # mean over teachers and views
    ]
)
