"""What a call leaves in its `output`: the model, the page, the scores, and the tables that its result reads.

They are copies. Another call on the same images may change the study in the workspace; what was taken away stays.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from pocketscope.api.result import ABOUT, TABLES, Result
from pocketscope.core import files
from pocketscope.core.errors import InputError
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.version import VERSION


def copy(workspace: Path, plan: StudyPlan, output: Path, config: Mapping[str, Any], *, shipped: bool) -> Result:
    """Copy what people take away of a study, and return the result that reads the copies.

    Raises
    ------
    pocketscope.core.errors.InputError
        The disk is full, or the folder cannot be written to.
    """
    check(output)
    made = Result(workspace, plan, shipped=shipped)
    about = {"version": VERSION, "study": plan.config.study, "workspace": str(workspace), "shipped": shipped}
    files.write_text(output / ABOUT, json.dumps(about | {"whole": False}, indent=2))
    tables = output / TABLES
    if tables.exists():
        shutil.rmtree(tables)  # an earlier call's
    for path in sorted(set(_tables(made))):
        if (workspace / path).is_file():
            files.copy(workspace / path, tables / path)
    for dataset in plan.config.datasets:
        _copy_paths(workspace / plan.packed(dataset), tables / plan.packed(dataset))
    files.write_text(tables / plan.layout.config, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
    result = Result(tables, plan, output=output, shipped=shipped, workspace=workspace)
    for dataset in plan.config.datasets:
        ending = f".{dataset}" if len(plan.config.datasets) > 1 else ""
        files.copy(result.model_of(dataset).path, output / f"model{ending}.onnx")
        answers = tables / plan.layout.shipped(dataset, "answers.csv")
        if shipped and answers.is_file():
            files.copy(answers, output / f"answers{ending}.csv")
    files.copy(result.report, output / "report.html")
    files.copy(tables / plan.layout.scores("csv"), output / "scores.csv")
    files.write_text(output / ABOUT, json.dumps(about | {"whole": True}, indent=2))
    return result


def check(output: Path) -> None:
    """Raise InputError where copies would take the place of files that no call has put there."""
    if (output / ABOUT).is_file() or not output.is_dir():
        return
    names = [TABLES, "report.html", "scores.csv"]
    others = [path for name in names if (path := output / name).exists()]
    others += [*output.glob("model*.onnx"), *output.glob("answers*.csv")]
    if others:
        raise InputError(f"output: {others[0]} is there, and no call has made it; name another folder, or move it away")


def _tables(made: Result) -> Iterable[str]:
    """Yield the files that are copied, relative to the results folder: no weights, no images, no packed pixels."""
    plan, layout, workspace = made.plan, made.plan.layout, made.folder
    yield from (layout.scores(), layout.scores("csv"), *plan.test_predictions(), *plan.timings())
    for folder in (layout.report, layout.recommendation):
        yield from _all_in((workspace / folder).parent, workspace)
    for dataset, split in plan.all_splits():
        yield from (layout.split(dataset, split).roles, layout.split(dataset, split).truth)
    yield from (path for path, *_ in plan.pseudo_label_sets())
    for table in ("classes", "coverage"):
        yield from plan.audits(table)
    for dataset in plan.config.datasets:
        yield layout.classes(dataset)
        if made.shipped:
            yield from _all_in((workspace / layout.shipped(dataset, "x")).parent, workspace)
        run, candidate = made.run_of(dataset, made.candidate(dataset)), made.candidate(dataset)
        yield from dict.fromkeys([run.onnx("fp32"), run.onnx(candidate["precision"])])


def _all_in(folder: Path, top: Path) -> list[str]:
    return [path.relative_to(top).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]


def _copy_paths(packed: Path, copied: Path) -> None:
    """Copy of packed images which files they are, without their pixels."""
    try:
        table = pq.read_table(packed, columns=["image_id", "paths"], partitioning=None)
    except FileNotFoundError as error:
        raise InputError(f"{packed}: there is no such file; run the study again") from error
    with files.whole(copied) as temporary:
        pq.write_table(table.replace_schema_metadata(None), temporary)
