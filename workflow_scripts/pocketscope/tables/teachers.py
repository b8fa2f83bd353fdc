"""How far each teacher of a round is believed, and which views vote."""

import pyarrow as pa

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


def believed(teachers: pa.Table) -> tuple[dict[str, float], list[str]]:
    """Return each teacher's temperature, by name, and the views that vote, in their order: what a vote needs."""
    rows = teachers.to_pylist()
    votes = dict.fromkeys(row["view"] for row in rows if row["votes"])
    return {row["teacher"]: row["temperature"] for row in rows}, list(votes)
