"""What became of unlabelled images: counts by class, and accuracy against coverage."""

import pyarrow as pa

AUDIT = pa.schema(
    [
        pa.field("method", pa.string(), nullable=False),
        pa.field("round", pa.int32()),  # of a label set
        pa.field("network", pa.string()),  # of a consistency method, which guesses while it trains
        pa.field("epoch", pa.int32()),
        pa.field("class", pa.string()),  # null: all of them
        pa.field("given", pa.int64(), nullable=False),  # unlabelled images that are taken for the class
        pa.field("accepted", pa.int64(), nullable=False),
        pa.field("confidence", pa.float64()),  # mean, of those accepted
        pa.field("known", pa.int64(), nullable=False),  # accepted ones whose truth is known
        pa.field("accuracy", pa.float64()),  # of these; null where there is none
        pa.field("accuracy_of_given", pa.float64()),  # as if all had been accepted
        pa.field("remark", pa.string()),
    ]
)
COVERAGE = pa.schema(
    [
        pa.field("method", pa.string(), nullable=False),
        pa.field("round", pa.int32(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
        pa.field("coverage", pa.float64(), nullable=False),  # share of candidates whose confidence reaches it
        pa.field("accuracy", pa.float64(), nullable=False),  # of those of them whose truth is known
    ]
)
