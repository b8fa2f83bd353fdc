"""What people see of a run, and the events that programs get, from what Snakemake logs."""

import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path

import pytest

from helpers import ROOT
from pocketscope.terminal import durations, job_logs, words
from pocketscope.terminal.durations import Durations
from pocketscope.terminal.json_lines import JsonLines, file_of_run
from pocketscope.terminal.run import About, Run
from pocketscope.terminal.screen import Screen

sys.path.insert(0, str(ROOT / "workflow_scripts"))
from snakemake_logger_plugin_pocketscope import places
from snakemake_logger_plugin_pocketscope.sentences import as_sentence

TRAIN = {"dataset": "cells", "split": "k25_s0", "label_set": "human", "network": "resnet18"}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def following(folder, stream, *, several=False, counts=dict, dry=False, **options):
    """Return a run that nothing looks at in the background, and a function that tells it what Snakemake logs."""
    about = About("study", folder, several, slots=2, counts=counts, dry=dry)
    closed = []
    screen = Screen(stream, closed.append, **options)
    lines = JsonLines(folder / "events.jsonl")
    run = Run(about, [lines, screen], Durations(folder / durations.PLACE, "study"))
    run._watch.start = lambda: None

    def log(event, **fields):
        run.record(event, {"message": "", **fields}, fields.pop("level", "INFO"))

    return run, log, closed


def begin(log, number=1, rule="train", wildcards=TRAIN, path=None, **more):
    log("job_info", jobid=number, rule_name=rule, wildcards=wildcards, log=[path] if path else [], threads=1, **more)


