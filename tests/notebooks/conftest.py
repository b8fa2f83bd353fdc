"""Kernels find this checkout's package, whichever one is installed."""

import os

import pytest

from helpers import SCRIPTS


@pytest.fixture(autouse=True)
def _this_checkout(monkeypatch):
    paths = [str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
