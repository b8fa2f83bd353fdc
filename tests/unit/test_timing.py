"""Timings: turns are taken, counts are right, and nothing is measured that is not there."""

import numpy as np
import pytest
import torch
from torch import nn

import tiny_models
from pocketscope.config.base import plain
from pocketscope.config.training import Training
from pocketscope.core import parquet
from pocketscope.evaluation import timing
from pocketscope.inference import onnx_model
from pocketscope.models import networks
from pocketscope.report import evidence
from pocketscope.runtime import devices
from pocketscope.tables.history import HISTORY
from pocketscope.tables.timing import TIMING


def test_forms_take_turns():
    called = []
    runs = {name: lambda name=name: called.append(name) for name in "abc"}
    times = timing.interleaved(runs, seconds=0, least=4, most=9)
    assert "".join(called[6:]) == "abc" * 4  # after two of each to warm up
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4, "c": 4}
    assert all((values >= 0).all() for values in times.values())
    assert len(timing.interleaved(runs, seconds=60, least=1, most=3)["a"]) == 3


def test_no_form_waits_busily_while_another_is_timed(tmp_path):
    """Two threads of int8 ResNet-18 took three times as long as alone when the forms before it did."""
    path = tiny_models.ship(tmp_path, precisions=("fp32",)) / "model.fp32.onnx"
    options = onnx_model.open_model(path, threads=2).session.get_session_options()
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"


def test_parameters_and_operations_are_counted():
    layer = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    classifier = networks.Classifier(layer, 5, 2, (0.5,) * 3, (0.5,) * 3)
    assert timing.parameters(classifier) == 4 * 27 + 5 * 4 + 5 + 2 * 5 + 2
    assert timing.flops(classifier, 8) == 2 * (6 * 6 * 4 * 27 + 4 * 5 + 5 * 2)


def test_numbers_of_threads_are_no_difference_between_runs(tmp_path):
    """They are a column of the timings: the report does not warn that networks were trained in another."""
    device = torch.device("cpu")
    parquet.write(TIMING.empty_table(), tmp_path / "timing", TIMING, notes=timing.versions(device))
    trained_in_more = devices.versions(device) | {"threads": str(torch.get_num_threads() + 1)}
    parquet.write(HISTORY.empty_table(), tmp_path / "history", HISTORY, notes=trained_in_more)
    shown, warnings = evidence.provenance([tmp_path / "history", tmp_path / "timing"])
    assert shown["threads"] == trained_in_more["threads"]
    assert shown["processor"]
    assert not warnings


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return tiny_models.ship(tmp_path_factory.mktemp("shipped"))


def test_every_form_is_measured(shipped):
    files = {precision: shipped / f"model.{precision}.onnx" for precision in ("fp32", "int8")}
    table = timing.measure(shipped / "model.safetensors", files, threads=[1], training_step_ms=7.0, seconds=0)
    assert table.schema.equals(TIMING)
    frame = table.to_pandas().set_index(["runtime", "precision"])
    assert list(frame.index) == [
        ("pytorch", "fp32"),
        ("onnxruntime", "fp32"),
        ("onnxruntime", "int8"),
        ("reference", "fp32"),
    ]
    assert (frame["latency_p5_ms"] > 0).all()
    assert (frame["latency_p5_ms"] <= frame["latency_ms"]).all()
    assert (frame["latency_ms"] <= frame["latency_p95_ms"]).all()
    measured = frame[frame.index.get_level_values("runtime") != "reference"]
    assert (measured["images_per_second"] > 0).all()
    assert measured["file_mb"].loc["onnxruntime", "int8"] == files["int8"].stat().st_size / 1e6
    assert set(measured["parameters"]) == {timing.parameters(networks.load(shipped / "model.safetensors").classifier)}
    assert frame["training_step_ms"].dropna().to_dict() == {("pytorch", "fp32"): 7.0}
    if measured["memory_mb"].notna().all():  # Linux tells
        assert measured["memory_mb"].loc["pytorch", "fp32"] > 2 * measured["memory_mb"].loc["onnxruntime", "fp32"]


@pytest.mark.parametrize("weights", ["none", "hub"])  # the one's batch normalisation takes each batch's statistics
@pytest.mark.parametrize("recipe", ["fast", "frozen", "paper"])
def test_thirty_steps_are_timed_whatever_the_recipe(shipped, recipe, weights, tmp_path):
    network = tiny_models.entry() | {"weights": weights}
    networks.save(networks.load(shipped / "model.safetensors"), network, tmp_path / "model.safetensors")
    assert networks.load(tmp_path / "model.safetensors").pretrained == (weights == "hub")
    settings = plain(Training(recipe=recipe, batch_size=4))
    step = timing.training_step(tmp_path / "model.safetensors", settings=settings, device=torch.device("cpu"))
    assert np.isfinite(step)
    assert step > 0
