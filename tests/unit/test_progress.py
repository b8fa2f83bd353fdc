"""A run's events as progress, as errors with their logs, and as what people see."""

import subprocess
import sys
import types

import pytest

import pocketscope
from pocketscope.api import progress, running
from pocketscope.api.events import Job, Listener, Progress

TRAIN = {"job": 5, "rule": "train", "wildcards": {"network": "resnet18"}, "title": "train resnet18"}


def heard(*events):
    listener = Listener()
    changed = [listener.take(event) for event in events]
    return listener, changed


def test_events_become_progress():
    listener, changed = heard(
        {"event": "run_started"},
        {"event": "planned", "total": 4, "seconds_left": 60, "at_least": True},
        {"event": "job_started"} | TRAIN,
        {"event": "job_progress", "job": 5, "done": 10, "seconds_left": 31, "at_least": False},
        {"event": "warning", "title": "train resnet18", "message": "few images", "job": 5},
        {"event": "something new", "of": "a later version"},
    )
    assert changed == [False, True, True, True, True, False]
    now = listener.progress
    assert (now.done, now.total, now.seconds_left, now.at_least) == (0, 4, 31, False)
    assert [str(job) for job in now.running] == ["train resnet18"]
    assert now.warnings == ("train resnet18: few images",)
    listener.take({"event": "job_finished", "done": 1, "total": 4, "job": 5})
    assert (listener.progress.done, listener.progress.running) == (1, ())
    assert listener.finish()
    assert listener.progress.finished
    assert not listener.finish()


def test_a_failed_job_has_its_log_and_a_second_try_takes_it_back(tmp_path):
    (tmp_path / "train.log").write_text("12:00:00 on CPU\nerror: weights.pth: cut short; copy it again\n")
    failed = {"event": "job_failed", "lines": ["error: weights.pth: cut short"], "log": str(tmp_path / "train.log")}
    listener, _ = heard({"event": "job_started"} | TRAIN, failed | TRAIN)
    (job,) = listener.failed(tmp_path)
    assert (job.rule, job.wildcards, job.log) == ("train", {"network": "resnet18"}, tmp_path / "train.log")
    assert job.text.startswith("12:00:00 on CPU")
    assert job.reason == "weights.pth: cut short; copy it again"
    error = pocketscope.RunError([job], "what Snakemake said")
    assert "a job failed: train (network resnet18): weights.pth: cut short; copy it again" in str(error)
    assert str(tmp_path / "train.log") in str(error)
    listener.take({"event": "job_started"} | TRAIN)
    assert listener.failed(tmp_path) == []
    listener, _ = heard(failed | TRAIN | {"log": None})
    assert listener.failed(tmp_path)[0].reason == "weights.pth: cut short"  # as the event tells it
    assert "Snakemake stopped without a failed job" in str(pocketscope.RunError([], "the end"))


def test_an_error_of_planning_is_a_sentence():
    raised = (
        'InputFunctionException in rule pack in file "/x/data.smk", line 7:\nError:\n  WorkflowError:\n'
        "    data set 'd': /none: there is no such folder; correct the path\nWildcards:\n  packed=d\nTraceback:\n"
    )
    listener, _ = heard({"event": "error", "message": raised})
    assert listener.in_words() == "data set 'd': /none: there is no such folder; correct the path"
    listener, _ = heard({"event": "error", "message": "datasets.d: wrong"})
    assert listener.in_words() == "datasets.d: wrong"


def test_events_are_followed_line_by_line_to_the_last(tmp_path):
    """Lines that are written in two parts, and one that is written as the process ends."""
    code = """
import sys, time
file = open(sys.argv[1], "w")
for part in ('{"event": "a"}', chr(10) + '{"ev', 'ent": "b"}' + chr(10)):
    file.write(part); file.flush(); time.sleep(0.3)
file.write('{"event": "c"}' + chr(10)); file.close()
"""
    path = tmp_path / "events.jsonl"
    process = subprocess.Popen([sys.executable, "-c", code, path])
    assert [event["event"] for event in running._follow(path, process)] == ["a", "b", "c"]
    assert list(running._follow(tmp_path / "none.jsonl", process)) == []


RUNNING = Progress(3, 12, (Job("train", {}, "train resnet18"), Job("split")), (), 75.0, True)


def test_progress_in_words():
    assert progress.in_words(Progress()) == "0 of ? jobs"
    assert progress.in_words(RUNNING) == "3 of 12 jobs, more than 1:15 left: train resnet18 and 1 more"
    assert progress.in_words(Progress(12, 12, failed=(Job("train"),), finished=True)) == "12 of 12 jobs; 1 failed"
    assert [progress.clock(seconds) for seconds in (5, 65, 3700)] == ["0:05", "1:05", "1:01:40"]


def test_in_a_log_there_are_few_lines_and_in_a_terminal_one(capsys, monkeypatch):
    shown = progress.Terminal()
    shown(RUNNING)
    assert capsys.readouterr().err == ""  # nobody watches, and half a minute has not passed
    shown(Progress(12, 12, finished=True))
    assert capsys.readouterr().err == "0:00, 12 of 12 jobs\n"
    shown = progress.Terminal()
    shown.live, shown.shown = True, -1.0
    shown(RUNNING)
    said = capsys.readouterr().err
    assert said.startswith("\r\x1b[K[#####               ]")
    assert "\n" not in said


def test_in_a_notebook_the_bar_is_html_that_a_saved_file_keeps(monkeypatch):
    drawn = []
    handle = types.SimpleNamespace(update=lambda html: drawn.append(html.data))
    ipython = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=1))
    display = types.SimpleNamespace(
        HTML=lambda text: types.SimpleNamespace(data=text), display=lambda html, display_id: handle
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    told = progress.watcher(True)
    assert isinstance(told, progress.Notebook)
    told(RUNNING)
    told(Progress(12, 12, finished=True))
    assert "width:25%" in drawn[0]
    assert "train resnet18" in drawn[0]
    assert "width:100%" in drawn[-1]
    assert "<script" not in "".join(drawn)


def test_progress_may_be_a_function_or_nothing():
    told = []
    assert progress.watcher(told.append) == told.append
    progress.watcher(False)(RUNNING)
    with pytest.raises(pocketscope.InputError, match="progress is 'bar'"):
        progress.watcher("bar")
