"""Python calls: a call writes a configuration, runs the workflow, and returns a result.

What a study consists of is the plan's answer, and what is computed is the rules' work: this room starts Snakemake, says
how far it is, and reads what was made. `load`, the one call that uses a model file and nothing else, comes from
`inference`. Names are looked up when they are first used: `import pocketscope` imports no torch, pandas or Snakemake.
"""

from importlib import import_module
from typing import Any

# What `pocketscope.NAME` is, and the module that it comes from; None: the module itself.
NAMES: dict[str, str | None] = {
    "plain_distillation": "pocketscope.api.calls",
    "data_distillation": "pocketscope.api.calls",
    "model_distillation": "pocketscope.api.calls",
    "model_data_distillation": "pocketscope.api.calls",
    "fixmatch": "pocketscope.api.calls",
    "mixmatch": "pocketscope.api.calls",
    "Options": "pocketscope.api.calls",
    "run": "pocketscope.api.running",
    "preview": "pocketscope.api.preview",
    "open_result": "pocketscope.api.opening",
    "Result": "pocketscope.api.result",
    "Progress": "pocketscope.api.events",
    "load": "pocketscope.inference.model",
    "Model": "pocketscope.inference.model",
    "Predictions": "pocketscope.inference.model",
    "InputError": "pocketscope.core.errors",
    "RunError": "pocketscope.api.errors",
    "FailedJob": "pocketscope.api.errors",
    "compat": None,
}


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module 'pocketscope.api' has no attribute '{name}'")
    place = NAMES[name]
    try:
        found = import_module(f"pocketscope.{name}") if place is None else getattr(import_module(place), name)
    except ModuleNotFoundError as error:
        package = (error.name or "pocketscope").partition(".")[0]
        if package == "pocketscope":
            raise
        extra = "" if name == "load" else " (the extra 'workflow': pip install 'pocketscope[workflow]')"
        raise ModuleNotFoundError(
            f"pocketscope.{name} needs the Python package '{package}'{extra}", name=package
        ) from error
    globals()[name] = found
    return found
