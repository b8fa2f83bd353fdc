"""The labels that people give: what holds after any row of deeds, what can be taken back, and what a run reads."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import SCRIPTS
from pocketscope.core.errors import InputError
from pocketscope.data import corrections
from pocketscope.journal import deeds, disk, export, of_run
from pocketscope.journal.deeds import Label
from pocketscope.journal.store import Journal


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "labels" / "mine.sqlite") as opened:
        opened.append(deeds.add(f"add {name}", "ann", name) for name in ("ill", "well"))
        yield opened


def label(journal, request, images, category, who="ann", **about):
    journal.append([deeds.label(request, who, [Label(name, f"new/{name}.png", category, **about) for name in images])])


def names(journal):
    return {said.image_id: said.name for said in journal.current()}


def test_a_second_round_keeps_the_first_and_the_last_word_holds(journal):
    label(journal, "1", "xy", "ill")
    label(journal, "2", "yz", "well", who="ben", guess_shown=True)
    assert names(journal) == {"x": "ill", "y": "well", "z": "well"}
    first, second = journal.history("y")
    assert (first.who, first.before, first.after, first.guess_shown) == ("ann", None, "ill", False)
    assert (second.who, second.before, second.after, second.guess_shown) == ("ben", "ill", "well", True)
    assert first.when <= second.when


def test_a_deed_that_is_sent_twice_is_done_once(journal):
    numbers = []
    for category in ("ill", "well"):  # whatever the second one holds
        numbers += journal.append([deeds.label("same", "ann", [Label("x", "x.png", category)])])
    assert numbers[0] == numbers[1]
    assert names(journal) == {"x": "ill"}
    assert journal.undo("u", "ann") == journal.undo("u", "ann") == numbers[0]
    assert names(journal) == {}


def test_deeds_of_one_call_are_done_all_or_none(journal):
    with pytest.raises(InputError, match="there is no category 'il'; did you mean 'ill'"):
        journal.append(
            [deeds.label("1", "ann", [Label("x", "x", "ill")]), deeds.label("2", "ann", [Label("y", "y", "il")])]
        )
    assert names(journal) == {}
    assert journal.last == 2


def test_undo_and_redo_have_no_limit_and_outlive_the_process(journal):
    for number, category in enumerate(["ill", "well", "ill"]):
        label(journal, str(number), "x", category)
    journal.close()
    with Journal(journal.path) as again:
        assert [again.undo(f"u{i}", "ann") for i in range(6)] == [5, 4, 3, 2, 1, None]
        assert (names(again), again.categories()) == ({}, {})
        assert [again.redo(f"r{i}", "ann") for i in range(6)] == [1, 2, 3, 4, 5, None]
        assert names(again) == {"x": "ill"}
        again.undo("u", "ann")
        label(again, "new", "y", "ill")
        assert again.redo("r", "ann") is None  # what came after has taken its place
        assert names(again) == {"x": "well", "y": "ill"}


def test_each_person_takes_back_their_own(journal):
    label(journal, "1", "x", "ill")
    label(journal, "2", "xy", "well", who="ben")
    journal.undo("3", "ann")
    assert names(journal) == {"x": "well", "y": "well"}
    assert [said.holds for said in journal.history("x")] == [False, True]


def test_a_rename_and_a_merge_keep_every_label_and_undo_brings_a_deleted_category_back(journal):
    label(journal, "1", "xy", "ill")
    label(journal, "2", "z", "well")
    journal.append([deeds.rename("3", "ann", "ill", "sick")])
    assert names(journal) == {"x": "sick", "y": "sick", "z": "well"}
    journal.append([deeds.merge("4", "ann", "well", "ill")])
    assert set(names(journal).values()) == {"sick"}
    journal.append([deeds.delete("5", "ann", "ill")])
    assert names(journal) == {"x": None, "y": None, "z": None}
    assert export.rows(journal)[1] == {"ill": None, "well": None}
    for request in "678":
        journal.undo(request, "ann")
    assert names(journal) == {"x": "ill", "y": "ill", "z": "well"}
    assert export.rows(journal)[1] == {}


def test_a_name_that_is_free_again_begins_another_category(journal):
    label(journal, "1", "x", "ill")
    journal.append([deeds.rename("2", "ann", "ill", "sick"), deeds.add("3", "ann", "ill")])
    assert [(c.identity, c.name) for c in journal.categories().values()] == [
        ("ill", "sick"),
        ("well", "well"),
        ("ill (2)", "ill"),
    ]
    assert names(journal) == {"x": "sick"}


@pytest.mark.parametrize(
    ("deed", "message"),
    [
        (deeds.add("1", "ann", "ILL"), "there is a category 'ill' already; merge the two instead"),
        (deeds.add("1", "ann", " "), "a category needs a name"),
        (deeds.rename("1", "ann", "ill", "well"), "there is a category 'well' already"),
        (deeds.rename("1", "ann", "sick", "s"), "there is no category 'sick'"),
        (deeds.merge("1", "ann", "ill", "ill"), "cannot become a part of itself"),
    ],
)
def test_what_a_category_cannot_be(journal, deed, message):
    with pytest.raises(InputError, match=message):
        journal.append([deed])


def test_a_key_belongs_to_one_category(journal):
    journal.append([deeds.key("1", "ann", "ill", "1"), deeds.key("2", "ann", "well", "1")])
    journal.append([deeds.colour("3", "ann", "well", "#f00")])
    assert [(c.key, c.colour) for c in journal.categories().values()] == [(None, None), ("1", "#f00")]


def test_what_was_labelled_blind_tests_and_nothing_else(journal):
    """An image of the exam that was labelled after a guess was shown is learnt from; a blind label stays a test."""
    journal.append([deeds.set_aside("1", "ann", ["blind", "shown", "both", "none"])])
    label(journal, "2", ["blind", "both", "other"], "ill")
    label(journal, "3", ["shown", "both"], "well", guess_shown=True)
    table, _ = export.rows(journal)
    assert {row["image_id"]: (row["class"], row["role"]) for row in table} == {
        "blind": ("ill", "exam"),
        "both": ("ill", "exam"),
        "other": ("ill", None),
        "shown": ("well", None),
    }


def test_nothing_is_ever_changed_or_deleted(journal):
    label(journal, "1", "x", "ill")
    for statement in ("DELETE FROM labels", "UPDATE deeds SET who = 'eve'", "DELETE FROM deeds"):
        with sqlite3.connect(journal.path) as other, pytest.raises(sqlite3.IntegrityError, match="append only"):
            other.execute(statement)


def test_what_others_did_since_is_told(journal):
    seen = journal.last
    label(journal, "1", "xy", "ill", who="ben")
    journal.undo("2", "ben")
    first, second = journal.since(seen)
    assert (first["kind"], first["who"], first["image_ids"]) == ("label", "ben", ["x", "y"])
    assert (second["kind"], second["target"], second["image_ids"]) == ("undo", first["number"], ["x", "y"])


@settings(max_examples=40, deadline=None)
@example(done=[("a", kind, "x") for kind in ("label", "undo", "label", "undo", "redo")])
@given(
    done=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["label", "undo", "redo"]), st.sampled_from("xyz")))
)
def test_undo_and_redo_are_those_of_a_stack(tmp_path_factory, done):
    """Against a plain model: each person has a stack of deeds that hold and one of those that were taken back."""
    with Journal(tmp_path_factory.mktemp("journal") / "a.sqlite") as journal:
        journal.append([deeds.add("add", "root", "c")])
        holding, undone, order = {"a": [], "b": []}, {"a": [], "b": []}, []
        for number, (who, kind, image) in enumerate(done):
            if kind == "label":
                label(journal, str(number), image, "c", who=who, sha256=str(number))
                holding[who].append(str(number))
                undone[who].clear()
                order.append((str(number), image))
            else:
                source, target = (holding, undone) if kind == "undo" else (undone, holding)
                turned = getattr(journal, kind)(str(number), who)
                assert (turned is None) == (not source[who])
                if source[who]:
                    target[who].append(source[who].pop())
        hold = {*holding["a"], *holding["b"]}
        wanted = {image: request for request, image in order if request in hold}
        assert {said.image_id: said.sha256 for said in journal.current()} == wanted


_WRITER = """
import sys
from pocketscope.journal import deeds
from pocketscope.journal.store import Journal
journal = Journal(sys.argv[1])
for number in range(100000):
    journal.append([deeds.label(f"{sys.argv[2]} {number}", "ann", [deeds.Label(f"{sys.argv[2]}{number}", "x", "ill")])])
    print(number, flush=True)
