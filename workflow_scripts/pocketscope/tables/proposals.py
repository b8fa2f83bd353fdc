"""What a round's teachers voted on, and how far each teacher was believed."""

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

TEACHERS = pa.schema(
    [
        pa.field("teacher", pa.string(), nullable=False),
        pa.field("view", pa.string(), nullable=False),
        pa.field("votes", pa.bool_(), nullable=False),  # false: the view was dropped
        pa.field("images", pa.int32(), nullable=False),  # held-out labelled images that the next columns rest on
        pa.field("temperature", pa.float64(), nullable=False),
        pa.field("loss", pa.float64()),  # negative log-likelihood, before and after calibration
        pa.field("calibrated_loss", pa.float64()),
        pa.field("calibration_error", pa.float64()),  # expected calibration error, in [0, 1]
        pa.field("calibrated_error", pa.float64()),
    ]
)
