"""A model file in Python: what it takes, that it says what `classify` says, and how little it imports."""

import csv
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import pocketscope
import tiny_models
from helpers import SCRIPTS
from pocketscope import __main__

HEAVY = ["torch", "torchvision", "timm", "pandas", "pyarrow", "scipy", "sklearn", "snakemake", "pydantic", "matplotlib"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return tiny_models.ship(tmp_path_factory.mktemp("model"), resize="crop", precisions=["int8"])


@pytest.fixture(scope="module")
def model(shipped):
    return pocketscope.load(shipped / "model.int8.onnx", threads=1)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of images: RGB, grey, transparent, turned by EXIF, 16 bits."""
    folder = tmp_path_factory.mktemp("photographs")
    draw = np.random.default_rng(0)
    rgb = draw.integers(0, 256, (50, 70, 4), dtype=np.uint8)
    Image.fromarray(rgb[..., :3]).save(folder / "a.png")
    Image.fromarray(rgb[..., 0]).save(folder / "b.png")
    Image.fromarray(rgb).save(folder / "c.png")
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(rgb[..., :3]).save(folder / "d.jpg", exif=exif)
    (folder / "inner").mkdir()
    Image.fromarray(draw.integers(0, 4000, (50, 70), dtype=np.uint16)).save(folder / "inner/e.png")
    return folder


def test_a_folder_is_answered_as_the_command_answers_it(model, shipped, photographs, tmp_path):
    assert __main__.main(["classify", str(shipped / "model.int8.onnx"), str(photographs), "--threads", "1",
                          "--csv", str(tmp_path / "answers.csv")]) == 0  # fmt: skip
    with (tmp_path / "answers.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    found = model.predict(photographs)
    assert [row["path"] for row in rows] == [answer.path for answer in found]
    assert [(row["class"], row["second_class"]) for row in rows] == [(one.name, one.second_name) for one in found]
    for row, probabilities in zip(rows, found.probabilities, strict=True):
        assert [float(row[f"p({name})"]) for name in found.classes] == pytest.approx(probabilities.tolist(), abs=0)
    assert found.to_frame().columns.tolist() == list(rows[0])


def test_pictures_and_arrays_are_answered_as_their_files(model, photographs):
    paths = sorted(photographs.rglob("*.*"))
    expected = model.predict(paths).probabilities
    opened = [Image.open(path) for path in paths]
    assert np.array_equal(model.predict(opened).probabilities, expected)
    arrays = [np.asarray(picture) for picture in opened]
    upright = [
        array if path.suffix == ".png" else np.rot90(array, -1) for path, array in zip(paths, arrays, strict=True)
    ]
    assert np.array_equal(model.predict(upright).probabilities, expected)
    assert np.array_equal(model.predict([str(paths[0]), opened[1], *upright[2:]]).probabilities, expected)


def test_one_image_a_batch_and_an_image_twice_keep_their_places(model, photographs):
    batch = tiny_models.noise(5, size=40)
    found = model.predict(batch)
    assert [answer.path for answer in found] == [f"images[{place}]" for place in range(5)]
    for place, one in enumerate(batch):
        assert np.array_equal(model.predict(one).probabilities[0], found.probabilities[place])
    twice = model.predict([photographs / "a.png", photographs / "b.png", photographs / "a.png"])
    assert len(twice) == 3
    assert np.array_equal(twice[0].probabilities, twice[2].probabilities)
    assert len(found[1:3]) == 2
    assert isinstance(found[1:3], pocketscope.Predictions)


def test_a_file_that_is_no_image_has_a_problem_and_the_others_an_answer(model, photographs, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    found = model.predict([tmp_path / "broken.png", photographs / "a.png"])
    assert found.names[0] is None
    assert np.isnan(found.probabilities[0]).all()
    assert found.names[1] in model.classes
    assert list(found.problems) == [str(tmp_path / "broken.png")]
    assert "broken.png" in repr(found)
    assert "broken.png" in found._repr_html_()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((20, 20, 3)), r"images: an array of float64; give whole numbers .*255 \* image"),
        (np.zeros((3, 20, 20), np.uint8), r"shape \(3, 20, 20\).*channels come last: image\.transpose\(1, 2, 0\)"),
        (np.zeros((8, 20, 20), np.uint8), r"shape \(8, 20, 20\).*several images of grey are a list"),
        (np.zeros((2, 3, 20, 20), np.uint8), r"images\[0\]: an array of shape \(3, 20, 20\)"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (np.zeros((0, 20, 3), np.uint8), r"an empty image"),
        (np.array(["a"]), r"holds no pixels"),
        ([np.zeros((9, 9), np.uint8), None], r"images\[1\]: NoneType is no image"),
        ([], r"there are no images to classify"),
        ("nowhere.png", r"nowhere\.png: there is no such file or folder"),
    ],
)
def test_what_is_no_image_is_refused_with_what_to_do(model, given, said):
    with pytest.raises(pocketscope.InputError, match=said):
        model.predict(given)


def test_a_file_that_is_no_model_is_named(tmp_path):
    with pytest.raises(pocketscope.InputError, match=r"nothing\.onnx: there is no such file"):
        pocketscope.load(tmp_path / "nothing.onnx")
    (tmp_path / "cut.onnx").write_bytes(b"1234")
    with pytest.raises(pocketscope.InputError, match=r"cut\.onnx: not an ONNX model"):
        pocketscope.load(tmp_path / "cut.onnx")


def python(code, *arguments):
    """Run code in a process that finds no other pocketscope, and return what it printed."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {code}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_import_brings_nothing_and_a_model_file_needs_three_packages(shipped, photographs):
    loaded = f"print([name for name in {HEAVY} if name in sys.modules])"
    assert python(f"import pocketscope; dir(pocketscope); pocketscope.__version__; {loaded}") == "[]"
    assert python("import pocketscope; print({'numpy', 'onnxruntime', 'PIL'} & set(sys.modules))") == "set()"
    use = "pocketscope.load(sys.argv[1]).predict(sys.argv[2])"
    assert python(f"import pocketscope; {use}; {loaded}", shipped / "model.int8.onnx", photographs) == "[]"


def test_names_are_there_when_they_are_asked_for_and_editors_know_them():
    from pocketscope import api

    for name in api.NAMES:
        assert getattr(pocketscope, name) is not None
        assert name in dir(pocketscope)
    stub = (SCRIPTS / "pocketscope/__init__.pyi").read_text()
    assert set(re.findall(r"import \w+ as (\w+)", stub)) == set(api.NAMES)
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        pocketscope.lode  # noqa: B018
