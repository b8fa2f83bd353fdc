"""The six calls: what they ask for, by either library's spelling, and what they refuse before anything runs."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import pocketscope
from pocketscope import compat
from pocketscope.api import configuration, running, workflow
from pocketscope.config import views
from pocketscope.core.errors import InputError

PUBLISHED_TRANSFORMS = ["H Flip", "V Flip", "H+V Flip", "Blurring", "Gaussian Blur", "Gamma"]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Labelled images of two classes and unlabelled ones, named from the current folder."""
    for name in ("labelled/a", "labelled/b", "parted/train/a", "parted/train/b", "parted/valid/a", "parted/valid/b",
                 "unlabelled"):  # fmt: skip
        (tmp_path / name).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name / "1.png")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    """What `run` is called with: nothing runs, but the configuration is read as `run` reads it."""
    calls = []

    def run(config, **options):
        raw, plan = configuration.read(config)
        calls.append(SimpleNamespace(config=raw, plan=plan, **options))
        return "result"

    monkeypatch.setattr(running, "run", run)
    return calls


def test_plain_distillation_is_one_method_beside_the_labelled_images_alone(folders, asked):
    result = pocketscope.plain_distillation("resnet50", "resnet18", "labelled", "unlabelled", "out", 0.7, cores=2)
    assert result == "result"
    (call,) = asked
    assert call.config["methods"] == {
        "supervised": {"labels": "human"},
        "plain": {"teachers": ["resnet50"], "views": ["identity"], "threshold": 0.7},
    }
    assert call.config["students"] == {"resnet18": ["fp32"]}
    source = call.config["datasets"]["labelled"]["source"]
    assert source == {"kind": "folder", "path": str(folders / "labelled"), "unlabelled": str(folders / "unlabelled")}
    assert (call.output, call.cores) == ("out", 2)
    assert call.plan.config.ship.candidate.method == "plain"


def test_valid_is_the_test_set_and_never_chooses(folders, asked):
    pocketscope.fixmatch("resnet18", "parted", "unlabelled", "out")
    (dataset,) = asked[0].config["datasets"].values()
    assert dataset["source"]["path"] == str(folders / "parted/train")
    assert dataset["source"]["test"] == str(folders / "parted/valid")
    assert list(asked[0].config["datasets"]) == ["parted"]


def test_each_call_asks_for_its_method(folders, asked):
    rest = ("labelled", "unlabelled", "out")
    pocketscope.data_distillation("resnet50", "resnet18", *rest, transforms=["gamma", "vertical_flip"])
    pocketscope.model_distillation(["resnet50", "resnet101"], "resnet18", *rest, vote="majority")
    pocketscope.model_data_distillation(["resnet50", "resnet101"], "resnet18", *rest, 0, baseline=False)
    pocketscope.fixmatch("resnet18", *rest, confidence=0.9)
    pocketscope.mixmatch("resnet18", *rest, preset="reference")
    methods = [
        {name: value for name, value in call.config["methods"].items() if name != "supervised"} for call in asked
    ]
    assert methods[0]["data"]["views"] == ["identity", "gamma", "vertical_flip"]
    assert methods[1]["model"]["teachers"] == ["resnet50", "resnet101"]
    assert methods[1]["model"]["vote"] == "majority"
    assert methods[2]["model_data"]["threshold"] == 0
    assert len(methods[2]["model_data"]["views"]) == 7
    assert list(asked[2].config["methods"]) == ["model_data"]
    assert methods[3]["fixmatch"]["threshold"] == 0.9
    assert methods[4]["mixmatch"] == {"labels": "consistency", "algorithm": "mixmatch", "preset": "reference"}


