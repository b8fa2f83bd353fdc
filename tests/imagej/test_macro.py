"""The macro in a real ImageJ under Xvfb: what the Results table says is what the model says of the same pixels."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import pocketscope
import tiny_models
from helpers import ROOT
from pocketscope.exports import kinds
from pocketscope.inference import onnx_model

JAR = Path("/usr/share/java/ij.jar")
ODD = ["<b>bold</b> & 'co'", "🧫 культура", 'a "third", odd\\ one']
DRIVER = """
classify = "{macro}";
function table(name) {{
    saveAs("Results", "{out}/" + name + ".txt"); // by tabs: of quotation marks its CSV makes a mess
    run("Clear Results");
}}
open("{out}/colour.png"); runMacro(classify, "image"); table("image");
makeRectangle(3, 5, 20, 11); runMacro(classify, "image"); runMacro(classify, "selection");
if (nImages != 1 || selectionType() != 0 || getTitle() != "colour.png") setResult("Label", 0, "the open image changed");
table("selection"); close();
open("{out}/deep.tif"); setMinAndMax(10, 20); setSlice(2);
runMacro(classify, "stack");
if (getSliceNumber() != 2) setResult("Label", 0, "the slice changed");
table("stack"); close();
runMacro(classify, "folder={out}/folder/"); table("folder");
runMacro(classify, "folder={out}/folder/"); wait(500); exec("import", "-window", "root", "{out}/window.png");
run("Clear Results");
run("Quit");
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tiny_models.ship(tmp_path_factory.mktemp("ship") / "set", precisions=["int8"])
    file = onnx.load(folder / "model.int8.onnx")
    said = json.loads(next(one.value for one in file.metadata_props if one.key == onnx_model.METADATA))
    said |= {"classes": ODD, "reliable": {"probability": 0.4}}
    onnx.helper.set_model_props(file, {onnx_model.METADATA: json.dumps(said)})
    onnx.save(file, folder / "model.int8.onnx")
    out = tmp_path_factory.mktemp("an export")
    assert kinds.export("imagej", folder, out) == [
        out / "Classify_with_pocketscope.ijm", out / "README.md", out / "model.int8.onnx"
    ]  # fmt: skip
    return out


def test_the_page_names_the_model_and_its_classes(exported):
    page = (exported / "README.md").read_text(encoding="utf-8")
    assert page.startswith("# set in ImageJ and Fiji")
    assert "`model.int8.onnx`" in page
    assert all(f"\n- {name}\n" in page for name in ODD)
    assert (exported / "Classify_with_pocketscope.ijm").read_bytes().isascii()  # ImageJ reads it in any code


@pytest.fixture(scope="module")
def tables(exported, tmp_path_factory):
    """Run the macro on everything, in one ImageJ that finds the command in the search path."""
    if not (JAR.is_file() and shutil.which("java") and shutil.which("xvfb-run")):
        pytest.skip("no ImageJ with Xvfb here: apt-get install imagej xvfb xauth")
    out = tmp_path_factory.mktemp("tables")
    draw = np.random.default_rng(0)
    Image.fromarray(tiny_models.noise(1, 40, seed=2)[0]).save(out / "colour.png")
    deep = [Image.fromarray(draw.integers(0, 300 * (k + 1), (30, 50), dtype=np.uint16)) for k in range(3)]
    deep[0].save(out / "deep.tif", save_all=True, append_images=deep[1:])
    (out / "folder").mkdir()
    shutil.copy(out / "colour.png", out / "folder/größer.png")
    (out / "folder/cut.png").write_bytes((out / "colour.png").read_bytes()[:300])
    (out / "bin").mkdir()
    command = out / "bin/pocketscope"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "workflow_scripts"} exec {sys.executable} -m pocketscope "$@"\n')
    command.chmod(0o755)
    (out / "driver.ijm").write_text(DRIVER.format(macro=exported / "Classify_with_pocketscope.ijm", out=out))
    environment = os.environ | {"PATH": f"{out / 'bin'}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    java = ["java", f"-Duser.home={out}", "-Dfile.encoding=UTF-8", "-cp", JAR, "ij.ImageJ"]
    # An error of a macro is a dialog that waits for ever.
    screen = ["xvfb-run", "-a", "-s", "-screen 0 1500x700x24", "timeout", "240"]
    done = subprocess.run(
        [*screen, *java, "-macro", out / "driver.ijm"], env=environment, capture_output=True, text=True
    )
    found = {}
    for name in ("image", "selection", "stack", "folder"):
        assert (out / f"{name}.txt").is_file(), done.stdout + done.stderr
        with (out / f"{name}.txt").open(encoding="utf-8", newline="") as file:
            found[name] = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return found, out


def test_the_results_table_says_what_the_model_says(tables, exported):
    (found, out), model = tables, pocketscope.load(exported / "model.int8.onnx", threads=1)
    colour = np.array(Image.open(out / "colour.png"))
    with Image.open(out / "deep.tif") as stack:
        pages = []
        for page in range(3):
            stack.seek(page)
            pages.append(np.array(stack))
    whole, part = model.predict([colour, colour[5:16, 3:23]])
    deep = model.predict(pages)
    for rows, answers in (
        (found["image"], [whole]),
        (found["selection"], [whole, part]),
        (found["stack"], deep),
        ([row for row in found["folder"] if row["Problem"] == ""], [whole]),
    ):
        assert len(rows) == len(answers)
        for row, answer in zip(rows, answers, strict=True):
            assert row["Class"] == answer.name
            assert float(row["Probability"]) == pytest.approx(answer.confidence, abs=1e-3)
            assert row["Reliable"] == ("yes" if answer.reliable else "no")
            assert row["Second class"] == answer.second_name
            given = [float(row[f"p({name})"]) for name in ODD]
            assert given == pytest.approx(answer.probabilities.tolist(), abs=1e-3)
    assert [(row["Label"], row["Slice"]) for row in found["stack"]] == [("deep.tif", str(k)) for k in (1, 2, 3)]
    assert [row["Label"] for row in found["selection"]] == ["colour.png", "colour.png"]
    broken, good = found["folder"]
    assert (broken["Label"], broken["Class"], good["Label"]) == ("cut.png", "", "größer.png")
    assert "cut short" in broken["Problem"]
