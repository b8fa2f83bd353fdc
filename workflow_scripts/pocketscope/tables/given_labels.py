"""The labels that people gave of a data set, as a run reads them: one row an image."""

import pyarrow as pa

GIVEN_LABELS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),  # under which the image was listed when it was labelled
        pa.field("sha256", pa.string()),  # of the file then
        pa.field("class", pa.string()),  # null: its label was taken away
        pa.field("who", pa.string(), nullable=False),
        pa.field("when", pa.string(), nullable=False),  # UTC, ISO 8601
        pa.field("before", pa.string()),  # what the image was called until then, and from then on, in the words of then
        pa.field("after", pa.string()),
        pa.field("role", pa.string()),  # exam: given blind, to be tested on
        pa.field("guess_shown", pa.bool_(), nullable=False),
    ]
)
# Notes of the table: what classes of the source are called now, null where the class was deleted.
RENAMED = "renamed"
EXAM = "exam"
