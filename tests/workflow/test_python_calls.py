"""Calls as a user makes them: base models are shared, results stay, faults are exceptions with a log."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from test_faults import mounted, of_session, until_none

import pocketscope
from helpers import CATALOGUE, SCRIPTS
from pocketscope.api import takeaway

NETWORK = "shufflenet_v2_x0_5"
TRAINING = {"steps": 4, "steps_from_scratch": 4, "batch_size": 4, "n_evaluations": 1}


def digits(folder, *, train=4, valid=10, others=12):
    """Write three classes of scikit-learn's digits as folders; return the labelled and the unlabelled one."""
    found, counts = load_digits(), dict.fromkeys(range(3), 0)
    for pixels, label in zip(found.images, found.target, strict=True):
        if label not in counts or counts[label] >= train + valid + others:
            continue
        place = counts[label]
        part = (
            f"labelled/train/{label}"
            if place < train
            else f"labelled/valid/{label}"
            if place < train + valid
            else "others"
        )
        path = folder / part / f"{label}_{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((24, 24)).save(path)
        counts[label] += 1
    (folder / "networks.yaml").write_text(yaml.safe_dump(CATALOGUE))
    return folder / "labelled", folder / "others"


def options(folder, **more):
    config = {"catalogue": str(folder / "networks.yaml"), "compute": {"device": "cpu"}}
    return {"image_size": 32, "symmetries": [], "training": TRAINING, "config": config, "cores": 2} | more


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two calls that share a base model; by name: the folder, the results and what ran."""
    folder = tmp_path_factory.mktemp("two")
    labelled, others = digits(folder)
    ran = {"plain": set(), "data": set()}

    def watch(name):
        return lambda now: ran[name].update((job.rule, *job.wildcards.values()) for job in now.running)

    plain = pocketscope.plain_distillation(
        NETWORK, NETWORK, labelled, others, folder / "plain", 0.3, **options(folder, progress=watch("plain"))
    )
    before = plain.scores
    data = pocketscope.data_distillation(
        NETWORK, NETWORK, labelled, others, folder / "data", 0.3, ["gamma"], **options(folder, progress=watch("data"))
    )
    return {"folder": folder, "plain": plain, "data": data, "ran": ran, "before": before}


def trained(ran):
    return sorted(job[3] for job in ran if job[0] == "train")


def test_the_second_call_trains_one_network_and_shares_the_rest(two):
    assert trained(two["ran"]["plain"]) == ["human", "plain.r1"]
    assert trained(two["ran"]["data"]) == ["data.r1"]
    assert not {"pack", "split", "predict"} & {job[0] for job in two["ran"]["data"]}


def test_a_result_has_all_that_a_study_found(two):
    result, folder = two["data"], two["folder"]
    scores = result.scores
    assert scores["method"].tolist() == ["supervised", "data"]
    assert (scores["f1_lower"] <= scores["f1"]).all()
    assert (scores["f1"] <= scores["f1_upper"]).all()
    assert scores["test_images"].tolist() == [30, 30]
    assert (scores["size_mb"] > 0).all()
    found = result.predictions
    for method, part in found.groupby("method"):
        accuracy = scores.set_index("method")["accuracy"][method]
        assert part["right"].mean() == pytest.approx(accuracy)
        assert np.allclose(part[["p(0)", "p(1)", "p(2)"]].sum(axis=1), 1, atol=1e-4)
    assert set(found["path"]) == {str(path) for path in (folder / "labelled/valid").rglob("*.png")}
    assert (found["truth"] == found["path"].map(lambda path: Path(path).parent.name)).all()
    labels = result.label_sets
    assert set(labels["label_set"]) == {"data.r1"}
    assert set(labels.loc[labels["source"] == "human", "path"]) <= {
        str(p) for p in (folder / "labelled/train").rglob("*")
    }
    assert set(labels.loc[labels["source"] == "pseudo", "path"]) <= {str(p) for p in (folder / "others").iterdir()}
    assert (labels["source"] == "pseudo").sum() == result.audit.query("`class`.isna() and method == 'data'")[
        "accepted"
    ].item()
    assert result.recommendation["datasets"]["labelled"]["text"] in repr(result)
    assert "<table" in result._repr_html_()
    assert result.report.read_text().startswith("<!")
    assert all(path.suffix == ".svg" for path in result.figures.values())
    assert set(result.paths) >= {"output", "report", "scores", "statistics", "configuration"}
    with pytest.raises(pocketscope.InputError, match="call again with ship=True"):
        result.answers  # noqa: B018


def test_the_model_is_the_one_that_was_tested(two):
    result = two["data"]
    assert result.candidate() == {"method": "data", "network": NETWORK, "precision": "fp32"}
    tested = result.predictions.query("method == 'data'")
    again = result.model.predict(tested["path"].tolist())
    assert np.allclose(again.probabilities, tested[["p(0)", "p(1)", "p(2)"]].to_numpy(), atol=1e-5)
    copied = pocketscope.load(two["folder"] / "data/model.onnx")
    assert np.array_equal(copied.predict(tested["path"].tolist()).probabilities, again.probabilities)
    with pytest.raises(pocketscope.InputError, match=r"no candidate 'dat/.*did you mean 'data/"):
        result.model_of(method="dat")


def test_what_was_taken_away_stays_when_a_later_call_changes_the_study(two):
    folder = two["folder"]
    opened = pocketscope.open_result(folder / "plain")
    pd.testing.assert_frame_equal(opened.scores, two["before"])
    assert {path.name for path in (folder / "plain").iterdir()} == {
        "model.onnx", "report.html", "scores.csv", "pocketscope.json", "study",
    }  # fmt: skip
    in_work = pocketscope.open_result(folder / "pocketscope_work" / opened.plan.config.study)
    assert in_work.scores["method"].tolist() == ["supervised", "data"]
    assert opened.candidate()["method"] == "plain"


def test_a_result_of_another_version_says_so(two, tmp_path):
    copy = shutil.copytree(two["folder"] / "plain", tmp_path / "old")
    about = (copy / "pocketscope.json").read_text()
    (copy / "pocketscope.json").write_text(about.replace(pocketscope.__version__, "0.0.1"))
    (scores,) = (copy / "study").glob("*/scores.parquet")
    scores.unlink()
    with pytest.raises(pocketscope.InputError, match=r"scores\.parquet: .*made by pocketscope 0\.0\.1, and this is"):
        pocketscope.open_result(copy).scores  # noqa: B018
    (config,) = (copy / "study").glob("*/config.yaml")
    config.write_text(config.read_text() + "an_old_key: 1\n")
    with pytest.raises(pocketscope.InputError, match=r"made by pocketscope 0\.0\.1, whose configuration"):
        pocketscope.open_result(copy)
    (copy / "pocketscope.json").write_text(about.replace('"whole": true', '"whole": false'))
    with pytest.raises(pocketscope.InputError, match="was interrupted; make the call again"):
        pocketscope.open_result(copy)
    with pytest.raises(pocketscope.InputError, match="holds no result"):
        pocketscope.open_result(tmp_path)


def test_no_space_for_the_copies_is_named_and_the_result_is_not_taken_for_whole(two, tmp_path):
    mounted(tmp_path / "disk", "-o", "size=256k")
    try:
        output, plan = tmp_path / "disk/out", two["plain"].plan
        with pytest.raises(pocketscope.InputError, match="free some space and run again"):
            takeaway.copy(two["folder"] / "pocketscope_work", plan, output, {}, shipped=False)
        with pytest.raises(pocketscope.InputError, match="was interrupted; make the call again"):
            pocketscope.open_result(output)
    finally:
        subprocess.run(["umount", tmp_path / "disk"], check=True)


def test_a_call_in_an_event_loop_a_nested_one_and_two_at_once(two, tmp_path):
    """All is made already. The inner call wants the outer one's folders once, and then has its own."""
    folder = two["folder"]
    rest = (NETWORK, NETWORK, folder / "labelled", folder / "others", folder / "data", 0.3, ["gamma"])
    said, nested = [], []

    def inside(now):
        if said:
            return
        with pytest.raises(pocketscope.InputError, match=r"workspace: another call is using .*; wait") as refused:
            pocketscope.data_distillation(*rest, **options(folder, progress=False))
        said.append(str(refused.value))
        with pytest.raises(pocketscope.InputError, match=r"output: another call is using .*data; wait"):
            pocketscope.data_distillation(*rest, **options(folder, workspace=tmp_path / "w", progress=False))
        config = {"study": "s", "datasets": {"d": {"source": {"kind": "folder", "path": str(tmp_path / "none")}}},
                  "methods": {"supervised": {"labels": "human"}}, "students": {NETWORK: ["fp32"]},
                  "catalogue": str(folder / "networks.yaml")}  # fmt: skip
        with pytest.raises(pocketscope.InputError, match=r"data set 'd': .*none: there is no such folder") as planned:
            pocketscope.run(config, workspace=tmp_path / "v", progress=nested.append)
        said.append(str(planned.value))

    async def cell():
        return pocketscope.data_distillation(*rest, **options(folder, progress=inside))

    result = asyncio.run(cell())
    assert len(said) == 2
    assert nested[-1].finished
    assert "Traceback" not in said[1]
    assert result.scores["method"].tolist() == ["supervised", "data"]


