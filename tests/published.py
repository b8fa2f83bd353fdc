"""The published results beside the checkout: wanted where the project is built, absent on a user's machine."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
REFERENCE = SHARED / "reference"


def path(name: str) -> Path:
    """Return the path of a published table; skip the test where it is absent, fail where it must be there."""
    wanted = REFERENCE / name
    if not wanted.exists():
        if os.environ.get("CI") and SHARED.exists():
            pytest.fail(f"{wanted} is absent though this machine should have it")
        pytest.skip(f"{wanted} is absent: the published results lie beside the project's own checkout only")
    return wanted
