"""What a pretrained network sees of an image, and the files that hold it."""

import numpy as np
import pytest
import torch

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.models import linear_head, networks, pretrained
from pocketscope.tables import features
from pocketscope.tables.features import FEATURES, feature_array

CPU = torch.device("cpu")
TINY = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "family": "manual", "weights": "none"}


def test_an_image_is_seen_alike_beside_any_others():
    rng = np.random.default_rng(0)
    images = {f"{number:03d}": image for number, image in enumerate(rng.integers(0, 256, (70, 32, 32, 3), np.uint8))}
    network = networks.build(TINY, 2, None, seed=0)
    seen = dict(pretrained.features(network, images.items(), len(images), CPU))
    assert list(seen) == list(images)
    some = {name: images[name] for name in rng.permutation(list(images))[:9]}
    assert all((found == seen[name]).all() for name, found in pretrained.features(network, some.items(), 9, CPU))
    plain = linear_head.features(network, np.stack(list(images.values())), CPU)
    assert np.allclose(np.stack(list(seen.values())), plain, atol=1e-5)
    assert list(pretrained.features(network, [], 0, CPU)) == []


def test_features_are_read_as_they_were_written(tmp_path):
    values = np.random.default_rng(0).normal(size=(features.ROWS + 5, 3)).astype(np.float32)
    rows = [(f"{number:05d}", row) for number, row in enumerate(values)]
    features.write(tmp_path / "all.parquet", rows)
    table = parquet.read(tmp_path / "all.parquet", FEATURES)
    assert table["image_id"].to_pylist() == [name for name, _ in rows]
    assert (feature_array(table) == values).all()
    features.write(tmp_path / "none.parquet", [])
    assert feature_array(parquet.read(tmp_path / "none.parquet", FEATURES)).size == 0

    parts = [tmp_path / f"{number}.arrow" for number in range(3)]
    for part, some in zip(parts, (rows[:900], rows[900:], []), strict=True):
        features.write_shard(part, some)
    known = features.Shards(parts)
    assert len(known) == len(rows)
    assert "other" not in known
    assert all((known[name] == row).all() for name, row in rows)
    assert len(features.Shards([])) == 0
    parts[1].write_bytes(parts[1].read_bytes()[:-90])
    with pytest.raises(InputError, match=r"1.arrow: cut short or damaged .*; delete it and run again"):
        features.Shards(parts)
