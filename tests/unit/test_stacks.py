"""Files that hold several images: which page is the image, or what is made of all of them."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import Dataset

import tiny_models
from helpers import classified
from image_files import dicom, saved, tiff
from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.core.stack_pages import PROJECTIONS
from pocketscope.data import identities, packing
from pocketscope.images.decode import decode, has_further_pages
from pocketscope.images.pixels import Unreadable
from pocketscope.inference import onnx_model
from pocketscope.tables.identities import IDENTITIES_BY_NUMBER
from pocketscope.tables.images import IMAGES

BYTES = np.random.default_rng(0).integers(0, 256, (5, 9, 13), dtype=np.uint8)
WORDS = np.random.default_rng(1).integers(0, 4096, (5, 9, 13), dtype=np.uint16)
BY = dict(zip(PROJECTIONS, (lambda a: a.max(0), lambda a: a.min(0), lambda a: np.rint(a.mean(0))), strict=True))


def rgb(grey):
    return np.repeat(grey[..., None], 3, axis=-1)


def grey_tiff(values, **options):
    return tiff(values, photometric="minisblack", **options)


@pytest.mark.parametrize("how", PROJECTIONS)
@pytest.mark.parametrize("write", [grey_tiff, dicom], ids=["TIFF", "DICOM"])
def test_a_projection_is_that_of_the_values(how, write):
    assert (decode(write(BYTES), page=how) == rgb(BY[how](BYTES))).all()
    # Of more than 8 bits it is projected first and scaled afterwards: pages keep their brightness to one another.
    assert (decode(write(WORDS), page=how) == decode(write(BY[how](WORDS).astype(np.uint16)))).all()


@pytest.mark.parametrize("how", PROJECTIONS)
def test_a_projection_is_of_what_is_seen(how):
    wanted = rgb(BY[how](BYTES))
    off = {"maximum_projection": 0, "minimum_projection": 0, "mean_projection": 1}[how]  # halves are rounded elsewhere
    for data in (
        tiff(255 - BYTES, photometric="miniswhite"),
        dicom(255 - BYTES, PhotometricInterpretation="MONOCHROME1"),
        dicom(255 - BYTES, RescaleSlope=-1, RescaleIntercept=0),
    ):
        assert np.abs(decode(data, page=how).astype(int) - wanted).max() <= off
    dark = decode(tiff(4095 - WORDS, photometric="miniswhite"), page=how).astype(int)
    assert np.abs(dark - decode(grey_tiff(WORDS), page=how)).max() <= 1


@pytest.mark.parametrize("how", PROJECTIONS)
def test_colours_are_projected_one_by_one(how):
    values = np.stack([BYTES, BYTES[::-1], 255 - BYTES], -1)
    assert (decode(tiff(values, photometric="rgb"), page=how) == BY[how](values)).all()
    apart = tiff(np.moveaxis(values, -1, 1), photometric="rgb", planarconfig="separate")
    assert (decode(apart, page=how) == BY[how](values)).all()


def test_pages_of_a_palette_are_projected_as_colours():
    one = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    one.putpalette([10, 20, 30, 5, 60, 7])
    other = one.copy()
    other.putdata([1, 0])
    buffer = io.BytesIO()
    one.save(buffer, "TIFF", save_all=True, append_images=[other])
    assert decode(buffer.getvalue(), page="maximum_projection").tolist() == [[[10, 60, 30]] * 2]


def test_what_is_no_number_hides_no_number():
    values = WORDS.astype(np.float32)
    wanted = decode(grey_tiff(values[1:]), page="maximum_projection")
    values[0] = np.nan
    assert (decode(grey_tiff(values), page="maximum_projection") == wanted).all()


def test_the_middle():
    assert (decode(grey_tiff(BYTES), page="middle") == rgb(BYTES[2])).all()
    assert (decode(dicom(BYTES[:4]), page="middle") == rgb(BYTES[2])).all()


@pytest.mark.parametrize("page", ["middle", *PROJECTIONS, "channels"])
def test_one_image_is_itself(page):
    colour = np.stack([BYTES[0]] * 2 + [BYTES[1]], -1)
    for data in (tiff(colour, photometric="rgb"), saved(colour, "PNG"), dicom(colour)):
        assert (decode(data, page=page) == colour).all()
    deep = grey_tiff(WORDS[0])
    assert (decode(deep, page=page) == decode(deep)).all()


def test_colours_that_are_stored_as_pages():
    for write in (grey_tiff, dicom, lambda v: tiff(v, ome=True, metadata={"axes": "CYX"})):
        assert (decode(write(BYTES[:3]), page="channels") == np.moveaxis(BYTES[:3], 0, -1)).all()
    two = decode(grey_tiff(BYTES[:2]), page="channels")
    assert (two[..., :2] == np.moveaxis(BYTES[:2], 0, -1)).all()
    assert (two[..., 2] == 0).all()
    dim = np.stack([WORDS[0], WORDS[1] // 8])  # a dim channel is scaled by itself, as microscopes show it
    alone = [decode(grey_tiff(channel))[..., 0] for channel in dim]
    assert (decode(grey_tiff(dim), page="channels")[..., :2] == np.stack(alone, -1)).all()


def test_smaller_copies_and_masks_are_no_pages_of_a_stack():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for plane in BYTES[:2]:
            writer.write(plane, photometric="minisblack")
        writer.write(BYTES[0, ::2, ::2], photometric="minisblack", subfiletype=1)
    assert (decode(buffer.getvalue(), page="maximum_projection") == rgb(BYTES[:2].max(0))).all()
    assert (decode(buffer.getvalue(), page="middle") == rgb(BYTES[1])).all()


def test_a_page_that_is_a_smaller_copy_of_the_next_is_remarked():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(BYTES[0, ::2, ::2], photometric="minisblack", subfiletype=1)
        writer.write(BYTES[0], photometric="minisblack")
    assert [has_further_pages(buffer.getvalue(), page) for page in (0, 1, "middle")] == [True, False, False]
    assert not has_further_pages(tiff(BYTES[0], photometric="minisblack", subfiletype=1))


def shrinking():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(BYTES[0], photometric="minisblack")
        writer.write(BYTES[1, ::2], photometric="minisblack")
    return buffer.getvalue()


def rescaled_frames():
    frames = []
    for slope in (1, 2):
        scale, group = Dataset(), Dataset()
        scale.RescaleSlope, scale.RescaleIntercept = slope, 0
        group.PixelValueTransformationSequence = [scale]
        frames.append(group)
    return dicom(BYTES[:2], PerFrameFunctionalGroupsSequence=frames)


CHANNELS_AND_PLANES = {"metadata": {"axes": "ZCYX"}}


@pytest.mark.parametrize(
    ("data", "page", "reason"),
    [
        (shrinking(), "maximum_projection", "differ in size or type.*name one of them by 'page'"),
        (shrinking(), "channels", "differ in size"),
        (grey_tiff(BYTES), "channels", "has 5 pages, and 'page: channels' takes red, green and blue"),
        (tiff(np.stack([BYTES[:3]] * 2 + [BYTES[2:]], -1), photometric="rgb"), "channels", "have colours themselves"),
        (tiff(WORDS[:4].reshape(2, 2, 9, 13), imagej=True, **CHANNELS_AND_PLANES), "mean_projection", "2 planes, 2 ch"),
        (tiff(WORDS[:4].reshape(2, 2, 9, 13), ome=True, **CHANNELS_AND_PLANES), "mean_projection", "2 planes, 2 chan"),
        (rescaled_frames(), "maximum_projection", "rescaled one by one"),
        (grey_tiff(BYTES)[:-80], "maximum_projection", "cut short"),
    ],
    ids=lambda value: "file" if isinstance(value, bytes) else None,  # OME's identifier is another one in each process
)
def test_what_cannot_be_joined_has_a_reason(data, page, reason):
    with pytest.raises(Unreadable, match=reason):
        decode(data, page=page)


@pytest.mark.parametrize(
    "data",
    [
        tiff(BYTES, imagej=True, truncate=True, metadata={"axes": "ZYX"}),  # as ImageJ writes stacks above 4 GB
        tiff(WORDS.astype(">u2"), byteorder=">", imagej=True, truncate=True, metadata={"axes": "ZYX"}),
        tiff(BYTES, truncate=True, photometric="minisblack"),
        tiff(np.pad(BYTES, ((0, 0), (0, 7), (0, 3))), volumetric=True, tile=(1, 16, 16), photometric="minisblack"),
    ],
    ids=["ImageJ", "big-endian", "shaped", "volume"],
)
def test_images_behind_the_only_page_are_pages_too(data):
    deep = tifffile.TiffFile(io.BytesIO(data)).pages[0].dtype == np.uint16
    values = WORDS if deep else BYTES
    seen = decode(data, page=3)[:9, :13]
    assert (seen == decode(grey_tiff(values), page=3)).all()
    assert (
        decode(data, page="maximum_projection")[:9, :13] == decode(grey_tiff(values), page="maximum_projection")
    ).all()
    assert has_further_pages(data)
    with pytest.raises(Unreadable, match=r"no page 5: its 5 page\(s\)"):
        decode(data, page=5)
    with pytest.raises(Unreadable, match="cut short"):
        decode(data[: len(data) - (300 if not deep else 40)], page="maximum_projection")


def test_what_is_read_whole_has_no_further_pages():
    for data in (grey_tiff(BYTES), dicom(BYTES)):
        assert [has_further_pages(data, page) for page in (0, "middle", *PROJECTIONS)] == [True, True] + [False] * 3


# ---- on the way from a configuration to answers


@pytest.fixture
def root(tmp_path):
    for place in range(6):
        path = tmp_path / "images" / "ab"[place % 2] / f"{place}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(grey_tiff(np.random.default_rng(place).integers(0, 256, (3, 32, 32), dtype=np.uint8)))
    return tmp_path


def pack(root, out, page):
    folder = root / "datasets" / out
    paths = {name: folder / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
    source = {"kind": "folder", "path": "images"}
    packing.pack(source, root, **paths, image_size=32, resize="crop", page=page, remembered=folder)
    return folder, parquet.read(paths["images"], IMAGES).to_pylist(), parquet.notes(paths["images"])


def test_a_projection_is_another_image_and_nothing_of_it_is_left_unread(root):
    folder, first, _ = pack(root, "set-1", 0)
    _, projected, notes = pack(root, "set-2", "maximum_projection")
    assert notes["page"] == "maximum_projection"
    assert all(row["further_pages"] for row in first)
    assert not any(row["further_pages"] for row in projected)
    assert not {row["image_id"] for row in first} & {row["image_id"] for row in projected}
    assert set(identities.read(folder, 0).values()) == {row["image_id"] for row in first}
    assert set(identities.read(folder, "maximum_projection").values()) == {row["image_id"] for row in projected}


def test_identities_of_the_time_when_pages_were_numbers_hold(root):
    folder, _, _ = pack(root, "set-1", 0)
    path = folder / "identities.parquet"
    table = pq.read_table(path)
    old = table.set_column(1, IDENTITIES_BY_NUMBER.field("page"), table["page"].cast("int32"))
    names = ["0" * 19 + str(i) for i in range(6)]
    old = old.set_column(2, IDENTITIES_BY_NUMBER.field("image_id"), [names])
    parquet.write(old, path, IDENTITIES_BY_NUMBER)
    assert {row["image_id"] for row in pack(root, "set-1", 0)[1]} == set(names)


def test_what_ships_reads_stacks_as_it_learnt_them(root, tmp_path, capsys):
    shipped = tiny_models.ship(tmp_path / "ship", page="maximum_projection", precisions=("fp32",))
    path = shipped / "model.fp32.onnx"
    flat = tmp_path / "flat"
    flat.mkdir()
    for stack in sorted((root / "images").glob("*/*.tif")):
        Image.fromarray(tifffile.imread(stack).max(0)).save(flat / f"{stack.stem}.png")
    answers = [
        [json.loads(line) for line in classified(capsys, path, folder, "--json")[1].splitlines()]
        for folder in (root / "images/a", flat)
    ]
    stacks, flats = ({Path(line["path"]).stem: line | {"path": ""} for line in lines} for lines in answers)
    assert len(stacks) == 3
    assert stacks.items() <= flats.items()


def test_a_model_of_a_later_version_is_not_misread(tmp_path):
    shipped = tiny_models.ship(tmp_path, page="sum_projection", precisions=("fp32",))
    with pytest.raises(InputError, match="'page: sum_projection' of their files, which this version does not know"):
        onnx_model.open_model(shipped / "model.fp32.onnx", threads=1)
