"""A study on a real cluster, undisturbed, with a failing job, and through one fault after another."""

import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import combinations

import numpy as np
import psutil
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

import pocketscope
from helpers import ROOT, clone, study, write_config

WEIGHTS = "shufflenet_from_file"
STUDY = study(
    students={"shufflenet_v2_x0_5": ["fp32", "int8"]},
    training={"steps_from_scratch": 40, "batch_size": 4, "n_evaluations": 2},
    compute={"threads": 1, "device": "auto"},
)
SHARD_SIZE = 200  # of 537 images
PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
# The profile as it is, but for this cluster's names and its impatient users.
HERE = ["--cores", "2", "--jobs", "8", "--latency-wait", "10", "--default-resources", "slurm_account=ci", "mem_mb=500"]
HERE += ["slurm_partition=main", "runtime=5", "--set-threads", "time_inference=1", "--nocolor"]
HERE += ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "1"]
RESOURCES = [f"{rule}:slurm_partition=gpu" for rule in ("train", "predict", "time_inference")]
RESOURCES += ["time_inference:constraint=kind2"]
# Shards of few images: two in a cluster job, so that there are two of these.
TOGETHER = [f"{group}={count}" for group, count in (PROFILE["group-components"] | {"shards.{packed}": 2}).items()]
HERE += ["--group-components", *TOGETHER]

pytestmark = pytest.mark.usefixtures("cluster")


def start(folder, *arguments, config, catalogue=None, resources=()):
    """Start snakemake with the cluster's profile; its output goes to a file."""
    path = write_config(folder, config, catalogue)
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", *HERE]
    command += ["--set-resources", *RESOURCES, *resources]
    command += ["--configfile", str(path), "--directory", str(folder / "results"), *arguments]
    with (folder / "snakemake.log").open("a") as log:
        return subprocess.Popen(
            command, cwd=folder / "checkout", stdout=log, stderr=log, env=os.environ | {"PYTHONWARNINGS": "ignore"}
        )


def run(folder, *arguments, timeout=900, **options):
    """Run snakemake to its end; return its exit status, and what it said."""
    before = (folder / "snakemake.log").stat().st_size if (folder / "snakemake.log").exists() else 0
    running = start(folder, *arguments, **options)
    try:
        status = running.wait(timeout)
    finally:
        running.kill()
    return status, (folder / "snakemake.log").read_text()[before:]


