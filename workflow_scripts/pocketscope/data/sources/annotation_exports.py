"""What programs for annotations export, as a table: Label Studio, CVAT, Datumaro, ImageNet's lists.

Only what is said of whole images is read: choices, tags, labels. Boxes and outlines are named, and not read.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pocketscope.core import sheets
from pocketscope.core.errors import InputError
from pocketscope.core.sheets import Sheet

_SYNSETS = "synsets.txt"  # the names of the classes, beside ImageNet's lists of images
_CONVERT = "write a table with the columns path and label"


def read(table: Path) -> Sheet:
    """Read what a person names as a table: an export of a program for annotations, or any table of `sheets.read`.

    Parameters
    ----------
    table
        JSON or JSON_MIN of Label Studio; "CVAT for images" (`annotations.xml`); a list of ImageNet's, such as
        `default.txt` beside `synsets.txt`, as CVAT and Datumaro write it; Datumaro's JSON; else a table.

    Returns
    -------
    Sheet
        Of an export, the columns `path`, `label` (text, or None) and, where it names parts, `role`. Where a project of
        Label Studio asks more than one question, a column each by the question's name, and no `label`.

    Raises
    ------
    pocketscope.core.errors.InputError
        See `sheets.read`; the export is damaged, of another kind, holds no label of a whole image, or an image has
        more than one.
    """
    if not table.is_file():
        return sheets.read(table)
    match table.suffix.casefold():
        case ".json":
            return _of_json(table)
        case ".jsonl" | ".ndjson":
            return _of_lines(table)
        case ".xml":
            return _of_cvat(table)
        case ".txt" if (table.parent / _SYNSETS).is_file() and table.name != _SYNSETS:
            return _of_imagenet(table)
        case _:
            return sheets.read(table)


def _of_json(table: Path) -> Sheet:
    try:
        content = json.loads(table.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{table}: is not JSON, or damaged ({error}); export it again") from error
    match content:
        case {"categories": {"label": {"labels": list()}}, "items": list()}:
            return _of_datumaro(table, content)
        case [{"data": dict(), "annotations": list()}, *_]:
            return _of_label_studio(table, content)
        case [{"annotations": _}, *_] | {"annotations": _} | [[*_], *_]:
            raise InputError(
                f"{table}: is JSON with boxes or outlines, or of a kind that is not read (COCO, LabelMe, VIA); "
                f"pocketscope classifies whole images: {_CONVERT}"
            )
        case [dict(), *_]:
            return _of_objects(content)
    raise InputError(
        f"{table}: is JSON of a kind that is not read (Label Studio's JSON and JSON_MIN, and Datumaro's are); "
        f"{_CONVERT}"
    )


def _of_lines(table: Path) -> Sheet:
    """Read a JSON object a line, as Hugging Face's `metadata.jsonl` has it."""
    rows = []
    for number, line in enumerate(table.read_text(encoding="utf-8-sig").splitlines(), 1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise InputError(f"{table}: line {number} is not JSON, or damaged ({error}); write it again") from error
    return _of_objects(rows)


def _of_objects(content: list[Any]) -> Sheet:
    rows = [{str(key): _cell(value) for key, value in row.items()} for row in content if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Sheet(names, [{name: row.get(name) for name in names} for row in rows])


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value)


def _of_label_studio(table: Path, tasks: list[dict[str, Any]]) -> Sheet:
    """Read tasks with their annotations; those that were skipped or not done have no label."""
    rows, questions = [], set()
    for number, task in enumerate(tasks, 1):
        said: dict[str, set[str]] = {}
        for annotation in task.get("annotations", []):
            for result in [] if annotation.get("was_cancelled") else annotation.get("result", []):
                if result.get("type") == "choices":
                    said.setdefault(result.get("from_name", "choice"), set()).update(result["value"]["choices"])
        where = f"{table}: task {task.get('id', number)}"
        rows.append(
            {"path": _image_of(task["data"], where)} | {name: _one(where, found) for name, found in said.items()}
        )
        questions |= said.keys()
    if not questions:
        raise InputError(
            f"{table}: no task has a choice (boxes and outlines are not read: pocketscope classifies whole images); "
            f"label the images by Label Studio's <Choices>, or {_CONVERT}"
        )
    named = {name: "label" if len(questions) == 1 else name for name in questions}
    return Sheet(
        ["path", *sorted(named.values())],
        [{"path": row["path"]} | {new: row.get(name) for name, new in named.items()} for row in rows],
    )


def _image_of(data: Mapping[str, Any], where: str) -> str:
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    if "image" in texts or len(texts) == 1:
        return texts.get("image") or next(iter(texts.values()))
    raise InputError(f"{where}: none of {', '.join(map(repr, data))} is called 'image'; {_CONVERT}")


def _one(where: str, labels: set[str]) -> str | None:
    if len(labels) > 1:
        raise InputError(
            f"{where}: has the labels {' and '.join(map(repr, sorted(labels)))}: an image has one class; keep the "
            "right one"
        )
    return next(iter(labels), None)


def _of_datumaro(table: Path, content: dict[str, Any]) -> Sheet:
    names = [label["name"] for label in content["categories"]["label"]["labels"]]
    rows = []
    for item in content["items"]:
        found = {names[mark["label_id"]] for mark in item.get("annotations", []) if mark.get("type") == "label"}
        path = (item.get("image") or item.get("media") or {}).get("path") or item["id"]
        rows.append({"path": path, "label": _one(f"{table}: item {item['id']!r}", found)})
    return _with_labels(table, rows)


def _of_cvat(table: Path) -> Sheet:
    try:
        root = ElementTree.parse(table).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{table}: is not XML, or damaged ({error}); export it again") from error
    if root.tag != "annotations" or root.find("track") is not None or root.find("image") is None:
        raise InputError(
            f"{table}: is XML of a kind that is not read ('CVAT for images' with tags is); export the labels as one "
            f"folder per class (CVAT: 'ImageNet'), or {_CONVERT}"
        )
    rows = []
    for image in root.iter("image"):
        path = image.get("name", "")
        label = _one(f"{table}: image {path!r}", {tag.get("label", "") for tag in image.iter("tag")})
        role = "test" if (image.get("subset") or "").casefold() == "test" else None
        rows.append({"path": path, "label": label, "role": role})
    return _with_labels(table, rows)


def _of_imagenet(table: Path) -> Sheet:
    """Read lines of a path and the number of a class; a path with spaces is in quotes."""
    names = [line.strip() for line in (table.parent / _SYNSETS).read_text(encoding="utf-8-sig").splitlines()]
    rows = []
    for number, line in enumerate(table.read_text(encoding="utf-8-sig").splitlines(), 1):
        where = f"{table}: line {number}"
        try:
            quoted = re.match(r'"([^"]*)"(\S*)(.*)', line.strip())
            path, *classes = [quoted[1] + quoted[2], *quoted[3].split()] if quoted else line.split() or [""]
            found = {names[int(place)] for place in classes}
        except (ValueError, IndexError) as error:
            raise InputError(
                f"{where}: {line!r} is not a path and the number of a line of {_SYNSETS}, counted from 0"
            ) from error
        if path:
            rows.append({"path": path, "label": _one(where, found)})
    return _with_labels(table, rows)


def _with_labels(table: Path, rows: list[dict[str, Any]]) -> Sheet:
    if rows and not any(row["label"] for row in rows):
        raise InputError(
            f"{table}: no image has a label of its own (boxes and outlines are not read: pocketscope classifies whole "
            f"images); give each image a tag, cut the boxes out as images, or {_CONVERT}"
        )
    return Sheet(list(rows[0]) if rows else ["path", "label"], rows)
