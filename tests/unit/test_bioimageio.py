"""The package for the BioImage Model Zoo: what its description says, and what the zoo's own programs say of it."""

import hashlib
import io
import json
import os
import subprocess
import zipfile

import numpy as np
import onnx
import pytest
import yaml
from PIL import Image

import tiny_models
from pocketscope import __main__
from pocketscope.exports import bioimageio, kinds
from pocketscope.inference import onnx_model

ODD = ["<b>Bold</b> & 'co'", "🧫 культура", "b bold b co"]
VALIDATE = """
import sys
from bioimageio.core import test_model
summary = test_model(sys.argv[1])
print(summary.format())
sys.exit(summary.status not in ("passed", "valid-format"))
"""


@pytest.fixture(scope="module")
def ship(tmp_path_factory):
    """A shipped folder as that of a study: odd classes, a temperature, licences, a card."""
    folder = tiny_models.ship(tmp_path_factory.mktemp("ship") / "zellen 2_größer", resize="pad")
    for precision in ("fp32", "int8"):
        file = onnx.load(folder / f"model.{precision}.onnx")
        said = json.loads(next(one.value for one in file.metadata_props if one.key == onnx_model.METADATA))
        said |= {"classes": ODD, "temperature": 1.5, "precision": precision, "data_licence": "CC-BY-4.0"}
        said |= {
            "reliable": {"probability": 0.8},
            "licence": "Apache-2.0",
            "data_link": "https://doi.org/10.24432/C50P49",
        }
        onnx.helper.set_model_props(file, {onnx_model.METADATA: json.dumps(said)})
        onnx.save(file, folder / f"model.{precision}.onnx")
    (folder / "README.md").write_text("# A card\n\n93.1 % (90.2 to 95.4)\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def package(ship, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    arguments = ["--author", "Ada Lovelace", "--author", "Chien-Shiung Wu", "--cite", "A = study=10.1000/182"]
    assert __main__.main(["export", "bioimageio", str(ship), "-o", str(out), *arguments]) == 0
    return out / f"{ship.name}.bioimageio.zip"


def content(package):
    with zipfile.ZipFile(package) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_description_names_each_file_with_its_digest(package, ship):
    files = content(package)
    said = yaml.safe_load(files["rdf.yaml"])
    tensors = said["inputs"][0]["test_tensor"], said["inputs"][0]["sample_tensor"], said["outputs"][0]["test_tensor"]
    for named in (*tensors, said["weights"]["onnx"]):
        assert hashlib.sha256(files[named["source"]]).hexdigest() == named["sha256"]
    assert files["model.int8.onnx"] == (ship / "model.int8.onnx").read_bytes()
    assert said["authors"] == [{"name": "Ada Lovelace"}, {"name": "Chien-Shiung Wu"}]
    assert said["cite"] == [{"text": "A = study", "doi": "10.1000/182"}]
    assert (said["license"], said["training_data"]["license"]) == ("Apache-2.0", "CC-BY-4.0")
    assert said["training_data"]["source"] == "https://doi.org/10.24432/C50P49"
    assert said["name"].startswith("zellen 2_gr er")
    channels = said["outputs"][0]["axes"][1]["channel_names"]
    assert channels == ["b_bold_b_co", "class_1", "b_bold_b_co_2"]
    assert said["config"]["pocketscope"]["classes"] == ODD
    assert said["config"]["pocketscope"]["reliable"] == 0.8
    assert [axis.get("size") for axis in said["inputs"][0]["axes"]] == [None, 32, 32, None]


def test_the_test_tensors_are_what_the_model_says_and_no_image_of_anybody(package, ship):
    files = content(package)
    given, wanted = (np.load(io.BytesIO(files[f"test_{name}.npy"])) for name in ("input", "output"))
    model = onnx_model.open_model(ship / "model.int8.onnx", threads=1)
    assert (given.dtype, given.shape) == (np.uint8, (3, 32, 32, 3))
    assert np.abs(model.session.run(None, {"images": given})[0] - wanted).max() < 1e-6
    assert (given == bioimageio.synthetic_images(32)).all()
    assert (np.array(Image.open(io.BytesIO(files["sample_input.png"]))) == given[0]).all()
    cover = Image.open(io.BytesIO(files["cover.png"]))
    assert cover.width == 2 * cover.height
    assert len(files["cover.png"]) < 500_000


def test_the_documentation_has_the_card_the_classes_and_the_temperature(package):
    text = content(package)["README.md"].decode()
    assert "93.1 % (90.2 to 95.4)" in text
    assert "2. `b_bold_b_co_2`: b bold b co" in text
    assert "by 1.5 and normalise" in text


def test_equal_models_give_equal_bytes(ship, tmp_path):
    made = [kinds.export("bioimageio", ship, tmp_path / name)[0].read_bytes() for name in "ab"]
    assert made[0] == made[1]


def test_a_bare_model_says_what_is_not_known(tmp_path):
    folder = tiny_models.ship(tmp_path / "a", precisions=["fp32"])
    files = content(kinds.export("bioimageio", folder, tmp_path / "out")[0])
    said = yaml.safe_load(files["rdf.yaml"])
    assert said["authors"] == [{"name": "unknown"}]
    assert not {"license", "source"} & set(said["training_data"])
    assert [one["url"] for one in said["cite"]] == ["https://arxiv.org/abs/2205.09678"]
    assert "its scores are not known" in files["README.md"].decode()
    assert len(said["name"]) >= 5


@pytest.mark.parametrize(
    ("told", "known"),
    [
        *[
            ("CC BY 4.0", "CC-BY-4.0"),
            ("CC BY-NC 4.0", "CC-BY-NC-4.0"),
            ("CC0", "CC0-1.0"),
            ("apache-2.0", "Apache-2.0"),
        ],
        *[("BSD-3-Clause", "BSD-3-Clause"), ("see the hospital", None), (None, None), ("", None)],
    ],
)
def test_licences_are_named_as_the_zoo_takes_them(told, known):
    assert bioimageio.spdx(told) == known


def test_a_citation_without_an_address_is_refused(ship, tmp_path, capsys):
    assert __main__.main(["export", "bioimageio", str(ship), "-o", str(tmp_path), "--cite", "Doe 2024"]) == 1
    assert "give a text, '=' and its DOI or address" in capsys.readouterr().err


def test_the_zoos_own_programs_accept_it_and_reproduce_the_answers(package):
    """They pin what this project does not: an environment of their own, named by the variable."""
    python = os.environ.get("BIOIMAGEIO_PYTHON")
    if not python:
        pytest.skip("BIOIMAGEIO_PYTHON names no Python that has bioimageio.core, onnxruntime and pydantic below 2.13")
    done = subprocess.run([python, "-c", VALIDATE, package], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
