"""`pocketscope export` and its rule: what it refuses, and what it says then. Each kind has tests of its own."""

import argparse
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import tiny_models
from pocketscope import __main__
from pocketscope.core.errors import InputError
from pocketscope.deploy.facts import write_model
from pocketscope.exports import bioimageio, kinds, onnxruntime_web, phone, self_test
from pocketscope.exports.ship_folder import ShipFolder
from pocketscope.inference import onnx_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return tiny_models.ship(tmp_path_factory.mktemp("ship") / "cells")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def said_by(capsys, *arguments):
    assert __main__.main(["export", *map(str, arguments)]) == 1
    return capsys.readouterr().err


def test_every_kind_declares_what_it_needs():
    for name, kind in kinds.KINDS.items():
        module = kinds.module_of(name)
        assert callable(module.export)
        parser = argparse.ArgumentParser()
        kinds.add_arguments(name, parser)
        assert parser.parse_args([]).precision is None
        assert kind.mem_mb > 0
        assert kind.runtime > 0
        assert all(path.is_file() for path in kinds.templates_of(name))


def test_a_folder_without_a_model_and_a_file_are_named(tmp_path, shipped, capsys):
    assert "neither model.int8.onnx nor model.fp32.onnx" in said_by(capsys, "phone", tmp_path)
    assert "give the folder" in said_by(capsys, "phone", shipped / "model.int8.onnx")
    assert "there is no such folder" in said_by(capsys, "phone", tmp_path / "none")


def test_a_model_that_is_cut_short_or_another_projects_is_named(tmp_path, shipped, capsys):
    whole = (shipped / "model.fp32.onnx").read_bytes()
    (tmp_path / "model.fp32.onnx").write_bytes(whole[: len(whole) // 2])
    assert "cut short" in said_by(capsys, "phone", tmp_path)
    model = onnx.load(shipped / "model.fp32.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "model.fp32.onnx")
    assert "not a model of pocketscope" in said_by(capsys, "phone", tmp_path)
    assert not list(tmp_path.glob("*.html"))


def test_without_npm_the_message_says_how_to_bring_the_runtime(shipped, tmp_path, empty_cache, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = said_by(capsys, "phone", shipped, "-o", tmp_path / "out")
    assert "npm pack onnxruntime-web@" in said
    assert "--runtime" in said
    assert not (tmp_path / "out").exists()


def test_a_registry_that_does_not_answer_is_said(shipped, tmp_path, empty_cache, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'ENOTFOUND registry' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(InputError, match=r"could not be fetched by npm .ENOTFOUND registry.*--runtime"):
        onnxruntime_web.files()


def test_another_package_than_the_pinned_is_refused_and_not_kept(tmp_path, empty_cache):
    package = tmp_path / "other.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name in onnxruntime_web.SHA256:
            about = tarfile.TarInfo(f"package/dist/{name}")
            about.size = 4
            archive.addfile(about, io.BytesIO(b"else"))
    with pytest.raises(InputError, match="its content differs from the pinned one"):
        onnxruntime_web.files(package)
    package.write_bytes(package.read_bytes()[:60])
    with pytest.raises(InputError, match="cut short"):
        onnxruntime_web.files(package)
    assert not onnxruntime_web.cache().exists()


def test_a_damaged_cache_is_not_used(tmp_path, empty_cache, monkeypatch):
    onnxruntime_web.cache().mkdir(parents=True)
    for name in onnxruntime_web.SHA256:
        (onnxruntime_web.cache() / name).write_bytes(b"damaged")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="--runtime"):
        onnxruntime_web.files()


def test_self_tests_are_of_three_sizes_and_repeat(shipped):
    model = onnx_model.open_model(shipped / "model.fp32.onnx", threads=1)
    first, again = (self_test.samples(model, 0.005) for _ in range(2))
    assert [sample.png for sample in first] == [sample.png for sample in again]
    widths = [Image.open(io.BytesIO(sample.png)).width / model.image_size for sample in first]
    assert widths[0] > 6 > widths[1] > 1 > widths[2]  # averaged in blocks, made smaller, made larger
    for sample in first:
        ordered = np.sort(sample.probabilities)
        assert ordered[-1] - ordered[-2] > 2 * 0.005


def test_nothing_in_the_page_ends_a_script_or_is_markup(shipped, tmp_path, monkeypatch):
    monkeypatch.setattr(onnxruntime_web, "files", lambda package: dict.fromkeys(onnxruntime_web.SHA256, b""))
    page = tmp_path / "out" / "phone.html"
    arguments = ["export", "phone", str(shipped), "-o", str(page.parent), "--title", "</script><b>[[model]]\u2028🎉"]
    assert __main__.main(arguments) == 0
    text = page.read_text(encoding="utf-8")
    assert "&lt;/script&gt;&lt;b&gt;[[model]]" in text
    assert "<b>[[" not in text
    assert text.count("</script>") == text.count("<script")


@pytest.mark.parametrize("recommended", ["fp32", "int8", None])
def test_the_recommended_model_leaves_where_none_is_named(tmp_path, recommended):
    folder = tiny_models.ship(tmp_path)
    for precision in ("fp32", "int8"):
        path = folder / f"model.{precision}.onnx"
        write_model(path, path, {"recommended": precision == recommended})
    ship = ShipFolder.open(folder)
    assert ship.model().precision == (recommended or "int8")
    assert ship.model("fp32").path == folder / "model.fp32.onnx"


def test_a_class_that_is_named_like_a_way_out_of_the_folder_takes_no_image_from_there(shipped, tmp_path):
    (tmp_path / "images" / "dark").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "outside.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "dark" / "a.png")
    model = ShipFolder.open(shipped).model("fp32").shipped
    model.classes[:] = ["..", "dark", "../images"]
    assert list(phone._examples(tmp_path / "images", model)) == [1]


def test_the_rule_plans_an_export_and_the_default_target_none(tmp_path):
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--directory", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow_scripts")}
    done = subprocess.run(
        [*command, "--snakefile", ROOT / "Snakefile", "exports"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [*command[:4], "--directory", str(tmp_path), "--snakefile", ROOT / "Snakefile"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert "export" not in done.stdout


def test_what_is_exported_says_how_a_stack_becomes_an_image(tmp_path):
    folder = tiny_models.ship(tmp_path / "cells", page="maximum_projection", precisions=("fp32",))
    assert __main__.main(["export", "imagej", str(folder), "-o", str(tmp_path / "imagej"), "--precision", "fp32"]) == 0
    said = (tmp_path / "imagej" / "README.md").read_text(encoding="utf-8")
    assert "the model has learnt the maximum projection of all" in said
    assert "Z Project" in said
    plain = tiny_models.ship(tmp_path / "plain", precisions=("fp32",))
    assert __main__.main(["export", "imagej", str(plain), "-o", str(tmp_path / "plain"), "--precision", "fp32"]) == 0
    assert "Z Project" not in (tmp_path / "plain" / "README.md").read_text(encoding="utf-8")
    model = onnx_model.open_model(folder / "model.fp32.onnx", threads=1)
    assert "or frames the image is the maximum projection of all." in bioimageio.documentation("cells", model, "")
