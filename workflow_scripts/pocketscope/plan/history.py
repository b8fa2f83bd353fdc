"""What a finished `ship` is pinned to, so that new images and labels train no more than they must.

The file lies beside the study's results and is no rule's output. It is written when the target `ship` is done, and
taken away by `pocketscope refresh`: what a run plans follows from files and from it alone.
"""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pocketscope.config.study import Config
from pocketscope.core import files
from pocketscope.plan.layout import Layout


def read(path: Path, config: Config, packed_names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return by data set what a study is pinned to; data sets that are others now, or are gone, are left out.

    Parameters
    ----------
    path
        See `Layout.history`; there may be none.
    config
        The study. A candidate that it does not have any more is None.
    packed_names
        By the folder of packed images, the data set.

    Returns
    -------
    dict
        `packed` (the folder's name), `candidate` (method, network and precision), `labels` (ending and digest of the
        labels that people had given; None without any), and `when`.
    """
    if not path.is_file():
        return {}
    found = {}
    for name, pinned in json.loads(path.read_text(encoding="utf-8"))["datasets"].items():
        if packed_names.get(pinned["packed"]) == name:
            found[name] = pinned | {"candidate": _known(pinned["candidate"], config)}
    return found


def write(path: Path, pinned: Mapping[str, Mapping[str, Any]]) -> None:
    """Pin a study: by data set, what `read` returns but `when`."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    said = {"datasets": {name: dict(about) | {"when": when} for name, about in pinned.items()}}
    files.write_text(path, json.dumps(said, indent=2, sort_keys=True) + "\n")


def forget(results: Path, layout: Layout, packed_names: Mapping[str, str]) -> list[Path]:
    """Take away what a study and its data sets are pinned to, in a results folder; return what was there."""
    places = [results / layout.history, results / layout.pinned]
    places += [results / layout.packed(name, "snapshot") for name in packed_names]
    there = [place for place in places if place.exists()]
    for place in there:
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    return there


def _known(candidate: Mapping[str, str] | None, config: Config) -> dict[str, str] | None:
    if candidate is None or candidate["method"] not in config.methods:
        return None
    if candidate["precision"] not in config.students.get(candidate["network"], []):
        return None
    return dict(candidate)
