"""`classify` for other programs: JSON lines, the protocol, a folder that is watched, and what all of them refuse."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import tiny_models
from helpers import ROOT, classified
from pocketscope import __main__
from pocketscope.core.errors import InputError
from pocketscope.deploy.facts import write_model
from pocketscope.inference import onnx_model
from pocketscope.inference.json_answers import KEYS, serve
from pocketscope.inference.watch import Watch
from pocketscope.tables import answer_sheet

ODD = ["<b>bold</b> & 'co'", "🧫 культура", 'a "third", odd one']


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file that says which answers are reliable, whose classes have markup and emoji in their names."""
    folder = tiny_models.ship(tmp_path_factory.mktemp("shipped"), precisions=["fp32"])
    path = folder / "model.fp32.onnx"
    write_model(path, path, {"classes": ODD, "temperature": 2.0, "reliable": {"probability": 0.4}})
    return path


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for place, pixels in enumerate(tiny_models.noise(3, seed=1)):
        Image.fromarray(pixels).save(folder / f"{place}.png")
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    return folder


def started(*arguments, **options):
    command = [sys.executable, "-m", "pocketscope", "classify", *map(str, arguments)]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command, cwd=ROOT / "workflow_scripts", **options)


def test_each_image_is_one_line_of_json_with_what_the_table_says(model, images, tmp_path, capsys):
    code, out, err = classified(capsys, model, "--json", "--csv", tmp_path / "out.csv", images)
    found = [json.loads(line) for line in out.splitlines()]
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert code == 1
    assert "1 of 4 images could not be read" in err
    assert out.isascii()
    assert [one["path"] for one in found] == [row["path"] for row in rows] == [str(p) for p in sorted(images.iterdir())]
    for one, row in zip(found, rows, strict=True):
        assert list(one) == [*KEYS, "probabilities", "problem"]
        assert set(KEYS) <= set(answer_sheet.COLUMNS)
        assert (one["problem"] or "") == row["problem"]
        if one["problem"]:
            assert {one[key] for key in KEYS[1:]} == {None}
            continue
        assert {name: float(row[f"p({name})"]) for name in ODD} == pytest.approx(one["probabilities"], abs=1e-6)
        assert one["class"] == max(one["probabilities"], key=one["probabilities"].get) == row["class"]
        assert one["reliable"] == (one["probability"] >= 0.4) == (row["reliable"] == "yes")
        assert one["image_id"] == row["image_id"]


def test_one_process_answers_each_line_at_once_and_outlives_every_fault(model, images):
    """Lines go in only after the answer to the one before came out: nothing waits for more, or for the end."""
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}  # as of a pipe in a poor terminal
    process = started(model, "--json", "-", "--threads", 1, env=environment)

    def ask(text):
        process.stdin.write(text.encode("utf-8", "surrogateescape") + b"\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    odd = images / "ein Bild, größer 🧫.png"
    odd.write_bytes((images / "0.png").read_bytes())
    first = ask(f"\ufeff{images / '0.png'}\r")
    assert first["class"] in ODD
    assert first["path"] == str(images / "0.png")
    assert ask(str(odd)) == first | {"path": str(odd)}
    assert ask(json.dumps({"path": str(odd), "id": [7]})) == first | {"path": str(odd), "id": [7]}
    assert "cut short" in ask(str(images / "cut.jpg"))["problem"]
    assert ask(str(images / "none.png"))["problem"] == "No such file or directory"
    assert "one image at a time" in ask(str(images))["problem"]
    assert "empty line" in ask("")["problem"]
    assert "not a JSON object" in ask("{path")["problem"]
    assert 'a JSON object without a path: {"path"' in ask('{"id": 1}')["problem"]
    assert ask("a\0b")["problem"]
    about = ask('{"about": true, "id": 2}')
    assert (about["classes"], about["temperature"], about["reliable_from"], about["id"]) == (ODD, 2.0, 0.4, 2)
    assert ask(str(images / "0.png")) == first
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 0


def test_a_fault_of_a_library_is_the_answer_to_one_request_alone(model, images):
    def answering(shipped, paths, *, threads):
        if "0.png" in paths[0]:
            raise RuntimeError("out of luck")
        yield from ()

    opened = onnx_model.open_model(model, threads=1)
    found = list(serve(opened, [f"{images / '0.png'}\n", '{"about": true}\n'], version="1", answering=answering))
    assert found[0]["problem"] == "RuntimeError: out of luck"
    assert found[1]["classes"] == ODD


def test_sizes_at_both_ends_are_answered_or_refused(model, tmp_path, capsys):
    Image.new("RGB", (1, 1), "red").save(tmp_path / "a.png")
    Image.new("1", (10_000, 10_000)).save(tmp_path / "b.png")
    Image.new("1", (10_000, 10_001)).save(tmp_path / "c.png")
    code, out, _ = classified(capsys, model, tmp_path, "--json", "--threads", 1)
    dot, large, larger = map(json.loads, out.splitlines())
    assert code == 1
    assert dot["class"] in ODD
    assert large["class"] in ODD
    assert "too large (10000 x 10001 pixels; the maximum is 100 million)" in larger["problem"]


def test_another_projects_model_is_refused_in_words_and_as_json(tmp_path, images, capsys):
    def write(name, **props):
        shape = ["n", 4]
        graph = helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(made, props)
        onnx.save(made, tmp_path / name)
        return tmp_path / name

    whole = json.dumps({"classes": ["a"], "image_size": 8, "resize": "stretch", "page": 0})
    for file, told in (
        (write("bare.onnx"), "not a model of pocketscope: its metadata lacks 'pocketscope'"),
        (write("other.onnx", pocketscope="[1, 2]"), "not a model of pocketscope"),
        (write("text.onnx", pocketscope="no JSON"), "not a model of pocketscope"),
        (write("graph.onnx", pocketscope=whole), "not a model of pocketscope: its graph has no input 'images'"),
    ):
        code, out, err = classified(capsys, file, images, "--json")
        assert code == 1
        assert told in err
        assert told in json.loads(out)["problem"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["MODEL"], "there is nothing to classify"),
        (["MODEL", "-"], "add --json"),
        (["MODEL", "-", "--json", "--csv", "x.csv"], "not those of standard input"),
        (["MODEL", "FOLDER", "--watch", "FOLDER"], "watches one folder"),
        (["MODEL", "--watch", "FOLDER", "--html", "x.html"], "--html is written at the end"),
        (["MODEL", "--watch", "nowhere"], "nowhere: there is no such folder"),
        (["MODEL", "--watch", "FOLDER", "--settled", "-1"], "--settled is -1"),
    ],
)
def test_what_does_not_go_together_is_named(model, images, capsys, arguments, told):
    named = {"MODEL": model, "FOLDER": images}
    code, _, err = classified(capsys, *(named.get(one, one) for one in arguments))
    assert code == 1
    assert told in err


