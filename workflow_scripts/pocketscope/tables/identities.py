"""What each file was called when it was first packed; it outlives the packed images."""

import pyarrow as pa

IDENTITIES = pa.schema(
    [
        pa.field("sha256", pa.string(), nullable=False),  # of the file, or of an image inside an archive
        pa.field("page", pa.string(), nullable=False),  # a number, or a word of `stack_pages`
        pa.field("image_id", pa.string(), nullable=False),
    ]
)
_PAGE = IDENTITIES.get_field_index("page")
# As it was while a page could be a number alone.
IDENTITIES_BY_NUMBER = IDENTITIES.set(_PAGE, pa.field("page", pa.int32(), nullable=False))
