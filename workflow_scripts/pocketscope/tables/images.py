"""Read packed images: what every later step asks for, apart from how they were made."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.images import codec

log = logging.getLogger(__name__)


IMAGES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("paths", pa.list_(pa.string()), nullable=False),
        pa.field("sha256", pa.list_(pa.string()), nullable=False),  # of the files' content, in the order of the paths
        pa.field("group", pa.string()),
        pa.field("role", pa.string()),
        pa.field("width", pa.int32(), nullable=False),  # of the file, upright, before it was fitted
        pa.field("height", pa.int32(), nullable=False),
        pa.field("single_colour", pa.bool_(), nullable=False),  # decoded: all pixels are alike
        pa.field("further_pages", pa.bool_(), nullable=False),  # its file has pages or frames that were not read
        pa.field("damage", pa.string()),  # what its decoder found wrong with the file, and accepted
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    ]
)
ROW_GROUP = 256  # rows; a reader that wants few images passes over the others' bytes one such group at a time
PART = 1024  # images; a multiple of every batch that networks are run on


def read_images(path: str | os.PathLike, image_ids: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Read some of the packed images, one row group in memory at a time.

    Decoding in threads was measured and gains nothing: Pillow holds the interpreter's lock while it decodes WebP.

    Parameters
    ----------
    path
        An `IMAGES` table.
    image_ids
        Which images, in any order.

    Yields
    ------
    tuple of str and numpy.ndarray
        The identity, and uint8 (size, size, 3); in the order of the file, which is that of the identities.

    Raises
    ------
    pocketscope.core.errors.InputError
        The table is damaged, or does not hold an image that is asked for.
    """
    wanted = set(image_ids)
    stored = parquet.read(path, IMAGES, columns=["image_id"])["image_id"].to_pylist()
    if missing := wanted.difference(stored):
        raise InputError(
            f"{path}: lacks {len(missing)} of the {len(wanted)} requested images, such as {min(missing)}; "
            "the tables that name them were made from another version of the data: delete them and run again"
        )
    with pq.ParquetFile(path) as file:
        start = 0
        for group in range(file.num_row_groups):
            identities = stored[start : start + file.metadata.row_group(group).num_rows]
            start += len(identities)
            rows = [row for row, identity in enumerate(identities) if identity in wanted]
            if rows:
                encoded = file.read_row_group(group, columns=["image.bytes"])["image"].combine_chunks().field("bytes")
                for row in rows:
                    yield identities[row], codec.decode_packed(encoded[row].as_py())


def load_images(
    path: str | os.PathLike,
    image_ids: Sequence[str],
    allocate: Callable[[tuple[int, ...]], np.ndarray] = lambda shape: np.empty(shape, np.uint8),
) -> np.ndarray:
    """Load some of the packed images into one array.

    Parameters
    ----------
    path
        An `IMAGES` table.
    image_ids
        Which images; one may be asked for more than once.
    allocate
        Gives the array, uint8 of a shape, that is filled; one in memory where nothing else is asked for.

    Returns
    -------
    numpy.ndarray
        uint8, (len(image_ids), size, size, 3), in the order of `image_ids`.

    Raises
    ------
    pocketscope.core.errors.InputError
        See `read_images`.
    """
    size = parquet.notes(path)["image_size"]
    rows: dict[str, list[int]] = {}
    for row, identity in enumerate(image_ids):
        rows.setdefault(identity, []).append(row)
    result = allocate((len(image_ids), size, size, 3))
    for identity, image in read_images(path, rows):
        result[rows[identity]] = image
    return result


def load_in_parts(path: str | os.PathLike, image_ids: Sequence[str]) -> Iterator[np.ndarray]:
    """Load images as `load_images` does, `PART` of them at a time, so that memory does not grow with their number.

    Yields
    ------
    numpy.ndarray
        uint8, (N, size, size, 3); where no image is asked for, one array of none.
    """
    for start in range(0, max(len(image_ids), 1), PART):
        part = load_images(path, image_ids[start : start + PART])
        yield part
        log.info("%d of %d images", start + len(part), len(image_ids))
