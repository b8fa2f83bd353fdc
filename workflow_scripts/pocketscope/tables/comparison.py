"""The answers to a study's questions: groups, omnibus tests, pairs, and what does not apply."""

import pyarrow as pa

GROUPS = pa.schema(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("deviation", pa.float64(), nullable=False),  # over datasets, ddof 0
        pa.field("rank", pa.float64(), nullable=False),  # mean over datasets, 1 the best
        pa.field("control", pa.bool_(), nullable=False),
    ]
)
OMNIBUS = pa.schema(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("datasets", pa.int64(), nullable=False),
        pa.field("groups", pa.int64(), nullable=False),
        pa.field("test", pa.string(), nullable=False),
        pa.field("statistic", pa.float64()),
        pa.field("df1", pa.int64()),
        pa.field("df2", pa.int64()),
        pa.field("p", pa.float64()),
        pa.field("smallest_p", pa.float64(), nullable=False),
        pa.field("kendalls_w", pa.float64(), nullable=False),
        pa.field("shapiro_p", pa.float64()),
        pa.field("levene_p", pa.float64()),
        pa.field("verdict", pa.string(), nullable=False),
    ]
)
PAIRS = pa.schema(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("first", pa.string(), nullable=False),
        pa.field("second", pa.string(), nullable=False),
        pa.field("difference", pa.float64(), nullable=False),  # of the means, first less second
        pa.field("test", pa.string(), nullable=False),
        pa.field("statistic", pa.float64(), nullable=False),
        pa.field("p", pa.float64()),
        pa.field("p_adjusted", pa.float64(), nullable=False),
        pa.field("smallest_p", pa.float64()),
        pa.field("effect", pa.string(), nullable=False),
        pa.field("effect_size", pa.float64(), nullable=False),
        pa.field("probability_first", pa.float64()),  # that it is better by more than the margin; see `bayes`
        pa.field("probability_equal", pa.float64()),
        pa.field("probability_second", pa.float64()),
        pa.field("better", pa.string()),
        pa.field("verdict", pa.string(), nullable=False),
    ]
)
TESTS = pa.schema(  # every omnibus test of every question, whatever the number of groups
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("datasets", pa.int64(), nullable=False),
        pa.field("groups", pa.int64(), nullable=False),
        pa.field("test", pa.string(), nullable=False),
        pa.field("statistic", pa.float64(), nullable=False),
        pa.field("df1", pa.float64(), nullable=False),
        pa.field("df2", pa.float64()),
        pa.field("p", pa.float64(), nullable=False),
        pa.field("remark", pa.string()),
    ]
)
SKIPPED_QUESTIONS = pa.schema(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

DIFFERENT = "a difference"
NOT_SHOWN = "no difference shown"
TOO_FEW = "too few datasets to tell"
ALL_ALIKE = "all groups score alike"
FOR_READING = "for reading: outside the family of tests"
NO_OMNIBUS = "no omnibus test: see the pairs"
