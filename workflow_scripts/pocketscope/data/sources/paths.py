"""Where a source's paths lead."""

import os
from pathlib import Path
from typing import Any


def place_of(source: dict[str, Any], root: Path, key: str = "path") -> Path:
    """Return the absolute path that `source[key]` names."""
    return Path(os.path.abspath(root / Path(source[key]).expanduser()))  # noqa: PTH100 (resolve would follow links)
