"""How long is trained: without torch, for whoever trains and whoever foresees how long it takes."""

import math
from collections.abc import Mapping
from typing import Any


def steps(settings: Mapping[str, Any], images: int, *, pretrained: bool) -> int:
    """Return the number of steps that `images` are trained on, by the configuration's `training`.

    A fixed number of epochs where one is given (both studies): the steps grow as fast as the set. Else `steps` for a
    hundred images, and for n times as many n ** `steps_exponent` times as many steps; fewer images take no fewer steps.
    """
    if settings["epochs"] is not None:
        return math.ceil(settings["epochs"] * math.ceil(images / settings["batch_size"]))
    for_a_hundred = settings["steps" if pretrained else "steps_from_scratch"]
    return round(for_a_hundred * max(1.0, images / 100) ** settings["steps_exponent"])
