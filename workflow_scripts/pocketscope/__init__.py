"""pocketscope: compact classifiers from biomedical images of which only a few are labelled."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    # By its name, so that no digest of a rule's code depends on the version.
    if name == "__version__":
        return import_module("pocketscope.version").VERSION
    raise AttributeError(f"module 'pocketscope' has no attribute '{name}'")
