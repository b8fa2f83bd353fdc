"""`classify`: what a user does with a model file, and what that needs."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import tiny_models
from helpers import ROOT, classified
from pocketscope.core.errors import InputError
from pocketscope.data import packing
from pocketscope.images.files import image_files
from pocketscope.inference import classify, onnx_model
from pocketscope.tables.images import read_images


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return tiny_models.ship(tmp_path_factory.mktemp("shipped"), resize="crop")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Files of several formats, oblong, in folders; what is no image among them is hidden or a table."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for place, name in enumerate(["a.jpg", "b.png", "in/c.tif", "in/deep/d.bmp", "e, with a comma.webp", "f.gif"]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 40 + 40 * place, (5, 7, 3), dtype=np.uint8))
        coarse.resize((70, 50)).save(path)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"no image")
    return folder


def rows(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_probabilities_are_those_of_packed_images(shipped, images, tmp_path, capsys, precision):
    """`evaluate` sees images that were packed; the same file must give the same answer without."""
    labelled = tmp_path / "labelled"
    for place, file in enumerate(sorted(images.glob("*.*"))):
        if file.suffix in (".jpg", ".png", ".webp", ".gif") and not file.name.startswith("."):
            (labelled / "xy"[place % 2]).mkdir(parents=True, exist_ok=True)
            (labelled / "xy"[place % 2] / file.name).write_bytes(file.read_bytes())
    tables = {name: tmp_path / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    packing.pack({"kind": "folder", "path": str(labelled)}, tmp_path, **tables, image_size=32, resize="crop")
    stored = read_images(tables["images"], ids := packed_ids(tables["images"]))
    pixels = np.stack([image for _, image in stored])
    model = onnx_model.open_model(shipped / f"model.{precision}.onnx", threads=1)
    expected = dict(zip(ids.values(), onnx_model.probabilities(model, pixels), strict=True))

    code, out, _ = classified(capsys, shipped / f"model.{precision}.onnx", labelled, "--csv", tmp_path / "out.csv")
    assert (code, out) == (0, "")
    found = rows(tmp_path / "out.csv")
    assert len(found) == len(expected) == 4
    for row in found:
        probabilities = [float(row[f"p({name})"]) for name in tiny_models.CLASSES]
        wanted = expected[row["path"].removeprefix(f"{labelled}/")]
        assert np.abs(np.array(probabilities) - wanted).max() < 1e-5
        assert row["class"] == tiny_models.CLASSES[int(wanted.argmax())]
        assert row["probability"] == f"{max(probabilities):.4f}"
        assert [row["class"], row["second_class"]] == [tiny_models.CLASSES[i] for i in np.argsort(-wanted)[:2]]
        assert row["reliable"] == ""  # a file of a study: which answers are reliable is known of what ships
        assert {row["image_id"]: row["path"].removeprefix(f"{labelled}/")}.items() <= ids.items()


def test_paths_open_from_anywhere_and_the_page_shows_each_image(shipped, images, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(images)
    (tmp_path / "broken.png").write_bytes(b"broken")
    named = ("in", "a.jpg", tmp_path / "broken.png")
    made = tmp_path / "out.csv", tmp_path / "out.html"
    code, out, _ = classified(capsys, shipped / "model.fp32.onnx", *named, "--csv", made[0], "--html", made[1])
    assert (code, out) == (1, "")
    assert [row["path"] for row in rows(made[0])] == [
        str(images / "in/c.tif"), str(images / "in/deep/d.bmp"), str(images / "a.jpg"), str(tmp_path / "broken.png")
    ]  # fmt: skip
    page = made[1].read_text(encoding="utf-8")
    assert page.count("<li ") == 3
    assert (images / "in/deep/d.bmp").as_uri() in page


def packed_ids(path):
    """Return the first path of each packed image by identity, in the order of the file."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["image_id", "paths"]).to_pylist()
    return {row["image_id"]: row["paths"][0] for row in table}


