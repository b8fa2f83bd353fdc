"""Python calls: a call writes a configuration, runs the workflow, and returns a result.

What a study consists of is the plan's answer, and what is computed is the rules' work: this room starts Snakemake, says
how far it is, and reads what was made. `load`, the one call that uses a model file and nothing else, comes from
`inference`. Names are looked up when they are first used: `import pocketscope` imports no torch, pandas or Snakemake.
"""

from importlib import import_module
from typing import Any

# What `pocketscope.NAME` is, and the module that it comes from; None: the module itself.
NAMES: dict[str, str | None] = {
    "load": "pocketscope.inference.model",
    "Model": "pocketscope.inference.model",
    "Predictions": "pocketscope.inference.model",
    "InputError": "pocketscope.core.errors",
}


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module 'pocketscope.api' has no attribute '{name}'")
    place = NAMES[name]
    found = import_module(f"pocketscope.{name}") if place is None else getattr(import_module(place), name)
    globals()[name] = found
    return found
