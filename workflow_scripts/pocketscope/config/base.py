"""What all parts of a configuration share."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Names become parts of file names, wildcards and column values: nothing that a shell or a regular expression reads.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Share = Annotated[float, Field(gt=0, lt=1)]
Precision = Literal["fp32", "int8"]


def each_once(names: list[Any]) -> list[Any]:
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"'{twice[0]}' is named twice; name it once")
    return names


class Model(BaseModel):
    """A part of the configuration: unknown keys are refused, values are checked but not converted by guess."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def plain(model: BaseModel) -> dict[str, Any]:
    """Return a part of the configuration as plain, ordered values, fit for a rule's `params`."""
    return json.loads(model.model_dump_json())


def digest_of_value(value: Any) -> str:
    """Return eight hexadecimal digits that stand for a plain value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
