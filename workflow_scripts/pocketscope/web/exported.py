"""Exports of what ships, made when somebody asks for them: a ZIP file each, beside the project's labels."""

import subprocess
import sys
import tempfile
from pathlib import Path

from pocketscope.api import workflow
from pocketscope.core import files
from pocketscope.core.errors import InputError
from pocketscope.exports import kinds
from pocketscope.web import archives


def offered() -> dict[str, str]:
    """Return the kinds that can be made here, each with what it is."""
    return {name: kinds.KINDS[name].said for name in kinds.possible()}


def make(kind: str, shipped: Path, folder: Path) -> Path:
    """Make an export of a shipped model; return the ZIP file, `folder`/`kind`.zip.

    Parameters
    ----------
    kind
        One that `offered` names.
    shipped
        `ship/{dataset}/`.
    folder
        Made where it is not there.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no such kind, nothing has shipped yet, or it could not be made: in the words of `pocketscope export`.
    """
    if kind not in offered():
        raise InputError(f"{kind!r} is no kind of export that can be made here: there are {', '.join(offered())}")
    if not any(shipped.glob("model.*.onnx")):
        raise InputError("there is no model to export yet: train first")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as out, files.whole(folder / f"{kind}.zip") as temporary:
        command = [sys.executable, "-m", "pocketscope", "export", kind, str(shipped), "-o", str(Path(out) / kind)]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=workflow.environment(), check=False
        )
        if done.returncode:
            raise InputError(done.stderr.strip()[-1000:] or f"{kind}: the export ended with {done.returncode}")
        made = sorted(path for path in Path(out).rglob("*") if path.is_file())
        with temporary.open("wb") as archive:
            archive.writelines(archives.packed((path.relative_to(out).as_posix(), path) for path in made))
    return folder / f"{kind}.zip"
