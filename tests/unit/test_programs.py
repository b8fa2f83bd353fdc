"""The examples for other programs (docs/programs): what they ask, and what they make of the answers."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_models
from helpers import ROOT
from pocketscope.deploy.facts import write_model
from pocketscope.inference import onnx_model

PROGRAMS = ROOT / "docs" / "programs"
REQUEST = """package qupath.lib.regions
class RegionRequest {
    int left, top, width, height
    static createInstance(path, downsample, left, top, width, height) {
        assert path == "slide" && downsample == 1.0
        new RegionRequest(left: left, top: top, width: width, height: height)
    }
}
"""
QUPATH = """// What QuPath gives a script, as far as this one asks for it.
import javax.imageio.ImageIO
class Roi { double boundsX, boundsY, boundsWidth, boundsHeight }
class Cell {
    Roi roi; String name; Map measurements = [:]
    def getROI() { roi }
    void setPathClass(given) { name = given }
}
def slide = ImageIO.read(new File(args[1]))
def cells = [0, 32, 64].collect { new Cell(roi: new Roi(boundsX: it, boundsY: 0, boundsWidth: 32, boundsHeight: 32)) }
def binding = new Binding(
    getCurrentServer: { [path: "slide", width: slide.width, height: slide.height] },
    getSelectedObjects: { [] },
    getDetectionObjects: { cells },
    writeImageRegion: { server, region, path ->
        ImageIO.write(slide.getSubimage(region.left, region.top, region.width, region.height), "png", new File(path)) },
    getPathClass: { it },
    fireHierarchyUpdate: { println "updated" },
)
new GroovyShell(this.class.classLoader, binding).evaluate(new File(args[0]))
for (cell in cells) println([cell.name, cell.measurements].flatten())
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tiny_models.ship(tmp_path_factory.mktemp("ship"), precisions=["fp32"]) / "model.fp32.onnx"
    write_model(path, path, {"reliable": {"probability": 0.5}})
    return path


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    path = tmp_path_factory.mktemp("bin") / "pocketscope"
    path.write_text(f'#!/bin/sh\ncd {ROOT / "workflow_scripts"} && exec {sys.executable} -m pocketscope "$@"\n')
    path.chmod(0o755)
    return path


def test_naparis_layers_get_the_answers_of_their_pixels(model, command):
    spec = importlib.util.spec_from_file_location("napari_pocketscope", PROGRAMS / "napari_pocketscope.py")
    napari_pocketscope = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(napari_pocketscope)
    asked = napari_pocketscope.Classifier(model, str(command))
    images = tiny_models.noise(3, seed=4)
    shipped = onnx_model.open_model(model, threads=1)
    expected = onnx_model.probabilities(shipped, images)
    for image, probabilities in zip(images, expected, strict=True):
        answer = asked.of_pixels(image)
        assert answer["class"] == shipped.classes[probabilities.argmax()]
        said = napari_pocketscope.shown(answer)
        assert said.startswith(f"{answer['class']}: {100 * answer['probability']:.1f} %")
        assert said.endswith("not sure") == (answer["probability"] < 0.5)
    assert asked.of_pixels(np.arange(900, dtype=np.uint16).reshape(30, 30))["class"] in shipped.classes
    with pytest.raises(ValueError, match="a model takes 8 or 16 bits"):
        asked.of_pixels(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="of a stack give one slice"):
        asked.of_pixels(np.zeros((9, 8, 7), np.uint8))
    with pytest.raises(ValueError, match="No such file"):
        asked.of_file(ROOT / "nowhere.png")
    asked.process.stdin.close()
    assert asked.process.wait(timeout=60) == 0


@pytest.mark.skipif(not (shutil.which("groovy") and shutil.which("java")), reason="groovy is not installed")
def test_qupaths_objects_get_the_class_of_their_pixels(model, command, tmp_path):
    text = (PROGRAMS / "qupath.groovy").read_text(encoding="utf-8")
    text = text.replace('"pocketscope"  ', f'"{command}"  ', 1).replace("/models/model.fp32.onnx", str(model))
    (tmp_path / "script.groovy").write_text(text.replace("def unsure = null", 'def unsure = "not sure"'))
    (tmp_path / "qupath" / "lib" / "regions").mkdir(parents=True)
    (tmp_path / "qupath" / "lib" / "regions" / "RegionRequest.groovy").write_text(REQUEST)
    (tmp_path / "run.groovy").write_text(QUPATH)
    images = tiny_models.noise(3, seed=4)
    Image.fromarray(np.concatenate(list(images), axis=1)).save(tmp_path / "slide.png")
    environment = os.environ | {"JAVA_HOME": str(Path(shutil.which("java")).resolve().parents[1])}
    run = ["groovy", "-cp", ".", "run.groovy", "script.groovy", "slide.png"]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    shipped = onnx_model.open_model(model, threads=1)
    lines = done.stdout.splitlines()
    assert lines[0] == "updated"
    assert lines[1] == "3 of 3 objects classified"
    for line, probabilities in zip(lines[2:], onnx_model.probabilities(shipped, images), strict=True):
        best = probabilities.argmax()
        named = shipped.classes[best] if probabilities[best] >= 0.5 else "not sure"
        assert line.startswith(f"[{named}, ")
        told = float(line.split("probability:")[1].split(",")[0])
        assert told == pytest.approx(probabilities[best], abs=1e-4)
