"""How much memory and time a job asks for."""

from collections.abc import Mapping
from typing import Any

LIBRARIES = 1500  # MB: torch and what it loads
ACTIVATIONS = 4e-3  # MB per pixel of a batch: what the layers of a large network keep for their gradients
FILE = 4e-3  # MB: what packing keeps of each file, its names and digests
IMAGES_IN_MEMORY = 5  # lossless files are a third to a fifth of the pixels


def growing(base: float, packed_mb: float, share: float, attempt: int) -> int:
    """Return MB or minutes: a base and a share of the packed images' MB, doubled with each attempt.

    Examples
    --------
    >>> growing(1500, packed_mb=100, share=5, attempt=2)
    4000
    """
    return int(2 ** (attempt - 1) * (base + share * packed_mb))


def memory_of_packing(files: int, attempt: int) -> int:
    """Return MB for the packing of so many files, which decodes and writes their images one after the other."""
    return growing(2000, packed_mb=files, share=FILE, attempt=attempt)


def memory_of_training(
    training: Mapping[str, Any], image_size: int, packed_mb: float, attempt: int, images_per_label: int = 1
) -> int:
    """Return MB for a training: the libraries, the activations of a batch, and the images.

    Parameters
    ----------
    training
        The keys of `training` that the run is trained by: its own recipe's, where the method names one.
    image_size
        Side of the images, pixels.
    packed_mb
        Size of the packed images.
    attempt
        From 1; each doubles what is asked for.
    images_per_label
        Images that go through the network for each labelled one.
    """
    pixels = training["batch_size"] * images_per_label * image_size**2
    return growing(LIBRARIES + ACTIVATIONS * pixels, packed_mb, IMAGES_IN_MEMORY, attempt)
