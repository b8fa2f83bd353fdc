"""Every random stream is derived from what it is for, so that no stream depends on another's length or order."""

import hashlib


def seed(*purpose: object) -> int:
    """Return the seed of the stream that `purpose` names.

    Parameters
    ----------
    purpose
        What the stream is for, most general first: study seed, dataset, split, network, use.

    Returns
    -------
    int
        Evenly spread over 0 to 2**32 - 1, which NumPy, torch and scikit-learn all take.

    Examples
    --------
    >>> seed(0, "digits", "k10_s0") == seed(0, "digits", "k10_s0")
    True
    """
    return int.from_bytes(_digest(purpose)[:4], "big")


def rank(*purpose: object) -> float:
    """Return a number in [0, 1) that belongs to `purpose` alone: units are ranked, and parted, by it.

    Evenly spread, and equal on every machine and in every version of Python (`hash` is not).
    """
    return int.from_bytes(_digest(purpose)[:8], "big") / 2**64


def _digest(purpose: tuple[object, ...]) -> bytes:
    # The length before each part keeps ("ab", "c") and ("a", "bc") apart.
    parts = [str(part).encode() for part in purpose]
    return hashlib.blake2b(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
