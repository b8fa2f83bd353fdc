"""Images inside Parquet files, as Hugging Face writes them."""

import glob
import json
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean
from pocketscope.data.sources.cells import as_label
from pocketscope.data.sources.paths import place_of
from pocketscope.data.sources.record import TEST, Gone, Record
from pocketscope.images.pixels import Unreadable

log = logging.getLogger(__name__)

# ---- parquet: images inside a table


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a `parquet` source; see `pocketscope.data.sources.kinds.records`."""
    columns = {"image": source.get("image") or "image", "label": source.get("label") or "label"}
    columns |= {"group": source["group"]} if source.get("group") else {}
    nothing: Counter[str] = Counter()
    for path, (place, role) in _parts(source, root).items():
        yield from _rows(place, path, role, columns, source.get("classes") or (), nothing)
    for text, count in sorted(nothing.items()):
        log.warning(
            "%s: %d labels %r are taken for none; if that is a class, name all classes with 'classes' of the data set",
            place_of(source, root),
            count,
            text,
        )


def files(source: dict[str, Any], root: Path) -> dict[str, Path]:
    """Return the files of a `parquet` source; see `pocketscope.data.sources.kinds.files`."""
    return {path: place for path, (place, _) in _parts(source, root).items()}


def _parts(source: dict[str, Any], root: Path) -> dict[str, tuple[Path, str | None]]:
    """Return place and role of each file, by its path relative to the folder that all of them lie in."""
    test = _matching(source, root, "test") if source.get("test") else []
    parts = [(place, None) for place in _matching(source, root, "path") if place not in test]
    parts += [(place, TEST) for place in test]
    top = os.path.commonpath([place.parent for place, _ in parts])
    return {place.relative_to(top).as_posix(): (place, role) for place, role in parts}


def _matching(source: dict[str, Any], root: Path, key: str) -> list[Path]:
    named = place_of(source, root, key)
    if named.is_dir():
        found = sorted(named.rglob("*.parquet"))
    else:
        # A name is tried as it stands before its '*', '?' and '[' are taken for a pattern.
        found = [named] if named.is_file() else sorted(map(Path, glob.glob(str(named), recursive=True)))  # noqa: PTH207
    if not found:
        raise (Gone if key == "path" else InputError)(
            f"{named}: there is no such Parquet file, nor a folder with any ('{key}'); correct the path"
        )
    return found


def _rows(
    place: Path,
    path: str,
    role: str | None,
    columns: dict[str, str],
    kept: Collection[str],
    nothing: Counter[str],
) -> Iterator[Record]:
    """List the rows of a file; `nothing` counts the labels that are written and mean that there is none."""
    import pyarrow as pa  # takes longer to import than most sources to list
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(place)
    except pa.ArrowInvalid as error:
        raise InputError(f"{place}: is not a Parquet file, or is damaged ({error}); get it again") from error
    with file:
        schema = file.schema_arrow
        _check_columns(place, schema, columns)
        classes = _class_names(schema, columns["label"])
        others = [columns[name] for name in ("label", "group") if name in columns]
        row = 0
        for part in range(file.num_row_groups):
            cells = file.read_row_group(part, columns=others).to_pydict()
            for offset, value in enumerate(cells[columns["label"]]):
                label = _class_of(value, classes, place, row, kept)
                if label is None and isinstance(value, str) and value.strip():
                    nothing[value] += 1
                group = as_label(cells[columns["group"]][offset]) if "group" in columns else None
                read = partial(_read_cell, str(place), columns["image"], part, offset)
                yield Record(f"{path}/{row:07d}", label, group, role, read)
                row += 1


def _check_columns(place: Path, schema: Any, columns: dict[str, str]) -> None:
    import pyarrow as pa

    for key, name in columns.items():
        if name not in schema.names:
            raise InputError(
                f"{place}: there is no column {name!r} ('{key}'){did_you_mean(name, schema.names)} "
                f"The columns are {', '.join(map(repr, schema.names))}"
            )
        if schema.names.count(name) > 1:
            raise InputError(f"{place}: {schema.names.count(name)} columns are called {name!r}; remove all but one")
    for key in ("label", "group"):
        if key in columns and (pa.types.is_nested(kind := schema.field(columns[key]).type) or _is_bytes(kind)):
            several = "; an image has one class: keep the one that counts" if pa.types.is_list(kind) else ""
            raise InputError(
                f"{place}: the column {columns[key]!r} contains {kind}, not one {key} a row{several}, or name another "
                f"column with '{key}'"
            )
    kind = schema.field(columns["image"]).type
    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    if not _is_bytes(inner):
        raise InputError(
            f"{place}: the column {columns['image']!r} contains {kind}, not encoded images (binary, or a struct with "
            "'bytes'); name another with 'image'"
        )


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _class_names(schema: Any, column: str) -> list[str] | None:
    """Return what Hugging Face's `ClassLabel` calls the classes 0, 1, ...; None where the column is none."""
    try:
        feature = json.loads(schema.metadata[b"huggingface"])["info"]["features"][column]
        return list(feature["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _class_of(value: Any, classes: list[str] | None, place: Path, row: int, kept: Collection[str]) -> str | None:
    if classes is None or not isinstance(value, int):
        return as_label(value, kept)
    if value == -1:  # "no label", as the test sets of public sets have it
        return None
    if not 0 <= value < len(classes):
        raise InputError(f"{place}: row {row} has the label {value}, but the classes are 0 to {len(classes) - 1}")
    return classes[value]


def _read_cell(place: str, column: str, part: int, offset: int) -> bytes:
    try:
        data = _row_group(place, column, part, os.getpid())[offset].as_py()
    except (ValueError, OSError) as error:  # what Arrow raises for damaged files
        raise Unreadable(f"this part of the Parquet file is damaged ({error})") from error
    if data is None:
        raise Unreadable("the row contains no image, or only a path to one")
    return data


@lru_cache(maxsize=1)
def _row_group(place: str, column: str, part: int, _process: int) -> Any:
    """Return the encoded images of one row group; neighbours are read one after the other, so one is kept."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(place) as file:
        struct = pa.types.is_struct(file.schema_arrow.field(column).type)
        cells = file.read_row_group(part, columns=[f"{column}.bytes" if struct else column], use_threads=False)[column]
    return pc.struct_field(cells, "bytes") if struct else cells
