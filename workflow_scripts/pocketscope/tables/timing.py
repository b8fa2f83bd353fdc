"""How fast and how large the forms of a network are."""

import pyarrow as pa

# One row a form (runtime and precision) and number of threads.
TIMING = pa.schema(
    [
        pa.field("runtime", pa.string(), nullable=False),  # pytorch (eager), onnxruntime, or reference
        pa.field("precision", pa.string(), nullable=False),
        pa.field("image_size", pa.int32(), nullable=False),
        pa.field("threads", pa.int32(), nullable=False),
        pa.field("latency_ms", pa.float64(), nullable=False),  # of one image: median, 5th and 95th percentile
        pa.field("latency_p5_ms", pa.float64(), nullable=False),
        pa.field("latency_p95_ms", pa.float64(), nullable=False),
        pa.field("images_per_second", pa.float64()),  # in batches of 32
        pa.field("memory_mb", pa.float64()),  # the most that a process holds that classifies one image
        pa.field("file_mb", pa.float64()),
        pa.field("parameters", pa.int64()),
        pa.field("flops", pa.int64()),  # of one image; a multiplication and an addition are two
        pa.field("training_step_ms", pa.float64()),  # median of 30 steps, pytorch alone
    ]
)
REFERENCE = "reference"
