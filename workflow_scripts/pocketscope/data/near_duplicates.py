"""Find images that are nearly the same: a test image that lies among the training images in another guise flatters."""

import os
from collections.abc import Iterator, Mapping

import imagehash
import numpy as np
import pyarrow as pa
from PIL import Image

from pocketscope.core import parquet
from pocketscope.tables.images import IMAGES, read_images
from pocketscope.tables.near_duplicates import ACROSS, PAIRS

HASH_SIDE = 16  # 256 bits: with 64, different images of one kind lie as near to one another as copies do
FLAT = 4.0  # grey levels of standard deviation; the hash of an empty image is that of its noise


def near_duplicates(images: str | os.PathLike, max_distance: int = 12) -> pa.Table:
    """Return the pairs of packed images whose perceptual hashes are near.

    The hash is the 256-bit perceptual hash of the `imagehash` package: the signs of the low frequencies of the cosine
    transform. Copies that were saved again as JPEG, resized or brightened differ from their original in up to about 8
    bits, different images of one kind mostly in more than 40. Crops, turned and mirrored
    copies are mostly not found, nor all copies of images without detail. Images without contrast are left out.

    Parameters
    ----------
    images
        A table of `pocketscope.tables.images.IMAGES`.
    max_distance
        The largest number of different bits, of 256.

    Returns
    -------
    pyarrow.Table
        `PAIRS`, `image_id` the smaller of the two identities, sorted. Images of equal hash are each paired with the
        first of them alone, which stands for them in the other pairs.
    """
    stored = parquet.read(images, IMAGES, columns=["image_id"])["image_id"].to_pylist()
    hashes: dict[bytes, str] = {}
    pairs: list[tuple[str, str, int]] = []
    for identity, image in read_images(images, stored):  # in the order of the identities
        if (bits := _hash(image)) is not None:
            first = hashes.setdefault(bits, identity)
            if first != identity:
                pairs.append((first, identity, 0))
    names = list(hashes.values())
    words = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(names), HASH_SIDE**2 // 8)
    pairs += [(*sorted((names[one], names[two])), distance) for one, two, distance in near(words, max_distance)]
    columns = zip(*sorted(pairs), strict=True) if pairs else ([], [], [])
    return pa.table([list(column) for column in columns], schema=PAIRS)


def across_parts(pairs: pa.Table, images: pa.Table, splits: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """Return those pairs of which one image is in the test set of a split and the other is not.

    Parameters
    ----------
    pairs
        What `near_duplicates` returns.
    images
        Columns image_id and paths.
    splits
        By the name of each split, the role of each image by identity.

    Returns
    -------
    pyarrow.Table
        `ACROSS`, each pair once for each of its images that is tested on: twice where a cross-validation tests both
        in turn. The paths are the first of each image's. Pairs with an image that a split does not hold do not count
        there.
    """
    path_of = dict(
        zip(images["image_id"].to_pylist(), (paths[0] for paths in images["paths"].to_pylist()), strict=True)
    )
    rows = []
    for pair in pairs.to_pylist():
        found = {}
        for split, roles in splits.items():
            role, other = roles.get(pair["image_id"]), roles.get(pair["other"])
            if role and other and (role == "test") != (other == "test"):
                paths = {"path": path_of[pair["image_id"]], "other_path": path_of[pair["other"]]}
                row = pair | paths | {"role": role, "other_role": other, "split": split}
                found.setdefault("image_id" if role == "test" else "other", row)
        rows += found.values()
    return pa.Table.from_pylist(rows, schema=ACROSS)


def near(words: np.ndarray, max_distance: int) -> Iterator[tuple[int, int, int]]:
    """Yield the pairs of rows that differ in at most `max_distance` bits, without comparing all.

    The bits are dealt out to `max_distance` + 1 bands: two rows that differ in fewer bits than there are bands are
    equal in at least one, so that only rows with an equal band are compared (multi-index hashing, Norouzi et al. 2012).

    Parameters
    ----------
    words
        uint8, (rows, bytes): bits, eight a byte.

    Yields
    ------
    tuple of int
        The smaller row, the larger row, the number of different bits; each pair once.
    """
    bands = max_distance + 1
    bits = np.unpackbits(words, axis=1)
    found: dict[tuple[int, int], int] = {}
    for band in range(bands):
        # Dealt out one by one, because neighbouring bits, of neighbouring frequencies, often agree.
        keys = np.ascontiguousarray(np.packbits(bits[:, band::bands], axis=1))
        keys = keys.view([("", keys.dtype, keys.shape[1])]).ravel()
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        start, gap = np.arange(len(keys)), 0
        while len(start):
            gap += 1
            start = start[start + gap < len(keys)]
            start = start[keys[start] == keys[start + gap]]
            one, two = order[start], order[start + gap]
            distance = np.bitwise_count(words[one] ^ words[two]).sum(axis=1)
            for index in np.flatnonzero(distance <= max_distance):
                pair = sorted((int(one[index]), int(two[index])))
                found[pair[0], pair[1]] = int(distance[index])
    yield from ((one, two, distance) for (one, two), distance in sorted(found.items()))


def _hash(image: np.ndarray) -> bytes | None:
    grey = Image.fromarray(image).convert("L")
    if np.asarray(grey).std() < FLAT:
        return None
    return np.packbits(imagehash.phash(grey, HASH_SIDE).hash).tobytes()
