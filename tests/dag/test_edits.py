"""Which jobs an edit of a module plans in a finished study: as few as its results can depend on.

Images are packed for real, for their files' formats are recorded then. The other files are empty, and recorded as made:
what a dry run plans does not depend on what is in them.
"""

import numpy as np
import pytest
from PIL import Image

import image_files
from helpers import SMALL, clone, planned, snakemake, study, write_config

TEACHER = ["shufflenet_v2_x0_5"]
BOTH = {"shufflenet_v2_x0_5": ["fp32", "int8"]}
REPORT = {"report": 1}
DECIDED = {"recommend": 1} | REPORT
TABLES = {"scores": 1, "compare": 1} | DECIDED
QUANTIZED = {"quantize": 2, "evaluate": 2, "time_inference": 1} | TABLES
# All that teachers' labels make again: one training, and what is made of it.
LABELLED = {"pseudo_label": 1, "audit": 1, "train": 1, "quantize": 1, "evaluate": 2} | TABLES
TRAINED = LABELLED | {"train": 2, "predict": 1, "quantize": 2, "evaluate": 4, "time_inference": 1}
EVERYTHING = TRAINED | {"pack": 1, "check": 1, "split": 1, "near_duplicates": 1}


def folder_of_images(place, form):
    """Make two classes of six images, one of them in another format."""
    draw = np.random.default_rng(0)
    for number in range(12):
        pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        path = place / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    path.write_bytes(image_files.tiff(pixels) if form == "tiff" else path.read_bytes())


def studies(folder):
    """Return by name: one with teachers, one without, and one that calibrates them and has a TIFF file."""
    methods = SMALL["methods"]
    sets = {
        name: {name: {"source": {"kind": "folder", "path": str(folder / name)}, "image_size": 32}}
        for name in ("photographs", "scans")
    }
    split = {"labelled": [2]}
    sure = {"teachers": TEACHER, "calibration": "temperature", "threshold": 0.3}
    return {
        "teachers": study(study="teachers", datasets=sets["photographs"], split=split, methods=methods, students=BOTH),
        "alone": study(
            study="alone", datasets=sets["photographs"], split=split, methods={"supervised": methods["supervised"]}
        ),
        "calibrated": study(
            study="calibrated", datasets=sets["scans"], split=split | {"min_validation": 1}, methods={"sure": sure}
        ),
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a function that makes edits in a checkout and plans a finished study; it undoes the edits."""
    folder = tmp_path_factory.mktemp("finished")
    checkout = clone(folder / "checkout")
    for name, form in (("photographs", "png"), ("scans", "tiff")):
        folder_of_images(folder / name, form)
    where = {}
    for name, config in studies(folder).items():
        where[name] = {"config": write_config(folder / name / "config", config), "results": folder / "results"}
        where[name]["root"] = checkout
        if name != "alone":
            snakemake("--until", "pack", **where[name])
            # What is known of the files now and was not before changes no parameter.
            assert planned("--until", "pack", **where[name]) == {}
        finish(folder / "results", where[name])

    def plan(name, *modules):
        paths = [checkout / "workflow_scripts/pocketscope" / module for module in modules]
        before = [path.read_bytes() for path in paths]
        for path, content in zip(paths, before, strict=True):
            path.write_bytes(content + (b"\n_EDIT = 1\n" if path.suffix == ".py" else b"<!-- an edit -->\n"))
        try:
            return planned(**where[name])
        finally:
            for path, content in zip(paths, before, strict=True):
                path.write_bytes(content)

    return plan


def finish(results, where):
    """Make the files of a study that are missing, empty, and have all jobs recorded as finished."""
    for line in snakemake("--summary", **where).stdout.splitlines():
        path = results / line.split("\t")[0]
        if path.parent != results and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if path.name in ("figures", "tables") else path.touch()
    snakemake("--touch", "--forceall", **where)


# What lists and decodes images of other data sets, and methods that no study here has.
ELSEWHERE = [
    *(f"data/sources/{kind}_source.py" for kind in ("medmnist", "parquet", "digits", "table")),
    "images/dicom.py",
    "images/codestreams.py",
    "training/consistency.py",
    "distillation/cross_fit.py",
    "deploy/answers.py",
    "cli/classify.py",
    "plan/layout.py",
]


@pytest.mark.parametrize(
    ("name", "modules", "again"),
    [
        ("teachers", [*ELSEWHERE, "images/tiff.py", "distillation/calibration.py"], {}),
        (
            "alone",
            [*ELSEWHERE, "images/tiff.py", *(f"distillation/{name}.py" for name in ("calibration", "vote", "rounds"))],
            {},
        ),
        ("calibrated", ELSEWHERE, {}),
        ("teachers", ["data/near_duplicates.py"], {"near_duplicates": 1} | REPORT),
        ("teachers", ["report/figures.py"], REPORT),
        ("teachers", ["report/page.py"], REPORT),
        ("teachers", ["report/templates/report.html"], REPORT),
        ("teachers", ["statistics/hypothesis_tests.py"], {"compare": 1} | REPORT),
        ("teachers", ["evaluation/timing.py"], {"time_inference": 1} | DECIDED),
        ("teachers", ["deploy/quantization.py"], QUANTIZED),
        ("teachers", ["distillation/vote.py"], LABELLED),
        ("teachers", ["distillation/rounds.py"], LABELLED),
        ("teachers", ["models/linear_head.py"], TRAINED),
        ("teachers", ["images/decode.py"], EVERYTHING),
        ("teachers", ["data/sources/folder_source.py"], EVERYTHING),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and len(value) < 2 else None,
)
def test_an_edit_plans_what_its_results_can_change_and_nothing_else(finished, name, modules, again):
    assert finished(name, *modules) == again


def test_calibration_makes_the_labels_again_that_rest_on_it(finished):
    counts = finished("calibrated", "distillation/calibration.py")
    assert (
        counts
        == {"calibrate": 1, "pseudo_label": 1, "audit": 1, "train": 1, "evaluate": 1, "time_inference": 1} | TABLES
    )


def test_a_decoder_packs_the_data_set_again_that_has_a_file_of_its_format(finished):
    counts = finished("calibrated", "images/tiff.py")
    assert {"pack", "check", "split", "train"} <= set(counts)
