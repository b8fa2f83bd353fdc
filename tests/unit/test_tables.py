"""Tables and files: whole or not at all, and refused where they are wrong."""

import multiprocessing
import os
import signal
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from helpers import ROOT
from pocketscope.core import files, parquet
from pocketscope.core.errors import InputError

SCHEMA = pa.schema([pa.field("name", pa.string(), nullable=False), pa.field("value", pa.float32())])
TABLE = pa.table({"value": [0.5, None], "name": ["a", "b"]})


def test_a_table_comes_back_with_its_notes_and_equal_bytes(tmp_path):
    for name in ("one", "two"):
        parquet.write(TABLE, tmp_path / f"{name}.parquet", SCHEMA, notes={"classes": ["ä"], "a": 1})
    assert parquet.read(tmp_path / "one.parquet", SCHEMA).to_pydict() == {"name": ["a", "b"], "value": [0.5, None]}
    assert parquet.notes(tmp_path / "one.parquet") == {"classes": ["ä"], "a": 1}
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (pa.table({"name": ["a"]}), "the column 'value' is missing"),
        (pa.table({"name": ["a"], "value": [1.0], "more": [1]}), "the column 'more' does not belong here"),
        (pa.table({"name": ["a"], "value": ["much"]}), "the column 'value' holds string, not float"),
        (pa.table({"name": pa.array([None], pa.string()), "value": [1.0]}), "'name' has 1 empty cells"),
    ],
)
def test_a_wrong_column_is_named_with_its_file(tmp_path, table, told):
    with pytest.raises(InputError) as error:
        parquet.write(table, tmp_path / "t.parquet", SCHEMA)
    assert told in str(error.value)
    assert "t.parquet" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_file_cut_short_is_named_with_the_remedy(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write(TABLE, path, SCHEMA)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"t\.parquet: cut short or damaged .*delete it and run again"):
        parquet.read(path, SCHEMA)


def test_another_tables_file_is_refused(tmp_path):
    parquet.write(TABLE, tmp_path / "t.parquet", SCHEMA)
    with pytest.raises(InputError, match="the column 'role' is missing"):
        parquet.read(tmp_path / "t.parquet", pa.schema([("role", pa.string())]))
    with pytest.raises(InputError, match="holds float, not double"):
        parquet.read(tmp_path / "t.parquet", pa.schema([("value", pa.float64())]))


@pytest.mark.parametrize("stored", [["name", "value"], ["value", "name"]])
def test_a_mapping_goes_by_names_whatever_the_columns_order(tmp_path, stored):
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE.select(stored).cast(pa.schema([SCHEMA.field(name) for name in stored])), path)
    for schema in (SCHEMA, pa.schema(list(SCHEMA)[::-1])):
        assert parquet.mapping(path, schema, "name", "value") == {"a": 0.5, "b": None}
        assert parquet.mapping(path, schema, "value", "name") == {0.5: "a", None: "b"}


def test_no_script_or_module_takes_a_tables_columns_by_their_order():
    for path in (ROOT / "workflow_scripts").rglob("*.py"):
        assert "to_pydict().values()" not in path.read_text(), path


def test_a_folder_name_with_an_equals_sign_adds_no_column(tmp_path):
    path = tmp_path / "value=3" / "t.parquet"
    parquet.write(TABLE, path, SCHEMA)
    assert parquet.read(path, SCHEMA).num_columns == 2


def test_an_error_leaves_the_former_file(tmp_path):
    path = tmp_path / "kept.txt"
    files.write_text(path, "before")

    def fail_half_way():
        with files.whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.txt"]


def _write_slowly(path):
    with files.whole(path) as temporary, temporary.open("w") as file:
        while True:
            file.write("x" * 1000)
            file.flush()
            time.sleep(0.001)


def test_a_killed_writer_leaves_no_half_file(tmp_path):
    path = tmp_path / "out.txt"
    writer = multiprocessing.get_context("spawn").Process(target=_write_slowly, args=(path,))
    writer.start()
    while not list(tmp_path.iterdir()):
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    assert not path.exists()
