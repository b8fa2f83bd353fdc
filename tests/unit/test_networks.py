"""Every network of the catalogue is built, trained a step, exported and read back; and where weights come from."""

import copy
import itertools

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file

from helpers import ROOT
from pocketscope.config.base import plain
from pocketscope.config.training import Training
from pocketscope.core.errors import InputError
from pocketscope.inference import onnx_model
from pocketscope.models import networks, onnx_export, unfold_batch_norm
from pocketscope.models.tensors import to_pixels
from pocketscope.training import batches, history, loop, optimization, supervised
from pocketscope.training.batches import Examples

CPU = torch.device("cpu")
CATALOGUE = yaml.safe_load((ROOT / "config" / "networks.yaml").read_text())
SIZE = 32
# Both studies' (Inés et al.), by the names that their libraries give them.
STUDIED = {
    *("resnet18", "resnet34", "resnet50", "resnet101", "densenet121", "efficientnet_b3", "fbnetc_100", "mixnet_l"),
    *("mixnet_m", "mnasnet_100", "mobilenet_v2", "squeezenet1_0", "squeezenet1_1", "shufflenet_v2_x1_0"),
    *("tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2", "mobilenet_v3_large"),
}


GHOSTNET = {"library": "timm", "name": "ghostnet_100.in1k", "family": "timm", "weights": "hub"}


def random_images(count=4, size=SIZE):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def test_the_catalogue_has_both_studies_networks():
    assert {entry["name"] for entry in CATALOGUE.values()} >= STUDIED


# shufflenet_scratch is the same network as shufflenet; what timm:ghostnet_100.in1k means stands in no catalogue.
@pytest.mark.parametrize("name", [*sorted(set(CATALOGUE) - {"shufflenet_scratch"}), "timm:ghostnet_100.in1k"])
def test_every_network_is_built_trained_a_step_exported_and_read_back(name, tmp_path):
    entry = CATALOGUE.get(name, GHOSTNET) | {"weights": "none"}
    classifier = networks.build(entry, 3, tmp_path, seed=0)
    before = {name: tensor.clone() for name, tensor in classifier.named_parameters()}
    images = random_images()
    labelled = Examples(images, batches.one_hot(np.arange(4) % 3, 3), np.ones(4, bool))
    learner = optimization.Learner(
        classifier, steps=2, learning_rate=0.1, lowest_layer_lr_ratio=0.1, weight_decay=0.01, ema=0.5
    )
    targets = torch.from_numpy(labelled.targets)
    plan = loop.StepPlan(1, 1, 1, 0)
    loop.backward(
        classifier,
        (to_pixels(torch.from_numpy(images), CPU), targets),
        lambda model, pixels, wanted: loop.Outcome(
            torch.nn.functional.cross_entropy(model(pixels), wanted), model(pixels), wanted, len(pixels)
        ),
        plan,
    )
    learner.step()
    moved = [name for name, tensor in classifier.named_parameters() if not torch.equal(tensor, before[name])]
    assert len(moved) > 0.9 * len(before), set(before) - set(moved)

    trained = networks.Trained(classifier.eval(), ["a", "b", "c"], SIZE)
    networks.save(trained, entry, tmp_path / "model.safetensors")
    loaded = networks.load(tmp_path / "model.safetensors").classifier
    expected = history.logits(classifier, torch.from_numpy(images), CPU).softmax(1).numpy()
    assert np.array_equal(history.logits(loaded, torch.from_numpy(images), CPU).softmax(1).numpy(), expected)
    onnx_export.to_onnx(trained, tmp_path / "model.onnx", images=images, about={"resize": "stretch", "page": 0})
    shipped = onnx_model.open_model(tmp_path / "model.onnx", threads=1)
    assert np.abs(onnx_model.probabilities(shipped, images) - expected).max() < 1e-4


MOBILE = {"library": "torchvision", "name": "mobilenet_v2", "family": "manual", "options": {"width_mult": 0.25}}


