"""What a user's file becomes: the same upright 8-bit RGB whatever it was stored as, or a reason."""

import contextlib
import io
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps, features
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import ExplicitVRLittleEndian

from image_files import animated, dicom, packed_tiff, png_header, saved, tiff, written
from pocketscope.images import pixels, resize
from pocketscope.images.codec import content_id, decode_packed, encode
from pocketscope.images.decode import accepted_damage, decode, load
from pocketscope.images.formats import format_of
from pocketscope.images.pixels import Unreadable, to_8_bits
from pocketscope.images.resize import to_square

FAULTS = Path(__file__).parents[3] / "shared/faults"  # files of users, beside the checkout of those who develop
needs_faults = pytest.mark.skipif(not FAULTS.is_dir(), reason="../shared/faults is not there")

COLOUR = np.random.default_rng(0).integers(0, 256, (11, 17, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]


def rgb(grey):
    return np.repeat(grey[..., None], 3, axis=-1)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_the_pixels_back(form):
    assert (decode(saved(COLOUR, form)) == COLOUR).all()
    assert (decode(saved(GREY, form)) == rgb(GREY)).all()


def test_lossless_webp_gives_the_pixels_back():
    assert (decode(saved(COLOUR, "WEBP", lossless=True)) == COLOUR).all()


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_formats_come_close(form):
    smooth = np.full((32, 32, 3), (200, 40, 90), np.uint8)
    assert np.abs(decode(saved(smooth, form, quality=95)).astype(int) - smooth).max() < 12


def test_gif_and_palette():
    picture = Image.fromarray(GREY).convert("P")
    assert (decode(saved(picture, "GIF")) == rgb(GREY)).all()
    assert (decode(saved(picture, "PNG")) == rgb(GREY)).all()


def test_one_bit():
    black_and_white = GREY > 127
    assert (decode(saved(Image.fromarray(black_and_white), "PNG")) == rgb(black_and_white * np.uint8(255))).all()
    assert (decode(tiff(black_and_white, photometric="minisblack")) == rgb(black_and_white * np.uint8(255))).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_transparency_lies_on_white(form):
    alpha = np.where(np.arange(17) < 8, 0, 255).astype(np.uint8)[None, :, None].repeat(11, axis=0)
    expected = np.where(alpha == 0, 255, COLOUR)
    assert (decode(saved(np.concatenate([COLOUR, alpha], -1), form)) == expected).all()
    grey_alpha = np.concatenate([GREY[..., None], alpha], -1)
    picture = Image.frombytes("LA", (17, 11), grey_alpha.tobytes())
    assert (decode(saved(picture, form)) == np.where(alpha == 0, 255, rgb(GREY))).all()


def hidden(form, alpha):
    """COLOUR under an alpha that is the same everywhere."""
    deep = np.concatenate([COLOUR * np.uint16(257), np.full((11, 17, 1), alpha, np.uint16)], -1)
    shallow = np.concatenate([COLOUR, np.full((11, 17, 1), alpha, np.uint8)], -1)
    match form:
        case "deep PNG":
            return imagecodecs.png_encode(deep)
        case "deep TIFF":
            return tiff(deep, photometric="rgb", extrasamples=["unassalpha"])
        case "premultiplied":
            return tiff(shallow, photometric="rgb", extrasamples=["assocalpha"])
        case "float TIFF":
            return tiff((shallow / np.float32(255)).astype(np.float32), photometric="rgb", extrasamples=["unassalpha"])
        case "WEBP":
            return saved(shallow, form, lossless=True, exact=True)
    return saved(shallow, form)


@pytest.mark.parametrize("alpha", [0, 1])
@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "deep PNG", "deep TIFF", "premultiplied", "float TIFF"])
def test_a_picture_under_an_alpha_that_was_never_filled_is_seen(form, alpha):
    seen = decode(hidden(form, alpha)).astype(int)
    assert np.abs(seen - COLOUR).max() <= (2 if form.startswith(("deep", "float")) else 0)  # scaled by its range


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_grey_under_an_alpha_that_was_never_filled_is_seen(form):
    picture = Image.frombytes("LA", (17, 11), np.stack([GREY, GREY * 0], -1).tobytes())
    assert (decode(saved(picture, form)) == rgb(GREY)).all()


def test_where_alpha_hides_no_picture_the_image_is_white():
    assert (decode(saved(np.zeros((3, 4, 4), np.uint8), "PNG")) == 255).all()
    hole = np.concatenate([COLOUR, np.zeros((11, 17, 1), np.uint8)], -1)
    hole[0, 0, 3] = 255  # the one pixel that is meant to be seen
    assert (decode(saved(hole, "PNG")).reshape(-1, 3)[1:] == 255).all()


@needs_faults
@pytest.mark.parametrize("form", ["bmp", "png", "tif"])
def test_the_files_that_were_white(form):
    image = decode((FAULTS / f"alpha_all_zero/alpha0.{form}").read_bytes())
    assert image.reshape(-1, 3).mean(0).tolist() == pytest.approx([122, 128, 126], abs=1)


def test_half_transparent():
    pixel = np.array([[[100, 0, 255, 128]]], np.uint8)
    assert decode(saved(pixel, "PNG")).tolist() == [[[177, 127, 255]]]


