"""How unlike what a model has learnt an image is: stored in the model file, told by `classify`."""

import csv
import json

import numpy as np
import onnx
import pyarrow as pa
import pytest
from PIL import Image

import tiny_models
from pocketscope import __main__
from pocketscope.core import parquet
from pocketscope.data import packing
from pocketscope.images import familiarity
from pocketscope.images.familiarity import Familiar
from pocketscope.inference import onnx_model
from pocketscope.models import learnt_images, onnx_export
from pocketscope.tables.images import IMAGES
from pocketscope.tables.label_set import human_labels


def cells(count, seed=0, size=32):
    """Dark round cells on a light, slightly noisy ground, each of another size, place and colour."""
    rng = np.random.default_rng(seed)
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    images = []
    for _ in range(count):
        middle, radius = rng.uniform(0.35, 0.65, 2) * size, rng.uniform(0.18, 0.3) * size
        inside = 1 / (1 + np.exp(np.hypot(across - middle[0], down - middle[1]) - radius))
        ground, cell = np.array([225, 200, 215]), np.array([120, 60, 150]) + rng.normal(0, 12, 3)
        image = ground + inside[..., None] * (cell - ground) + rng.normal(0, 5, (size, size, 3))
        images.append(image)
    return np.clip(images, 0, 255).astype(np.uint8)


def masks(images):
    return np.where(images.mean(axis=3, keepdims=True) > 170, 255, 0).astype(np.uint8).repeat(3, axis=3)


@pytest.fixture(scope="module")
def learnt():
    return learnt_images.describe(cells(40))


def test_images_of_the_kind_that_was_learnt_are_familiar_and_others_are_not(learnt):
    familiar = Familiar.from_plain(json.loads(json.dumps(learnt)))  # as a model file keeps it
    fresh = cells(200, seed=1)
    assert (familiar.unlikeness(fresh) > 1).mean() <= 0.05
    noise = np.random.default_rng(0).integers(0, 256, fresh.shape, np.uint8)
    grey = np.full_like(fresh, 128)
    for unlike in (masks(fresh), 255 - fresh, noise, grey, np.zeros_like(fresh)):
        assert (familiar.unlikeness(unlike) > 1).all()


def test_a_class_that_looks_alike_is_not_told(learnt):
    """It is said so in the docs: colours and textures are not what an image shows."""
    mirrored = cells(100, seed=2)[:, :, ::-1]
    assert (Familiar.from_plain(learnt).unlikeness(mirrored) > 1).mean() <= 0.05


def test_grey_images_have_colours_that_do_not_vary(learnt):
    grey = cells(60).mean(axis=3, keepdims=True).astype(np.uint8).repeat(3, axis=3)
    familiar = Familiar.from_plain(learnt_images.describe(grey[:40]))
    assert (familiar.unlikeness(grey[40:]) <= 1).mean() > 0.9
    assert (familiar.unlikeness(cells(20, seed=3)) > 1).all()  # in colour: never seen


def test_with_few_images_nothing_is_claimed():
    assert learnt_images.describe(cells(19)) is None


def test_statistics_do_not_depend_on_who_else_is_looked_at():
    images = cells(130)
    together = familiarity.statistics(images)
    assert together.shape == (130, familiarity.STATISTICS)
    assert np.isfinite(together).all()
    assert np.allclose(together[77], familiarity.statistics(images[77:78])[0], rtol=0, atol=1e-12)
    assert familiarity.statistics(images[:0]).shape == (0, familiarity.STATISTICS)


def test_a_trained_model_s_file_describes_what_people_labelled_and_nothing_that_teachers_did(tmp_path):
    own = cells(28, seed=5)
    pictures = [*own, *masks(cells(10, seed=6))]
    for number, image in enumerate(pictures):
        path = tmp_path / "all" / "ab"[number % 2] / f"{'cell' if number < len(own) else 'mask'} {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    made = {name: tmp_path / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    packing.pack({"kind": "folder", "path": str(tmp_path / "all")}, tmp_path, **made, image_size=32, resize="stretch")
    path_of = parquet.mapping(made["images"], IMAGES, "image_id", "paths")
    ids = {kind: sorted(i for i, paths in path_of.items() if kind in paths[0]) for kind in ("cell", "mask")}
    labels = pa.concat_tables([human_labels(found, ["dark"] * len(found)) for found in ids.values()])
    by = pa.array(["human"] * len(ids["cell"]) + ["pseudo"] * len(ids["mask"]))
    labels = labels.set_column(labels.column_names.index("source"), "source", by)
    network, trained = tiny_models.entry(), tiny_models.build(tiny_models.entry())
    onnx_export.ship(trained, tmp_path / "a.onnx", network=network, images=made["images"], labels=labels)
    familiar = onnx_model.open_model(tmp_path / "a.onnx", threads=1).familiar
    assert (familiar.unlikeness(masks(own)) > 1).all()
    assert (familiar.unlikeness(own) <= 1).mean() > 0.9


@pytest.fixture(scope="module")
def model(tmp_path_factory, learnt):
    """Return a folder with a model that has learnt cells, and says from 0 on that its answers are reliable."""
    folder = tiny_models.ship(tmp_path_factory.mktemp("model"), precisions=["fp32"])
    file = onnx.load(folder / "model.fp32.onnx")
    about = json.loads({entry.key: entry.value for entry in file.metadata_props}["pocketscope"])
    about |= {"learnt_images": learnt, "reliable": {"probability": 0.0}}
    onnx.helper.set_model_props(file, {"pocketscope": json.dumps(about)})
    onnx.save(file, folder / "model.fp32.onnx")
    return folder / "model.fp32.onnx"


def test_classify_says_which_images_are_unlike_and_trusts_none_of_their_answers(model, tmp_path, capsys):
    own = cells(6, seed=4)
    for number, image in enumerate(own):
        Image.fromarray(image).save(tmp_path / f"cell {number}.png")
        Image.fromarray(masks(own)[number]).save(tmp_path / f"mask {number}.png")
    assert __main__.main(["classify", str(model), str(tmp_path), "--csv", str(tmp_path / "out.csv")]) == 0
    assert "6 of 12 images are unlike those that the model has learnt" in capsys.readouterr().err
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            unlike = "mask" in row["path"]
            assert (float(row["unlike"]) > 1) == unlike
            assert row["reliable"] == ("no" if unlike else "yes")


def test_a_model_file_that_does_not_know_says_nothing(tmp_path, capsys):
    model = tiny_models.ship(tmp_path / "model", precisions=["fp32"]) / "model.fp32.onnx"
    assert onnx_model.open_model(model, threads=1).familiar is None
    Image.fromarray(cells(1)[0]).save(tmp_path / "a.png")
    __main__.main(["classify", str(model), str(tmp_path / "a.png"), "--csv", str(tmp_path / "out.csv")])
    assert "unlike" not in capsys.readouterr().err
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["unlike"] for row in csv.DictReader(file)] == [""]
