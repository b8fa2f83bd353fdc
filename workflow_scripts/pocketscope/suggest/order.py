"""In which order to label: typical images of all kinds first, then those between classes, and not ten alike.

The start is TypiClust (Hacohen, Dekel, Weinshall 2022, "Active Learning on a Budget"): one image of each cluster of the
features, the one with the closest neighbours. Once a head can be fitted, the margin between its two most probable
classes decides, weighted by the distance to what was chosen already. `benchmarks/label_order.py` compares them with a
random order.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import cdist

AXES = 64  # principal axes on which distances are taken
NEIGHBOURS = 20  # whose mean distance says how typical an image is, as in TypiClust
SAMPLE = 20_000  # images from which axes and clusters are found
CANDIDATES = 10  # as many images of the smallest margin as are chosen from, per image chosen
FEWEST = 2  # labels of each of two classes, from which on margins count
BLOCK = 2048  # rows of distances that are held at once


def reduced(features: NDArray[np.floating], axes: int = AXES, *, seed: int = 0) -> NDArray[np.float32]:
    """Return features on their principal axes, float32 (N, at most `axes`), for distances.

    Parameters
    ----------
    features
        float (N, F).
    axes
        How many axes to keep.
    seed
        Of the sample that finds the axes, where there are more than `SAMPLE` images.
    """
    rows = np.asarray(features, dtype=np.float32)
    if not len(rows):
        return np.empty((0, axes), dtype=np.float32)
    taken = rows
    if len(rows) > SAMPLE:
        taken = rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:SAMPLE])]
    mean = taken.mean(axis=0)
    centred = (taken - mean).astype(np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    kept = vectors[:, np.argsort(values)[::-1][:axes]].astype(np.float32)
    return (rows - mean) @ kept


def typical(
    points: NDArray[np.floating], labelled: NDArray[np.bool_], count: int, *, seed: int = 0
) -> NDArray[np.intp]:
    """Return images to begin with: of the largest clusters without a label, the most typical one each (TypiClust).

    Parameters
    ----------
    points
        float (N, D), as `reduced` returns them.
    labelled
        bool (N,): images that are not asked for again.
    count
        How many images.
    seed
        Of the clusters.

    Returns
    -------
    numpy.ndarray
        int, at most `count` numbers of images that are not labelled, in the order to label them.
    """
    free = int((~labelled).sum())
    if not free or count <= 0:
        return np.empty(0, dtype=np.intp)
    clusters = min(int(labelled.sum()) + count, len(points), max(2, len(points) // 2))
    of = _clustered(points, clusters, seed)
    sizes = np.bincount(of, minlength=clusters)
    known = np.bincount(of[labelled], minlength=clusters)
    chosen: list[int] = []
    taken = labelled.copy()
    while len(chosen) < min(count, free):
        # The clusters with the fewest labels, the largest of them first.
        for cluster in sorted(range(clusters), key=lambda one: (known[one], -sizes[one])):
            inside = np.flatnonzero((of == cluster) & ~taken)
            if len(inside):
                break
        best = int(inside[np.argmin(_spread(points, np.flatnonzero(of == cluster), inside))])
        chosen.append(best)
        taken[best] = True
        known[cluster] += 1
    return np.array(chosen, dtype=np.intp)


def between_classes(
    points: NDArray[np.floating],
    labelled: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    count: int,
    *,
    diverse: bool = True,
) -> NDArray[np.intp]:
    """Return the images whose two most probable classes are closest, none of them like another.

    Parameters
    ----------
    points, labelled, count
        See `typical`.
    probabilities
        float (N, classes), of a head that was fitted to the labels so far.
    diverse
        Whether images that are far from those chosen before, and from those labelled, are preferred.

    Returns
    -------
    numpy.ndarray
        See `typical`.
    """
    doubt = 1 - margin(probabilities)
    free = np.flatnonzero(~labelled)
    count = min(count, len(free))
    by_doubt = free[np.argsort(-doubt[free], kind="stable")]
    if not diverse or count < 1:
        return by_doubt[:count]
    candidates = by_doubt[: CANDIDATES * count]
    distance = np.full(len(candidates), np.inf)
    if labelled.any():
        distance = _nearest(points[candidates], points[labelled])
    chosen: list[int] = []
    for _ in range(count):
        worth = doubt[candidates] * np.where(np.isinf(distance), 1.0, distance)
        worth[chosen] = -1.0
        best = int(np.argmax(worth))
        chosen.append(best)
        distance = np.minimum(distance, np.linalg.norm(points[candidates] - points[candidates[best]], axis=1))
    return candidates[chosen]


def margin(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return by how much the most probable class leads, float (N,); 1 where there is but one class."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities))
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def _clustered(points: NDArray[np.floating], clusters: int, seed: int) -> NDArray[np.intp]:
    rng = np.random.default_rng(seed)
    taken = points if len(points) <= SAMPLE else points[np.sort(rng.permutation(len(points))[:SAMPLE])]
    centres, _ = kmeans2(taken.astype(float), clusters, iter=20, minit="++", seed=rng, missing="warn")
    parts = range(0, len(points), BLOCK)
    return np.concatenate([cdist(points[start : start + BLOCK], centres).argmin(axis=1) for start in parts])


def _spread(points: NDArray, members: NDArray, asked: NDArray) -> NDArray[np.float64]:
    """Return the mean distance of each image asked for to its nearest members of the cluster; small is typical."""
    if len(members) > BLOCK:
        members = members[:: -(-len(members) // BLOCK)]
    near = min(NEIGHBOURS + 1, len(members))  # an image is its own nearest
    found = []
    for start in range(0, len(asked), BLOCK):
        distances = cdist(points[asked[start : start + BLOCK]], points[members])
        found.append(np.partition(distances, near - 1, axis=1)[:, :near].mean(axis=1))
    return np.concatenate(found)


def _nearest(points: NDArray, others: NDArray) -> NDArray[np.float64]:
    return np.concatenate(
        [cdist(points[start : start + BLOCK], others).min(axis=1) for start in range(0, len(points), BLOCK)]
    )
