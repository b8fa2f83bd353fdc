"""Images in one array, and the batches that are drawn of them."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pocketscope.models.tensors import to_pixels, to_tensor
from pocketscope.tables import images
from pocketscope.training import batches
from pocketscope.training.batches import load_examples


@pytest.mark.parametrize(("share", "expected"), [(0.5, 8), (0.25, 4), (1.0, 16), (0.0, 0), (0.01, 1)])
def test_each_batch_holds_peoples_share(share, expected):
    human = np.arange(100) < 5
    batch = batches.batch_sampler(human, 16, share, seed=0)
    for step in range(20):
        indices = batch(step).numpy()
        assert len(indices) == 16
        assert human[indices].sum() == expected


@given(count=st.integers(1, 40), size=st.integers(2, 50), steps=st.integers(1, 8))
def test_each_pass_takes_every_image_once_and_no_batch_is_short(count, size, steps):
    batch = batches.batch_sampler(np.ones(count, bool), size, 0.5, seed=1)
    drawn = [batch(step) for step in range(steps)]
    assert all(len(indices) == size for indices in drawn)
    taken = torch.cat(drawn)
    for start in range(0, len(taken) - count + 1, count):
        assert sorted(taken[start : start + count].tolist()) == list(range(count))


def test_a_batch_depends_on_seed_and_step_alone():
    """A training that resumes draws what it would have drawn."""
    first, again, other = (batches.batch_sampler(np.ones(50, bool), 8, 0.5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.stack([first(step) for step in range(9)])[7], again(7))
    assert not torch.equal(again(7), other(7))


def test_past_the_bound_the_pixels_lie_in_a_file_that_has_no_name(tmp_path, monkeypatch):
    stored = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    monkeypatch.setattr(images.parquet, "notes", lambda path: {"image_size": 8})
    monkeypatch.setattr(images, "read_images", lambda path, wanted: zip("abcd", stored, strict=True))
    monkeypatch.setattr(batches.tempfile, "tempdir", str(tmp_path))
    soft = [None, [0.25, 0.75], None, None]
    labels = pa.table({"image_id": list("dbca"), "label": list("xyxy"), "source": ["human", "pseudo"] * 2})
    labels = labels.append_column("probabilities", pa.array(soft, pa.list_(pa.float32())))
    inside = load_examples("images", labels, ["x", "y"])
    monkeypatch.setattr(batches, "MEMORY_BOUND", 100)
    outside = load_examples("images", labels, ["x", "y"])
    assert isinstance(outside.images, np.memmap)
    assert not isinstance(inside.images, np.memmap)
    assert np.array_equal(inside.images, stored[[3, 1, 2, 0]])
    assert np.array_equal(outside.images, inside.images)
    assert outside.targets.tolist() == [[1, 0], [0.25, 0.75], [1, 0], [0, 1]]
    assert outside.human.tolist() == [True, False, True, False]
    assert not list(tmp_path.iterdir())
    batch = to_pixels(to_tensor(outside.images, torch.device("cpu"))[[0, 2]], torch.device("cpu"))
    assert batch.shape == (2, 3, 8, 8)
    assert batch.is_contiguous(memory_format=torch.channels_last)
