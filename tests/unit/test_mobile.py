"""Mobile runtimes: the graph that converters get, what they make of it, and the pixels of the code beside it.

The converters are no part of this environment: `MOBILE_PYTHON` names one that has them (docs/mobile.md).
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

import tiny_models
from pocketscope import __main__
from pocketscope.deploy.facts import write_model
from pocketscope.exports import kinds, mobile_runtimes
from pocketscope.images import decode, resize
from pocketscope.inference import onnx_model

PYTHON = os.environ.get(mobile_runtimes.PYTHON)
ANDROID = Path(__file__).parent / "android"
ANDROID_JSON = Path("/usr/share/java/com.android.json.jar")
needs_converters = pytest.mark.skipif(
    not PYTHON,
    reason=f"{mobile_runtimes.PYTHON} names no Python that has litert-torch and coremltools (docs/mobile.md)",
)
TEMPERATURE = 1.7
READ = """
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
(given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
answers = []
for image in np.load(sys.argv[2]):
    interpreter.set_tensor(given["index"], image[None])
    interpreter.invoke()
    answers.append(interpreter.get_tensor(found["index"])[0].tolist())
print(json.dumps([given["shape"].tolist(), answers]))
"""
LOOK = """
import json, sys
import coremltools
spec = coremltools.models.MLModel(sys.argv[1], skip_model_load=True).get_spec()
(given,), (found,) = spec.description.input, spec.description.output
print(json.dumps([given.name, list(given.type.multiArrayType.shape), found.name,
                  json.loads(spec.description.metadata.userDefined["pocketscope"])["classes"]]))
"""
RESIZE = """
import java.io.File
import org.pocketscope.Picture
import org.pocketscope.Pixels
fun main(arguments: Array<String>) {
    for (line in File(arguments[0]).readLines()) {
        val (raw, wide, tall, size, how) = line.split("\\t")
        val bytes = File(raw).readBytes()
        val picture = object : Picture {
            override val width = wide.toInt()
            override val height = tall.toInt()
            private fun level(at: Int) = bytes[at].toInt() and 255
            override fun read(left: Int, top: Int, width: Int, height: Int) = IntArray(width * height) {
                val at = ((top + it / width) * this.width + left + it % width) * 3
                (level(at) shl 16) or (level(at + 1) shl 8) or level(at + 2)
            }
        }
        File("$raw.$how").writeBytes(Pixels.toSquare(picture, size.toInt(), how))
    }
}
"""


@pytest.fixture(scope="module")
def ship(tmp_path_factory):
    folder = tiny_models.ship(tmp_path_factory.mktemp("ship") / "cells", resize="pad")
    for precision in ("fp32", "int8"):
        path = folder / f"model.{precision}.onnx"
        write_model(path, path, {"temperature": TEMPERATURE, "reliable": {"probability": 0.8}})
    return folder


def expected_of(ship, images):
    return onnx_model.probabilities(onnx_model.open_model(ship / "model.fp32.onnx", threads=1), images)


def as_torch(path):
    place = mobile_runtimes.HERE / "onnx_as_torch.py"
    spec = importlib.util.spec_from_file_location("onnx_as_torch", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.OnnxAsTorch(onnx.load(path)).eval()


def test_the_graph_for_converters_has_constant_shapes_and_gives_probabilities_at_the_temperature(ship, tmp_path):
    mobile_runtimes.graph(ship / "model.fp32.onnx", TEMPERATURE, tmp_path / "graph.onnx")
    graph = onnx.load(tmp_path / "graph.onnx")
    assert [opset.domain for opset in graph.opset_import] == [""]
    assert [side.dim_value for side in graph.graph.input[0].type.tensor_type.shape.dim] == [1, 32, 32, 3]
    assert not {"Shape", "Gather"} & {node.op_type for node in graph.graph.node}
    session = onnxruntime.InferenceSession(tmp_path / "graph.onnx")
    images = tiny_models.noise(5, seed=3)
    found = np.concatenate([session.run(None, {"images": image[None]})[0] for image in images])
    assert np.abs(found - expected_of(ship, images)).max() < 1e-5


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("shufflenet_v2_x0_5", "torchvision"),  # shapes change places
        ("squeezenet1_1", "torchvision"),  # windows that do not fit
        ("mobilenetv3_small_050", "timm"),  # hard activations, gates
        ("tf_efficientnet_lite0", "timm"),  # uneven padding
        ("convnext_atto", "timm"),  # normalised by layer
    ],
)
def test_torch_answers_as_onnx_runtime_from_the_graph_alone(tmp_path, name, library):
    ship = tiny_models.ship(tmp_path, tiny_models.entry(name, library), precisions=["fp32"])
    mobile_runtimes.graph(ship / "model.fp32.onnx", 1.0, tmp_path / "graph.onnx")
    network = as_torch(tmp_path / "graph.onnx")
    images = tiny_models.noise(4, seed=1)
    expected = expected_of(ship, images)
    with torch.inference_mode():
        found = np.concatenate([network(torch.from_numpy(image[None])).numpy() for image in images])
        assert np.abs(found - expected).max() < 1e-4
        assert len(set(expected.argmax(1))) > 1
        halves = np.concatenate([network.half()(torch.from_numpy(image[None]).half()).numpy() for image in images])
        assert halves.dtype == np.float16
        assert np.abs(halves - expected).max() < 0.1


def test_an_unknown_operator_is_named(tmp_path):
    given = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3])
    found = onnx.helper.make_tensor_value_info("found", onnx.TensorProto.FLOAT, [1, 3])
    node = onnx.helper.make_node("Cosh", ["images"], ["found"])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [given], [found])), tmp_path / "a.onnx")
    with pytest.raises(NotImplementedError, match="operator Cosh"):
        as_torch(tmp_path / "a.onnx")


def said_by(capsys, *arguments):
    assert __main__.main(["export", *map(str, arguments)]) == 1
    return capsys.readouterr().err


def test_without_the_converters_it_says_how_to_bring_them(ship, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(mobile_runtimes.PYTHON, raising=False)
    out = tmp_path / "out"
    assert "uv pip install --python mobile/bin/python litert-torch" in said_by(capsys, "tflite", ship, "-o", out)
    gone = tmp_path / "none"
    assert "there is no such program" in said_by(capsys, "coreml", ship, "-o", out, "--python", gone)
    said = said_by(capsys, "tflite", ship, "-o", out, "--python", sys.executable)
    assert "lacks a converter" in said
    assert "litert_torch" in said
    assert not out.exists()
    assert not {"tflite", "coreml"} & set(kinds.possible())
    monkeypatch.setenv(mobile_runtimes.PYTHON, sys.executable)
    assert {"tflite", "coreml", "phone"} <= set(kinds.possible())


def test_an_8_bit_file_alone_cannot_be_converted(tmp_path, ship, capsys):
    shutil.copy(ship / "model.int8.onnx", tmp_path)
    assert "model.fp32.onnx is not in it" in said_by(capsys, "tflite", tmp_path, "--python", sys.executable)


def read(path, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    command = [PYTHON, "-c", READ, str(path), str(tmp_path / "images.npy")]
    shape, answers = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert shape == [1, 32, 32, 3]
    return np.array(answers)


@needs_converters
@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-4), ("fp16", 0.05), ("int8", 0.6)])
def test_litert_answers_as_the_file_that_was_evaluated(ship, tmp_path, precision, bound):
    made, *_ = export("tflite", ship, tmp_path / "out", precision)
    images = tiny_models.noise(8, seed=2)
    assert np.abs(read(made, images, tmp_path) - expected_of(ship, images)).max() < bound
    about = json.loads((tmp_path / "out" / "model.json").read_text(encoding="utf-8"))
    assert about["classes"] == tiny_models.CLASSES
    assert (about["resize"], about["image_size"]) == ("pad", 32)
    assert about["reliable_from"] == (None if precision == "int8" else 0.8)
    shown = [decode.load((tmp_path / "out" / name).read_bytes(), 32, "pad") for name in about["self_test"]["images"]]
    answers = np.array(list(about["self_test"]["images"].values()))
    assert np.abs(read(made, np.stack(shown), tmp_path) - answers).max() < 1e-5
    assert {"Pixels.kt", "Classifier.kt", "model.json"} <= {path.name for path in (tmp_path / "out").iterdir()}


def export(kind, ship, out, precision):
    assert __main__.main(["export", kind, str(ship), "-o", str(out), "--precision", precision]) == 0
    return [out / f"{ship.name}{'.tflite' if kind == 'tflite' else '.mlpackage'}"]


@needs_converters
def test_the_core_ml_package_says_what_it_takes_and_repeats(ship, tmp_path):
    first, second = (export("coreml", ship, tmp_path / name, "fp16")[0] for name in "ab")
    command = [PYTHON, "-c", LOOK, str(first)]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert said == ["images", [1, 32, 32, 3], "probabilities", tiny_models.CLASSES]
    parts = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(parts) == 3
    for part in parts:
        assert (first / part).read_bytes() == (second / part).read_bytes(), part


@pytest.mark.skipif(not (shutil.which("kotlinc") and shutil.which("java")), reason="kotlinc or java is not installed")
def test_the_pixels_of_an_android_app_are_those_of_training(tmp_path):
    (tmp_path / "Main.kt").write_text(RESIZE)
    program = str(tmp_path / "main.jar")
    sources = [str(tmp_path / "Main.kt"), str(mobile_runtimes.HERE / "Pixels.kt")]
    subprocess.run(["kotlinc", *sources, "-include-runtime", "-d", program], check=True)
    random, asked, expected = np.random.default_rng(0), [], {}
    for place, shape in enumerate([(1, 1), (3, 700), (33, 65), (480, 641), (1200, 301)]):
        image = random.integers(0, 256, (*shape, 3), np.uint8)
        (tmp_path / f"{place}.raw").write_bytes(image.tobytes())
        for how in resize.RESIZES:
            asked.append(f"{tmp_path / f'{place}.raw'}\t{shape[1]}\t{shape[0]}\t33\t{how}")
            expected[f"{place}.raw.{how}"] = resize.to_square(image, 33, how)
    (tmp_path / "asked.txt").write_text("\n".join(asked))
    subprocess.run(["java", "-jar", program, str(tmp_path / "asked.txt")], check=True)
    for name, image in expected.items():
        found = np.frombuffer((tmp_path / name).read_bytes(), np.uint8).reshape(image.shape)
        assert np.abs(found.astype(int) - image).max() <= 1, name  # 0 with Pillow 13


@pytest.mark.skipif(
    not (shutil.which("kotlinc") and shutil.which("javac") and ANDROID_JSON.is_file()),
    reason="kotlinc, javac or Android's org.json (Debian: libandroid-json-java) is not installed",
)
def test_an_android_app_gives_the_model_the_pixels_of_training_and_keeps_to_its_threshold(tmp_path):
    """Against stand-ins for the classes of Android and LiteRT, in `android/`, with the signatures of their manuals."""
    classes, program = tmp_path / "classes", tmp_path / "app.jar"
    stand_ins = [str(path) for path in ANDROID.rglob("*.java")]
    subprocess.run(["javac", "-d", str(classes), *stand_ins], check=True)
    sources = [str(mobile_runtimes.HERE / name) for name in ("Pixels.kt", "Classifier.kt")]
    path = f"{classes}:{ANDROID_JSON}"
    subprocess.run(
        ["kotlinc", *sources, str(ANDROID / "Main.kt"), "-cp", path, "-include-runtime", "-d", str(program)], check=True
    )

    random, size = np.random.default_rng(0), 33
    for place, shape in enumerate([(1, 1, 3), (40, 700, 3), (301, 200, 4), (900, 1300, 3)]):
        levels = random.integers(0, 256, shape, np.uint8)
        levels[..., place % 3] //= 1 + place  # so that classes and probabilities differ
        Image.fromarray(levels).save(tmp_path / f"{place}.png")
    photos = sorted(tmp_path.glob("?.png"))
    (tmp_path / "photos.txt").write_text("\n".join(map(str, photos)))

    def expected(how):
        means = np.array([decode.load(path.read_bytes(), size, how).mean((0, 1)) for path in photos]) / 32
        return np.exp(means) / np.exp(means).sum(1, keepdims=True)

    for how, has_threshold, off in (("stretch", True, 0.0), ("crop", False, 0.0), ("pad", True, 0.01)):
        tops = np.sort(expected(how).max(1))
        threshold = float(tops[1:3].mean()) if has_threshold else None
        folder = tmp_path / "assets" / how
        folder.mkdir(parents=True)
        shutil.copytree(tmp_path, folder / "self_test", ignore=lambda _, names: {n for n in names if n[1:] != ".png"})
        samples = {f"self_test/{path.name}": row.tolist() for path, row in zip(photos, expected(how), strict=True)}
        about = {
            "name": "cells",
            "classes": ["red", 'gr"een', "blau 🎉"],
            "image_size": size,
            "resize": how,
            "reliable_from": threshold,
            "self_test": {"largest_difference": 0.001, "images": samples},
        }
        (folder / "model.json").write_text(json.dumps(about), encoding="utf-8")
        (folder / "cells.tflite").write_text(str(off))
        java = [
            "java",
            f"-Dassets={tmp_path / 'assets'}",
            "-Dfile.encoding=UTF-8",
            "-cp",
            f"{program}:{path}",
            "MainKt",
        ]
        said = subprocess.run([*java, how, str(tmp_path / "photos.txt")], capture_output=True, text=True, check=True)
        tested, *answers = said.stdout.splitlines()
        assert tested == "passed" if not off else "this phone computes otherwise, by 0.0100" in tested
        for line, row in zip(answers, expected(how), strict=True):
            answer, row = json.loads(line), row + np.array([off, 0, 0])
            assert np.abs(np.array(answer["probabilities"]) - row).max() < 0.001
            assert answer["name"] == about["classes"][row.argmax()]
            assert answer["reliable"] == (None if threshold is None else answer["probability"] >= threshold)
        reliable = {json.loads(line)["reliable"] for line in answers}
        assert reliable == ({None} if threshold is None else {True, False})


def test_every_source_for_an_app_is_a_template_of_its_kind():
    for kind in ("tflite", "coreml"):
        named = {Path(path).name for path in kinds.templates_of(kind)}
        assert set(kinds.module_of(kind).TARGET.sources) <= named
        assert "convert.py" in named
