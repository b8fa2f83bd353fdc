"""What all parts of a configuration share."""

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pocketscope.core.own_functions import PATTERN

# Names become parts of file names, wildcards and column values: nothing that a shell or a regular expression reads.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
# A network of timm's that stands in no catalogue, and the name that it has in paths: `timm:ghostnet_100.in1k` becomes
# `timm-ghostnet_100-in1k`. timm's own names have no hyphen, so that each key stands for one name.
TIMM, TIMM_KEY = "timm:", "timm-"


def network_key(name: str) -> str:
    """Return the name that a network has in paths and tables.

    Examples
    --------
    >>> network_key("timm:ghostnet_100.in1k"), network_key("resnet18")
    ('timm-ghostnet_100-in1k', 'resnet18')
    """
    return TIMM_KEY + name.removeprefix(TIMM).replace(".", "-") if name.startswith(TIMM) else name


def with_network_keys(names: list[str]) -> list[str]:
    """Return names of what is compared, such as `plain/timm:ghostnet_100`, as tables have them."""
    return [re.sub(rf"{TIMM}[A-Za-z0-9_.]+", lambda found: network_key(found[0]), name) for name in names]


def name_in_timm(key: str) -> str | None:
    """Return timm's name of a network that was named `timm:...`, by its key; None where it was not."""
    return key.removeprefix(TIMM_KEY).replace("-", ".") if key.startswith(TIMM_KEY) else None


NetworkName = Annotated[
    str,
    Field(pattern=r"^(timm:[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?|[A-Za-z0-9][A-Za-z0-9_-]*)$"),
    AfterValidator(network_key),
]
Share = Annotated[float, Field(gt=0, lt=1)]
OwnFunction = Annotated[str, Field(pattern=PATTERN)]  # FILE.py:FUNCTION
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
