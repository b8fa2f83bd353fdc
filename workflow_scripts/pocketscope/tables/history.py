"""What happened in each epoch of a training, and how long it took."""

import pyarrow as pa

HISTORY = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),  # head: the rest of the network stays as it is; all
        pa.field("step", pa.int32(), nullable=False),  # of the stage
        pa.field("learning_rate", pa.float64()),  # of the highest layers; null: no steps, a regression
        pa.field("train_loss", pa.float64()),  # of the batches as they were trained on: augmented, smoothed, mixed
        pa.field("train_accuracy", pa.float64()),
        pa.field("train_f1", pa.float64()),
        pa.field("validation_loss", pa.float64()),
        pa.field("validation_accuracy", pa.float64()),
        pa.field("validation_f1", pa.float64()),
        pa.field("unlabelled_loss", pa.float64()),  # without its weight; null: no consistency method
        pa.field("used_share", pa.float64()),  # of the guesses at unlabelled images, those that were learned
        pa.field("class_shares", pa.list_(pa.float64())),  # among those, in the order of the classes
        pa.field("kept", pa.bool_(), nullable=False),  # the epoch whose weights the model has
    ]
)
# What depends on the clock stands apart, so that equal trainings give equal histories.
TIMINGS = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("images", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)