def test_transparent_palette_colour():
    picture = Image.frombytes("P", (2, 1), bytes([0, 1]))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    assert decode(saved(picture, "PNG", transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk(form):
    picture = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    assert np.abs(decode(saved(picture, form)).astype(int) - (0, 255, 255)).max() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_orientation_is_applied(form, orientation):
    picture = Image.fromarray(COLOUR)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"exif": exif} | ({"lossless": True} if form == "WEBP" else {})
    data = saved(picture, form, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert (decode(data) == expected).all()
    assert decode(data).shape == ((17, 11, 3) if orientation >= 5 else (11, 17, 3))


def test_broken_exif_does_no_harm():
    assert decode(saved(COLOUR, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")).shape == COLOUR.shape


# ---- more than 8 bits


def camera(bits):
    """What a camera of `bits` bits writes into 16: a ramp over its whole range."""
    return np.linspace(0, 2**bits - 1, 64 * 64).astype(np.uint16).reshape(64, 64)


@pytest.mark.parametrize("bits", [9, 12, 14, 16])
@pytest.mark.parametrize("write", [tiff, lambda values: saved(values, "PNG")], ids=["TIFF", "PNG"])
def test_16_bit_files_use_all_grey_levels_whatever_the_camera(bits, write):
    image = decode(write(camera(bits)))
    assert image.min() == 0
    assert image.max() == 255
    assert len(np.unique(image)) == 256
    assert np.abs(image[..., 0].astype(int) - camera(bits) / (2**bits - 1) * 255).max() < 2


def test_one_hot_pixel_does_not_darken_the_image():
    values = camera(12)
    before = to_8_bits(values)
    values[5, 5] = 65535
    after = to_8_bits(values)
    assert np.delete(after.ravel(), 5 * 64 + 5).astype(int) == pytest.approx(
        np.delete(before.ravel(), 5 * 64 + 5).astype(int), abs=1
    )


def test_an_empty_image_is_not_blown_up_into_noise():
    noise = np.random.default_rng(1).integers(100, 110, (64, 64), dtype=np.uint16)
    assert to_8_bits(noise).max() < 12
    assert (to_8_bits(np.full((4, 4), 7, np.uint16)) == 0).all()


def test_colours_of_16_bits_keep_their_balance():
    values = np.stack([camera(12), camera(12) // 2, camera(12) // 4], -1)
    from_png = decode(imagecodecs.png_encode(values))
    assert (from_png == decode(tiff(values, photometric="rgb"))).all()
    assert from_png[-1, -1].tolist() == pytest.approx([255, 127, 64], abs=1)


def test_floats():
    values = camera(12) / 4095
    assert np.abs(decode(tiff(values.astype(np.float32)))[..., 0].astype(int) - values * 255).max() < 2
    values[0, 0] = np.nan
    assert decode(tiff(values.astype(np.float32)))[0, 0, 0] == 0
    assert (to_8_bits(np.full((2, 2), 0.5)) == 0).all()
    with pytest.raises(Unreadable, match="finite"):
        to_8_bits(np.full((2, 2), np.nan))
    with pytest.raises(Unreadable, match="complex"):
        decode(tiff(values.astype(np.complex64)))


@given(arrays(st.sampled_from([np.uint16, np.int16, np.uint32, np.int32, np.float32]), (5, 4)))
@settings(max_examples=200)
def test_scaling_keeps_the_order_of_brightness(values):
    if not np.isfinite(values).any():
        return
    flat = values[np.isfinite(values)].ravel()
    scaled = to_8_bits(values)[np.isfinite(values)].ravel()
    assert (np.diff(scaled[np.argsort(flat, kind="stable")].astype(int)) >= 0).all()


# ---- TIFF


def test_tiff_pages():
    pages = np.stack([GREY, 255 - GREY, GREY // 2])
    data = tiff(pages, photometric="minisblack")
    for index, page in enumerate(pages):
        assert (decode(data, page=index) == rgb(page)).all()
    with pytest.raises(Unreadable, match=r"no page 3: its 3 page\(s\) are counted from 0"):
        decode(data, page=3)


def test_page_does_not_concern_formats_without_pages():
    assert (decode(saved(COLOUR, "PNG"), page=2) == COLOUR).all()


@pytest.mark.parametrize(
    "options", [{"compression": "lzw"}, {"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True}]
)
def test_tiff_layouts(options):
    assert (decode(tiff(COLOUR, photometric="rgb", **options)) == COLOUR).all()


def test_tiff_planes():
    data = tiff(np.ascontiguousarray(np.moveaxis(COLOUR, -1, 0)), photometric="rgb", planarconfig="separate")
    assert (decode(data) == COLOUR).all()


def test_tiff_with_jpeg_inside():
    smooth = np.full((32, 32, 3), (200, 40, 90), np.uint8)
    data = saved(smooth, "TIFF", compression="jpeg")
    assert np.abs(decode(data).astype(int) - smooth).max() < 12


def test_tiff_white_is_zero():
    assert (decode(tiff(GREY, photometric="miniswhite")) == rgb(255 - GREY)).all()


def test_tiff_palette():
    palette = np.random.default_rng(2).integers(0, 256, (3, 256)).astype(np.uint16)
    data = tiff(GREY, photometric="palette", colormap=palette * 257)
    assert (decode(data) == np.moveaxis(palette[:, GREY], 0, -1)).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_tiff_palette_of_few_bits(bits):
    colours = np.random.default_rng(3).integers(0, 256, (2**bits, 3), dtype=np.uint8)
    indices = GREY & (2**bits - 1)
    assert (decode(packed_tiff(indices[..., None], bits, 3, colours)) == colours[indices]).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_tiff_of_few_bits(bits):
    most = 2**bits - 1
    expected = (GREY & most).astype(int) * 255 // most
    grey = (GREY & most)[..., None]
    assert (decode(packed_tiff(grey, bits, 1)) == rgb(expected)).all()
    assert (decode(packed_tiff(grey, bits, 0)) == rgb(255 - expected)).all()
    colour = COLOUR & most
    assert (decode(packed_tiff(colour, bits, 2)) == colour.astype(int) * 255 // most).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12])
def test_tiff_alpha_of_any_bits(bits):
    most = 2**bits - 1
    grey = (np.linspace(0, most, 256).astype(np.uint16) & most).reshape(16, 16)
    alpha = np.where(np.arange(16) < 8, 0, most).astype(np.uint16)[None].repeat(16, 0)
    image = decode(packed_tiff(np.stack([grey, alpha], -1), bits, 1, extrasamples=2))[..., 0]
    assert (image[:, :8] == 255).all()
    assert np.abs(image[:, 8:] - grey[:, 8:] * (255 / most)).max() < 2


@needs_faults
def test_the_tiff_palette_of_1_bit():
    image = decode((FAULTS / "tiff_palette_1_bit/palette1.tif").read_bytes())
    assert image[0, :4].tolist() == [[255, 0, 0], [255, 0, 0], [0, 0, 255], [0, 0, 255]]


def test_tiff_with_other_channels_is_refused_with_the_remedy():
    with pytest.raises(Unreadable, match=r"5 channels.*save them as pages"):
        decode(tiff(np.zeros((8, 8, 5), np.uint8), photometric="minisblack", planarconfig="contig"))


# ---- DICOM


@pytest.mark.parametrize("bits", [12, 16])
def test_dicom_without_window_uses_all_grey_levels_whatever_the_stored_bits(bits):
    values = np.array([[0, 2048, 4095]], np.uint16)
    assert decode(dicom(values, BitsStored=bits))[0, :, 0].tolist() == [0, 128, 255]
    assert decode(dicom(values, BitsStored=bits, RescaleSlope=-1))[0, :, 0].tolist() == [255, 127, 0]


def test_dicom_of_8_bits_or_fewer_is_not_stretched():
    values = np.array([[10, 128, 200]], np.uint16)
    assert decode(dicom(values, BitsStored=8))[0, :, 0].tolist() == [10, 128, 200]
    assert decode(dicom(np.array([[0, 1, 1]], np.uint8), BitsStored=1))[0, :, 0].tolist() == [0, 255, 255]


def test_dicom_signed_and_rescaled():
    values = np.array([[-2048, 0, 2047]], np.int16)
    assert decode(dicom(values, BitsStored=12))[0, :, 0].tolist() == [0, 128, 255]
    data = dicom(values, BitsStored=12, RescaleSlope=2, RescaleIntercept=-10)
    assert decode(data)[0, :, 0].tolist() == [0, 128, 255]


def test_dicom_window_applies_to_rescaled_values():
    values = np.array([[0, 1024, 1064, 1104, 3000]], np.uint16)
    data = dicom(values, BitsStored=12, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=80)
    assert decode(data)[0, :, 0].tolist() == [0, 0, 129, 255, 255]


@pytest.mark.parametrize(("function", "middle"), [("LINEAR_EXACT", 128), ("SIGMOID", 128)])
def test_dicom_window_functions(function, middle):
    values = np.array([[0, 500, 4095]], np.uint16)
    data = dicom(values, WindowCenter=[500, 9], WindowWidth=[100, 9], VOILUTFunction=function)
    assert decode(data)[0, :, 0].tolist() == [0, middle, 255]


def test_dicom_monochrome1_is_inverted():
    values = np.array([[0, 255]], np.uint8)
    assert decode(dicom(values, PhotometricInterpretation="MONOCHROME1"))[0, :, 0].tolist() == [255, 0]


def test_dicom_colour():
    assert (decode(dicom(COLOUR)) == COLOUR).all()
    grey_ycbcr = np.stack([GREY, np.full_like(GREY, 128), np.full_like(GREY, 128)], -1)
    assert (decode(dicom(grey_ycbcr, PhotometricInterpretation="YBR_FULL")) == rgb(GREY)).all()


def lookup_table(values, name, bits=16, first=0):
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item["LUTDescriptor"].VR = "US" if first >= 0 else "SS"
    item.LUTData = values
    item["LUTData"].VR = "US"
    return {name: [item]}


def test_dicom_lookup_tables():
    values = np.array([[0, 1, 2, 3]], np.uint8)
    grey = [0, 16384, 49152, 65535]
    assert decode(dicom(values, **lookup_table(grey, "VOILUTSequence")))[0, :, 0].tolist() == [0, 64, 191, 255]
    modality = lookup_table(grey, "ModalityLUTSequence")
    assert decode(dicom(values, **modality))[0, :, 0].tolist() == [0, 64, 191, 255]


@pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize(
    ("used", "declared"), [(8, 8), (8, 16), (10, 10), (10, 16), (12, 12), (12, 16), (16, 16), (12, 10)]
)
def test_dicom_lookup_tables_whatever_bits_they_declare(name, used, declared):
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    table = (np.arange(4096) * (2**used - 1) // 4095).tolist()
    image = decode(dicom(pixels, BitsStored=12, **lookup_table(table, name, declared)))[..., 0]
    assert np.abs(image.ravel() - np.linspace(0, 255, 4096)).max() <= 1.5
    inverted = dicom(
        pixels, BitsStored=12, PhotometricInterpretation="MONOCHROME1", **lookup_table(table, name, declared)
    )
    assert (decode(inverted)[..., 0] == 255 - image).all()


@pytest.mark.parametrize("first", [-1024, 2**16 - 1024])
def test_dicom_lookup_table_of_values_below_zero(first):
    pixels = np.array([[0, 512, 1023]], np.uint16)
    table = lookup_table(list(range(256)) * 4, "VOILUTSequence", 8, first)
    data = dicom(pixels, BitsStored=12, RescaleSlope=1, RescaleIntercept=-1024, **table)
    assert decode(data)[0, :, 0].tolist() == [0, 0, 255]


def test_dicom_window_applies_to_what_the_modality_table_says():
    pixels = np.array([[0, 1, 2, 3]], np.uint8)
    table = lookup_table([0, 500, 1000, 1500], "ModalityLUTSequence")
    data = dicom(pixels, WindowCenter=750.5, WindowWidth=1501, **table)
    assert decode(data)[0, :, 0].tolist() == [0, 85, 170, 255]


@needs_faults
@pytest.mark.parametrize(("name", "ends"), [("mono1", [255, 0]), ("mono2", [0, 255])])
def test_the_dicom_files_whose_modality_table_made_them_black_or_white(name, ends):
    image = decode((FAULTS / f"dicom_modality_lut/{name}.dcm").read_bytes())
    assert image[0, [0, -1], 0].tolist() == ends


def test_dicom_with_a_window_for_each_frame():
    frames = []
    for centre in (50, 150):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 101
        group.FrameVOILUTSequence = [window]
        frames.append(group)
    values = np.full((2, 1, 2), [50, 150], np.uint8)
    data = dicom(values, PerFrameFunctionalGroupsSequence=frames)
    assert decode(data, page=0)[0, :, 0].tolist() == [129, 255]
    assert decode(data, page=1)[0, :, 0].tolist() == [0, 129]


def test_dicom_palette():
    lut = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    ramp = (np.arange(256, dtype=np.uint16) * 257).tobytes()
    lut |= {f"{c}PaletteColorLookupTableData": ramp for c in ("Red", "Green", "Blue")}
    assert (decode(dicom(GREY, PhotometricInterpretation="PALETTE COLOR", **lut)) == rgb(GREY)).all()


def palette_of(table, bits=16, first=0, prefix=""):
    """Elements of a DICOM palette; red, green and blue alike."""
    data = table if isinstance(table, bytes) else table.tobytes()
    count = len(data) if isinstance(table, bytes) else len(table)
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [count, first, bits]
        elements[f"{prefix}{colour}PaletteColorLookupTableData"] = data
    return elements


RAMP = np.arange(256, dtype=np.uint16)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "table", [RAMP * 257, RAMP << 8, RAMP, RAMP.astype(np.uint8)], ids=["both bytes", "high", "low", "one"]
)
def test_dicom_palette_whichever_bytes_are_used(table, bits):
    assert (decode(dicom(GREY, **palette_of(table, bits))) == rgb(GREY)).all()


def test_dicom_dark_palette_is_not_brightened_by_the_image():
    table = RAMP * 257
    assert decode(dicom(np.array([[0, 9]], np.uint8), **palette_of(table)))[0, :, 0].tolist() == [0, 9]


def test_dicom_palette_of_more_entries_than_its_numbers_have_values():
    pixels = np.array([[0, 255, 256, 2048, 4095, 5000]], np.uint16)
    table = bytes(entry >> 4 for entry in range(4096))
    assert decode(dicom(pixels, BitsStored=13, **palette_of(table, 8)))[0, :, 0].tolist() == [0, 15, 16, 128, 255, 255]


def test_dicom_palette_that_begins_above_0_or_has_an_odd_number_of_entries():
    pixels = np.array([[0, 10, 11, 12, 13]], np.uint8)
    elements = palette_of(bytes([5, 6, 7]), 8, first=10)
    padded = {name: value + b"\0" if name.endswith("Data") else value for name, value in elements.items()}
    assert decode(dicom(pixels, **padded))[0, :, 0].tolist() == [5, 5, 6, 7, 7]


@pytest.mark.parametrize("table", [RAMP * 257, RAMP << 8, RAMP], ids=["both bytes", "high", "low"])
def test_dicom_palette_of_a_big_endian_file(table):
    file = dcmread(io.BytesIO(dicom(GREY, **palette_of(table.byteswap()))))
    file.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    file["PixelData"].VR = "OB"
    assert (decode(written(file, little_endian=False)) == rgb(GREY)).all()


def test_dicom_palette_in_segments():
    elements = palette_of(RAMP)
    segments = np.array([0, 1, 0, 1, 255, 255 * 257], np.uint16).tobytes()  # one entry of 0, then a line to white
    for colour in ("Red", "Green", "Blue"):
        del elements[f"{colour}PaletteColorLookupTableData"]
        elements[f"Segmented{colour}PaletteColorLookupTableData"] = segments
    assert np.abs(decode(dicom(GREY, **elements)).astype(int) - rgb(GREY)).max() <= 1


@needs_faults
def test_the_dicom_files_whose_palette_was_black():
    whole, low, big = (
        decode((FAULTS / f"dicom_palette_black/{name}.dcm").read_bytes())
        for name in ("little_endian", "low_bytes", "big_endian")
    )
    assert whole[0, -1].tolist() == [252, 189, 126]
    assert (low == whole).all()
    # The file says that its 8-bit pixels are words, so that each two change places.
    assert (big[:, 1::2] == whole[:, ::2]).all()
    assert (big[:, ::2] == whole[:, 1::2]).all()


def test_dicom_colours_of_more_than_8_bits_are_scaled_whatever_the_stored_bits():
    values = np.stack([camera(12), camera(12) // 2, camera(12) // 4], -1)
    for bits in (12, 16):
        assert (decode(dicom(values, BitsStored=bits)) == decode(tiff(values, photometric="rgb"))).all()


@pytest.mark.parametrize(
    ("syntax", "encoder"),
    [
        (uid.JPEGLosslessSV1, imagecodecs.ljpeg_encode),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
        (uid.JPEG2000Lossless, lambda values: imagecodecs.jpeg2k_encode(values, codecformat="j2k", reversible=True)),
        (uid.HTJ2KLossless, imagecodecs.htj2k_encode),
        (uid.RLELossless, None),
    ],
)
def test_dicom_compressed_without_loss(syntax, encoder):
    values = np.stack([camera(12), camera(12)[::-1].copy()])
    file = dcmread(io.BytesIO(dicom(values, BitsStored=12)))
    if encoder:
        file.file_meta.TransferSyntaxUID = syntax
        file.PixelData = encapsulate([encoder(frame) for frame in values])
        file["PixelData"].is_undefined_length = True
    else:
        file.compress(syntax)
    for page, frame in enumerate(values):
        expected = decode(dicom(frame, BitsStored=12))
        assert (decode(written(file), page=page) == expected).all()


@pytest.mark.parametrize("syntax", [uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGExtended12Bit])
@pytest.mark.parametrize("signed", [False, True])
def test_dicom_jpeg_of_12_bits(syntax, signed):
    encoders = {
        uid.JPEGLosslessSV1: imagecodecs.ljpeg_encode,
        uid.JPEGLSLossless: imagecodecs.jpegls_encode,
        uid.JPEGExtended12Bit: lambda v: imagecodecs.jpeg8_encode(v, level=98, bitspersample=12),
    }
    values = camera(12).astype(np.int16) - 2048 if signed else camera(12)
    file = dcmread(io.BytesIO(dicom(values, BitsStored=12)))
    file.file_meta.TransferSyntaxUID = syntax
    file.PixelData = encapsulate([encoders[syntax](values.astype(np.uint16) & 4095)])
    file["PixelData"].is_undefined_length = True
    expected = decode(dicom(values, BitsStored=12)).astype(int)
    assert np.abs(decode(written(file)).astype(int) - expected).max() <= (3 if syntax == uid.JPEGExtended12Bit else 0)


def test_what_else_decodes_dicom_where_it_is_installed_changes_no_image(monkeypatch):
    smooth = np.add.outer(np.arange(48), np.arange(80)).astype(np.uint8)
    file = dcmread(io.BytesIO(dicom(smooth)))
    file.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    file.PixelData = encapsulate([saved(smooth, "JPEG", quality=95)])
    file["PixelData"].is_undefined_length = True
    data = written(file)
    expected = decode(data)
    decoder = get_decoder(uid.JPEGBaseline8Bit)
    others = {"pylibjpeg": lambda frame, runner: bytearray(smooth.size)}
    monkeypatch.setattr(decoder, "_available", others | {"pillow": decoder._available["pillow"]})
    assert not dcmread(io.BytesIO(data)).pixel_array.any()  # pydicom alone takes the other one
    assert (decode(data) == expected).all()


def test_a_dicom_file_without_the_size_of_its_image_is_named():
    file = dcmread(io.BytesIO(dicom(GREY)))
    del file.Rows
    with pytest.raises(Unreadable, match="header lacks Rows: export it again"):
        decode(written(file))


@pytest.mark.parametrize("syntax", [uid.MPEG2MPML, uid.JPIPHTJ2KReferenced])
def test_a_dicom_coding_that_is_not_read_is_named(syntax):
    file = dcmread(io.BytesIO(dicom(GREY)))
    file.file_meta.TransferSyntaxUID = syntax
    file.PixelData = encapsulate([b"12345678"])
    file["PixelData"].is_undefined_length = True
    with pytest.raises(Unreadable, match=f"coding '{syntax.name[:8]}.*not supported: save it uncompressed"):
        decode(written(file))


@needs_faults
def test_the_dicom_file_of_12_bit_jpeg():
    ramp = decode((FAULTS / "dicom_jpeg_12_bit/process4.dcm").read_bytes())[0, :, 0]
    assert np.abs(ramp - np.linspace(0, 255, len(ramp))).max() < 4


def test_dicom_frames():
    data = dicom(np.stack([GREY, 255 - GREY]))
    assert (decode(data, page=1) == rgb(255 - GREY)).all()
    with pytest.raises(Unreadable, match="no page 2"):
        decode(data, page=2)


def test_dicom_without_preamble():
    assert (decode(dicom(GREY)[132:]) == rgb(GREY)).all()


@pytest.mark.parametrize("head", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"])
def test_dicom_whose_preamble_is_the_header_of_another_format(head):
    values = np.linspace(-1000, 1000, 256).astype(np.int16)[None]
    assert format_of(head.ljust(128, b"\0") + b"DICM") == "dicom"
    assert decode(head.ljust(128, b"\0") + dicom(values)[128:])[0, :, 0].tolist() == list(range(256))


@needs_faults
@pytest.mark.parametrize("name", ["plain", "refused", "silently_wrong"])
def test_the_dicom_files_that_were_read_as_tiff(name):
    ramp = decode((FAULTS / f"dicom_tiff_preamble/{name}.dcm").read_bytes())[0, :, 0].astype(int)
    assert ramp[[0, -1]].tolist() == [0, 255]
    assert (np.diff(ramp) >= 0).all()


def test_dicom_without_image():
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.PatientName = "Nobody"
    with pytest.raises(Unreadable, match="without an image"):
        decode(written(file))


# ---- faults


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"Dear diary", "no image.*readable formats are JPEG"),
        (saved(COLOUR, "PNG")[:200], "cut short"),
        (saved(COLOUR, "JPEG", quality=95)[:-200], "cut short"),
        (saved(COLOUR, "BMP")[:200], "cut short"),
        (saved(COLOUR, "WEBP")[:60], "no image, or damaged|cut short"),
        (tiff(np.zeros((64, 64), np.uint8))[:2000], "cut short"),
        (tiff(GREY)[:100], "cut short"),
        (dicom(GREY)[:-20], "cut short"),
        (png_header(30_000, 30_000), "too large"),
        (png_header(10_001, 10_001), r"too large \(10001 x 10001"),
        (png_header(0, 10), "no size|no image, or damaged|cut short"),
        (animated(COLOUR, "GIF"), r"animated \(2 frames\)"),
        (animated(COLOUR, "PNG"), r"animated \(2 frames\)"),
        (animated(COLOUR, "WEBP"), r"animated \(2 frames\)"),
    ],
)
def test_unusable_files_have_a_reason(data, reason):
    with pytest.raises(Unreadable, match=reason):
        decode(data)


@pytest.mark.parametrize(
    ("beginning", "reason"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC, which is not supported: save it as JPEG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf", "HEIF"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "video"),
        (imagecodecs.jpegls_encode(COLOUR), "JPEG-LS"),
        (imagecodecs.jpeg8_encode(GREY.astype(np.uint16) * 16, bitspersample=12), "JPEG of 12 bits"),
        (b"8BPS\0\1", "Photoshop"),
        (saved(COLOUR, "TGA"), "TGA"),
        (saved(COLOUR, "TGA")[:-26], "TGA"),  # the first version has no mark
        (saved(COLOUR, "PCX"), "PCX"),
        (saved(COLOUR, "ICO"), "ICO"),
        (saved(COLOUR, "ICNS"), "ICNS"),
        (saved(COLOUR, "DDS"), "DDS"),
        (saved(COLOUR, "SGI"), "SGI"),
        (saved(COLOUR, "QOI"), "QOI"),
        (saved(COLOUR, "EPS"), "PostScript"),
        (saved(COLOUR, "DIB"), "DIB"),
        (b"\x70\0\0\0\x2c\1\0\0\x2a\x11\0\0\0", "LIF .Leica.*as TIFF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OIB .Olympus.*as TIFF"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"\0" * 257 + b"ustar\x0000", "an archive"),
        (b"PK\3\4", "an archive"),
        (b"P5\n3 4\n255\n", "PNM"),
        (b"\0" * 344 + b"n+1\0", "NIfTI"),
        (b'<?xml version="1.0"?><svg width="3">', "SVG"),
        (b"\n<!DOCTYPE html><html>", "get the file again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_an_image_of_a_format_that_is_not_read_is_named_and_not_called_damaged(beginning, reason):
    with pytest.raises(Unreadable, match=reason) as raised:
        decode(beginning + b"\0" * 50)
    assert "damaged" not in str(raised.value)


@pytest.mark.parametrize("data", [b"\0" * 500, b"\xff" * 500, b"II*" * 100, b"0" * 500, bytes(range(256)) * 2])
def test_what_is_no_image_is_not_taken_for_a_rare_format(data):
    with pytest.raises(Unreadable, match="no image, or damaged at its beginning"):
        decode(data)


J2K = {"jp2": imagecodecs.jpeg2k_encode, "j2k": partial(imagecodecs.jpeg2k_encode, codecformat="j2k")}
CODESTREAMS = {**J2K, "jxl": imagecodecs.jpegxl_encode}
XL_IN_BOXES = partial(imagecodecs.jpegxl_encode, lossless=True, usecontainer=True)


@pytest.mark.parametrize("encoded", [*J2K.values(), partial(imagecodecs.jpegxl_encode, lossless=True), XL_IN_BOXES])
def test_jpeg_2000_and_jpeg_xl_give_the_pixels_back(encoded):
    if encoded in J2K.values():
        encoded = partial(encoded, reversible=True)
    data = encoded(COLOUR)
    assert format_of(data[:132]) == "codestream"
    assert (decode(data) == COLOUR).all()
    assert (decode(encoded(GREY)) == rgb(GREY)).all()
    deep = COLOUR.astype(np.uint16) * 200
    assert (decode(encoded(deep)) == to_8_bits(deep)).all()
    alpha = np.where(np.arange(17) < 8, 0, 255).astype(np.uint8)[None, :, None].repeat(11, axis=0)
    assert (decode(encoded(np.concatenate([COLOUR, alpha], -1))) == np.where(alpha == 0, 255, COLOUR)).all()
    with pytest.raises(Unreadable, match=r"damaged or cut short|without an image"):
        decode(data[: len(data) // 3])


@pytest.mark.parametrize(("width", "height"), [(8, 8), (17, 11), (1200, 1000), (640, 400), (513, 8), (9000, 3)])
def test_the_size_of_a_jpeg_xl_is_known_before_it_is_decoded(width, height, monkeypatch):
    monkeypatch.setattr(pixels, "MAX_PIXELS", 10)
    for encoded in (imagecodecs.jpegxl_encode, XL_IN_BOXES):
        with pytest.raises(Unreadable, match=rf"too large \({width} x {height} pixels"):
            decode(encoded(np.zeros((height, width), np.uint8)))


def test_an_enormous_jpeg_2000_is_not_decoded():
    data = bytearray(J2K["j2k"](GREY))
    data[8:16] = struct.pack(">II", 30_000, 30_000)
    with pytest.raises(Unreadable, match="too large"):
        decode(bytes(data))


def test_a_jpeg_2000_of_inks_is_not_taken_for_transparent_colours():
    data = J2K["jp2"](np.zeros((9, 9, 4), np.uint8))
    at = data.find(b"colr") + 7
    with pytest.raises(Unreadable, match="colours other than RGB"):
        decode(data[:at] + struct.pack(">I", 12) + data[at + 4 :])


def test_an_animated_jpeg_xl_is_named():
    with pytest.raises(Unreadable, match=r"animated \(2 frames\)"):
        decode(imagecodecs.jpegxl_encode(np.stack([COLOUR, COLOUR])))


def test_a_camera_s_raw_photo_is_not_its_thumbnail():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(COLOUR, photometric="rgb", subfiletype=1, subifds=1)
        writer.write(np.zeros((60, 80), np.uint16), photometric="cfa")
    with pytest.raises(Unreadable, match=r"raw photo.*save it as JPEG"):
        decode(buffer.getvalue())


def test_a_bmp_of_a_rare_kind_is_not_called_damaged():
    data = bytearray(saved(COLOUR, "BMP"))
    data[28:30] = struct.pack("<H", 2)  # of 2 bits a pixel, as Windows CE has it
    with pytest.raises(Unreadable, match=r"a BMP of a kind that is not supported .*: save it as PNG"):
        decode(bytes(data))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif_is_read_upright():
    smooth = np.asarray(Image.fromarray(COLOUR).resize((40, 24)).resize((80, 48)))
    found = decode(saved(Image.fromarray(smooth), "AVIF", quality=95, subsampling="4:4:4"))
    assert np.abs(found.astype(int) - smooth).mean() < 4
    turned = Image.Exif()
    turned[0x0112] = 6
    assert decode(saved(Image.fromarray(smooth), "AVIF", exif=turned)).shape == (80, 48, 3)


def test_heic_is_read_where_pillow_heif_is_installed():
    pillow_heif = pytest.importorskip("pillow_heif")
    smooth = np.repeat(np.add.outer(np.arange(48), np.arange(80)).astype(np.uint8)[..., None], 3, -1)
    pillow_heif.register_heif_opener()
    frames = [Image.fromarray(smooth), Image.fromarray(smooth[:40])]  # a burst, of which the first is the photo
    found = decode(saved(frames[0], "HEIF", quality=95, save_all=True, append_images=frames[1:]))
    assert np.abs(found.astype(int) - smooth).mean() < 3
    turned = Image.Exif()
    turned[0x0112] = 6
    assert decode(saved(frames[0], "HEIF", exif=turned.tobytes())).shape == (80, 48, 3)
    with pytest.raises(Unreadable, match=r"damaged|HEIC"):
        decode(saved(frames[0], "HEIF")[:300])


@pytest.mark.parametrize("progressive", [False, True])
def test_damage_that_the_decoder_of_jpeg_accepts_is_told(progressive):
    whole = saved(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), "JPEG", progressive=progressive)
    half = len(whole) // 2
    for broken in (whole[:half] + b"\xff\xd9", whole[:half] + whole[half + 300 :], whole[:half] + bytes(len(whole))):
        assert decode(broken + b"\xff\xd9").shape == (64, 64, 3)
        assert accepted_damage(broken + b"\xff\xd9").startswith("Corrupt JPEG data")
    for fine in (
        whole,
        whole + b"more",
        saved(GREY, "JPEG"),
        saved(Image.new("CMYK", (9, 9)), "JPEG"),
        saved(GREY, "PNG"),
    ):
        assert accepted_damage(fine) is None


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "PA", "CMYK", "1"])
def test_large_images_are_decoded_in_strips_to_the_same_pixels(mode, monkeypatch):
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (37, 23, 4), np.uint8), "RGBA")
    picture = picture.convert("RGB").convert(mode) if mode in ("CMYK", "1", "P", "PA") else picture.convert(mode)
    form = {"CMYK": "JPEG", "PA": "GIF"}.get(mode, "PNG")
    data = saved(
        picture.convert("P") if mode == "PA" else picture, form, **({"transparency": 3} if mode == "PA" else {})
    )
    whole = decode(data)
    monkeypatch.setattr(pixels.strips, "__defaults__", (100,))
    assert (decode(data) == whole).all()
    deep = np.random.default_rng(2).integers(0, 60_000, (37, 23, 3), np.uint16)
    in_parts = pixels.to_8_bits(deep)
    monkeypatch.setattr(pixels.strips, "__defaults__", (10**9,))
    assert (in_parts == pixels.to_8_bits(deep)).all()


@pytest.mark.parametrize("photometric", [6, 8, 32803, 32844])
@pytest.mark.parametrize("compression", [1, 8])
def test_a_tiff_of_colours_that_are_not_read_is_not_called_damaged(photometric, compression):
    data = bytearray(packed_tiff(COLOUR, 8, 2))
    for tag, value in ((262, photometric), (259, compression), (305, None)):
        at = data.index(struct.pack("<H", tag), 8)
        if value is None:  # a tag that says nothing becomes the subsampling of YCbCr, which libraries refuse
            data[at : at + 12] = struct.pack("<HHIHH", 530, 3, 2, 2, 2)
        else:
            data[at + 8 : at + 12] = struct.pack("<I", value)
    with pytest.raises(Unreadable, match=r"(YCbCr colours|colour space \w+), which is not supported: save it as RGB"):
        decode(bytes(data))


@pytest.mark.parametrize("compression", ["lzw", "zstd", "webp", "jpeg"])
def test_a_tiff_that_takes_imagecodecs_says_so_where_it_is_missing(compression, tmp_path):
    (tmp_path / "scan.tif").write_bytes(tiff(COLOUR, photometric="rgb", compression=compression))
    code = (
        "import sys\nsys.modules['imagecodecs'] = None\nfrom pocketscope.images.decode import decode\n"
        "try:\n    decode(open(sys.argv[1], 'rb').read())\nexcept ImportError as error:\n    print(error.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "scan.tif")],
        cwd=Path(decode.__code__.co_filename).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "imagecodecs\n", done.stderr


@needs_faults
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("IMG_0001.HEIC", "HEIC, which is not supported: save it as JPEG"),
        ("ycbcr_420.tif", "YCbCr colours, which is not supported: save it as RGB"),
    ],
)
def test_the_files_whose_reason_was_wrong(name, reason):
    with pytest.raises(Unreadable, match=reason):
        decode((FAULTS / "wrong_reasons" / name).read_bytes())


def test_a_phone_s_two_picture_jpeg_is_no_animation():
    frames = [Image.fromarray(COLOUR), Image.fromarray(COLOUR)]
    data = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert decode(data).shape == COLOUR.shape


@given(st.data())
@settings(max_examples=150)
def test_damage_is_never_a_crash(data):
    whole = data.draw(
        st.sampled_from([saved(COLOUR, "PNG"), saved(COLOUR, "JPEG"), saved(COLOUR, "GIF"), tiff(COLOUR)])
    )
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Unreadable):
        image = decode(bytes(damaged))
        assert image.dtype == np.uint8
        assert image.shape[2] == 3


# ---- fit, encode, identity


@pytest.mark.parametrize("how", resize.RESIZES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (7, 3), (32, 32), (300, 200)])
def test_fit_gives_the_size_asked_for(how, shape):
    result = to_square(np.full((*shape, 3), 9, np.uint8), 32, how)
    assert result.shape == (32, 32, 3)
    assert result.dtype == np.uint8
    assert result.max() == 9


def test_fit_leaves_what_fits():
    image = np.random.default_rng(3).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for how in resize.RESIZES:
        assert (to_square(image, 32, how) == image).all()


def test_crop_keeps_the_middle_and_pad_everything():
    image = np.zeros((10, 30, 3), np.uint8)
    image[:, 10:20] = 200
    assert (to_square(image, 10, "crop") == 200).all()
    padded = to_square(image, 30, "pad")
    assert (padded[10:20] == image).all()
    assert padded[:10].max() == padded[20:].max() == 0


def test_shrinking_averages():
    board = np.indices((512, 512)).sum(0) % 2 * 255
    assert np.abs(to_square(rgb(board.astype(np.uint8)), 16, "stretch").astype(int) - 127).max() <= 2


def test_unknown_fit():
    with pytest.raises(ValueError, match="stretch, crop, pad"):
        to_square(COLOUR, 8, "squash")


@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
@settings(max_examples=100)
def test_encoding_loses_nothing(image):
    assert (decode_packed(encode(image)) == image).all()


def test_identity_is_of_the_pixels():
    identity = content_id(COLOUR)
    assert len(identity) == 20
    assert int(identity, 16) >= 0
    assert content_id(decode(saved(COLOUR, "BMP"))) == identity
    assert content_id(decode(saved(COLOUR, "PNG", compress_level=9))) == identity
    assert content_id(COLOUR[:, ::-1]) != identity
    assert content_id(COLOUR.reshape(17, 11, 3)) != identity
    assert content_id(np.asfortranarray(COLOUR)) == identity


def test_load_decodes_and_fits():
    assert (load(saved(COLOUR, "PNG"), 8, "crop") == to_square(COLOUR, 8, "crop")).all()