def events(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_rule_has_words():
    rules = {
        name
        for path in (ROOT / "rules").glob("*.smk")
        for name in re.findall(r"^(?:rule|checkpoint) (\w+):", path.read_text(), re.MULTILINE)
    }
    assert rules - set(words.GATHERING) == set(words.RULES)


@pytest.mark.parametrize(
    ("rule", "wildcards", "text"),
    [
        ("train", TRAIN, "training resnet18 on people's labels (cells, k25_s0)"),
        ("train", TRAIN | {"label_set": "plain.r2@paper", "split": "ship"},
         "training resnet18 on labels of plain, round 2 (recipe paper) (cells, for shipping)"),
        ("train", TRAIN | {"label_set": "full"}, "training resnet18 on all true labels (cells, k25_s0)"),
        ("pack", {"packed": "white-cells-1f2e"}, "reading the images (white-cells)"),
        ("a_rule_of_tomorrow", {}, "a rule of tomorrow"),
    ],
)  # fmt: skip
def test_jobs_in_words(rule, wildcards, text):
    assert words.job(rule, wildcards) == text


def test_a_run_is_lines_for_people_and_events_for_programs(tmp_path):
    stream = io.StringIO()
    run, log, closed = following(tmp_path, stream)
    log("workflow_started")
    log("run_info", stats={"all": 1, "train": 1, "evaluate": 1, "total": 3})
    path = tmp_path / "train.log"
    begin(log, path="train.log")
    path.write_text("10:00:00 step 40 of 200, 95 images/s, about 16 s left\n10:00:01 warning: the loss rises\n")
    log("job_finished", job_id=1)
    begin(log, 2, "evaluate", TRAIN | {"precision": "int8"})
    log("job_finished", job_id=2)
    begin(log, 3, "all", {})
    run.close()

    shown = stream.getvalue()
    assert "\x1b" not in shown  # not a terminal: plain lines
    assert "2 jobs to do" in shown
    assert "Training networks (1 job)\n" in shown
    assert "warning: training resnet18 on people's labels: the loss rises\n" in shown
    assert "[1/2] training resnet18 on people's labels: 0 s; about 10 s left\n" in shown
    assert "[2/2] testing resnet18 int8, which learnt people's labels: 0 s\n" in shown
    assert "2 jobs done in" in shown
    assert closed[0]["ok"]

    told = events(tmp_path)
    assert [event["event"] for event in told] == [
        "run_started", "planned", "job_started", "warning", "job_progress", "job_finished",
        "job_started", "job_finished", "run_finished",
    ]  # fmt: skip
    progress = told[4]
    assert progress["job_seconds_left"] == 16
    assert told[1]["jobs"][0] == {"rule": "train", "stage": "training networks", "jobs": 1}
    assert told[5]["log"] == str(path)


def test_every_event_is_documented(tmp_path):
    """docs/events.md names each event and each of its keys."""
    run, log, _ = following(tmp_path, io.StringIO())
    log("workflow_started")
    log("run_info", stats={"train": 3, "total": 3})
    (tmp_path / "a.log").write_text("10:00:00 300 of 4000 images, 95 images/s, 16 s left\n10:00:01 warning: w\n")
    begin(log, 1, path="a.log")
    log("job_finished", job_id=1)
    begin(log, 2)
    log("job_error", jobid=2, log=[])
    log(None, message="said")
    log(None, message="Nothing to be done (all requested files are present and up to date).")
    log("error", message="a sentence", exception="WorkflowError")
    run.close()
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    for event in events(tmp_path):
        section = page.partition(f"| `{event['event']}` |")[2].partition("\n")[0]
        assert section, event["event"]
        common = {"time", "event", "job", "rule", "stage", "title", "wildcards", "log", "seconds_left", "at_least"}
        for key in set(event) - common:
            assert f"`{key}`" in section, (event["event"], key)


def test_on_a_terminal_nothing_but_the_status_line_is_erased(tmp_path):
    stream = Terminal()
    run, log, _ = following(tmp_path, stream, color=False)
    log("workflow_started")
    log("run_info", stats={"train": 2, "total": 2})
    begin(log)
    for _ in range(3):
        for listener in run.listeners:
            listener.tick(run)
    log("job_finished", job_id=1)
    run.close()
    shown = stream.getvalue()
    assert "0 of 2 jobs · training resnet18" in shown
    # Each erasing sequence erases the text behind the last newline: a status, never a line that was finished.
    for part in shown.split("\r\x1b[2K")[:-1]:
        status = part.rpartition("\n")[2]
        assert " jobs · " in status
    assert "\x1b[1A" not in shown  # nor is the cursor ever moved up
    assert "\x1b[2J" not in shown


def test_a_long_status_keeps_progress_and_time_and_fits(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    stream = Terminal()
    run, log, _ = following(tmp_path, stream, color=False)
    log("workflow_started")
    log("run_info", stats={"train": 2, "total": 2})
    begin(log, path="train.log", wildcards=TRAIN | {"network": "a_network_with_a_very_long_name" * 3})
    (tmp_path / "train.log").write_text("10:00:00 step 40 of 200, 95 images/s, about 160 s left\n")
    run._read(run.running[1])
    run.listeners[1].tick(run)
    status = stream.getvalue().rpartition("\n")[2]
    assert len(status) <= 89
    assert "…: step 40 of 200, 95 images/s · about 3 min left" in status


def test_a_job_that_fails_is_named_with_its_log_and_the_remedy(tmp_path):
    stream = io.StringIO()
    run, log, closed = following(tmp_path, stream)
    log("workflow_started")
    log("run_info", stats={"train": 1, "evaluate": 1, "total": 2})
    (tmp_path / "train.log").write_text("10:00:00 on CPU\nerror: cells.png: cut short; delete it and run again\n")
    begin(log, path="train.log")
    log("job_error", jobid=1, log=["train.log"])
    log("error", message="RuleException: CalledProcessError in file ...", exception="RuleException", level="ERROR")
    log("error", message="At least one job did not complete successfully.", exception="WorkflowError", level="ERROR")
    run.close()
    shown = stream.getvalue()
    assert "failed: training resnet18 on people's labels" in shown
    assert "    cells.png: cut short; delete it and run again\n" in shown
    assert f"Log: {tmp_path / 'train.log'}" in shown
    assert "What to do: mend this, and run the same command again" in shown
    assert "0 of 2 jobs are done, 1 failed, 1 were not begun" in shown
    assert "CalledProcessError" not in shown
    assert not closed[0]["ok"]


def test_a_job_that_fails_and_then_succeeds_is_no_failure(tmp_path):
    stream = io.StringIO()
    run, log, closed = following(tmp_path, stream)
    log("workflow_started")
    log("run_info", stats={"train": 1, "total": 1})
    begin(log)
    log("job_error", jobid=1, log=[])
    begin(log)
    log("job_finished", job_id=1)
    run.close()
    assert "trying again: training resnet18" in stream.getvalue()
    assert closed[0]["ok"]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("Traceback (most recent call last):\nMemoryError", "ran out of memory"),
        ("Traceback (most recent call last):\nKeyError: 'a'", "report it with the log"),
        ("10:00:00 step 40 of 200", "ended from outside"),
        ("", "--verbose"),
        ("Traceback (most recent call last):\nKeyboardInterrupt", job_logs.STOPPED),
        ("OSError: [Errno 28] No space left on device", "free some space"),
    ],
)
def test_what_helps_is_told_by_the_log(tmp_path, text, remedy):
    (tmp_path / "a.log").write_text(text)
    assert remedy in job_logs.why_it_failed([tmp_path / "missing.log", tmp_path / "a.log"])[1]


def test_a_log_is_read_as_it_grows_and_what_an_earlier_run_left_is_not(tmp_path):
    path = tmp_path / "a.log"
    assert job_logs.JobLog(path).news() == (None, [])
    path.write_text("10:00:00 step 20 of 20, 5 images/s, about 0 s left\n10:00:01 warning: of the run before\n")
    log = job_logs.JobLog(path)
    assert log.news() == (None, [])
    os.utime(path, ns=(0, 0))  # the job begins: however coarse this disk's clock is
    path.write_text("10:00:00 step 10 of 20, 5 images/s, about 9 s left\n10:00:01 warning: half a li")
    assert log.news() == (job_logs.Progress(10, 20, "steps", 5, 9), [])
    path.write_text(path.read_text() + "ne\n")
    assert log.news() == (None, ["half a line"])
    path.write_text("10:00:03 100 of 900 images in 7 views, 80 images/s, about 10 s left\n")
    assert log.news()[0] == job_logs.Progress(100, 900, "images", 80, 10)


