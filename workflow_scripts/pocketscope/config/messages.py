"""A configuration's mistakes in words."""

import datetime
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pocketscope.core.errors import InputError
from pocketscope.core.messages import nearest

# What keys and values were once called, by the part of the configuration that they stand in.
RENAMED_KEYS = {
    ("datasets", "fit"): "resize",
    ("datasets", "corrections"): "labels",
    ("methods", "acceptance"): "selection",
    ("methods", "guesses"): "n_augmentations",
    ("training", "lowest_layers"): "lowest_layer_lr_ratio",
    ("training", "gradient_norm"): "max_grad_norm",
    ("training", "growth"): "steps_exponent",
    ("training", "evaluations"): "n_evaluations",
    ("training", "human_share"): "labelled_fraction",
    ("ship", "row"): "candidate",
    ("ship", "sure"): "reliable",
    ("compute", "arithmetic"): "train_dtype",
}
RENAMED_VALUES = {
    ("resize", "squeeze"): "stretch",
    ("selection", "per_class"): "top_share_per_class",
    ("stop", "unlabelled"): "all_labelled",
}


def validate(model: type[BaseModel], raw: Any, where: str) -> Any:
    """Return `raw` as `model`; raise InputError with a line for each fault, which begins with `where`."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InputError("\n".join(f"{where}: {_message(model, fault)}" for fault in error.errors())) from None


def _message(model: type[BaseModel], fault: Mapping[str, Any]) -> str:
    # pydantic puts the chosen member of a union into the path; a user's file does not have it.
    path = [str(part) for i, part in enumerate(fault["loc"]) if not _is_union_member(fault["loc"], i)]
    key = ".".join(path) or "the whole"
    if new := RENAMED_KEYS.get((path[0], path[-1])) if fault["type"] == "extra_forbidden" else None:
        return f"'{key}' is now called '{new}'; rename it"
    if fault["type"] == "extra_forbidden":
        return f"'{key}' is not a key{nearest(path[-1], _siblings(model, fault['loc']))}"
    if fault["type"] == "missing":
        return f"'{key}' is missing"
    if (text := _not_text(fault)) and fault["type"] == "string_type":
        return f"'{key}': {text}"
    if new := RENAMED_VALUES.get((path[-1], fault["input"])) if fault["type"] == "literal_error" else None:
        return f"'{key}': '{fault['input']}' is now called '{new}'; rename it"
    return f"'{key}': {fault['msg'].removeprefix('Value error, ')}"


def _not_text(fault: Mapping[str, Any]) -> str | None:
    """Say what YAML made of a text without quotes, None where the value is text."""
    value = fault["input"]
    if isinstance(value, bool):
        meant = "yes, on and true" if value else "no, off and false"
        return f"this is {str(value).lower()}, which YAML makes of {meant} without quotes; put the text into quotes"
    if isinstance(value, int | float):
        return (
            f"{value} is a number, where a text is asked for; put it into quotes, as it is written (YAML reads "
            "010 as 8 and 1:30 as 90)"
        )
    if isinstance(value, datetime.date):
        return f"{value} is a date, where a text is asked for; put it into quotes, as it is written"
    return "nothing is here, which YAML makes of null and ~ too; put a text into quotes" if value is None else None


def _is_union_member(path: tuple[Any, ...], i: int) -> bool:
    part = str(path[i])
    return (
        "[" in part
        or part.startswith("constrained-")
        or (i > 0 and path[i - 1] == "source" and i < len(path) - 1)
        or (i == 2 and path[0] == "methods" and part in ("Method", "Consistency"))
    )


def _siblings(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Return the keys that are known where the last part of `path` stands."""
    here = model.model_json_schema()
    definitions = here.get("$defs", {})
    for part in path[:-1]:
        here = _resolve(here, definitions)
        if "oneOf" in here or "anyOf" in here:
            options = [_resolve(option, definitions) for option in here.get("oneOf", here.get("anyOf"))]
            of_kind = [o for o in options if o.get("properties", {}).get("kind", {}).get("const") == part]
            here = next((o for o in [*of_kind, *options] if o in of_kind or o.get("title") == part), here)
            continue
        named = here.get("properties", {}).get(part)
        here = named or next(iter(here.get("patternProperties", {}).values()), {})
    return list(_resolve(here, definitions).get("properties", {}))


def _resolve(here: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    options = [option for option in here.get("anyOf", []) if option.get("type") != "null"]
    if len(options) == 1:  # a key that may be left out
        here = options[0]
    return definitions[here["$ref"].rsplit("/", 1)[1]] if "$ref" in here else here
