"""FixMatch and MixMatch: their losses by hand, and that unlabelled images count to the end of the training."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from pocketscope.config.base import plain
from pocketscope.config.methods import Consistency
from pocketscope.config.training import Augmentation, Training
from pocketscope.models import networks
from pocketscope.runtime import resume
from pocketscope.tables.online_pseudo_labels import ONLINE_PSEUDO_LABELS, epoch_remarks
from pocketscope.training import augmentation, batches, budget, consistency, supervised
from pocketscope.training.batches import Examples
from pocketscope.training.history import History, OnlinePseudoLabels

TINY = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "family": "manual", "weights": "none"}
CALM = {name: 0.0 for name, field in Augmentation.model_fields.items() if field.annotation is float}
CPU = torch.device("cpu")
CLASSES = ["dark", "bright"]


def method(algorithm, **changes):
    asked = {"labels": "consistency", "algorithm": algorithm, "unlabelled_ratio": 2} | changes
    return plain(Consistency(**asked))


def settings(**changes):
    small = {"steps": 6, "steps_from_scratch": 6, "batch_size": 4, "n_evaluations": 3, "augmentation": CALM}
    return plain(Training(**small | changes))


def some(count, seed=0):
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    images = rng.integers(0, 100, (count, 32, 32, 3)) + 155 * targets[:, None, None, None]
    return Examples(images.astype(np.uint8), batches.one_hot(targets, 2), np.ones(count, bool))


def unlabelled(count=12):
    return consistency.Unlabelled([f"u{i}" for i in range(count)], some(count, seed=5).images)


def task(asked, steps=6):
    return consistency.Task(some(8), unlabelled().images, asked, settings(), [], steps, 0, CPU)


def train(algorithm, changes=None, images=None, validation=None, kept=None, classifier=None, pretrained=False, **asked):
    classifier = classifier or networks.build(TINY, 2, None, seed=0)
    asked = method(algorithm, **{"warm_start": False, "duration": 1.0} | asked)
    found = consistency.train(
        classifier, some(8), unlabelled() if images is None else images, validation, classes=CLASSES,
        method=asked, pretrained=pretrained, settings=settings(**changes or {}), symmetries=[],
        seed=0, device=CPU, resume=kept,
    )  # fmt: skip
    return classifier, *found


def same(one, other):
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_fixmatchs_loss_by_hand():
    """Eq. 4: the entropy to the guessed class; what is not sure counts as 0, and does count in the mean."""
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    probabilities = torch.tensor([[0.97, 0.03], [0.6, 0.4], [0.01, 0.99]])
    losses = consistency.pseudo_label_losses(logits, probabilities, probabilities.amax(1) >= 0.95)
    expected = [np.log(1 + np.exp(-2)), 0.0, 3 + np.log(1 + np.exp(-3))]
    assert losses.tolist() == pytest.approx(expected, abs=1e-6)


def test_mixmatchs_loss_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))
    losses = consistency.squared_errors(logits, torch.tensor([[1.0, 0.0, 0.0]]))
    assert losses.tolist() == pytest.approx([(0.25 + 0.09 + 0.04) / 3])


def test_sharpening_by_hand():
    found = consistency.sharpen(torch.tensor([[0.6, 0.3, 0.1]]), 0.5)
    assert found[0].tolist() == pytest.approx([0.36 / 0.46, 0.09 / 0.46, 0.01 / 0.46])
    assert torch.allclose(consistency.sharpen(torch.tensor([[0.6, 0.4]]), 1.0), torch.tensor([[0.6, 0.4]]))
    assert consistency.sharpen(torch.tensor([[1.0, 1e-30]]), 0.1).tolist() == [[1.0, 0.0]]


def test_alignment_by_hand():
    found = consistency.align(torch.tensor([[0.6, 0.4]]), torch.tensor([0.5, 0.5]), torch.tensor([0.8, 0.2]))
    assert found[0].tolist() == pytest.approx([0.375 / 1.375, 1 / 1.375])
    # All on a class that has no label: there is nothing to move it to.
    stuck = consistency.align(torch.tensor([[1.0, 0.0]]), torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.5]))
    assert stuck[0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("step", "ramp_up", "factor"),
    [(0, 0, 1), (0, 0.5, 0.02), (24, 0.5, 0.5), (60, 0.5, 1), (99, 1, 1), (99, 16000, 100 / 16000)],
)
def test_the_ramp_is_a_share_of_the_steps_or_a_number_of_them(step, ramp_up, factor):
    assert consistency.ramp(step, 100, ramp_up) == pytest.approx(factor)


def test_an_image_stays_mostly_itself_in_mixmatch():
    images = torch.arange(50.0).view(50, 1, 1, 1).repeat(1, 3, 2, 2)
    targets = torch.eye(50)
    mixed, mixed_targets = augmentation.mix(images, targets, 0.75, torch.Generator().manual_seed(0), mostly_itself=True)
    own = mixed_targets.diagonal()
    assert (own >= 0.5).all()
    assert own.min() < 0.6
    assert torch.allclose(mixed_targets.sum(1), torch.ones(50))
    assert torch.allclose(mixed[:, 0, 0, 0], mixed_targets @ torch.arange(50.0), atol=1e-4)


@pytest.mark.parametrize("algorithm", ["fixmatch", "mixmatch"])
def test_unlabelled_images_have_a_gradient_to_the_last_step(algorithm):
    """The published library's methods switched themselves off after the first two epochs."""
    classifier = networks.build(TINY, 2, None, seed=0)
    asked = method(algorithm, **({"threshold": 0.0} if algorithm == "fixmatch" else {}))
    build = getattr(consistency, algorithm)
    gradients = {}
    for weight in (asked["unlabelled_weight"], 0.0):
        objective = build(task(asked | {"unlabelled_weight": weight}))
        classifier.zero_grad()
        classifier.eval()
        torch.manual_seed(0)
        outcome = objective.loss(classifier, *objective.draw(5))
        outcome.loss.backward()
        gradients[weight] = classifier.head.weight.grad.clone()
        assert outcome.guesses.loss > 0
    assert not torch.allclose(*gradients.values())
    _, history, _, _ = train(algorithm, threshold=0.0) if algorithm == "fixmatch" else train(algorithm)
    told = history.to_pandas()
    assert (told.unlabelled_loss > 0).all()
    assert told.used_share.tolist() == [1.0] * 3
    assert all(shares.sum() == pytest.approx(1) for shares in told.class_shares)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_labels_are_smoothed_by_the_methods_own_share(smoothing):
    """The study's share (0.1) keeps a network less sure than FixMatch's threshold asks."""
    logits, targets = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    loss = task(method("fixmatch", label_smoothing=smoothing)).entropy()(logits, targets)
    right, wrong = torch.log_softmax(logits, 1)[0]
    assert loss.item() == pytest.approx(-((1 - smoothing / 2) * right + smoothing / 2 * wrong).item())