def test_time_left_comes_from_this_machine_s_earlier_jobs(tmp_path):
    path = tmp_path / "durations.csv"
    first = Durations(path, "one")
    assert first.left({"train": 2}, [], 2) == (durations.LIGHT, True)  # never timed: at least this
    for seconds in (10, 20, 900):
        first.add("train", "resnet18", 1, seconds)
    first.add("train", "mixnet", 1, 40)
    first.save()
    again = Durations(path, "two")
    assert again.expected("train", "resnet18") == 20  # another study's, the middle one
    assert again.left({"train": 4}, [], 2) == (4 * 30 / 2, False)  # the mean over networks, on two processors
    again.add("train", "resnet18", 1, 100)
    assert again.expected("train", "resnet18") == 100  # this run's own
    assert again.left({}, [("train", "resnet18", 1, 70.0, None)], 2) == (30, False)
    assert again.left({}, [("train", "resnet18", 1, 70.0, 5.0)], 2) == (5, False)  # what the job itself says


def test_a_damaged_file_of_durations_is_no_error(tmp_path):
    path = tmp_path / "durations.csv"
    path.write_text("host,study,rule,network,threads,seconds\na,b,train,,1\na,b,train,,one,two\n")
    assert Durations(path, "b").before == []


def test_the_last_fifty_runs_keep_their_events(tmp_path):
    for number in range(60):
        (tmp_path / "events").mkdir(exist_ok=True)
        (tmp_path / "events" / f"2020-01-01T00-00-{number:02d}-0.jsonl").touch()
    new = file_of_run(tmp_path)
    new.touch()
    left = sorted((tmp_path / "events").iterdir())
    assert len(left) == 50
    assert left[-1] == new


def test_events_that_cannot_be_written_end_no_run(tmp_path):
    (tmp_path / "file").touch()
    lines = JsonLines(tmp_path / "file" / "events.jsonl")
    lines.take({"event": "run_started"})
    lines.close()


@pytest.mark.parametrize(
    ("exception", "message", "sentence"),
    [
        (
            "WorkflowError",
            "WorkflowError in file \"/a/rules/common.smk\", line 35:\nconfiguration: 'x' is not a key\n"
            '  File "/a/rules/common.smk", line 35, in <module>',
            "configuration: 'x' is not a key",
        ),
        (
            "MissingRuleException",
            "MissingRuleException:\nNo rule to produce shpi (if you use input functions ...).",
            "'shpi' is no target: no rule has this name or makes this file; did you mean 'ship'?",
        ),
        (
            "InputFunctionException",
            'InputFunctionException in rule pack in file "/a/data.smk", line 7:\nError:\n  WorkflowError:\n'
            "    data set 'd': /x: there is no such folder;\n    correct the path\nWildcards:\n  packed=d-8247fb0a\n"
            'Traceback:\n  File "/a/rules/common.smk", line 167, in code_of_packing',
            "data set 'd': /x: there is no such folder;\ncorrect the path",
        ),
        ("KeyError", "Traceback ...\nKeyError: 'a'", "Traceback ...\nKeyError: 'a'"),
    ],
)
def test_errors_are_sentences(exception, message, sentence):
    assert as_sentence(exception, message, ["all", "ship"]) == sentence


def test_a_results_folder_that_cannot_be_made_is_named():
    said = "PermissionError: [Errno 13] Permission denied: '/x/y'"
    assert as_sentence("PermissionError", f'PermissionError:\n  File "workdir_handler.py", line 19\n{said}') == (
        "the results folder cannot be made ([Errno 13] Permission denied: '/x/y'); name another one by --directory"
    )


@pytest.mark.parametrize(
    ("home", "set_"), [("home", set()), ("nowhere", {"XDG_CACHE_HOME"}), (None, {"HOME", "XDG_CACHE_HOME"})]
)
def test_caches_have_a_place_where_the_home_is_none(tmp_path, monkeypatch, home, set_):
    """As in containers, whose users often have no name, and no home that they may write to."""
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: str(path).startswith(str(tmp_path / "home")))
    monkeypatch.setattr(os.path, "expanduser", lambda path: str(tmp_path / home) if home else path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    found = places.for_caches()
    assert found.keys() == set_
    if found:
        (place,) = {Path(value) for value in found.values()}
        assert place.stat().st_mode & 0o777 == 0o700
        assert places.for_caches() == found
        place.chmod(0o755)  # as if another user had made it
        assert Path(places.for_caches()["XDG_CACHE_HOME"]) != place


def test_a_configuration_that_is_not_there_names_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    Path("config/mine.yaml").touch()
    traceback = "Traceback ...\n in load_configfile\nFileNotFoundError: [Errno 2] No such file or directory: '{}'"
    assert as_sentence("FileNotFoundError", traceback.format("mien.yaml")) == (
        "--configfile mien.yaml: there is no such file; did you mean config/mine.yaml?"
    )
    # `snakemake --configfile config/mine.yaml ship` takes the target for a second configuration.
    assert "as in `snakemake ship --configfile" in as_sentence("FileNotFoundError", traceback.format("ship"))