def test_depth_groups_come_from_the_network():
    classifier = networks.build(CATALOGUE["resnet18"] | {"weights": "none"}, 2, None, seed=0)
    depths = [depth for depth, _ in networks.depths(classifier)]
    assert depths[0] == 0
    assert depths[-1] == 1
    assert len(depths) == 1 + 1 + 8 + 1  # the first convolution and its norm, eight blocks, the head


def test_weights_of_a_safetensors_file_are_taken(tmp_path):
    source = networks._create(MOBILE, pretrained=False)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    built = networks.build(MOBILE | {"weights": {"file": "weights.safetensors"}}, 2, tmp_path, seed=9)
    assert torch.equal(built.backbone.features[0][0].weight, source.features[0][0].weight)


def test_a_file_of_another_format_or_shape_is_refused_by_name(tmp_path):
    (tmp_path / "page.safetensors").write_text("<html>not found</html>")
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    narrow = networks._create(MOBILE | {"options": {"width_mult": 0.35}}, pretrained=False)
    save_file(narrow.state_dict(), tmp_path / "narrow.safetensors")
    for name in ("page", "other", "narrow"):
        with pytest.raises(InputError, match=rf"{name}\.safetensors does not contain the weights of .*'mobilenet_v2'"):
            networks.build(MOBILE | {"weights": {"file": f"{name}.safetensors"}}, 2, tmp_path, seed=0)


def test_a_network_named_as_timm_does_has_the_hub_s_weights(tmp_path, monkeypatch):
    """The tensors that timm finds on the hub are those that the network starts from, whatever else is random."""
    hub = timm.create_model("ghostnet_100")
    save_file(hub.state_dict(), tmp_path / "model.safetensors")
    asked = []

    def download(repo_id, **_):
        asked.append(repo_id)
        return str(tmp_path / "model.safetensors")

    monkeypatch.setattr(timm.models._hub, "hf_hub_download", download)
    classifier = networks.build(GHOSTNET, 3, tmp_path, seed=0)
    assert asked == ["timm/ghostnet_100.in1k"]
    assert networks.licence(GHOSTNET, classifier) == "apache-2.0"  # as timm says
    learnt = classifier.backbone.state_dict()
    assert len(learnt) > 500
    assert all(torch.equal(tensor, hub.state_dict()[name]) for name, tensor in learnt.items())


def test_a_tag_and_weights_from_a_file(tmp_path):
    source = timm.create_model("ghostnet_100")
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    entry = GHOSTNET | {"weights": {"file": "weights.safetensors"}}
    classifier = networks.build(entry, 3, tmp_path, seed=0)
    assert torch.equal(classifier.backbone.conv_stem.weight, source.conv_stem.weight)
    assert networks.licence(entry, classifier) is None  # nobody said


@pytest.mark.parametrize(
    ("name", "sizes", "told"),
    [
        ("ghostnt_100", [], "has no network 'ghostnt_100'; did you mean 'ghostnet_100'"),
        ("ghostnet_100.in22k", [], "no weights 'in22k' for 'ghostnet_100'.*in1k"),
        ("coatnet_0_224", [], "no pretrained weights for 'coatnet_0_224'.*'weights: none'"),
        ("vit_tiny_patch16_224", [224, 96], "images of 224 x 224 pixels alone.*'image_size: 96'"),
    ],
)
def test_a_name_that_timm_cannot_serve_is_told_before_anything_runs(name, sizes, told):
    with pytest.raises(InputError, match=told):
        networks.check_in_timm(name, sizes)
    networks.check_in_timm("ghostnet_100", [96])
    networks.check_in_timm("vit_tiny_patch16_224", [224])


@pytest.mark.parametrize("name", ["resnet18", "fbnet", "timm:ghostnet_100.in1k"])
def test_without_a_way_to_the_hub_the_choices_are_named(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"cannot be downloaded.*file or a Python package.*'weights: none'"):
        networks.build(CATALOGUE.get(name, GHOSTNET), 2, tmp_path, seed=0)


