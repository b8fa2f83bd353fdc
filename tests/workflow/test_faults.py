"""What becomes of a run when something goes wrong: docs/reliability.md lists it all."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pyarrow as pa
import pytest

from helpers import CATALOGUE, ROOT, script_command, snakemake, study, write_config
from pocketscope.core import files, parquet
from pocketscope.core.errors import InputError
from pocketscope.data import packing, splitting
from pocketscope.models import networks, onnx_export
from pocketscope.tables.images import IMAGES as IMAGES_SCHEMA
from pocketscope.tables.source_labels import SOURCE_LABELS
from pocketscope.tables.split import SPLIT, TRUTH

DIGITS = {"source": {"kind": "digits"}, "classes": ["0", "1", "2"], "page": 0, "image_size": 32, "resize": "stretch",
          "max_skipped_share": 0.1}  # fmt: skip
PACKED = {name: f"{name}.parquet" for name in ("images", "labels", "skipped", "files")}
VIEWS = ["identity", "gamma"]
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
ABOUT = {"resize": "stretch", "page": 0}
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".") and path.suffix != ".log")


def hidden(folder):
    return [path.name for path in folder.iterdir() if re.fullmatch(r"\.[0-9a-f]{12}\..*", path.name)]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Return a folder with packed images, a split and a network of random weights."""

    folder = tmp_path_factory.mktemp("parts")
    packing.pack(DIGITS["source"], ROOT, **{name: folder / file for name, file in PACKED.items()},
                 **{key: value for key, value in DIGITS.items() if key != "source"})  # fmt: skip
    images = parquet.read(folder / "images.parquet", IMAGES_SCHEMA, columns=["image_id", "group", "role"])
    labels = parquet.read(folder / "labels.parquet", SOURCE_LABELS)
    shares = {"test_share": 0.25, "test_seed": 0, "validation_share": 0.2, "min_validation": 20, "strict": False}
    split, truth, notes = splitting.assign(images, labels, labelled=4, seed=0, test="share", **shares)
    parquet.write(split, folder / "split.parquet", SPLIT, notes=notes)
    parquet.write(truth, folder / "truth.parquet", TRUTH)
    network = CATALOGUE["shufflenet_v2_x0_5"]
    trained = networks.Trained(networks.build(network, 3, ROOT, seed=0).eval(), ["0", "1", "2"], 32)
    networks.save(trained, network, folder / "model.safetensors")
    return folder


def pack(before=""):
    return script_command("pack.py", before=before, threads=2, input={}, output=PACKED, params=DIGITS)


def predict(before=""):
    return script_command(
        "predict.py",
        before=before,
        input={name: f"{name}.parquet" for name in ("images", "split")} | {"model": "model.safetensors"},
        output={"predictions": "unlabelled.parquet"},
        params={"views": VIEWS, "strengths": {"gamma": 1.5}, "threads": 1, "device": "cpu"},
    )


def test_a_killed_pack_leaves_nothing_and_no_process_and_a_rerun_makes_the_same(parts, tmp_path):
    """Killed once while processes decode, once while the images are written."""
    decoding = f"""
import os, signal
from pocketscope.data import preparing
prepared = preparing.prepared
def killed(*arguments):
    for number, item in enumerate(prepared(*arguments)):
        if number == 100:
            {KILL}
        yield item
preparing.prepared = killed
"""
    writing = f"""
import os, signal
import pyarrow.parquet as pq
write = pq.ParquetWriter.write_batch
def killed(self, batch):
    write(self, batch)
    {KILL}
pq.ParquetWriter.write_batch = killed
"""
    for before in (decoding, writing):
        process = subprocess.Popen(pack(before), cwd=tmp_path, start_new_session=True)
        assert process.wait(60) == -signal.SIGKILL
        assert visible(tmp_path) == []
        until_none(lambda: of_session(process.pid), "processes of a killed pack")  # noqa: B023
    assert hidden(tmp_path)  # what was being written
    subprocess.run(pack(), cwd=tmp_path, check=True)
    assert hidden(tmp_path) == []
    for file in PACKED.values():
        assert (tmp_path / file).read_bytes() == (parts / file).read_bytes(), file


def test_a_killed_predict_leaves_nothing_and_a_rerun_goes_on(parts, tmp_path):
    shutil.copytree(parts, tmp_path, dirs_exist_ok=True)
    before = visible(tmp_path)
    halfway = f"""
import os, signal
import pyarrow.parquet as pq
write = pq.write_table
def killed(table, path, **options):
    write(table, path, **options)
    os.truncate(path, os.path.getsize(path) // 2)
    {KILL}
pq.write_table = killed
"""
    assert subprocess.run(predict(halfway), cwd=tmp_path, check=False).returncode == -signal.SIGKILL
    assert visible(tmp_path) == before
    assert len(hidden(tmp_path)) == 1
    subprocess.run(predict(), cwd=tmp_path, check=True)
    assert visible(tmp_path) == sorted([*before, "unlabelled.parquet"])
    assert hidden(tmp_path) == []


def mounted(folder, *options):
    """Mount a small file system in memory, or skip the test."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder with room for 256 kB."""
    mounted(tmp_path / "disk", "-o", "size=256k")
    yield tmp_path / "disk"
    subprocess.run(["umount", tmp_path / "disk"], check=True)


