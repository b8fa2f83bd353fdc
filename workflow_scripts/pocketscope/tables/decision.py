"""What follows from a study's scores and test predictions: gains, differences, costs, answers, which are reliable.

Of these, which candidate is recommended stands in `recommendation.json` beside them. Scores and their differences lie
between 0 and 1; a candidate (method, network, precision) is named as ``method/network precision``.
"""

import pyarrow as pa

DIFFERENCES = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("reference", pa.string(), nullable=False),  # a declared control, else the recommended candidate
        pa.field("difference", pa.float64(), nullable=False),  # of the mean-over-seeds F1, candidate less reference
        pa.field("lower", pa.float64(), nullable=False),
        pa.field("upper", pa.float64(), nullable=False),
        pa.field("lower_with_seeds", pa.float64()),  # where two seeds or more were run
        pa.field("upper_with_seeds", pa.float64()),
        pa.field("seed_deviation", pa.float64()),  # of the difference over seeds, ddof 1
        pa.field("p", pa.float64(), nullable=False),  # that these files differ: test images vary
        pa.field("p_adjusted", pa.float64(), nullable=False),  # for all pairs of all data sets
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("p_with_seeds", pa.float64()),  # that the methods differ: trainings vary too; null: not tested
        pa.field("p_adjusted_with_seeds", pa.float64()),
        pa.field("verdict_with_seeds", pa.string()),
    ]
)
GAINS = pa.schema(  # of a method over training on the labelled images alone, mean over networks
    [
        pa.field("dataset", pa.string()),  # null: over the data sets
        pa.field("method", pa.string(), nullable=False),
        pa.field("baseline", pa.string(), nullable=False),
        pa.field("difference", pa.float64(), nullable=False),
        pa.field("lower", pa.float64(), nullable=False),
        pa.field("upper", pa.float64(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),  # dataset (t interval); group or image (resampled)
        pa.field("units", pa.int64(), nullable=False),
    ]
)
COSTS = pa.schema(
    [
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("method", pa.string(), nullable=False),
        pa.field("network", pa.string(), nullable=False),
        pa.field("precision", pa.string(), nullable=False),
        pa.field("f1", pa.float64(), nullable=False),  # mean over data sets
        pa.field("size_mb", pa.float64()),
        pa.field("latency_ms", pa.float64()),
        pa.field("cost", pa.float64()),  # relative to the cheapest, by what the recommendation goes by
    ]
)
ANSWERS = pa.schema(  # of each data set's recommended candidate to its test images
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),  # the folds of a cross-validation are one
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("truth", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),  # the probability of the answer
    ]
)
RELIABLE = pa.schema(  # from which probability on the recommended candidate's answers are reliable, by the first seed
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("candidate", pa.string(), nullable=False),
        pa.field("share", pa.float64(), nullable=False),  # how many of such answers are right, at least
        pa.field("probability", pa.float64()),  # null: no answer is
        pa.field("answered", pa.int64(), nullable=False),  # test images with at least that; where null, all
        pa.field("right", pa.int64(), nullable=False),  # of these
        pa.field("tested", pa.int64(), nullable=False),
        pa.field("more_labels", pa.int64(), nullable=False),  # test images that are missing at least; 0 where some are
    ]
)