def test_fixmatchs_guesses_are_of_the_weak_images_and_carry_no_gradient():
    seen = []

    class Recorder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(10.0))

        def forward(self, pixels):
            seen.append(pixels.detach())
            bright = pixels.mean((1, 2, 3))[:, None]
            return self.scale * torch.cat([0.5 - bright, bright - 0.5], 1)

    objective = consistency.fixmatch(task(method("fixmatch", threshold=0.9)))
    classifier, drawn = Recorder(), objective.draw(0)
    pixels, targets, places, weak, strong, _ = drawn
    outcome = objective.loss(classifier, *drawn)
    assert len(seen) == 1  # one forward pass for all three kinds
    assert outcome.images == len(seen[0]) == 4 + 8 + 8
    assert torch.equal(seen[0], torch.cat([pixels, weak, strong]))
    assert torch.allclose(outcome.guesses.probabilities, classifier(weak).softmax(1).detach())
    sure = outcome.guesses.probabilities.amax(1) >= 0.9
    assert torch.equal(outcome.guesses.used, sure)
    truth = torch.from_numpy(some(12, seed=5).targets).argmax(1)[places]
    assert torch.equal(outcome.guesses.probabilities.argmax(1), truth)
    by_hand = torch.nn.functional.cross_entropy(classifier(strong), truth, reduction="none")[sure].sum() / len(sure)
    assert outcome.guesses.loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    alone = supervised.label_loss(some(8), settings(label_smoothing=0.0), CPU)(classifier(pixels), targets)
    assert outcome.loss.item() == pytest.approx((alone + by_hand).item(), rel=1e-5)


@pytest.mark.parametrize("asked", [{"algorithm": "fixmatch", "threshold": 0.5, "distribution_alignment": True},
                                   {"algorithm": "mixmatch"}])  # fmt: skip
def test_equal_seeds_give_equal_weights_also_after_a_kill(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "SECONDS_BETWEEN", 0.0)
    undisturbed, history, _, guesses = train(**asked)
    again, *_ = train(**asked)
    assert same(undisturbed, again)
    kept = resume.Resume(tmp_path, "a")
    save = kept.save

    def save_and_die(state):
        save(state)
        if state["step"] == 4:
            raise KeyboardInterrupt

    kept.save = save_and_die
    with pytest.raises(KeyboardInterrupt):
        train(**asked, kept=kept)
    resumed, history_after, _, guesses_after = train(**asked, kept=resume.Resume(tmp_path, "a"))
    assert same(undisturbed, resumed)
    assert history_after.equals(history)
    assert guesses_after.equals(guesses)


def test_the_weights_that_are_kept_are_the_averaged_ones_and_reference_holds_on_to_the_first():
    first = networks.build(TINY, 2, None, seed=0)
    fast, slow = (train("fixmatch", preset=preset)[0] for preset in ("fast", "reference"))
    moved = [
        sum((a - b).abs().sum().item() for a, b in zip(trained.parameters(), first.parameters(), strict=True))
        for trained in (fast, slow)
    ]
    assert moved[0] > 2 * moved[1] > 0