def test_calls_on_the_same_images_are_one_study_and_others_are_not(folders, asked):
    rest = ("labelled", "unlabelled", "out")
    pocketscope.plain_distillation("resnet50", "resnet18", *rest)
    pocketscope.data_distillation("resnet50", "mixnet", *rest, 0.5)
    pocketscope.mixmatch("resnet18", *rest, precisions=["fp32", "int8"])
    assert len({call.config["study"] for call in asked}) == 1
    pocketscope.plain_distillation("resnet50", "resnet18", *rest, image_size=96)
    pocketscope.plain_distillation("resnet50", "resnet18", *rest, training="paper")
    pocketscope.plain_distillation("resnet50", "resnet18", "parted", *rest[1:])
    assert len({call.config["study"] for call in asked}) == 4
    runs = [call.plan.layout.run("labelled", "kall_s0", "human", "resnet50").folder for call in asked[:2]]
    assert runs[0] == runs[1]


def test_a_base_model_may_be_the_target(folders, asked):
    pocketscope.plain_distillation("resnet18", "resnet18", "labelled", "unlabelled", "out")
    plan = asked[0].plan
    assert plan.teachers("plain", "1") == [("resnet18", "human")]
    assert plan.final_label_set("plain") == "plain.r1"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unlabelled": None}, r"unlabelled: name a folder of unlabelled images"),
        ({"unlabelled": "nowhere"}, r"unlabelled: .*nowhere: there is no such folder"),
        ({"unlabelled": "unlabeled"}, r"there is no such folder; did you mean 'unlabelled'"),
        ({"unlabelled": "empty"}, r"unlabelled: .*empty contains no images"),
        ({"unlabelled": "labelled"}, r"is the folder of the labelled images"),
        ({"path": "labelled/a/1.png"}, r"path: .* is a file, not a folder"),
        ({"path": 3}, r"path is 3; give the path of a folder"),
        ({"base_model": ["resnet50", "resnet101"]}, r"give the name of one network; model_distillation takes several"),
        ({"target_model": ["resnet18"]}, r"target_model is \['resnet18'\]; give the name of one network"),
        ({"base_model": "resnet81"}, r"network 'resnet81' is not in .*did you mean 'resnet18'"),
        ({"target_model": "mixnett"}, r"did you mean 'mixnet'"),
        ({"confidence": 1.2}, r"confidence is 1\.2; it must be a number from 0 to 1"),
        ({"confidence": -0.1}, r"confidence is -0\.1"),
        ({"confidence": "0.8"}, r"confidence is '0\.8'"),
        ({"image_sice": 96}, r"'image_sice' is no argument of this call; did you mean 'image_size'"),
        ({"image_size": 7}, r"datasets\.labelled\.image_size"),
        ({"training": "fastt"}, r"training\.recipe"),
        ({"output": None}, r"output: name a folder"),
        ({"precisions": "fp32"}, r"precisions is 'fp32'; give a list"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(folders, asked, changes, said):
    arguments = {"base_model": "resnet50", "target_model": "resnet18", "path": "labelled", "unlabelled": "unlabelled",
                 "output": "out"}  # fmt: skip
    with pytest.raises(InputError, match=said):
        pocketscope.plain_distillation(**arguments | changes)
    assert not asked


@pytest.mark.parametrize(
    ("call", "given", "options", "said"),
    [
        ("data_distillation", "resnet50", {"transforms": ["gama"]}, r"no transform 'gama'; did you mean 'gamma'"),
        ("data_distillation", "resnet50", {"transforms": "gamma"}, r"transforms is 'gamma'; give a list"),
        ("data_distillation", "resnet50", {"transforms": []}, r"give one or more, each once"),
        ("data_distillation", "resnet50", {"symmetries": []}, r"'horizontal_flip' asks for the symmetry"),
        ("model_distillation", "resnet50", {}, r"base_models is 'resnet50'; give a list"),
        ("model_distillation", ["resnet50"], {}, r"give two names or more"),
        ("model_distillation", ["resnet50", "resnet50"], {}, r"each once"),
        ("model_data_distillation", ["resnet50", 3], {}, r"base_models is 3"),
        ("model_distillation", ["resnet50", "resnet101"], {"vote": "mean"}, r"methods\.model\.vote"),
    ],
)
def test_what_the_other_calls_refuse(folders, asked, call, given, options, said):
    with pytest.raises(InputError, match=said):
        getattr(pocketscope, call)(given, "resnet18", "labelled", "unlabelled", "out", **options)
    assert not asked


def test_an_output_inside_the_images_or_with_other_files_in_it_is_refused(folders):
    rest = ("resnet50", "resnet18", "labelled", "unlabelled")
    for output in ("labelled/out", "unlabelled/deep/out"):
        with pytest.raises(InputError, match=r"output: .* lies inside the images of"):
            pocketscope.plain_distillation(*rest, output)
    with pytest.raises(InputError, match=r"workspace: .* lies inside the images of"):
        pocketscope.plain_distillation(*rest, "out", workspace="labelled/work")
    with pytest.raises(InputError, match=r"lie in one another"):
        pocketscope.plain_distillation(*rest, "work/out", workspace="work")
    (folders / "mine").mkdir()
    (folders / "mine/model.onnx").write_text("of another tool")
    with pytest.raises(InputError, match=r"mine/model\.onnx is there, and no call has made it"):
        pocketscope.plain_distillation(*rest, "mine")
    with pytest.raises(InputError, match=r"1\.png is a file"):
        pocketscope.plain_distillation(*rest, "empty/../labelled/a/1.png")
    assert not (folders / "pocketscope_work").exists()


# ---- the published library's spellings


def test_the_published_order_of_arguments_and_names(folders, asked):
    """As its code declares them: transforms third, batch size and size before the confidence."""
    rest = ("labelled", "unlabelled", "out")
    compat.plainDistillation("ResNet50", "MixNet", *rest, 16, 128, 0.6)
    compat.dataDistillation("ResNet50", "FBNet", PUBLISHED_TRANSFORMS, *rest, confidence=0.6)
    compat.modelDistillation(["ResNet50", "ResNet101", "EfficientNet"], "MNasNet", *rest)
    compat.modelDataDistillation(["ResNet50", "ResNet101"], "MobileNet", ["Gamma", "Blurring"], *rest, size=(96, 96))
    compat.FixMatch("SqueezeNet", *rest)
    compat.MixMatch("ShuffleNet", *rest, bs=8)
    first, data, model, both, fix, mix = (call.config for call in asked)
    assert first["methods"]["plain"] == {"teachers": ["resnet50"], "views": ["identity"], "threshold": 0.6}
    assert (first["training"]["batch_size"], first["datasets"]["labelled"]["image_size"]) == (16, 128)
    assert data["methods"]["data"]["views"] == [
        "identity", "horizontal_flip", "vertical_flip", "both_flips", "box_blur", "gaussian_blur", "gamma",
    ]  # fmt: skip
    assert model["methods"]["model"]["teachers"] == ["resnet50", "resnet101", "efficientnet_b3"]
    assert both["methods"]["model_data"]["views"] == ["identity", "gamma", "box_blur"]
    assert both["datasets"]["labelled"]["image_size"] == 96
    assert [list(one["students"]) for one in (first, data, model, both, fix, mix)] == [
        ["mixnet"], ["fbnet"], ["mnasnet"], ["mobilenet_v2"], ["squeezenet"], ["shufflenet"],
    ]  # fmt: skip
    assert (fix["methods"]["fixmatch"]["algorithm"], mix["methods"]["mixmatch"]["algorithm"]) == (
        "fixmatch",
        "mixmatch",
    )
    assert mix["training"]["batch_size"] == 8


def test_every_published_spelling_is_there_and_every_published_name_is_known():
    assert compat.pureDistillation is compat.plainDistillation
    assert (compat.FixMatch, compat.MixMatch) == (compat.fixMatch, compat.mixMatch)
    assert set(compat.__all__) <= set(dir(compat))
    assert pocketscope.compat is compat
    assert set(compat.NETWORKS.values()) <= set(compat._catalogue({}))
    assert set(compat.TRANSFORMS.values()) <= set(views.View.__args__)
    assert set(compat.TRANSFORMS) == set(PUBLISHED_TRANSFORMS)


@pytest.mark.parametrize(
    ("call", "given", "said"),
    [
        (
            "plainDistillation",
            ("ResNet52", "ResNet18"),
            r"no network 'ResNet52'; did you mean 'ResNet50'",
        ),
        ("plainDistillation", ("ResNet50", "SqeezeNet"), r"targetModel: .*did you mean 'SqueezeNet'"),
        ("plainDistillation", (["ResNet50", "ResNet18"], "ResNet18"), r"modelDistillation takes several"),
        ("modelDistillation", ("ResNet50", "ResNet18"), r"baseModels is 'ResNet50'; give a list"),
        ("dataDistillation", ("ResNet50", "ResNet18", ["HFlip"]), r"no transform 'HFlip'; did you mean 'H Flip'"),
        ("dataDistillation", ("ResNet50", "ResNet18", "Gamma"), r"transforms is 'Gamma'; give a list"),
        (
            "dataDistillation",
            ("ResNet50", "ResNet18", ["Median Blur"]),
            r"'Median Blur' is not offered; .*H Flip",
        ),
    ],
)
def test_wrong_names_are_errors_with_the_nearest_right_one(folders, asked, call, given, said):
    with pytest.raises(InputError, match=said):
        getattr(compat, call)(*given, "labelled", "unlabelled", "out")
    assert not asked


def test_a_confidence_in_the_place_of_the_batch_size_is_no_batch_size(folders, asked):
    with pytest.raises(InputError, match=r"bs is 0\.9; .*confidence is given by its name"):
        compat.plainDistillation("ResNet50", "ResNet18", "labelled", "unlabelled", "out", 0.9)
    with pytest.raises(InputError, match=r"size is \(224, 96\); networks see square images"):
        compat.plainDistillation("ResNet50", "ResNet18", "labelled", "unlabelled", "out", 32, (224, 96))


# ---- the configuration, and the command that runs it


def test_paths_of_a_mapping_start_here_and_those_of_a_file_where_snakemake_has_them(folders):
    config = {
        "study": "mine",
        "datasets": {"a": {"source": {"kind": "folder", "path": "labelled", "unlabelled": "unlabelled"}}},
        "methods": {"supervised": {"labels": "human"}},
        "students": {"resnet18": ["fp32"]},
    }
    raw, _ = configuration.read(config)
    assert raw["datasets"]["a"]["source"]["path"] == str(folders / "labelled")
    assert config["datasets"]["a"]["source"]["path"] == "labelled"  # the caller's own stays as it is
    raw, plan = configuration.read(workflow.root() / "config/config.yaml")
    assert plan.config.study == "demo"
    with pytest.raises(InputError, match=r"study\.yaml: there is no such file"):
        configuration.read("study.yaml")
    (folders / "study.yaml").write_text("a: [")
    with pytest.raises(InputError, match=r"study\.yaml: no YAML"):
        configuration.read("study.yaml")
    with pytest.raises(InputError, match=r"'metods' is not a key; did you mean 'methods'"):
        configuration.read(config | {"metods": {}})


def test_what_a_caller_says_of_the_machine_goes_to_snakemake(tmp_path):
    def line(**options):
        return " ".join(workflow.command(tmp_path / "c.yaml", tmp_path, ["all"], **options))

    assert "--workflow-profile none --cores all" in line()
    assert "--cores 3" in line(cores=3)
    slurm = line(executor="slurm", jobs=7)
    assert f"--workflow-profile {workflow.root() / 'profiles/slurm'}" in slurm
    assert "--executor slurm" in slurm
    assert "--jobs 7" in slurm
    assert "--cores" not in slurm  # the profile says how many
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.yaml").write_text("cores: 2\n")
    assert f"--workflow-profile {tmp_path / 'mine'}" in line(profile=tmp_path / "mine")
    with pytest.raises(InputError, match=r"profile 'slrum': .*did you mean 'slurm'"):
        line(profile="slrum")
    with pytest.raises(InputError, match=r"cores is 0"):
        line(cores=0)


def test_without_a_workflow_the_error_names_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(workflow, "PACKAGE", tmp_path / "site-packages/pocketscope")
    with pytest.raises(InputError, match=r"has no workflow .*pip install 'pocketscope\[workflow\]'.*make install"):
        workflow.root()
