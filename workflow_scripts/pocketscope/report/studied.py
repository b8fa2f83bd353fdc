"""What a study worked on: images per class, how they were parted, under which licences, with which settings."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pocketscope.core import parquet
from pocketscope.tables.classes import CLASSES
from pocketscope.tables.split import SPLIT

PLACES = {"path", "unlabelled", "test", "images", "labels", "catalogue", "file"}  # keys that name files
ROLES = ("labelled", "validation", "unlabelled", "test")


def about(
    classes: Mapping[str, str], splits: Sequence[str], of: Sequence[Sequence[str]], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all that the page tells of what was studied: see `sections.study`."""
    return {"classes": images_by_class(classes, splits, of), "roles": roles(splits, of), "settings": settings}


def images_by_class(classes: Mapping[str, str], splits: Sequence[str], about: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Count images by data set and class: `images`, `files`, and the `human` labels of the split with the most.

    Parameters
    ----------
    classes
        By data set its table of classes (schema CLASSES).
    splits, about
        Tables of splits (schema SPLIT), and the data set and name of each.
    """
    most: dict[str, pd.Series] = {}
    for path, (dataset, _) in zip(splits, about, strict=True):
        split = parquet.read(path, SPLIT, columns=["role", "label"]).to_pandas()
        shown = split[split["role"].isin(("labelled", "validation"))]["label"].value_counts()
        if dataset not in most or shown.sum() > most[dataset].sum():
            most[dataset] = shown
    frames = []
    for dataset, path in classes.items():
        frame = parquet.read(path, CLASSES).to_pandas()
        human = frame["label"].map(most.get(dataset, {})).fillna(0).astype(int)
        frames.append(frame.assign(dataset=dataset, human=human))
    return pd.concat(frames, ignore_index=True)[["dataset", "label", "images", "files", "human"]]


def roles(splits: Sequence[str], about: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Count images by data set, split and role: columns dataset, split, and those of `ROLES`.

    Parameters
    ----------
    splits, about
        See `images_by_class`.
    """
    rows = []
    for path, (dataset, name) in zip(splits, about, strict=True):
        counts = parquet.read(path, SPLIT, columns=["role"])["role"].to_pandas().value_counts()
        rows.append({"dataset": dataset, "split": name} | {role: int(counts.get(role, 0)) for role in ROLES})
    return pd.DataFrame(rows)


def licences(settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return of what each data set and network is under which licence: columns what, name, licence.

    Parameters
    ----------
    settings
        `licences`, by data set that of its images or None, and `networks`, by name an entry of the catalogue.
    """
    unknown = "not known: `licence` of the data set says it"
    rows = [("images", name, licence or unknown) for name, licence in settings["licences"].items()]
    for name, network in settings["networks"].items():
        missing = "no pretrained weights" if network["weights"] == "none" else "not known: the catalogue lacks it"
        rows.append(("weights", f"{name} ({network['library']} {network['name']})", network["licence"] or missing))
    return pd.DataFrame(rows, columns=["what", "name", "licence"])


def flat(config: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Return a configuration as lines of key and value, without the places of files.

    Examples
    --------
    >>> flat({"seed": 0, "split": {"labelled": [25]}})
    [('seed', '0'), ('split.labelled', '25')]
    """
    lines = []
    for key, value in config.items():
        name = f"{above}{key}"
        if (
            key in ("path", "unlabelled", "images", "labels", "catalogue", "file")
            and isinstance(value, str)
            and "/" in value
        ):
            continue  # where files lie on this computer says nothing about the study
        if isinstance(value, Mapping):
            lines += flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            lines.append((name, ", ".join(map(str, value))))
        elif value is not None:
            lines.append((name, str(value)))
    return lines
