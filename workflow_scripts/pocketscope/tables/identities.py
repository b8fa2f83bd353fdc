"""What each file was called when it was first packed; it outlives the packed images."""

import pyarrow as pa

IDENTITIES = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),  # of the file, or of an image inside an archive
        pa.field("page", pa.int32(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
    ]
)
