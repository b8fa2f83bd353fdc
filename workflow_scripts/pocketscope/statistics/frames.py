"""Tables of results as pandas frames: built, written and read with the column types of their schema."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from pocketscope.core import files, parquet

DTYPES = {pa.string(): "str", pa.float64(): "float64", pa.int64(): "Int64", pa.bool_(): "bool"}


def frame(rows: list[Mapping[str, Any]], schema: pa.Schema) -> pd.DataFrame:
    """Build a frame with the columns and types of `schema`, whether or not there are rows."""
    return pd.DataFrame(
        {field.name: pd.Series([row[field.name] for row in rows], dtype=DTYPES[field.type]) for field in schema}
    )


def typed(found: pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """Return the columns of `schema`, in its order and with its types, without the index."""
    return found[schema.names].astype({field.name: DTYPES[field.type] for field in schema}).reset_index(drop=True)


def write(
    found: pd.DataFrame, path: str | os.PathLike, schema: pa.Schema, notes: Mapping[str, Any] | None = None
) -> Path:
    """Write a frame as Parquet, and return where it lies."""
    parquet.write(pa.Table.from_pandas(found, schema=schema, preserve_index=False), path, schema, notes=notes)
    return Path(path)


def write_csv(found: pd.DataFrame, path: str | os.PathLike) -> Path:
    """Write a frame as CSV, and return where it lies."""
    files.write_text(path, found.to_csv(index=False))
    return Path(path)


def read(path: str | os.PathLike, schema: pa.Schema) -> pd.DataFrame:
    """Read a frame as `frame` builds it."""
    return typed(parquet.read(path, schema).to_pandas(), schema)
