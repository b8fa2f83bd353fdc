"""Images inside Parquet files, as Hugging Face writes them."""

import glob
import json
import os
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean
from pocketscope.data.sources.cells import as_label
from pocketscope.data.sources.paths import place_of
from pocketscope.data.sources.record import TEST, Gone, Record
from pocketscope.images.pixels import Unreadable

# ---- parquet: images inside a table


def records(source: dict[str, Any], root: Path) -> Iterator[Record]:
    """List the images of a `parquet` source; see `pocketscope.data.sources.kinds.records`."""
    columns = {"image": source.get("image") or "image", "label": source.get("label") or "label"}
    columns |= {"group": source["group"]} if source.get("group") else {}
    for path, (place, role) in _parts(source, root).items():
        yield from _rows(place, path, role, columns)


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


def _rows(place: Path, path: str, role: str | None, columns: dict[str, str]) -> Iterator[Record]:
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
                label = _class_of(value, classes, place, row)
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
    kind = schema.field(columns["image"]).type
    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        raise InputError(
            f"{place}: the column {columns['image']!r} contains {kind}, not encoded images (binary, or a struct with "
            "'bytes'); name another with 'image'"
        )


def _class_names(schema: Any, column: str) -> list[str] | None:
    """Return what Hugging Face's `ClassLabel` calls the classes 0, 1, ...; None where the column is none."""
    try:
        feature = json.loads(schema.metadata[b"huggingface"])["info"]["features"][column]
        return list(feature["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _class_of(value: Any, classes: list[str] | None, place: Path, row: int) -> str | None:
    if classes is None or not isinstance(value, int):
        return as_label(value)
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