@pytest.mark.parametrize("recipe", ["fast", "paper"])
def test_a_duration_multiplies_the_studys_steps_or_epochs(recipe):
    known = plain(Training(recipe=recipe))
    longer = consistency.lasting(known, 2.5)
    for pretrained in (True, False):
        steps = [budget.steps(about, 400, pretrained=pretrained) for about in (known, longer)]
        assert steps[1] == 2.5 * steps[0]


def test_a_training_lasts_as_long_as_its_duration_says():
    _, history, _, _ = train("fixmatch", duration=2.5)
    assert history["step"].to_pylist() == [5, 10, 15]


def test_a_warm_start_keeps_its_head_as_epoch_0():
    trained, *_ = train("fixmatch", {"steps_from_scratch": 30})
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    validation = some(10, seed=9)
    _, history, _, _ = train(
        "fixmatch", {"learning_rate": 1e-9, "weight_decay": 0.0}, classifier=trained, warm_start=True,
        validation=validation,
    )  # fmt: skip
    assert history["stage"].to_pylist() == ["head", "all", "all", "all"]
    assert all(torch.allclose(tensor, before[name], atol=1e-5) for name, tensor in trained.state_dict().items())


def test_guesses_of_some_epochs_are_stored_with_what_became_of_them():
    _, _, _, guesses = train("fixmatch", {"n_evaluations": 6}, threshold=0.0)
    frame = guesses.to_pandas()
    assert guesses.schema.equals(ONLINE_PSEUDO_LABELS)
    assert sorted(frame.epoch.unique()) == [0, 1, 2, 4, 5]
    assert not frame.duplicated(["epoch", "image_id"]).any()
    assert frame.accepted.all()
    assert set(frame.label) <= set(CLASSES)
    assert frame.confidence.between(0.5, 1).all()


def test_a_threshold_that_no_guess_reaches_is_named(caplog):
    _, history, _, guesses = train("fixmatch", threshold=1.0)
    assert history["used_share"].to_pylist() == [0.0] * 3
    assert history["class_shares"].to_pylist() == [None] * 3
    assert "unlabelled images had no effect" in caplog.text
    assert not any(guesses["accepted"].to_pylist())


def test_a_collapse_into_one_class_is_named():
    def guessed(labels, accepted):
        rows = [
            {"image_id": label, "epoch": 1, "label": label, "confidence": 0.9, "accepted": bool(learned)}
            for label, learned in zip(labels, accepted, strict=True)
        ]
        return pa.Table.from_pylist(rows, schema=ONLINE_PSEUDO_LABELS)

    names = ["a", "b", "c"]
    assert epoch_remarks(guessed("aab", [1, 1, 0]), names) == [
        "every online pseudo-label that was learned is 'a': a collapse into one class"
    ]
    assert epoch_remarks(guessed("aab", [1, 1, 1]), names) == ["no online pseudo-label of 'c' was learned"]
    assert epoch_remarks(guessed("abc", [1, 1, 1]), names) == []


def test_an_epochs_summary_counts_all_guesses_and_keeps_each_images_last():
    history = History(None, "f1", CPU)
    classifier = networks.build(TINY, 2, None, seed=0)
    steps = [
        OnlinePseudoLabels(torch.tensor(images), torch.tensor(probabilities), torch.tensor(used), torch.tensor(loss))
        for images, probabilities, used, loss in (
            ([3, 1], [[0.9, 0.1], [0.2, 0.8]], [True, False], 1.0),
            ([1, 0], [[0.7, 0.3], [0.4, 0.6]], [True, True], 2.0),
        )
    ]
    history.add(classifier, {"stage": "all", "step": 1}, images=4, seconds=1.0, guesses=steps)
    row = history.rows[0]
    assert (row["used_share"], row["unlabelled_loss"]) == (0.75, 1.5)
    assert row["class_shares"] == pytest.approx([2 / 3, 1 / 3])
    last = history.guesses[0]
    assert last["images"].tolist() == [0, 1, 3]
    assert last["classes"].tolist() == [1, 0, 0]
    assert last["used"].tolist() == [True, True, True]


def test_without_unlabelled_images_labels_are_learned_alone(caplog):
    none = consistency.Unlabelled([], np.zeros((0, 32, 32, 3), np.uint8))
    _, history, _, guesses = train("mixmatch", images=none)
    assert len(guesses) == 0
    assert history["used_share"].to_pylist() == [None] * 3
    assert "there are no unlabelled images" in caplog.text


def test_keys_that_the_other_algorithm_reads_are_refused():
    assert method("fixmatch", preset="reference")["unlabelled_ratio"] == 2  # what is given goes before the preset
    assert Consistency(labels="consistency", algorithm="fixmatch", preset="reference").unlabelled_ratio == 7
    with pytest.raises(ValueError, match="'algorithm: fixmatch' the key 'alpha' has no effect"):
        method("fixmatch", alpha=0.5)
    with pytest.raises(ValueError, match="'algorithm: mixmatch' the key 'threshold' has no effect"):
        method("mixmatch", threshold=0.5)