def test_folders_and_files_are_done_once_each_and_answers_go_to_standard_output(shipped, images, capsys):
    code, out, err = classified(capsys, shipped / "model.fp32.onnx", images, images / "a.jpg", "--threads", 2)
    answers = list(csv.reader(out.splitlines()))
    assert code == 0
    assert len(answers) == 6
    assert len({path for path, *_ in answers}) == 6
    assert {name for _, name, _ in answers} <= set(tiny_models.CLASSES)
    assert "6 of 6 images" in err


def test_an_unreadable_image_is_reported_and_the_others_are_done(shipped, images, tmp_path, capsys):
    for file in images.glob("*.jpg"):
        (tmp_path / "good.jpg").write_bytes(file.read_bytes())
        (tmp_path / "cut.jpg").write_bytes(file.read_bytes()[:200])
    (tmp_path / "empty.png").write_bytes(b"")
    code, _, err = classified(capsys, shipped / "model.fp32.onnx", tmp_path, "--csv", tmp_path / "out.csv")
    assert code == 1
    assert "error: 2 of 3 images could not be read; the others were classified" in err
    assert "empty.png: the file is empty" in err
    by_name = {row["path"].rsplit("/", 1)[1]: row for row in rows(tmp_path / "out.csv")}
    assert by_name["good.jpg"]["class"] in tiny_models.CLASSES
    assert by_name["good.jpg"]["problem"] == ""
    assert by_name["cut.jpg"]["class"] == ""
    assert "cut short" in by_name["cut.jpg"]["problem"]


def test_answers_keep_the_order_of_files_over_many_batches(shipped, tmp_path):
    model = onnx_model.open_model(shipped / "model.fp32.onnx", threads=1)
    pixels = tiny_models.noise(5 * onnx_model.BATCH + 3, seed=3)
    for place, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{place:04d}.png")
    paths = image_files([tmp_path])
    answers = list(classify.classify(model, paths, threads=3))
    assert [answer.path for answer in answers] == paths
    found = np.stack([answer.probabilities for answer in answers])
    assert np.abs(found - onnx_model.probabilities(model, pixels)).max() < 1e-6


def test_wrong_input_is_named(shipped, images, tmp_path, capsys):
    (tmp_path / "cut.onnx").write_bytes((shipped / "model.fp32.onnx").read_bytes()[:-1000])
    (tmp_path / "text.onnx").write_text("no model")
    for arguments, told in (
        ((tmp_path / "cut.onnx", images), "cut.onnx: not an ONNX model, cut short"),
        ((tmp_path / "text.onnx", images), "text.onnx: not an ONNX model, cut short"),
        ((tmp_path / "none.onnx", images), "none.onnx: there is no such file"),
        ((shipped / "model.fp32.onnx", tmp_path / "nowhere"), "nowhere: there is no such file or folder"),
        ((shipped / "model.fp32.onnx", images, "--threads", "0"), "--threads is 0"),
    ):
        code, out, err = classified(capsys, *arguments)
        assert (code, out) == (1, "")
        assert told in err
    (tmp_path / "void").mkdir()
    with pytest.raises(InputError, match="contains no images"):
        image_files([tmp_path / "void"])


def test_no_other_library_than_onnxruntime_numpy_and_pillow_is_loaded(shipped, images):
    """What is installed on the phone or laptop where a model is used; it also keeps the start short."""
    code = (
        "import importlib.metadata, sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        top = name.partition('.')[0]\n"
        "        if top in OTHERS: raise ModuleNotFoundError(name, name=top)\n"
        "KEPT = {'numpy', 'onnxruntime', 'PIL'}\n"
        "OTHERS = set(importlib.metadata.packages_distributions()) - KEPT - {'pocketscope'}\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from pocketscope.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    files = [str(path) for path in sorted(images.iterdir()) if path.suffix in (".jpg", ".png", ".webp", ".gif")]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "classify",
            str(shipped / "model.int8.onnx"),
            *files[1:],
            str(images / "in/c.tif"),
        ],
        cwd=ROOT / "workflow_scripts",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "needs the Python package 'tifffile', which is not installed" in done.stderr
    assert "extra 'formats'" in done.stderr
    assert "1 of 5 images could not be read" in done.stderr
    assert len(done.stdout.splitlines()) == 4
