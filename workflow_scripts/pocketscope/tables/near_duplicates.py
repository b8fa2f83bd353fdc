"""Nearly equal images of which one is tested on and the other learnt from."""

import pyarrow as pa

PAIRS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("other", pa.string(), nullable=False),
        pa.field("distance", pa.int32(), nullable=False),
    ]
)
ACROSS = pa.schema(
    [
        *PAIRS,
        pa.field("role", pa.string(), nullable=False),  # of the two roles, one is `test`
        pa.field("other_role", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("other_path", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),  # the first in which it is so
    ]
)