def fold(classifier):
    """Fold batch normalisation into the convolution before it, the way of exports for 8 bit: statistics of nothing."""
    for block in classifier.modules():
        children = list(block.children())
        for convolution, norm in itertools.pairwise(children):
            if isinstance(norm, torch.nn.BatchNorm2d):
                scale = norm.weight / (norm.running_var + norm.eps).sqrt()
                convolution.weight.data *= scale.view(-1, 1, 1, 1)
                norm.bias.data -= norm.running_mean * scale
                norm.weight.data.fill_((1 + norm.eps) ** 0.5)
                norm.running_mean.zero_()
                norm.running_var.fill_(1)


def test_folded_normalisation_gets_statistics_and_computes_what_it_did():
    without_dropout = MOBILE["options"] | {"dropout": 0.0}  # in training it would change the features by itself
    classifier = networks.build(MOBILE | {"weights": "none", "options": without_dropout}, 2, None, seed=0)
    images = random_images(64)
    pixels = to_pixels(torch.from_numpy(images), CPU)
    classifier.train()
    with torch.no_grad():
        for norm in (module for module in classifier.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            torch.nn.init.uniform_(norm.weight, 0.5, 3)
            torch.nn.init.uniform_(norm.bias, -1, 1)
        for _ in range(60):
            classifier(pixels)  # statistics of these images
    classifier.eval()
    with torch.no_grad():
        meant = classifier.features(pixels)
        fold(classifier)
        folded = classifier.features(pixels)
        assert torch.allclose(folded, meant, atol=1e-3 * meant.abs().max())
        collapsed = copy.deepcopy(classifier).train().features(pixels)
        unfold_batch_norm.prepare(classifier, images, CPU)
        assert torch.allclose(classifier.features(pixels), meant, atol=1e-3 * meant.abs().max())
        whole = classifier.train().features(pixels)  # by the batch's statistics: those of the same images
    assert (whole - meant).abs().mean() < 0.01 * (collapsed - meant).abs().mean()


@pytest.mark.parametrize("folds", [True, False])
def test_frozen_statistics_are_those_that_the_weights_came_with_and_folded_weights_have_none(folds, tmp_path):
    """Also after a model file, which a warm start reads: there the statistics are no longer those of nothing."""
    source = networks._create(MOBILE, pretrained=False)
    for norm in (module for module in source.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.running_var, 0.5, 3)
    with torch.no_grad():
        if folds:
            fold(source)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    entry = MOBILE | {"weights": {"file": "weights.safetensors"}}
    classifier = networks.build(entry, 2, tmp_path, seed=0)
    labelled = Examples(random_images(), batches.one_hot(np.arange(4) % 2, 2), np.ones(4, bool))

    def statistics():
        return [norm.running_mean.clone() for norm in classifier.modules() if isinstance(norm, torch.nn.BatchNorm2d)]

    settings = plain(Training(steps=2, n_evaluations=1, batch_norm="frozen"))
    sharing = {"pretrained": True, "settings": settings, "symmetries": [], "seed": 0, "device": CPU}
    unfold_batch_norm.prepare(classifier, labelled.images, CPU)  # changes nothing a second time, in training
    before = statistics()
    supervised.train(classifier, labelled, None, **sharing)
    assert classifier.folded == folds
    assert any(not torch.equal(*pair) for pair in zip(before, statistics(), strict=True)) == folds

    networks.save(networks.Trained(classifier, ["a", "b"], SIZE), entry, tmp_path / "model.safetensors")
    classifier = networks.load(tmp_path / "model.safetensors").classifier
    before = statistics()
    supervised.train(classifier, labelled, None, **sharing)
    assert any(not torch.equal(*pair) for pair in zip(before, statistics(), strict=True)) == folds


def test_random_weights_are_not_folded():
    assert not networks.build(MOBILE | {"weights": "none"}, 2, None, seed=0).folded


def test_normalisation_that_is_not_folded_stays_as_it_is():
    classifier = networks.build(MOBILE | {"weights": "none"}, 2, None, seed=0)
    for norm in (module for module in classifier.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.running_var.fill_(2.0)
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    unfold_batch_norm.prepare(classifier, random_images(), CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items())