def test_a_full_disk_is_named_and_leaves_what_was_there(small_disk, parts):
    """Every kind of file that rules write: a table, a network, an ONNX model, a text."""

    schema = pa.schema([("x", pa.float64())])
    table = pa.table({"x": np.random.default_rng(0).random(100_000)})
    trained = networks.load(parts / "model.safetensors")
    for name, write in {
        "scores.parquet": lambda path: parquet.write(table, path, schema),
        "model.safetensors": lambda path: networks.save(trained, CATALOGUE["shufflenet_v2_x0_5"], path),
        "model.onnx": lambda path: onnx_export.to_onnx(trained, path, images=IMAGES),
        "index.html": lambda path: files.write_text(path, "x" * 300_000),
    }.items():
        (small_disk / name).write_text("former")
        with pytest.raises(InputError, match=rf"{name}: cannot be written .*free some space and run again"):
            write(small_disk / name)
        assert (small_disk / name).read_text() == "former"
        assert hidden(small_disk) == []


def test_a_disk_that_fills_up_while_packing_is_named(small_disk):
    done = subprocess.run(pack(), cwd=small_disk, check=False)
    assert done.returncode == 1
    assert "free some space and run again" in (small_disk / "pack.py.log").read_text()
    assert visible(small_disk) == []


def test_a_read_only_results_folder_is_named_before_anything_is_planned(tmp_path):
    mounted(tmp_path / "results", "-o", "ro")
    try:
        done = snakemake(config=write_config(tmp_path, study()), results=tmp_path / "results", check=False)
    finally:
        subprocess.run(["umount", tmp_path / "results"], check=True)
    assert done.returncode
    said = done.stdout + done.stderr
    assert f"{tmp_path}/results: cannot be written to" in said
    assert "most recent call last" not in said


def test_a_file_cut_short_is_named_with_what_to_delete(parts, tmp_path):
    """By the rules' scripts: the tables, the network and the ONNX model that one job leaves to the next."""

    shutil.copytree(parts, tmp_path, dirs_exist_ok=True)
    onnx_export.to_onnx(networks.load(parts / "model.safetensors"), tmp_path / "model.onnx", images=IMAGES, about=ABOUT)
    evaluate = script_command(
        "evaluate.py",
        input={name: f"{name}.parquet" for name in ("images", "split")} | {"model": "model.onnx"},
        output={"predictions": "test.parquet"},
        params={},
    )
    for command, name in (
        (evaluate, "images.parquet"),
        (evaluate, "split.parquet"),
        (evaluate, "model.onnx"),
        (predict(), "model.safetensors"),
    ):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
        assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 1
        log = (tmp_path / ("predict.py.log" if "safetensors" in name else "evaluate.py.log")).read_text()
        assert re.search(rf"^error: {name}: .*cut short.*; delete it and run again", log, re.MULTILINE | re.DOTALL)
        assert "Traceback" not in log
        (tmp_path / name).write_bytes(whole)
    assert not list(tmp_path.glob("*scores*"))
    subprocess.run(evaluate, cwd=tmp_path, check=True)


def of_session(session):
    """Return the processes that still run of a session, as `start_new_session` begins one."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, ProcessLookupError):
            continue
    return found


def until_none(condition, what, seconds=10):
    for _ in range(seconds * 10):
        if not condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"still there after {seconds} s: {what}: {condition()}")


def test_a_second_run_is_refused_and_ctrl_c_ends_the_first(tmp_path, monkeypatch, request):
    """While a network is trained, on a machine that is said to have two GPUs; then a rerun goes on."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    driver = tmp_path / "bin/nvidia-smi"
    driver.parent.mkdir()
    driver.write_text("#!/bin/sh\necho GPU-a\necho GPU-b\n")
    driver.chmod(0o755)
    config = study(compute={"threads": 1, "device": "auto"}, methods={"supervised": {"labels": "human"}})
    slow = config | {"training": config["training"] | {"steps_from_scratch": 100_000}}
    path, results = write_config(tmp_path, slow), tmp_path / "results"
    target = "small/runs/digits/k4_s0/human/shufflenet_v2_x0_5/model.safetensors"
    where = ["--configfile", str(path), "--directory", str(results), target]
    running = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--workflow-profile", "none", "--cores", "1", *where],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PATH": f"{driver.parent}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
        # A shell's background job has Ctrl-C switched off, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    request.addfinalizer(lambda: [process.kill() for process in of_session(running.pid)])
    log = results / "small/logs/train/digits.k4_s0.human.shufflenet_v2_x0_5.log"
    until_none(lambda: not (log.exists() and "on CPU" in log.read_text()), "the wait for training", seconds=120)

    second = snakemake(target, config=path, results=results, check=False)
    assert second.returncode
    assert "cannot be locked" in second.stdout + second.stderr

    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    said, _ = running.communicate(timeout=20)
    until_none(lambda: of_session(running.pid), "processes after Ctrl-C")
    assert re.search(r"Provided resources: .*gpu=\D*2\b", said)  # no more jobs at once than there are GPUs
    assert "claimed GPU GPU-a" in log.read_text()
    assert not (results / target).exists()
    assert (results / "small/runs/digits/k4_s0/split.parquet").exists()
    snakemake(target, config=write_config(tmp_path, config), results=results)  # not locked
    assert (results / target).exists()
