"""The device and the threads of a job that runs a network."""

import logging
import platform
from collections.abc import Mapping

import torch

from pocketscope.core.errors import InputError
from pocketscope.runtime import gpus

log = logging.getLogger(__name__)


def prepare(device: str, threads: int, granted: int) -> torch.device:
    """Set torch up so that equal jobs give equal results, and return the device to use.

    Parameters
    ----------
    device
        `cpu`, or `auto`: a GPU where there is one, which no other job of this machine then uses.
    threads
        How many threads the job computes with. Sums in another number of parts differ in their last bits.
    granted
        How many threads the workflow gave the job.

    Raises
    ------
    pocketscope.core.errors.InputError
        The job was given fewer threads than it computes with.
    """
    if granted < threads:
        raise InputError(
            f"the job was given {granted} threads but computes with {threads}; run with --cores {threads} or more, or "
            f"set compute.threads to {granted} (this trains again, because results differ in their last bits)"
        )
    torch.set_num_threads(threads)
    # The same as `use_deterministic_algorithms(True, warn_only=True)`, without its import of torch's compiler (1 s).
    torch.set_deterministic_debug_mode("warn")
    if device == "auto":
        gpus.claim()
    chosen = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else "cpu")
    log.info("on %s with %d threads", torch.cuda.get_device_name() if chosen.type == "cuda" else "CPU", threads)
    return chosen


def kind(device: torch.device) -> str:
    """Return the name by which the table of arithmetics knows a device: what decides whether bfloat16 is quick."""
    if device.type == "cuda":
        return "cuda-{}.{}".format(*torch.cuda.get_device_capability(device))
    known = getattr(torch.cpu, "get_capabilities", None)  # torch before 2.10 has none
    return "cpu-amx" if known is not None and known().get("amx_bf16") else "cpu"


def train_dtype(asked: str | Mapping[str, str], device: torch.device) -> torch.dtype:
    """Return the floating point type of a training's forward pass.

    Parameters
    ----------
    asked
        `fp32`, `bf16`, or one of the two by kind of device (`catalogue.train_dtypes`); fp32 where the device is not
        among them.
    device
        Where the job trains.
    """
    chosen = asked if isinstance(asked, str) else asked.get(kind(device), "fp32")
    log.info("in %s", chosen)
    return torch.bfloat16 if chosen == "bf16" else torch.float32


def versions(device: torch.device) -> dict[str, str]:
    """Return what a result can depend on beside its inputs, for a table's notes."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }
