"""Parquet tables with a declared schema: written whole or not at all, refused where a column is wrong."""

import json
import os
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pocketscope.core.errors import InputError
from pocketscope.core.files import whole

NOTES = b"pocketscope"  # the key of Parquet's key-value metadata that holds a table's notes, as JSON


def write(
    table: pa.Table,
    path: str | os.PathLike,
    schema: pa.Schema,
    *,
    notes: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Write `table` as Parquet under `schema`.

    Parameters
    ----------
    table
        The columns of `schema` by name, in any order; types that cast without loss are cast.
    path
        The Parquet file.
    schema
        Column names, types and which of them may be null.
    notes
        What belongs to the table as a whole (class names, seed, versions), kept as JSON in the file's metadata.
        Equal tables with equal notes give equal bytes.
    options
        Passed to `pyarrow.parquet.write_table`.

    Raises
    ------
    pocketscope.core.errors.InputError
        A column is missing, too many, of another type, or null where it must not be.
    """
    table = _conform(table, schema, str(path))
    metadata = {NOTES: json.dumps(dict(notes), sort_keys=True).encode()} if notes else None
    with whole(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, **options)


def read(
    path: str | os.PathLike, schema: pa.Schema, *, columns: list[str] | None = None, filters: Any = None
) -> pa.Table:
    """Read a Parquet table that `write` made under `schema`.

    Parameters
    ----------
    path
        The Parquet file.
    schema
        The schema that the file must have.
    columns
        The columns to read; all of `schema` where none are named.
    filters
        A pyarrow filter: rows that do not match are not returned.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is cut short or no Parquet, or one of its columns is not as `schema` says.
    """
    with _open(path) as file:
        found = file.schema_arrow
    for field in schema:
        if field.name not in found.names:
            raise InputError(f"{path}: the column '{field.name}' is missing; delete the file and run again")
        if not found.field(field.name).type.equals(field.type):
            raise InputError(
                f"{path}: the column '{field.name}' holds {found.field(field.name).type}, not {field.type}; "
                "delete the file and run again"
            )
    # One file, never a data set of several: partitioning would read columns out of folder names with '='.
    return pq.read_table(path, columns=columns or schema.names, filters=filters, partitioning=None)


def mapping(path: str | os.PathLike, schema: pa.Schema, key: str, value: str) -> dict[Any, Any]:
    """Return of each row of a table what the column `value` holds, by what the column `key` holds; see `read`."""
    found = read(path, schema, columns=[key, value])
    return dict(zip(found[key].to_pylist(), found[value].to_pylist(), strict=True))


def notes(path: str | os.PathLike) -> dict[str, Any]:
    """Return the notes that `write` put beside the table at `path`; empty where there are none."""
    with _open(path) as file:
        return json.loads((file.schema_arrow.metadata or {}).get(NOTES, b"{}"))


def _open(path: str | os.PathLike) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise InputError(f"{path}: cut short or damaged ({error}); delete it and run again to make it anew") from error


def _conform(table: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    if extra := [column for column in table.column_names if column not in schema.names]:
        raise InputError(
            f"{name}: the column '{extra[0]}' does not belong here; the columns are {', '.join(schema.names)}"
        )
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            raise InputError(f"{name}: the column '{field.name}' is missing")
        column = table[field.name]
        try:
            column = column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                f"{name}: the column '{field.name}' holds {column.type}, not {field.type}: {error}"
            ) from error
        if column.null_count and not field.nullable:
            raise InputError(
                f"{name}: the column '{field.name}' has {column.null_count} empty cells, but none are allowed"
            )
        columns.append(column)
    return pa.table(columns, schema=schema)
