"""A project of the desk: one folder of images, and all that is kept of it, which lies elsewhere."""

import contextlib
import hashlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketscope.api import workflow
from pocketscope.core import files
from pocketscope.core.errors import InputError
from pocketscope.core.stack_pages import Page, is_known

ABOUT = "project.json"
TOURED = ".toured"
VERSION = 1


@dataclass(frozen=True)
class Project:
    """A folder of images and where what belongs to it is kept.

    Attributes
    ----------
    name
        As people read it; the name of the folder, until it is changed.
    folder
        The images. Nothing is ever written into it.
    home
        The project's own folder: labels, configuration, results.
    page
        What of a file with several pages or frames is the image; see `pocketscope.images.decode.decode`.
    """

    name: str
    folder: Path
    home: Path
    page: Page = 0

    @property
    def journal(self) -> Path:
        """The labels that people give: outside `results`, which may be deleted at any time."""
        return self.home / "labels.sqlite"

    @property
    def results(self) -> Path:
        """Where the workflow works, and thumbnails are kept."""
        return self.home / "results"

    @property
    def config(self) -> Path:
        """The configuration that `snakemake --configfile` takes."""
        return self.home / "config.yaml"

    @property
    def dataset(self) -> str:
        """The data set's name in the configuration and in paths."""
        return self.home.name.rpartition("-")[0] or "images"


def projects_folder() -> Path:
    """Return where projects are kept: `projects` in the checkout; without one, in the person's own folder."""
    if (checkout := workflow.checkout()) is not None:
        return checkout / "projects"
    try:
        return Path.home() / "pocketscope" / "projects"
    except RuntimeError as error:  # no HOME and no such user
        raise InputError(
            "it is not known where your own files lie (HOME is not set); name a folder by --projects"
        ) from error


def open_project(folder: str | Path, projects: Path | None = None) -> Project:
    """Return the project of a folder of images; it is made where there is none.

    Raises
    ------
    pocketscope.core.errors.InputError
        The folder is not there or cannot be read, or the project's own folder cannot be written to.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        reason = "is a file, not a folder of images" if place.exists() else "there is no such folder"
        raise InputError(f"{place}: {reason}; correct the path")
    place = place.resolve()
    top = (projects or projects_folder()).absolute()
    if top.resolve().is_relative_to(place):
        raise InputError(
            f"{place}: holds the folder of projects, {top}, which the desk writes into; open the images alone"
        )
    home = top / f"{_short(place.name)}-{hashlib.sha256(str(place).encode(errors='surrogateescape')).hexdigest()[:8]}"
    known = about(home)
    page = known.get("page", 0)
    project = Project(known.get("name") or place.name or str(place), place, home, page if is_known(page) else 0)
    try:
        project.results.mkdir(parents=True, exist_ok=True)
        write(project, opened=time.time())
    except OSError as error:
        raise InputError(
            f"{home}: {error.strerror}; the desk keeps labels there: make it writable, or name another by --projects"
        ) from error
    return project


def about(home: Path) -> dict[str, Any]:
    """Return what is kept of a project's settings; nothing where there is no readable file."""
    with contextlib.suppress(OSError, ValueError):
        read = json.loads((home / ABOUT).read_text(encoding="utf-8"))
        return read if isinstance(read, dict) else {}
    return {}


def write(project: Project, **changes: Any) -> None:
    """Change settings of a project, whole or not at all."""
    kept = about(project.home) | {"version": VERSION, "name": project.name, "folder": str(project.folder)} | changes
    files.write_text(project.home / ABOUT, json.dumps(kept, indent=2, ensure_ascii=False))


def recent(projects: Path | None = None) -> list[dict[str, Any]]:
    """Return the projects there are, the last opened first: name, folder, opened, whether the folder is there."""
    found = []
    with contextlib.suppress(OSError):
        for home in (projects or projects_folder()).iterdir():
            if known := about(home):
                there = Path(known.get("folder", "")).is_dir()
                found.append({key: known.get(key) for key in ("name", "folder", "opened")} | {"there": there})
    return sorted(found, key=lambda one: one["opened"] or 0, reverse=True)


def toured(projects: Path | None = None) -> bool:
    """Say whether a person who keeps projects there has seen the tour."""
    try:
        return ((projects or projects_folder()) / TOURED).exists()
    except (OSError, InputError):
        return True


def set_toured(projects: Path | None = None) -> bool:
    """Remember that the tour was seen, so that it never comes back by itself; say whether that could be written."""
    try:
        files.write_text((projects or projects_folder()) / TOURED, "")
    except (OSError, InputError):
        return False
    return True


def _short(name: str) -> str:
    """Return a name for paths: what the workflow allows in the names of data sets, and not longer than 40."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()[:40] or "images"