"""


def test_what_was_confirmed_is_there_after_sigkill_and_two_processes_write_at_once(journal):
    command = [sys.executable, "-c", _WRITER, str(journal.path)]
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    running = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True, env=environment) for name in ("p", "q")
    ]
    confirmed = []
    for process in running:
        lines = [process.stdout.readline() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        confirmed.append(int((lines + process.stdout.read().splitlines())[-1]))
        process.wait()
        process.stdout.close()
    with Journal(journal.path) as again:
        held = names(again)
        for name, last in zip("pq", confirmed, strict=True):
            assert {f"{name}{number}" for number in range(last + 1)} <= held.keys()
        assert not {image for image in held if image[0] == "p"} - {f"p{i}" for i in range(confirmed[0] + 2)}


def test_threads_share_a_journal(journal):
    def write(name):
        for number in range(20):
            label(journal, f"{name} {number}", [f"{name}{number}"], "ill")

    threads = [threading.Thread(target=write, args=(name,)) for name in "pqr"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(journal)) == 60


def test_what_is_no_journal_is_named(tmp_path):
    text = tmp_path / "text.sqlite"
    text.write_text("path,label\n" * 200)
    with pytest.raises(InputError, match=r"text\.sqlite: file is not a database; this is no journal of labels"):
        Journal(text)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (a)")
    with pytest.raises(InputError, match=r"other\.sqlite: is an SQLite file, but no journal of labels"):
        Journal(other)
    with sqlite3.connect(tmp_path / "new.sqlite") as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(InputError, match="written by a newer pocketscope"):
        Journal(tmp_path / "new.sqlite")


@pytest.mark.parametrize("in_use", [True, False])
def test_who_may_not_write_a_journal_may_read_it(journal, monkeypatch, in_use):
    label(journal, "1", "xy", "ill")
    if not in_use:
        journal.close()
    with monkeypatch.context() as another:
        another.setattr(os, "access", lambda path, mode: False)  # to the administrator everything is open
        with Journal(journal.path) as seen:
            assert names(seen) == {"x": "ill", "y": "ill"}
            assert export.rows(seen)
            with pytest.raises(InputError, match="readonly database; make the file and its folder writable"):
                label(seen, "2", "z", "ill")
    assert journal.path.with_name(f"{journal.path.name}-wal").exists() is in_use


def test_a_log_beside_the_file_is_for_local_disks(tmp_path, journal):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path}/far\\040away nfs4 rw 0 0\n"
        f"/dev/sdb {tmp_path}/far\\040away/in ext4 rw 0 0\n"
    )
    assert not disk.is_on_network(tmp_path / "a.sqlite", mounts)
    assert disk.is_on_network(tmp_path / "far away/a.sqlite", mounts)
    assert not disk.is_on_network(tmp_path / "far away/in/a.sqlite", mounts)
    assert not disk.is_on_network(tmp_path / "far away/a.sqlite", tmp_path / "none")
    with sqlite3.connect(journal.path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_journal_needs_the_standard_library_alone():
    """The desk and the command wait for it at each start."""
    heavy = ("numpy", "pyarrow", "torch", "pandas", "pydantic")
    asked = f"import sys; from pocketscope.journal import store, deeds, export; print(sys.modules.keys() & {heavy})"
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "set()"


# ---- what a run reads


IMAGES = pa.table({"image_id": list("xyz"), "paths": [["ill/1.png"], ["well/2.png"], ["../new/3.png"]]})
LABELS = pa.table({"image_id": list("xyz"), "label": ["ill", "well", None]})


def test_a_run_reads_one_table_that_is_replaced_where_its_content_differs(journal, tmp_path):
    label(journal, "1", "z", "ill")
    taken = of_run.take("mine", str(journal.path), tmp_path)
    path = tmp_path / "table.parquet"
    taken.write(path)
    first = path.stat().st_mtime_ns, path.read_bytes()
    time.sleep(0.01)
    of_run.take("mine", str(journal.path), tmp_path).write(path)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == first
    label(journal, "2", "z", "well")
    taken.write(path)  # what was taken when the run began stays so
    assert path.read_bytes() == first[1]
    later = of_run.take("mine", str(journal.path), tmp_path)
    assert later.digest != taken.digest
    label(journal, "3", "z", "well", who="ben")  # the same said again: nothing to learn
    assert of_run.take("mine", str(journal.path), tmp_path).digest == later.digest
    later.write(path)
    assert corrections.read({}, path, tmp_path, IMAGES, LABELS).learnt == {"z": "well"}


def test_renamed_merged_and_deleted_classes_of_the_source(journal, tmp_path):
    label(journal, "1", ["z", "gone"], "ill")
    label(journal, "2", "x", None)
    journal.append([deeds.rename("3", "ann", "ill", "sick"), deeds.delete("4", "ann", "well")])
    of_run.take("mine", str(journal.path), tmp_path).write(tmp_path / "table.parquet")
    given = corrections.read({}, tmp_path / "table.parquet", tmp_path, IMAGES, LABELS)
    assert given.source["label"].to_pylist() == ["sick", None, None]
    assert given.learnt == {"x": None, "z": "sick"}
    assert given.renamed == {"ill": "sick", "well": None}


def test_without_a_journal_and_with_an_empty_one(tmp_path):
    assert of_run.take("mine", None, tmp_path) is None
    assert of_run.take("mine", "elsewhere.sqlite", tmp_path) is None
    Journal(tmp_path / "labels/mine.sqlite").close()
    assert of_run.take("mine", None, tmp_path) is None
    with pytest.raises(InputError, match="there is no such file"):
        of_run.take("mine", "elsewhere.csv", tmp_path)
