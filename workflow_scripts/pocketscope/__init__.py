"""pocketscope: compact classifiers from biomedical images of which only a few are labelled."""

import os
from importlib import import_module
from typing import Any

# ONNX Runtime from 1.29 on sends to Microsoft what it runs and on what, unless this says no before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    # By their names, so that no digest of a rule's code depends on the version or on what Python calls need, and that
    # nothing is imported before it is used.
    if name == "__version__":
        return import_module("pocketscope.version").VERSION
    if not name.startswith("_") and name in (calls := import_module("pocketscope.api")).NAMES:
        return getattr(calls, name)
    raise AttributeError(f"module 'pocketscope' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), "__version__", *import_module("pocketscope.api").NAMES})