def test_the_usage_line_names_images_only_where_they_are_needed(capsys):
    with pytest.raises(SystemExit):
        __main__.main(["classify", "--help"])
    one, other, watched = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert "MODEL IMAGES... " in one
    assert other.split() == ["pocketscope", "classify", "MODEL", "--json", "-"]
    assert "IMAGES" not in watched
    assert "--watch FOLDER [--settled SECONDS]" in watched


# ---- a watched folder


def test_a_file_is_returned_once_and_only_when_it_stays_as_it_is(tmp_path):
    watch = Watch(tmp_path, {str(tmp_path / "before.png")}, settled=2)
    for name in ("before.png", "a.png", "half.png.part", ".hidden.png", "table.csv"):
        (tmp_path / name).write_bytes(b"12")
    (tmp_path / "empty.png").touch()
    assert watch.look(0) == []
    assert watch.waiting == 2
    (tmp_path / "in").mkdir()
    (tmp_path / "in/b.png").write_bytes(b"1")
    assert watch.look(1) == []
    (tmp_path / "in/b.png").write_bytes(b"12")  # grows
    assert watch.look(2) == [str(tmp_path / "a.png")]
    assert watch.look(3.5) == []
    assert watch.look(4) == [str(tmp_path / "in/b.png")]
    (tmp_path / "half.png.part").rename(tmp_path / "half.png")
    (tmp_path / "a.png").write_bytes(b"another image under the name of one that was answered")
    assert watch.look(5) == []
    assert watch.look(7) == [str(tmp_path / "half.png")]
    assert watch.look(99) == []
    assert watch.waiting == 1  # the empty one


def test_what_could_not_be_read_is_tried_again_when_it_has_changed(tmp_path):
    watch = Watch(tmp_path, settled=1)
    (tmp_path / "a.png").write_bytes(b"half")
    assert (watch.look(0), watch.look(1)) == ([], [str(tmp_path / "a.png")])
    watch.failed(str(tmp_path / "a.png"))
    assert (watch.look(2), watch.look(9), watch.waiting) == ([], [], 0)
    (tmp_path / "a.png").write_bytes(b"the whole of it")
    assert (watch.look(10), watch.look(11), watch.look(12)) == ([], [str(tmp_path / "a.png")], [])


def test_a_microscopes_folder_fills_a_table_over_two_runs(model, images, tmp_path):
    """Files that are there, a file that comes, an end by Ctrl-C; a second run does the rest and appends."""
    table = tmp_path / "out.csv"

    def rows():
        with table.open(encoding="utf-8-sig", newline="") as file:
            return [(row["path"].rsplit("/", 1)[1], bool(row["class"])) for row in csv.DictReader(file)]

    def watch_until(count):
        process = started(model, "--watch", images, "--csv", table, "--settled", 0.2, "--threads", 1, text=True)
        deadline = time.monotonic() + 120
        while not (table.exists() and len(rows()) >= count):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "")
        return err

    assert "cut.jpg: " in watch_until(4)
    assert rows() == [("0.png", True), ("1.png", True), ("2.png", True), ("cut.jpg", False)]
    with table.open("a", encoding="utf-8") as file:
        file.write(f"{images}/half a ro")  # as after a power cut
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(images / "3.png")
    assert "3 files have an answer" in watch_until(6)
    assert rows()[4:] == [("3.png", True), ("cut.jpg", False)]


def test_a_table_of_other_columns_is_not_appended_to(tmp_path):
    path = tmp_path / "out.csv"
    with answer_sheet.growing_sheet(path, ["problem", "p(a)"]) as (rows, done):
        rows.writerow({"path": "/a.png", "label": "no line end"})
        assert done == set()
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # as some editors save it
    with answer_sheet.growing_sheet(path, ["problem", "p(a)"]) as (rows, done):
        assert done == {"/a.png"}
        rows.writerow({"path": "/b.png"})
    assert [line.partition(",")[0] for line in path.read_text("utf-8-sig").splitlines()] == ["path", "/a.png", "/b.png"]
    with (
        pytest.raises(InputError, match="no table of this model's answers"),
        answer_sheet.growing_sheet(path, ["problem", "p(b)"]),
    ):
        pass


def test_a_reader_that_leaves_ends_it_without_a_traceback(model, images):
    for place in range(300):
        (images / f"copy{place}.png").write_bytes((images / "0.png").read_bytes())
    process = started(model, images, "--json", "--threads", 1)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) == 141
    assert b"Traceback" not in err
