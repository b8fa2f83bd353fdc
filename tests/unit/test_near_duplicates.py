"""Which images count as nearly the same."""

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from pocketscope.core import parquet
from pocketscope.data import near_duplicates, packing
from pocketscope.tables.images import IMAGES
from pocketscope.tables.near_duplicates import PAIRS


def scene(seed, side=120):
    """Coarse shapes with detail in them, as a tissue has."""
    generator = np.random.default_rng(seed)
    layers = [generator.integers(50, 200, (cells, cells, 3), dtype=np.uint8) for cells in (9, 40)]
    coarse, fine = (Image.fromarray(layer).resize((side, side), Image.Resampling.BICUBIC) for layer in layers)
    return Image.blend(coarse, fine, 0.5)


def compressed(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=50)
    return Image.open(buffer).convert("RGB")


@pytest.fixture
def pairs_of(tmp_path):
    def pack_and_compare(pictures):
        for name, picture in pictures.items():
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
        tables = {name: tmp_path / "out" / f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
        packing.pack({"kind": "folder", "path": "images"}, tmp_path, **tables, image_size=64, resize="stretch")
        rows = parquet.read(tables["images"], IMAGES, columns=["image_id", "paths"]).to_pylist()
        name_of = {row["image_id"]: row["paths"][0] for row in rows}
        pairs = near_duplicates.near_duplicates(tables["images"])
        assert pairs.schema == PAIRS
        return pairs, name_of

    return pack_and_compare


def test_copies_in_another_guise_are_found_and_others_are_not(pairs_of):
    pictures = {f"{seed % 2}/{seed}.png": scene(seed) for seed in range(30)}
    pictures["1/compressed.png"] = compressed(scene(0))
    pictures["1/small.png"] = scene(2).resize((70, 70))
    pictures["1/bright.png"] = ImageEnhance.Brightness(scene(4)).enhance(1.1)
    pairs, name_of = pairs_of(pictures)
    found = {frozenset((name_of[pair["image_id"]], name_of[pair["other"]])) for pair in pairs.to_pylist()}
    assert found == {
        frozenset(("0/0.png", "1/compressed.png")),
        frozenset(("0/2.png", "1/small.png")),
        frozenset(("0/4.png", "1/bright.png")),
    }
    assert all(pair["image_id"] < pair["other"] for pair in pairs.to_pylist())


def test_images_without_contrast_are_left_out(pairs_of):
    generator = np.random.default_rng(0)
    noise = [Image.fromarray(generator.integers(100, 103, (64, 64, 3), dtype=np.uint8)) for _ in range(6)]
    pairs, _ = pairs_of({f"{index % 2}/{index}.png": picture for index, picture in enumerate(noise)})
    assert pairs.num_rows == 0


def test_images_of_equal_hash_are_paired_with_the_first(pairs_of):
    pictures = {"0/a.png": scene(1), "1/other.png": scene(2)}
    for index in range(1, 4):  # not exact duplicates: one pixel differs
        pictures[f"0/{index}.png"] = scene(1)
        red, green, blue = scene(1).getpixel((index, 0))
        pictures[f"0/{index}.png"].putpixel((index, 0), (red + 1, green, blue))
    pairs, _ = pairs_of(pictures)
    rows = pairs.to_pylist()
    equal = [row for row in rows if row["distance"] == 0]
    assert len(equal) == len(rows) == 3
    assert len({row["image_id"] for row in equal}) == 1


def test_only_pairs_between_test_and_the_rest():
    rows = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "gone")]
    pairs = pa.Table.from_pylist([{"image_id": one, "other": two, "distance": 1} for one, two in rows], schema=PAIRS)
    images = pa.table({"image_id": list("abcd"), "paths": [[f"{name}.png", "copy"] for name in "abcd"]})
    fold_0 = {"a": "test", "b": "labelled", "c": "unlabelled", "d": "validation"}
    fold_1 = {"a": "labelled", "b": "labelled", "c": "test", "d": "test"}
    again = {"f2": fold_1}  # of another seed: nothing new
    across = near_duplicates.across_parts(pairs, images, {"f0": fold_0, "f1": fold_1} | again).to_pylist()
    assert [(row["image_id"], row["other"], row["split"]) for row in across] == [
        ("a", "b", "f0"),
        ("a", "c", "f0"),
        ("a", "c", "f1"),  # once for each of the two that is tested on
        ("b", "d", "f1"),
    ]
    assert [row["other_role"] for row in across] == ["labelled", "unlabelled", "test", "test"]
    assert (across[0]["path"], across[0]["other_path"]) == ("a.png", "b.png")


@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(0, 40))
@settings(max_examples=100)
def test_the_quick_search_finds_what_comparing_all_finds(seed, max_distance, count):
    generator = np.random.default_rng(seed)
    words = generator.integers(0, 256, (count, 4), dtype=np.uint8)
    words[count // 2 :] = words[: count - count // 2] ^ (generator.random((count - count // 2, 4)) < 0.5)
    distances = {
        (one, two): int(np.bitwise_count(words[one] ^ words[two]).sum())
        for one in range(count)
        for two in range(one + 1, count)
    }
    expected = {pair: distance for pair, distance in distances.items() if distance <= max_distance}
    assert {(one, two): distance for one, two, distance in near_duplicates.near(words, max_distance)} == expected


def test_the_search_does_not_compare_all():
    words = np.random.default_rng(0).integers(0, 256, (20_000, 32), dtype=np.uint8)
    words[-1] = words[0]
    assert list(near_duplicates.near(words, 12)) == [(0, 19_999, 0)]
