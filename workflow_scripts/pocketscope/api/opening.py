"""`pocketscope.open_result`: the result of an earlier call."""

import json
import os
from pathlib import Path

import yaml

from pocketscope.api import workflow
from pocketscope.api.result import ABOUT, TABLES, Result
from pocketscope.config.study import load_config
from pocketscope.core.errors import InputError
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.version import VERSION


def open_result(folder: str | os.PathLike) -> Result:
    """Open the result of an earlier call: the folder that it was given as `output`, or a study's folder of results.

    Raises
    ------
    pocketscope.InputError
        It holds no result, or one of another version that this one cannot read.
    """
    folder = Path(folder).expanduser().resolve()
    about = {}
    if (folder / ABOUT).is_file():
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if not about["whole"]:
            raise InputError(f"{folder}: the copying of this result was interrupted; make the call again")
        config, tables = folder / TABLES / about["study"] / "config.yaml", folder / TABLES
    else:
        config, tables = folder / "config.yaml", folder.parent
    if not config.is_file():
        raise InputError(
            f"{folder}: holds no result: neither {ABOUT}, as the output of a call has, nor config.yaml, as a study "
            "that a call has run"
        )
    version = about.get("version", VERSION)
    try:
        study, networks = load_config(yaml.safe_load(config.read_text(encoding="utf-8")), workflow.root())
    except InputError as error:
        if version == VERSION:
            raise
        raise InputError(
            f"{folder}: made by pocketscope {version}, whose configuration {VERSION} does not read ({error}); make the "
            f"call again, or install pocketscope {version}"
        ) from error
    plan = StudyPlan(study, networks, workflow.root())
    output, workspace = (folder, Path(about["workspace"])) if about else (None, None)
    shipped = about.get("shipped")
    return Result(tables, plan, output=output, shipped=shipped, version=version, workspace=workspace)
