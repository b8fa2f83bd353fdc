"""A training that was killed goes on from its last saved epoch, to the same weights.

The state lies beside the outputs and is none of them: Snakemake does not know it. Its name holds a digest of all that
the training depends on, so that a training of other labels, settings or code never goes on from it.
"""

import hashlib
import json
import logging
import os
import pickle
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from pocketscope.core.files import whole

log = logging.getLogger(__name__)


SECONDS_BETWEEN = 10.0  # at least, from one save to the next: no more is lost, and saving costs little


def digest_of_inputs(tables: Iterable[str | os.PathLike], settings: Any) -> str:
    """Return 16 hexadecimal digits for the bytes of the tables, packed images among them, and for plain settings."""
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in tables:
        with Path(path).open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:16]


class Resume:
    """Where a training's state is kept.

    Parameters
    ----------
    folder
        Where the training's outputs will lie. States of other digests in it are deleted.
    digest
        Stands for all that the training depends on.
    """

    def __init__(self, folder: str | os.PathLike, digest: str) -> None:
        self.path = Path(folder) / f".resume.{digest}.pt"
        self.saved = time.monotonic()
        for other in Path(folder).glob(".*resume.*.pt"):  # what a save that was killed left too
            if other != self.path:
                log.info("%s: the saved state of another training run, deleted", other.name)
                other.unlink()

    def load(self) -> dict[str, Any] | None:
        """Return the state that was saved last; None where there is none, or where it cannot be read."""
        if not self.path.is_file():
            return None
        try:
            return torch.load(self.path, "cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
            log.warning("%s cannot be read and is deleted; the training run starts again: %s", self.path, error)
            self.path.unlink()
            return None

    def due(self) -> bool:
        """Return whether enough time has passed since the last save."""
        return time.monotonic() - self.saved >= SECONDS_BETWEEN

    def save(self, state: dict[str, Any]) -> None:
        """Save a state of tensors and plain values, whole or not at all."""
        with whole(self.path) as temporary:
            torch.save(state, temporary)
        self.saved = time.monotonic()

    def remove(self) -> None:
        """Delete the state: the training's outputs are there."""
        self.path.unlink(missing_ok=True)
