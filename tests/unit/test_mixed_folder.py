"""One folder with every format and every fault, as it comes from a laboratory's disk."""

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from image_files import animated, dicom, png_header, saved, tiff
from pocketscope.core import parquet
from pocketscope.data import packing
from pocketscope.images import decode
from pocketscope.tables.images import IMAGES, read_images
from pocketscope.tables.source_labels import SKIPPED, SOURCE_FILES, SOURCE_LABELS

TABLES = {"images": IMAGES, "labels": SOURCE_LABELS, "skipped": SKIPPED, "files": SOURCE_FILES}


def scene(seed):
    return np.random.default_rng(seed).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def deep(seed, bits=12):
    return scene(seed)[..., 0].astype(np.uint16) << (bits - 8)


def rotated_by_exif(seed):
    exif = Image.Exif()
    exif[274] = 6
    return saved(scene(seed), "JPEG", exif=exif)


GOOD = {
    "photo.jpg": saved(scene(1), "JPEG"),
    "photo.JPEG": rotated_by_exif(2),
    "colour.png": saved(scene(3), "PNG"),
    "grey.png": saved(scene(4)[..., 0], "PNG"),
    "grey and alpha.png": saved(Image.fromarray(scene(5)).convert("LA"), "PNG"),
    "alpha.png": saved(Image.fromarray(scene(6)).convert("RGBA"), "PNG"),
    "palette.png": saved(Image.fromarray(scene(7)).convert("P"), "PNG"),
    "one bit.png": saved(Image.fromarray(scene(8)).convert("1"), "PNG"),
    "deep.png": saved(deep(9), "PNG"),
    "deep colour.png": imagecodecs.png_encode(scene(10).astype(np.uint16) * 16),
    "cmyk.jpg": saved(Image.fromarray(scene(11)).convert("CMYK"), "JPEG"),
    "8 bit.tif": tiff(scene(12), photometric="rgb", compression="lzw"),
    "16 bit.tiff": tiff(deep(13)),
    "float.tif": tiff(scene(14)[..., 0] / np.float32(255)),
    "stack.tif": tiff(np.stack([deep(15), deep(16)]), photometric="minisblack"),
    "picture.bmp": saved(scene(17), "BMP"),
    "picture.webp": saved(scene(18), "WEBP"),
    "still.gif": saved(Image.fromarray(scene(19)).convert("P"), "GIF"),
    "ct.dcm": dicom(deep(20), BitsStored=12, WindowCenter=2000, WindowWidth=3000),
    "without ending": saved(scene(21), "PNG"),
    "wrong ending.png": saved(scene(22), "JPEG"),
}

FAULTY = {
    "empty.png": (b"", "the file is empty"),
    "cut.jpg": (saved(scene(30), "JPEG")[:-300], "damaged or cut short"),
    "cut.png": (saved(scene(31), "PNG")[:-300], "damaged or cut short"),
    "cut.tif": (tiff(scene(32), photometric="rgb")[:1500], "cut short"),
    "cut.dcm": (dicom(deep(33))[:-100], "damaged or cut short"),
    "text.png": (b"not an image at all", "no image, or damaged at its beginning"),
    "camera.czi": (b"ZISRAWFILE" + b"\0" * 100, "CZI (Zeiss), which is not supported: save it as TIFF"),
    "no size.png": (png_header(0, 30), "an empty image|no image|damaged"),
    "bomb.png": (png_header(60_000, 60_000), "too large"),
    "film.gif": (animated(scene(34), "GIF"), "animated (2 frames)"),
    "film.webp": (animated(scene(35), "WEBP"), "animated (2 frames)"),
    "five channels.tif": (
        tiff(np.zeros((8, 8, 5), np.uint8), photometric="minisblack", planarconfig="contig"),
        "5 channels in one page",
    ),
    "complex.tif": (tiff(np.zeros((8, 8), np.complex64)), "complex64, not real numbers"),
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    root = tmp_path_factory.mktemp("laboratory")
    for index, (name, data) in enumerate(GOOD.items()):
        place = root / "images" / ["with tumour", "without"][index % 2] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    for name, (data, _) in FAULTY.items():
        (root / "images" / "without" / name).write_bytes(data)
    (root / "images" / "with tumour" / "copy of photo.jpg").write_bytes(GOOD["photo.jpg"])
    (root / "images" / "without" / "in both.png").write_bytes(saved(scene(40), "PNG"))
    (root / "images" / "with tumour" / "in both.bmp").write_bytes(saved(scene(40), "BMP"))
    (root / "images" / "without" / "Thumbs.db").write_bytes(b"x")
    (root / "images" / "loose.png").write_bytes(saved(scene(41), "PNG"))
    paths = {name: root / "packed" / f"{name}.parquet" for name in TABLES}
    options = {"image_size": 24, "resize": "pad", "max_skipped_share": 0.5, "processes": 2}
    summary = packing.pack({"kind": "folder", "path": "images"}, root, **paths, **options)
    return summary, {name: parquet.read(path, TABLES[name]).to_pylist() for name, path in paths.items()}, paths


def test_every_good_file_is_packed(packed):
    summary, found, _ = packed
    paths = {path.split("/")[1] for row in found["images"] for path in row["paths"]}
    assert paths == {*GOOD, "copy of photo.jpg"}
    assert summary["images"] == len(GOOD)
    assert summary["duplicates"] == 1


def test_every_faulty_file_is_skipped_with_its_reason(packed):
    _, found, _ = packed
    reasons = {row["path"].split("/")[-1]: row["reason"] for row in found["skipped"]}
    assert set(reasons) == {*FAULTY, "in both.png", "in both.bmp", "loose.png"}
    for name, (_, reason) in FAULTY.items():
        assert any(part in reasons[name] for part in reason.split("|")), (name, reasons[name])
        assert "\n" not in reasons[name]
    assert "contradict each other in their label" in reasons["in both.png"]
    assert "beside the class folders" in reasons["loose.png"]


def test_what_was_packed_is_what_classifying_a_file_sees(packed):
    _, found, paths = packed
    path_of = {row["image_id"]: row["paths"][0].split("/")[1] for row in found["images"]}
    for identity, image in read_images(paths["images"], list(path_of)):
        name = "photo.jpg" if path_of[identity].startswith("copy") else path_of[identity]
        assert (image == decode.load(GOOD[name], 24, "pad")).all()
        assert image.std() > 10


def test_exif_turns_width_and_height(packed):
    _, found, _ = packed
    sizes = {row["paths"][0].split("/")[1]: (row["width"], row["height"]) for row in found["images"]}
    assert sizes["photo.JPEG"] == (40, 30)
    assert sizes["colour.png"] == (30, 40)


def test_the_same_scene_from_8_and_16_bits_looks_alike():
    grey = scene(50)[..., 0]
    eight = decode.decode(saved(grey, "PNG")).astype(int)
    for data in (
        saved(grey.astype(np.uint16) * 16, "PNG"),
        tiff(grey.astype(np.uint16) * 257),
        tiff(grey / np.float32(7)),
    ):
        assert np.abs(decode.decode(data) - eight).max() <= 3
