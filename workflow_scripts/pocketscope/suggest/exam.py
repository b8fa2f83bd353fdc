"""The exam: images drawn at random before anything is suggested, on which alone the models are tested."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

MOST = 1 / 3  # of the images, at most: the others are learnt from
EXPECTED = 0.9  # accuracy at which the width is promised


def width(images: int, accuracy: float = EXPECTED, level: float = 0.95) -> float:
    """Return how wide the interval of an accuracy is that was measured on so many images (Clopper, Pearson 1934).

    Examples
    --------
    >>> round(width(50), 3)
    0.185
    """
    from pocketscope.statistics import intervals  # scipy takes a second to import, and most exams are drawn already

    lower, upper = intervals.clopper_pearson(round(accuracy * images), images, 1 - level)
    return upper - lower


def size_for(asked: float, accuracy: float = EXPECTED, level: float = 0.95) -> int:
    """Return how many images make the interval no wider than asked for.

    Examples
    --------
    >>> size_for(0.2)
    46
    """
    if not 0 < asked < 1:
        raise ValueError("the width lies between 0 and 1")
    # The width is not monotonous, as whole images are right or wrong: from this size on it stays below what was asked.
    first = 1
    for images in range(1, math.ceil(4 / asked**2) + 50):
        if width(images, accuracy, level) > asked:
            first = images + 1
    return first


def draw(
    images: Sequence[str], size: int, groups: Mapping[str, str] | None = None, *, seed: int | Sequence[int]
) -> list[str]:
    """Draw images at random, whole groups where there are groups: a patient is tested or learnt from, never both.

    Parameters
    ----------
    images
        Identities, each once.
    size
        How many images to draw; with groups a few more or fewer. Never more than `MOST` of all.
    groups
        The group of an image, where it has one.
    seed
        Of the draw.

    Returns
    -------
    list of str
        Sorted.
    """
    rng = np.random.default_rng(seed)
    size = min(size, math.floor(MOST * len(images)))
    units: dict[str, list[str]] = {}
    for image in sorted(images):
        group = (groups or {}).get(image)
        units.setdefault(f"image {image}" if group is None else f"group {group}", []).append(image)
    names = list(units)
    drawn: list[str] = []
    for unit in rng.permutation(len(names)):
        inside = units[names[unit]]
        if len(drawn) + len(inside) / 2 > size:  # nearer to the size without this one
            if len(drawn) >= size or len(inside) == 1:
                break
            continue
        drawn += inside
    return sorted(drawn)
