"""Which GPUs a machine has, and a claim on one of them for as long as a process lives.

Snakemake counts GPUs and does not number them: without a claim all jobs of a machine would use the first one.
"""

import fcntl
import logging
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

log = logging.getLogger(__name__)


VISIBLE = "CUDA_VISIBLE_DEVICES"


def names() -> list[str]:
    """Return the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; CUDA is not started.

    These are the devices that the variable lists, where it is set; else all that the driver knows, by identity.
    """
    if VISIBLE in os.environ:
        return [name.strip() for name in os.environ[VISIBLE].split(",") if name.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    asked = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


def claim(poll: float = 1.0) -> str | None:
    """Take one GPU for this process, and make it the only one that CUDA will see.

    It has to be called before CUDA starts, which reads the variable once. The claim is a lock on a file in the folder
    for temporary files; it ends with the process, however that ends. A single device in `CUDA_VISIBLE_DEVICES` is the
    choice of whoever set it, a cluster or a person, and is not locked: on a cluster every job's device may be called 0.

    Parameters
    ----------
    poll
        Seconds between two looks for a free GPU where all are claimed.

    Returns
    -------
    str or None
        The device; None where there is none.
    """
    devices = names()
    if not devices:
        return None
    if VISIBLE in os.environ and len(devices) == 1:
        return devices[0]
    waited = False
    while True:
        for device in devices:
            if _lock(Path(tempfile.gettempdir()) / f"pocketscope-gpu-{device}.lock"):
                os.environ[VISIBLE] = device
                log.info("claimed GPU %s", device)
                return device
        if not waited:
            log.info("all %d GPUs are in use by other jobs; waiting for one", len(devices))
            waited = True
        time.sleep(poll)


def _lock(path: Path) -> bool:
    """Lock a file for as long as this process lives, and return whether that succeeded."""
    try:
        # Without O_CREAT first: in a shared folder the kernel refuses it for a file of another user, who made it.
        file = os.open(path, os.O_RDONLY) if path.exists() else os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    return True
