"""ZIP files to take away, made while they are sent: images need not fit into memory, nor twice on the disk."""

import contextlib
import io
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pocketscope.config.study import load_config
from pocketscope.core.errors import InputError
from pocketscope.core.extras import WORKFLOW, lacking
from pocketscope.plan.study_plan import StudyPlan

if TYPE_CHECKING:
    from pocketscope.web.desk import Desk

LONGEST = 100  # characters of a name: 255 bytes are the most that file systems take

README = """# {name}: images, labels and a study, to run elsewhere

| file | what it is |
| --- | --- |
| `images/` | {images:,} images |
| `labels.csv` | what people said of them; `role` is `exam` where an image tests the models |
| `config.yaml` | the study |
| `study.ipynb` | the study as a notebook; start Jupyter in this folder |
| `study-colab.ipynb` | the same for Google Colab, with the folder `images` and `labels.csv` on your Drive |

On a machine with a checkout of pocketscope unpack the archive there, and run

    .venv/bin/snakemake ship --configfile {name}/config.yaml

or on a cluster `--workflow-profile profiles/slurm` with it. Take labels that you give meanwhile along as a new archive.
"""

HOW = """# Paths start at the folder of the Snakefile: unpack the archive there.
#
#     .venv/bin/snakemake ship --configfile {name}/config.yaml
#
# config/config.yaml explains every key.
"""


def packed(entries: Iterable[tuple[str, Path | str]]) -> Iterator[bytes]:
    """Yield a ZIP file piece by piece.

    Parameters
    ----------
    entries
        The name of each file in the archive, and where it is (a path) or what is in it (text). A file that is gone is
        left out.
    """
    buffer = _Pieces()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # images are compressed already
        for name, content in entries:
            if isinstance(content, str):
                archive.writestr(name, content, zipfile.ZIP_DEFLATED)
            else:
                with contextlib.suppress(OSError):
                    archive.write(content, name)
            yield buffer.taken()
    yield buffer.taken()


def labelled_images(desk: "Desk") -> Iterator[tuple[str, Path]]:
    """Yield name in an archive, one folder a category, and place of each labelled image."""
    folders = {one.identity: _as_file(one.name) or "category" for one in desk.labels.categories}
    index, taken = desk.index, set()
    for image_id, held in sorted(desk.labels.of.items()):
        for number in index.numbers.get(image_id, ())[:1] if held.category is not None else ():
            file = _as_file(index.paths[number])
            if (name := f"{folders[held.category]}/{file}") in taken:
                name = f"{folders[held.category]}/{image_id[:8]} {file}"
            taken.add(name)
            yield name, index.place(number)


def _as_file(name: str) -> str:
    """Return a name that every system takes for a file: no longer than 100 characters, its ending kept."""
    kept = "".join("_" if c in '/\\:*?"<>|' or ord(c) < 32 else c for c in name).strip(". ")
    return kept if len(kept) <= LONGEST else kept[: LONGEST - 10] + kept[-10:]


def study(desk: "Desk", configuration: dict[str, Any], root: Path) -> list[tuple[str, Path | str]]:
    """Return what runs a study elsewhere: images, labels, configuration, notebooks, and how to begin.

    Parameters
    ----------
    desk
        What is open.
    configuration
        The study's, with the paths of this machine.
    root
        The folder of the Snakefile.

    Raises
    ------
    pocketscope.core.errors.InputError
        What writes notebooks is not installed, or the configuration is wrong.
    """
    from pocketscope.journal import export

    try:
        from pocketscope.api import notebook
    except ImportError as error:
        raise InputError(f"a notebook {lacking('nbformat', WORKFLOW)}") from error
    name, index = desk.project.dataset, desk.index
    there = [number for number in range(len(index.paths)) if number not in index.gone]
    config = yaml.safe_dump(_moved(configuration, name, f"{name}/"), sort_keys=False, allow_unicode=True, width=100)
    here = _moved(configuration, name, "")
    plan = StudyPlan(*load_config(here, root), root)
    notebooks = {
        file: notebook.as_text(notebook.of_study(here, plan, colab=colab), colab=colab)
        for file, colab in (("study.ipynb", False), ("study-colab.ipynb", True))
    }
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "labels.csv"
        export.write(table, export.rows(desk.journal)[0], {})  # no label comes from the source: none has an older name
        labels = table.read_text(encoding="utf-8")
    texts = {"README.md": README.format(name=name, images=len(there)), "labels.csv": labels, **notebooks}
    texts["config.yaml"] = HOW.format(name=name) + config
    entries: list[tuple[str, Path | str]] = [(f"{name}/{file}", text) for file, text in texts.items()]
    return entries + [(f"{name}/images/{index.paths[number]}", index.place(number)) for number in there]


def _moved(configuration: dict[str, Any], name: str, top: str) -> dict[str, Any]:
    """Return a configuration whose images and labels lie below `top`."""
    dataset = configuration["datasets"][name]
    source = dataset["source"] | {"unlabelled": f"{top}images"}
    return configuration | {"datasets": {name: dataset | {"source": source, "labels": f"{top}labels.csv"}}}


class _Pieces(io.RawIOBase):
    """What is written to it can be taken away at any time: an archive need not fit into memory."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