def test_a_failed_job_is_an_exception_with_its_log(two):
    """The base model's weights are cut short: once they are whole, the same call goes on."""
    folder = two["folder"]
    labelled, others = folder / "labelled", folder / "others"
    weights = folder / "weights.safetensors"
    weights.write_bytes(b"cut short")
    broken = CATALOGUE | {"mine": CATALOGUE[NETWORK] | {"weights": {"file": str(weights)}}}
    (folder / "more.yaml").write_text(yaml.safe_dump(broken))
    asked = options(folder, progress=False)
    asked["config"] = asked["config"] | {"catalogue": str(folder / "more.yaml")}
    with pytest.raises(pocketscope.RunError) as failed:
        pocketscope.plain_distillation("mine", NETWORK, labelled, others, folder / "failed", **asked)
    (job,) = failed.value.jobs
    assert (job.rule, job.wildcards["network"], job.wildcards["label_set"]) == ("train", "mine", "human")
    assert job.log.is_file()
    assert f"error: {weights} does not contain the weights" in job.text
    assert str(weights) in job.reason
    assert "What was made stays" in str(failed.value)
    assert not (folder / "failed/pocketscope.json").exists()


def test_ctrl_c_ends_the_jobs_and_the_same_call_goes_on(tmp_path, request):
    """The signal reaches the caller's process alone, as in a notebook."""
    labelled, others = digits(tmp_path)
    slow = options(tmp_path, training=TRAINING | {"steps_from_scratch": 100_000}, baseline=False)
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import pocketscope\n"
        "try:\n    pocketscope.plain_distillation(*eval(sys.argv[1]), **eval(sys.argv[2]))\n"
        "except KeyboardInterrupt:\n    print('interrupted'); sys.exit(3)"
    )
    where = (NETWORK, NETWORK, str(labelled), str(others), str(tmp_path / "out"))
    running = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, repr(where), repr(slow)],
        cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    request.addfinalizer(running.kill)
    work = tmp_path / "pocketscope_work"

    def training():
        return any("on CPU" in log.read_text() for log in work.glob("*/logs/train/*.log"))

    until_none(lambda: not training(), "the wait for training", seconds=180)
    jobs = [child.pid for child in psutil.Process(running.pid).children()]
    assert len(jobs) == 1
    began = time.monotonic()
    os.kill(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 3, said
    assert "interrupted" in said
    assert time.monotonic() - began < 60
    until_none(lambda: of_session(jobs[0]), "processes after Ctrl-C")
    assert not list(work.glob("*/runs/*/*/human/*/model.safetensors"))
    assert list(work.glob("*/runs/*/*/split.parquet"))

    class Enough(Exception):
        """Ends a call from its progress function."""

    rules = set()

    def watch(now):
        rules.update(job.rule for job in now.running)
        if "train" in rules:
            raise Enough

    with pytest.raises(Enough):
        pocketscope.plain_distillation(*where, **slow | {"progress": watch})
    assert "pack" not in rules  # it went on from what was made
    until_none(lambda: [p for p in psutil.process_iter() if str(work) in " ".join(_command(p))], "its processes")


def _command(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []
