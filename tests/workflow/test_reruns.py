"""One small study is run for real, and then changed: what is made again, and what is not."""

import json
import re
import shutil
import subprocess

import pytest

from helpers import SCRIPTS, clone, planned, snakemake, study, write_config
from pocketscope.core import parquet
from pocketscope.tables.history import HISTORY
from pocketscope.tables.label_set import LABEL_SET
from pocketscope.tables.predictions import PREDICTIONS
from pocketscope.tables.scores import SCORES
from pocketscope.tables.split import SPLIT, TRUTH

METHODS = {
    "supervised": {"labels": "human"},
    "plain": {"teachers": ["shufflenet_v2_x0_5"], "threshold": 0.3},
    "twice": {"teachers": ["shufflenet_v2_x0_5"], "threshold": 0.99, "rounds": 2},
    "full": {"labels": "full"},
}
TABLES = {"scores", "compare", "recommend", "report"}  # what joins all runs, and is made again with any of them
TRAINED = {"predict", "pseudo_label", "train", "quantize", "evaluate"}
ONCE = dict.fromkeys(TABLES, 1)
CONFIG = study(methods=METHODS, students={"shufflenet_v2_x0_5": ["fp32", "int8"]})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run the study in a checkout of its own, which the tests may change."""
    folder = tmp_path_factory.mktemp("finished")
    checkout = clone(folder / "checkout")
    config = write_config(folder, CONFIG)
    snakemake(config=config, results=folder / "results", root=checkout)
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """Copy the finished study, times and all, to where a test may change it."""
    shutil.copytree(finished, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


def plan(folder, config=CONFIG, results=None, checkout=None):
    path = write_config(folder, config)
    return planned(config=path, results=results or folder / "results", root=checkout or folder / "checkout")


def edit(folder, module, old, new):
    path = folder / "checkout" / "workflow_scripts" / module
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_finished_study_has_its_tables(finished):

    results = finished / "results"
    run = results / "small/runs/digits/k4_s0"
    scores = parquet.read(results / "small/scores.parquet", SCORES).to_pandas()
    f1 = scores[(scores.metric == "f1") & scores["class"].isna()]
    assert sorted(f1.method + " " + f1.precision) == sorted(f"{m} {p}" for m in METHODS for p in ("fp32", "int8"))
    assert f1.value.between(0, 1).all()
    split = parquet.read(run / "split.parquet", SPLIT).to_pandas()
    assert (split.role == "labelled").sum() == 12
    tested = parquet.read(run / "human/shufflenet_v2_x0_5/test.int8.parquet", PREDICTIONS).to_pandas()
    assert set(tested.image_id) == set(split.image_id[split.role == "test"])
    assert tested.probabilities.map(sum).between(0.999, 1.001).all()
    labels = parquet.read(run / "plain.r1/labels.parquet", LABEL_SET).to_pandas()
    assert not set(labels.image_id) & set(split.image_id[split.role == "test"])
    history = parquet.read(run / "human/shufflenet_v2_x0_5/history.parquet", HISTORY).to_pandas()
    assert history.step.max() == 4
    assert history.kept.sum() == 1
    page = (results / "small/report/index.html").read_text(encoding="utf-8")
    assert "shufflenet_v2_x0_5" in page
    assert "https://" not in re.sub(r"xmlns[:\w]*=.[^ >]+", "", page)  # nothing is loaded from elsewhere
    assert json.loads((results / "small/statistics/recommendation.json").read_text())
    assert (results / "small/scores.csv").read_text().startswith('"dataset","split","method"')


def test_a_second_run_has_nothing_to_do(finished):
    assert plan(finished) == {}


def as_people(folder, *arguments):
    """Run snakemake with the default profile, whose logger is ours, on a terminal; return all that it was sent."""
    import os
    import pty
    import sys

    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile"]
    command += [str(write_config(folder, CONFIG)), "--directory", str(folder / "results")]
    ours, theirs = pty.openpty()
    terminal = os.environ | {"TERM": "xterm-256color", "COLUMNS": "110", "LINES": "40", "PYTHONPATH": str(SCRIPTS)}
    running = subprocess.Popen(command, cwd=folder / "checkout", stdout=theirs, stderr=theirs, env=terminal)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(ours)
    assert running.wait() == 0
    return shown.decode()


def test_on_a_terminal_all_lines_stay(copied):
    """The table of F1 and the paths were once wiped away by a progress panel."""
    shutil.rmtree(copied / "results/small/report")
    shutil.rmtree(copied / "results/small/runs/digits/k4_s0/full")
    shown = as_people(copied)
    erase = "\r\x1b[2K"
    assert erase in shown
    assert "\x1b[1A" not in shown  # the cursor never goes up to a line that was printed
    for status in shown.split(erase)[:-1]:
        assert " jobs · " in status.rpartition("\n")[2]
    end = shown.rpartition(erase)[2]
    assert "digits: F1 in percent" in end
    assert "training shufflenet_v2_x0_5 on all true labels" in shown
    for said in ("What to do next:", f"{copied / 'results/small/report/index.html'}"):
        assert said in shown.partition("F1 in percent")[2]
    [events] = (copied / "results/small/events").glob("*.jsonl")
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert told[-1]["event"] == "run_finished"
    assert told[-1]["ok"]
    assert told[-1]["done"] == told[-1]["total"] == sum(event["event"] == "job_finished" for event in told)
    assert {made["what"] for made in told[-1]["made"]} == {"scores", "report"}
    again = as_people(copied)
    assert "Nothing to do" in again
    assert "digits: F1 in percent" in again
    assert str(copied / "results/small/report/index.html") in again
    # How long it would take, from what it took.
    assert re.search(r"would run, (about|more than) \d", as_people(copied, "--dry-run", "--forceall"))


def test_a_round_that_accepts_nothing_passes_its_teacher_on(finished):
    """The method `twice` accepts nothing: the network that is teacher and student is trained in round 1 alone."""
    logs, run = finished / "results/small/logs", finished / "results/small/runs/digits/k4_s0"
    passed = [path.name for path in (logs / "train").iterdir() if "its model is used again" in path.read_text()]
    assert passed == ["digits.k4_s0.twice.r2.shufflenet_v2_x0_5.log"]
    first, second = (run / f"twice.r{n}/shufflenet_v2_x0_5/model.fp32.onnx" for n in (1, 2))
    assert first.read_bytes() == second.read_bytes()
    assert "no prediction was confident enough" in (logs / "pseudo_label/digits.k4_s0.twice.r2.log").read_text()


def test_touching_and_reformatting_make_nothing_again(copied):
    for path in (copied / "checkout").rglob("*"):
        path.touch()
    edit(copied, "pocketscope/training/supervised.py", '"""Train a classifier', '"""Teach a classifier')
    edit(copied, "train.py", "device = devices.prepare(", "device  =  devices.prepare(  # said otherwise\n")
    assert plan(copied) == {}


def test_a_fresh_checkout_and_a_moved_results_folder_make_nothing_again(copied, tmp_path):
    shutil.move(copied / "results", tmp_path / "elsewhere")
    shutil.rmtree(copied / "checkout")
    checkout = clone(tmp_path / "another")
    assert plan(copied, results=tmp_path / "elsewhere", checkout=checkout) == {}


@pytest.mark.parametrize(
    ("module", "old", "new", "again"),
    [
        ("pocketscope/evaluation/metrics.py", "zero_division=0", "zero_division=1", TABLES),
        ("pocketscope/distillation/vote.py", "mean / 2", "mean / 3", None),
        ("pocketscope/deploy/quantization.py", "BATCH = 16", "BATCH = 8",
         {"quantize", "evaluate", "time_inference"} | TABLES),
        ("pocketscope/distillation/views.py", 'images ** strengths["gamma"]', "images ** 1.6",
         TRAINED | TABLES | {"audit"}),
        ("pocketscope/report/summary.py", "labelled images per class", "labels per class", set()),
        ("pocketscope/config/messages.py", "is now called", "became", set()),
    ],
)  # fmt: skip
def test_a_change_in_a_module_makes_its_dependants_again(copied, module, old, new, again):
    edit(copied, module, old, new)
    counts = plan(copied)
    if again is None:  # label sets are a part of most things
        assert "pack" not in counts
        assert {"pseudo_label", "train"} <= set(counts)
    else:
        assert set(counts) == again
    if module.endswith("views.py"):
        assert counts["predict"] == 2  # the base model's and the first round's
        assert counts["train"] < 5  # those on people's labels and the upper bound stay


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"teachers": ["shufflenet_v2_x0_5"], "views": ["identity", "gamma"]}},
        {"plain": METHODS["plain"] | {"threshold": 0.2}},
    ],
    ids=["method", "threshold"],
)
def test_a_new_method_or_threshold_trains_no_base_model(change, copied):
    counts = plan(copied, CONFIG | {"methods": METHODS | change})
    assert counts == {
        "audit": 1,
        "pseudo_label": 1,
        "train": 1,
        "quantize": 1,
        "evaluate": 2,
        "scores": 1,
        "compare": 1,
        "recommend": 1,
        "report": 1,
    }


def test_a_new_student_trains_no_old_one(copied):
    counts = plan(copied, CONFIG | {"students": CONFIG["students"] | {"resnet18": ["fp32"]}})
    assert counts == {"train": 4, "evaluate": 4, "time_inference": 1} | ONCE


def test_a_new_seed_touches_no_old_one(copied):
    counts = plan(copied, CONFIG | {"split": {"labelled": [4], "seeds": [0, 1]}})
    assert "pack" not in counts
    assert counts["split"] == 1
    assert counts["train"] == 5
    assert counts["scores"] == 1


def test_an_image_size_of_another_study_shares_nothing_and_harms_nothing(copied):
    datasets = {"digits": CONFIG["datasets"]["digits"] | {"image_size": 48}}
    assert plan(copied, CONFIG | {"study": "other", "datasets": datasets})["pack"] == 1
    assert plan(copied) == {}


def test_poisoned_truth_reaches_no_label_weight_or_prediction(finished, tmp_path):
    """Runs the chain after `split` again, with every hidden label wrong: all but the measures is byte-equal."""
    import pyarrow as pa

    config = CONFIG | {"methods": {name: METHODS[name] for name in ("supervised", "plain")}}
    results = tmp_path / "results"
    path = write_config(tmp_path, config)
    shutil.copytree(finished / "results/datasets", results / "datasets")
    checkout = finished / "checkout"
    snakemake("--until", "split", config=path, results=results, root=checkout)
    truth = results / "small/runs/digits/k4_s0/truth.parquet"
    known = parquet.read(truth, TRUTH).to_pydict()
    wrong = {"0": "1", "1": "2", "2": "0"}
    poisoned = pa.table(known | {"label": [wrong[label] for label in known["label"]]})
    parquet.write(poisoned, truth, TRUTH)
    snakemake("small/scores.parquet", config=path, results=results, root=checkout)

    clean, dirty = (folder / "small/runs/digits/k4_s0" for folder in (finished / "results", results))
    compared = [
        file.relative_to(dirty)
        for file in sorted(dirty.rglob("*"))
        if file.is_file() and not file.name.startswith(("truth", "scores", "timings"))
    ]
    assert len(compared) >= 12
    for file in compared:
        assert (clean / file).read_bytes() == (dirty / file).read_bytes(), file
    scores = [(folder / "small/scores.parquet").read_bytes() for folder in (finished / "results", results)]
    assert scores[0] != scores[1]


def test_a_killed_job_leaves_nothing_half_written_and_a_rerun_goes_on(copied):
    """SIGKILL in the middle of training."""
    import os
    import signal
    import sys
    import time

    model = copied / "results/small/runs/digits/k4_s0/full/shufflenet_v2_x0_5/model.safetensors"
    shutil.rmtree(model.parent)
    slow = CONFIG | {"training": CONFIG["training"] | {"steps_from_scratch": 100_000}}
    path = write_config(copied, slow)
    target = str(model.relative_to(copied / "results"))
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "none", "--cores", "1", target]
    command += ["--configfile", str(path), "--directory", str(copied / "results"), "--rerun-triggers", "mtime"]
    running = subprocess.Popen(
        command, cwd=copied / "checkout", start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    log = copied / "results/small/logs/train/digits.k4_s0.full.shufflenet_v2_x0_5.log"
    log.unlink(missing_ok=True)
    for _ in range(600):
        if log.exists() and "on CPU" in log.read_text():
            break
        time.sleep(0.1)
    else:
        raise AssertionError("training did not start within a minute")
    time.sleep(1)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert [file for file in model.parent.iterdir() if not file.name.startswith(".")] == []
    where = {"config": write_config(copied, CONFIG), "results": copied / "results", "root": copied / "checkout"}
    snakemake("--unlock", **where)
    snakemake(target, **where)
    assert model.exists()