def jobs(folder):
    """Return all cluster jobs of a results folder, as sacct knows them, in the order of submission."""
    columns = ["JobIDRaw", "Comment", "State", "NodeList", "Partition", "ReqTRES", "ReqCPUS", "AllocCPUS", "Timelimit"]
    columns += ["Start", "End"]
    asked = ["sacct", "-X", "-n", "-P", f"--format={','.join([*columns, 'WorkDir'])}"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [dict(zip([*columns, "WorkDir"], line.split("|"), strict=True)) for line in lines]
    # The accounts learn a job's comment, which names its rule, when it has ended.
    queue = ["squeue", "--noheader", "--states=all", "--format=%A|%k"]
    queued = subprocess.run(queue, capture_output=True, text=True, check=True).stdout.splitlines()
    comments = dict(line.split("|", 1) for line in queued)
    for row in rows:
        row["Comment"] = row["Comment"] or comments.get(row["JobIDRaw"], "")
    return [row for row in rows if row["WorkDir"] == str(folder / "results")]


def of_rule(table, rule):
    return [row for row in table if row["Comment"].startswith((f"rule_{rule}_", f"rule_{rule}."))]


def of_group(table, group):
    return [row for row in table if group in row["Comment"].split(".")[0]]


def wait_for(condition, what, seconds=600):
    for _ in range(seconds * 5):
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come within {seconds} s")


def says(log, text):
    return lambda: log.exists() and text in log.read_text(errors="replace")


def made(folder):
    """Return by their names the bytes of all that a study made; None of what depends on the clock."""
    place = folder / "results/small"
    files = [file.relative_to(place) for file in sorted(place.rglob("*")) if file.is_file()]
    # Latencies stand in the costs, in what is recommended by them, and on the page.
    by_the_clock = {"timing", "timings.parquet", "report", "costs.parquet", "costs.csv", "recommendation.json"}
    return {
        str(file): None if by_the_clock & set(file.parts) else (place / file).read_bytes()
        for file in files
        if file.parts[0] not in ("logs", "events")
    }


def packed_tables(folder):
    """Return by their names the bytes of the tables that hold a study's images."""
    return {path.name: path.read_bytes() for path in (folder / "results/datasets").glob("*/*.parquet")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a study of digits in a folder, which one job packs."""
    digits, images = load_digits(), tmp_path_factory.mktemp("digits")
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if str(label) in STUDY["datasets"]["digits"]["classes"]:
            (images / str(label)).mkdir(exist_ok=True)
            Image.fromarray((pixels * 15).astype(np.uint8)).save(images / f"{label}/{number:04d}.png")
    source = {"kind": "folder", "path": str(images)}
    return STUDY | {"datasets": {"digits": STUDY["datasets"]["digits"] | {"source": source}}}


@pytest.fixture(scope="module")
def sharded(whole):
    """Return the same study, whose images are decoded in three shards."""
    return whole | {"compute": whole["compute"] | {"shard_size": SHARD_SIZE}}


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory, whole):
    """Start a run whose first job outlasts its time, and whose second takes more memory than it asked for.

    Its main process stands still until a test lets it go on: the others have the cluster while that time runs out.
    """
    folder = tmp_path_factory.mktemp("disturbed")
    clone(folder / "checkout")
    for script, fault in {
        "pack.py": "import time\nif snakemake.resources.runtime == 1:\n    time.sleep(600)\n",
        "split.py": "import time\nif snakemake.resources.mem_mb == 1000:\n"
        "    taken = b'x' * 2_600_000_000\n    time.sleep(60)\n",
    }.items():
        path = folder / "checkout/workflow_scripts" / script
        docstring, rest = path.read_text().split("\n", 1)
        path.write_text(f"{docstring}\n{fault}{rest}")
    running = start(folder, config=whole, resources=["pack:runtime=attempt"])
    wait_for(lambda: of_rule(jobs(folder), "pack"), "the first job")
    running.send_signal(signal.SIGSTOP)
    yield folder, running
    running.kill()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, sharded, disturbed):
    folder = tmp_path_factory.mktemp("undisturbed")
    clone(folder / "checkout")
    status, said = run(folder, config=sharded)
    assert status == 0, said[-5000:]
    return folder


def test_a_study_runs_to_its_end_with_what_its_rules_ask_for(undisturbed):
    table = jobs(undisturbed)
    assert {row["State"] for row in table} == {"COMPLETED"}
    on_gpus = [row for row in table if "gres/gpu=1" in row["ReqTRES"]]
    # Two trainings, one prediction and the timing, and nothing else.
    assert sorted(row["Comment"].split("_wildcards")[0] for row in on_gpus) == [
        "rule_predict", "rule_time_inference", "rule_train", "rule_train"
    ]  # fmt: skip
    assert {row["Partition"] for row in on_gpus} == {"gpu"}
    assert {row["Partition"] for row in table if row not in on_gpus} == {"main"}
    logs = undisturbed / "results/small/logs"
    assert (logs / "train/digits.k4_s0.human.shufflenet_v2_x0_5.log").exists()
    # 23 jobs: a data set's parts, what is measured of one split, and what joins all, are one cluster job each.
    assert len(table) == 12
    # Three shards, of which two share a job.
    assert len(of_group(table, "shards")) == 2
    (packed,) = (undisturbed / "results/datasets").iterdir()
    assert sorted(path.name for path in (packed / "shards").glob("*.arrow")) == ["0.arrow", "1.arrow", "2.arrow"]
    (timing,) = of_rule(table, "time_inference")
    # A node of the kind that was asked for, and both of its cores where one was asked for: nothing else runs there.
    assert (timing["NodeList"], timing["ReqCPUS"], timing["AllocCPUS"]) == ("n2", "1", "2")
    assert "report/index.html" in made(undisturbed)


def test_after_a_failing_job_a_rerun_does_only_what_is_missing(undisturbed, sharded, tmp_path):
    from safetensors.torch import save_file
    from torchvision.models import shufflenet_v2_x0_5

    shutil.copytree(undisturbed, tmp_path, symlinks=True, dirs_exist_ok=True)
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"cut short")
    network = {"library": "torchvision", "name": "shufflenet_v2_x0_5", "family": "manual"}
    catalogue = {"shufflenet_v2_x0_5": network | {"weights": "none"}}
    catalogue[WEIGHTS] = network | {"weights": {"file": str(weights)}}
    config = sharded | {"students": {"shufflenet_v2_x0_5": ["fp32", "int8"], WEIGHTS: ["fp32"]}}
    status, said = run(tmp_path, "--retries", "0", config=config, catalogue=catalogue)
    assert status != 0
    assert f"{weights} does not contain the weights" in said
    save_file(shufflenet_v2_x0_5(weights=None).state_dict(), weights)
    before = {row["JobIDRaw"] for row in jobs(tmp_path)}
    status, said = run(tmp_path, config=config, catalogue=catalogue)
    assert status == 0, said[-5000:]
    again = [row for row in jobs(tmp_path) if row["JobIDRaw"] not in before]
    assert len(of_rule(again, "train")) == 2
    assert len(again) == 5  # two trainings, their measures and times, and the tables
    assert WEIGHTS in (tmp_path / "results/small/scores.csv").read_text()


def test_through_every_fault_the_same_tables_come_out(cluster, undisturbed, whole, disturbed):
    """And by one packing the same as in shards."""
    folder, running = disturbed
    running.send_signal(signal.SIGCONT)

    def training(label_set):
        log = folder / f"results/small/logs/train/digits.k4_s0.{label_set}.shufflenet_v2_x0_5.log"
        wait_for(says(log, "on CPU"), f"training on {label_set}")
        log.unlink()
        return of_rule([row for row in jobs(folder) if row["State"] == "RUNNING"], "train")[-1]

    lost = training("human")
    kill_node(cluster, lost)
    wait_for(lambda: state(folder, lost) == "NODE_FAIL", "the end of the job whose node died")
    assert training("human")["NodeList"] != lost["NodeList"]
    subprocess.run(["bash", ROOT / "tests/slurm/up.sh"], env=os.environ | {"SLURM_CI_DIR": str(cluster)}, check=True,
                   capture_output=True)  # fmt: skip

    left = training("plain.r1")
    for process in processes(left):
        if "train.py" in " ".join(process.cmdline()):
            process.suspend()  # it would be done before the next run begins
    running.send_signal(signal.SIGKILL)
    running.wait()
    status, said = run(folder, config=whole)
    assert status != 0
    assert "--unlock" in said  # Snakemake's own protection against two runs at once
    assert run(folder, "--unlock", config=whole)[0] == 0
    assert state(folder, left) == "RUNNING"
    status, said = run(folder, config=whole)
    assert status == 0, said[-5000:]
    assert f"cancelling jobs that an earlier run left behind: {left['JobIDRaw']}" in said

    table = jobs(folder)
    assert [(row["State"], row["Timelimit"]) for row in of_rule(table, "pack")] == [
        ("TIMEOUT", "00:01:00"), ("COMPLETED", "00:02:00")
    ]  # fmt: skip
    killed, again = (row for row in table if "parts" in row["Comment"] or row in of_rule(table, "split"))
    assert killed["State"] in {"OUT_OF_MEMORY", "FAILED", "CANCELLED"}
    assert ("mem=2000M" in killed["ReqTRES"], "mem=4000M" in again["ReqTRES"]) == (True, True)
    assert state(folder, left).startswith("CANCELLED")
    for first, second in combinations(table, 2):
        if first["Comment"] == second["Comment"]:
            assert first["End"] <= second["Start"], (first, second)  # no file has two writers
    expected, found = made(undisturbed), made(folder)
    assert expected.keys() == found.keys()  # no file too many either: what killed writers left is gone
    assert [name for name in expected if expected[name] != found[name]] == []
    in_shards, at_once = packed_tables(undisturbed), packed_tables(folder)
    assert in_shards.keys() - at_once.keys() == {"manifest.parquet"}
    assert [name for name, content in at_once.items() if in_shards[name] != content] == []


def test_a_call_from_python_submits_its_jobs_to_the_cluster(undisturbed, sharded, tmp_path):
    """As a user's script does it, on top of what is made: the profile that comes with pocketscope, with these names."""
    ours = {"mem_mb": 500, "runtime": 5, "slurm_account": "ci", "slurm_partition": "main"}
    profile = PROFILE | {"default-resources": PROFILE["default-resources"] | ours}
    profile |= {"cores": 2, "latency-wait": 10, "slurm-init-seconds-before-status-checks": 2,
                "seconds-between-status-checks": 1, "set-threads": {"time_inference": 1}}  # fmt: skip
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/config.yaml").write_text(yaml.safe_dump(profile))
    shutil.copytree(undisturbed / "results", tmp_path / "results", symlinks=True)
    compute = sharded["compute"] | {"device": "cpu"}
    config = study(methods={"supervised": {"labels": "human"}}, compute=compute, datasets=sharded["datasets"])
    told = []
    result = pocketscope.run(
        write_config(tmp_path, config), output=tmp_path / "out", workspace=tmp_path / "results",
        executor="slurm", profile=tmp_path / "ours", jobs=4, progress=told.append,
    )  # fmt: skip
    table = jobs(tmp_path)
    assert {row["State"] for row in table} == {"COMPLETED"}
    assert len(of_rule(table, "train")) == 1
    assert result.scores["f1"].notna().all()
    assert told[-1].done == told[-1].total


def state(folder, job):
    return next(row["State"] for row in jobs(folder) if row["JobIDRaw"] == job["JobIDRaw"])


def processes(job):
    """Return the processes of a job on this machine."""
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("SLURM_JOB_ID") == job["JobIDRaw"]
        except psutil.Error:
            continue
        if ours:
            yield process


def kill_node(cluster, job):
    """Kill a node's daemon, and all that runs of a job there."""
    daemon = int((cluster / f"pids/slurmd.{job['NodeList']}").read_text().split()[0])
    os.kill(daemon, signal.SIGKILL)
    watchers = [
        process
        for process in psutil.process_iter(["cmdline"])
        if " ".join(process.info["cmdline"] or []).startswith(f"slurmstepd: [{job['JobIDRaw']}.")
    ]
    for process in [*watchers, *processes(job)]:
        process.kill()
