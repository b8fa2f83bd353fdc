"""What the desk asks of the workflow: its configurations, its runs, and what is taken away."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

import tiny_models
from helpers import clone, planned, study, write_config
from pocketscope.api import workflow
from pocketscope.config.study import read_config
from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.data import corrections
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.suggest import forecast, head
from pocketscope.tables import answers
from pocketscope.tables.decision import ANSWERS
from pocketscope.tables.features import features_table
from pocketscope.tables.predictions import PREDICTIONS, predictions_table
from pocketscope.tables.split import TRUTH
from pocketscope.web import cost, exported, running, tested, wizard
from pocketscope.web import project as projects
from pocketscope.web.desk import Desk
from pocketscope.web.events import Events
from pocketscope.web.running import Runs
from pocketscope.web.study import Study


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "images"
    for number in range(40):
        place = folder / f"patient {number // 10}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(place)
    return projects.open_project(folder, tmp_path / "projects")


@pytest.fixture
def desk(project):
    made = Desk(project, "ada", Events())
    made.index.scan()
    made.index.identify_all(lambda _: None)
    for number, name in enumerate(("cell", "debris")):
        made.labels.change(f"request-{number}", "add", name=name)
    yield made
    made.close()


@pytest.mark.parametrize("preset", ["quick", "recommended", "full"])
@pytest.mark.parametrize(("exam", "unlabelled"), [(True, True), (False, True), (True, False), (False, False)])
def test_every_choice_is_a_configuration_that_the_workflow_takes(project, tmp_path, preset, exam, unlabelled):
    choice = wizard.Choice(preset=preset, seeds=2, steps=50, rounds=2, threshold=0.7, group="folder")
    made = wizard.configuration(project, choice, exam=exam, unlabelled=unlabelled)
    path = tmp_path / "config.yaml"
    path.write_text(wizard.as_text(made, "snakemake"))
    assert yaml.safe_load(path.read_text()) == made
    config, _ = read_config(path, workflow.root())
    source = config.datasets[project.dataset].source
    assert (source.path, source.unlabelled, source.group) == (None, str(project.folder), "folder")
    assert all(one in ("supervised", "frozen") for one in config.methods) or unlabelled


@pytest.mark.parametrize("exam", [True, False])
def test_a_quick_look_compares_nothing_and_waits_for_no_recommendation(project, exam):
    made = wizard.configuration(project, wizard.Choice(preset="quick"), exam=exam, unlabelled=True)
    named = {"method": "frozen", "network": wizard.STUDENT, "precision": "fp32"}
    assert made["ship"] == {"candidate": named} | ({"folds": 0} if exam else {})
    assert made["students"] == {wizard.STUDENT: ["fp32"]}
    assert made["split"].get("folds") == (None if exam else wizard.QUICK_FOLDS)
    several = wizard.Choice(preset="quick", processes=["frozen", "supervised"])
    assert "ship" not in wizard.configuration(project, several, exam=exam, unlabelled=True)
    again = wizard.configuration(project, wizard.Choice(preset="quick", seeds=3), exam=exam, unlabelled=True)
    assert "ship" not in again  # all seeds are compared


def test_an_exam_is_drawn_once_from_images_without_a_label(desk):
    desk.labels.label("request-label", [0, 1], "cell", seen={})
    found = desk.study.set_exam("request-exam", 0.3, by_folder=False)
    assert found == {"exam": 12, "of": 38}
    assert not {desk.index.image_ids[number] for number in (0, 1)} & desk.labels.exam
    assert desk.study.asked()["exam"] == "yes"
    with pytest.raises(InputError, match="set aside already"):
        desk.study.set_exam("request-again", 0.3, by_folder=False)
    desk.labels.turn("request-undo")
    assert desk.labels.exam == set()


def test_a_patient_is_in_the_exam_or_not(desk):
    desk.study.set_exam("request-exam", 0.3, by_folder=True)
    inside = {desk.index.paths[n].split("/")[0] for one in desk.labels.exam for n in desk.index.numbers[one]}
    assert len(inside) == 1
    assert len(desk.labels.exam) == 10


def test_training_waits_for_labels_and_for_the_exam(desk):
    with pytest.raises(InputError, match="two categories"):
        desk.study.train(wizard.Choice())
    desk.study.set_exam("request-exam", 0.3, by_folder=False)
    others = [n for n in range(40) if desk.index.image_ids[n] not in desk.labels.exam][:4]
    desk.labels.label("request-label-1", others[:2], "cell", seen={})
    desk.labels.label("request-label-2", others[2:], "debris", seen={})
    with pytest.raises(InputError, match="no exam image is labelled"):
        desk.study.train(wizard.Choice())
    assert desk.study.counts() == {"learnt": {"cell": 2, "debris": 2}, "exam": {"cell": 0, "debris": 0}}


def test_labelled_images_without_a_file_are_counted(desk, project, tmp_path):
    desk.labels.label("request-label", [0, 1, 2], "cell", seen={})
    desk.labels.set_aside("request-exam", [desk.index.image_ids[0]])
    assert desk.missing() == {"labelled": 0, "exam": 0}  # the folder was not listed yet
    desk.listed.set()
    assert desk.study.counts() == {"learnt": {"cell": 2, "debris": 0}, "exam": {"cell": 1, "debris": 0}}
    place = project.folder / desk.index.paths[0]
    place.rename(tmp_path / "elsewhere.png")
    (project.folder / desk.index.paths[1]).rename(project.folder / "renamed.png")  # the same image under another name
    desk.index.scan()
    assert desk.missing() == {"labelled": 0, "exam": 0}  # it is not known what the new file is
    desk.index.identify_all(lambda _: None)
    assert desk.missing() == {"labelled": 1, "exam": 1}
    assert desk.study.counts() == {"learnt": {"cell": 2, "debris": 0}, "exam": {"cell": 0, "debris": 0}}
    (tmp_path / "elsewhere.png").rename(place)
    desk.index.scan()
    assert desk.missing() == {"labelled": 0, "exam": 0}


def test_labelled_images_are_taken_away_as_class_folders(desk, tmp_path):
    desk.labels.change("request-rename", "rename", category="debris", name="de/bris: 'x'")
    desk.labels.label("request-label-1", [0], "cell", seen={})
    desk.labels.label("request-label-2", [11], "debris", seen={})
    path = tmp_path / "taken.zip"
    path.write_bytes(b"".join(desk.study.labelled_images()))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["cell/patient 0_0.png", "de_bris_ 'x'/patient 1_11.png"]


def test_a_study_is_taken_elsewhere_with_all_that_it_needs(desk, project, tmp_path):
    desk.study.set_exam("request-exam", 0.3, by_folder=False)
    number = desk.index.numbers[min(desk.labels.exam)][0]
    desk.labels.change("request-rename", "rename", category="cell", name="white cell")
    desk.labels.label("request-label", [number], "cell", seen={})
    path = tmp_path / "study.zip"
    path.write_bytes(b"".join(desk.study.elsewhere(wizard.Choice(preset="quick"))))
    machine = clone(tmp_path / "elsewhere")  # another one's checkout
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(machine)
    top = machine / "images"
    assert sorted(one.name for one in top.iterdir()) == [
        "README.md", "config.yaml", "images", "labels.csv", "study-colab.ipynb", "study.ipynb",
    ]  # fmt: skip
    assert len(list((top / "images").rglob("*.png"))) == 40
    config, _ = read_config(top / "config.yaml", workflow.root())
    dataset = config.datasets["images"]
    assert (dataset.source.unlabelled, dataset.labels) == ("images/images", "images/labels.csv")
    rows, _ = corrections.journal_rows(top / "labels.csv")
    assert [(row["path"], row["class"], row["role"]) for row in rows] == [
        (desk.index.paths[number], "white cell", "exam")
    ]
    notebook = (top / "study.ipynb").read_text()
    assert "'unlabelled': 'images'" in notebook
    assert str(project.folder) not in notebook
    assert 'DATA + \\"/labels.csv\\"' in (top / "study-colab.ipynb").read_text()
    jobs = planned("ship", config=top / "config.yaml", results=machine / "results", root=machine)
    of_each = {"split": 2, "train": 2}  # what is tested, and what ships; nothing is timed, compared or reported
    others = ("pack", "check", "evaluate", "quantize", "reliability", "answer", "answers_page", "answers_table", "ship")
    assert jobs == of_each | dict.fromkeys(others, 1)


# ---- the test


def answers_of(project, rows):
    """Write answers to the test as a study does: number of the image, truth, answer, confidence."""
    path = project.results / "answers.parquet"
    pq.write_table(pa.Table.from_pylist([{"dataset": project.dataset} | row for row in rows], ANSWERS), path)
    return path


def test_every_cell_of_the_confusion_matrix_names_its_images(desk, project):
    known = desk.index.image_ids
    said = [(0, "cell", "cell", 0.9), (1, "cell", "debris", 0.8), (2, "debris", "debris", 0.7)]
    rows = [
        {"split": split, "image_id": known[n], "truth": truth, "answer": answer, "confidence": confidence}
        for split, wrong in (("all_s0", 0), ("all_s1", 1))  # of two seeds the first one counts
        for n, truth, answer, confidence in said[wrong:]
    ]
    rows.append(rows[0] | {"image_id": "of a file that is gone", "answer": "debris"})
    desk.study.tested = tested.read(answers_of(project, rows), project.dataset)
    assert desk.study.answered() == {
        "classes": ["cell", "debris"],
        "counts": [[1, 2], [0, 1]],
        "images": [[0, 0, 0, 0.9], [1, 0, 1, 0.8], [2, 1, 1, 0.7]],
    }
    assert tested.read(project.results / "nowhere.parquet", project.dataset) == {}


def test_the_answers_of_a_quick_look_are_read_from_what_its_model_predicted(desk, project):
    project.config.write_text(desk.study.text(wizard.Choice(preset="quick")))  # without an exam: folds test
    plan = StudyPlan(*read_config(project.config, workflow.root()), workflow.root())
    images = desk.index.image_ids[:6]
    wanted = {}
    for fold in range(wizard.QUICK_FOLDS):
        mine = images[2 * fold : 2 * fold + 2]
        given = np.array([[[0.9, 0.1], [0.4, 0.6]]], np.float32)
        candidate = plan.config.ship.candidate.model_dump()
        run = plan.run_of(candidate | {"dataset": project.dataset, "split": f"kall_s0_f{fold}"})
        truth = plan.layout.split(project.dataset, f"kall_s0_f{fold}").truth
        tables = (run.test("fp32"), predictions_table(mine, ["identity"], given), PREDICTIONS,
                  {"classes": ["cell", "debris"]}), (
            truth, pa.table({"image_id": mine, "label": ["cell", "cell"]}, schema=TRUTH), TRUTH, {})  # fmt: skip
        for path, table, schema, notes in tables:
            place = project.results / path
            place.parent.mkdir(parents=True, exist_ok=True)
            parquet.write(table, place, schema, notes=notes)
        wanted |= dict(zip(mine, [("cell", "cell"), ("cell", "debris")], strict=True))
    desk.study._take_in()
    assert {one: found[:2] for one, found in desk.study.tested.items()} == wanted
    assert desk.study.answered()["counts"] == [[3, 3], [0, 0]]
    assert desk.study.results()["recommendation"] is None


def test_who_has_seen_the_answers_to_the_test_is_blind_no_more(desk, project):
    desk.study.set_exam("request-exam", 0.3, by_folder=False)
    number = desk.index.numbers[min(desk.labels.exam)][0]
    assert desk.study.not_blind([number]) == set()
    desk.labels.label("request-blind", [number], "cell", seen={})
    row = {"split": "all_s0", "image_id": min(desk.labels.exam), "truth": "cell", "answer": "debris", "confidence": 1.0}
    desk.study.tested = tested.read(answers_of(project, [row]), project.dataset)
    assert desk.study.not_blind([number]) == set()  # nobody has looked
    desk.study.answered()
    assert Study(desk, lambda _: None).answers_shown
    desk.labels.label("request-seen", [number], "debris", seen={}, guess_shown=desk.study.not_blind([number]))
    assert [said.name for said in desk.journal.blind()] == ["cell"]


# ---- runs


@pytest.fixture
def slow_snakemake(monkeypatch, tmp_path):
    """A stand-in that writes events as the workflow does, and waits to be stopped."""
    place = tmp_path / "bin"
    place.mkdir()
    script = place / "snakemake"
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, signal, sys, time\n"
        "events = sys.argv[sys.argv.index('--logger-pocketscope-events') + 1]\n"
        "def tell(event, **what):\n"
        "    with open(events, 'a') as file: file.write(json.dumps({'event': event, **what}) + '\\n')\n"
        "def stop(*_):\n"
        "    tell('run_finished', ok=False, stopped=True, made=[], recommended=[]); sys.exit(1)\n"
        "signal.signal(signal.SIGINT, stop)\n"
        "tell('planned', total=2, jobs=[], seconds_left=9, at_least=True)\n"
        "tell('job_started', title='training')\n"
        "if 'fail' in sys.argv:\n"
        "    tell('job_failed', title='training', lines=['no memory left'], remedy='make images smaller')\n"
        "    tell('run_finished', ok=False, stopped=False, made=[], recommended=[]); sys.exit(1)\n"
        "time.sleep(60)\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(running.workflow, "command", lambda _, __, targets, options: [str(script), *targets, *options])
    return script


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_a_run_outlives_the_desk_is_found_again_and_stopped(project, slow_snakemake):
    first = Runs(project, lambda _: None)
    first.start("study", project.home / "c.yaml", ["ship"])
    until(lambda: first.now.get("title") == "training")
    with pytest.raises(InputError, match="a run is going on"):
        first.start("study", project.home / "c.yaml", ["ship"])
    first.close()  # the desk is killed
    told = []
    again = Runs(project, told.append)
    assert again.running
    until(lambda: again.now.get("title") == "training")
    again.stop()
    until(lambda: again.now["state"] == "stopped")
    assert not (project.home / "run.json").exists()
    assert Runs(project, told.append).now["state"] == "idle"


def test_pages_are_told_what_a_run_gave_once_it_is_read(desk, project, monkeypatch):
    """A run that has ended is no end yet: what it gave is read and fitted, and nothing is offered anew meanwhile."""
    told = []
    suggestions = desk.suggestions
    monkeypatch.setattr(
        desk.events,
        "tell",
        lambda kind, **_: told.append((kind, suggestions.now()["preparing"], len(desk.study.tested))),
    )
    plans = {}
    for place in (project.home / "look.yaml", project.config):
        place.write_text(desk.study.text(wizard.Choice()))
        plans[place] = StudyPlan(*read_config(place, workflow.root()), workflow.root())
    plan = plans[project.config]
    known = [one for one in desk.index.image_ids if one]
    row = {"split": "all_s0", "image_id": known[0], "truth": "cell", "answer": "debris", "confidence": 1.0}
    features = project.results / plan.layout.features(plan.packed_name(project.dataset), wizard.STUDENT)
    answered = project.results / plan.layout.statistics("answers")
    for path, table in (
        (features, features_table(known, np.random.default_rng(0).normal(size=(len(known), 8)))),
        (answered, pa.Table.from_pylist([{"dataset": project.dataset} | row], ANSWERS)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
    assert not suggestions.now()["preparing"]
    desk.listed.set()
    desk.study.runs._end({"ok": True})
    until(lambda: not suggestions.now()["preparing"])
    until(lambda: told[-1] == ("suggested", False, 1))
    assert ("run", True, 0) in told  # the run is done, and guesses are being prepared
    assert told.index(("run", True, 0)) < told.index(("tested", True, 1))
    assert suggestions.now()["features"]
    assert suggestions.now()["order"]
    told.clear()
    again = Study(desk, lambda _: None)  # the desk is opened again
    assert suggestions.now()["preparing"]
    again.begin()
    until(lambda: not suggestions.now()["preparing"])


def test_a_failed_job_is_shown_with_its_remedy(project, slow_snakemake):
    ended = []
    runs = Runs(project, lambda _: None)
    runs.when_ended(ended.append)
    runs.start("study", project.home / "c.yaml", ["fail"])
    until(lambda: ended)
    assert runs.now["state"] == "failed"
    assert runs.now["failed"] == {"title": "training", "lines": ["no memory left"], "remedy": "make images smaller"}


@pytest.mark.parametrize(("ago", "left", "longer"), [(20, 40, False), (65, 0, False), (90, None, True)])
def test_the_time_left_runs_on_and_is_said_to_have_run_out(project, ago, left, longer):
    """Networks are timed for minutes in which no event comes."""
    runs = Runs(project, lambda _: None)
    said = datetime.fromtimestamp(time.time() - ago).astimezone().isoformat()
    runs._take({"event": "planned", "total": 2, "seconds_left": 60, "at_least": False, "time": said})
    runs._foresee()
    assert runs.now["total"] == 2
    assert runs.now["seconds_left"] == (left if not left else pytest.approx(left, abs=2))
    assert runs.now["longer"] == longer


@pytest.mark.parametrize(
    ("labelled", "asked"), [(10, [(10, 20), (None, 30)]), (20, [(10, 20)]), (30, [(None, 10)]), (40, [])]
)
def test_no_more_labels_are_forecast_than_there_are_images(desk, monkeypatch, labelled, asked):
    for place, name in enumerate(("cell", "debris")):
        numbers = range(place, labelled, 2)
        desk.labels.label(f"request-label-{place}", numbers, name, seen={})
    known = desk.index.image_ids
    desk.suggestions.features = head.prepared(known, np.random.default_rng(0).normal(size=(len(known), 8)))
    made = forecast.Curve(*[np.array([10.0, 20.0])] * 3, 1.0, 1.0)
    monkeypatch.setattr(forecast, "curve", lambda *_: made)
    found = desk.suggestions.enough()["forecasts"]
    assert [(one["per_category"], one["images"]) for one in found] == asked


def test_another_process_with_the_same_number_is_not_taken_for_the_run(project):
    record = {"pid": os.getpid(), "began": 1.0, "kind": "study", "host": os.uname().nodename}
    (project.home / "run.json").write_text(json.dumps(record))
    assert Runs(project, lambda _: None).now["state"] == "idle"


def test_a_lock_is_taken_off_only_where_the_run_is_gone_from_this_host(project, slow_snakemake):
    locks = project.results / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("x")
    record = {"pid": 1, "began": 1.0, "kind": "study", "host": "another machine"}
    (project.home / "run.json").write_text(json.dumps(record))
    runs = Runs(project, lambda _: None)
    with pytest.raises(InputError, match="locked by a run on another machine"):
        runs.start("study", project.home / "c.yaml", ["ship"])


def test_a_killed_run_is_told_so(project, slow_snakemake):
    runs = Runs(project, lambda _: None)
    runs.start("study", project.home / "c.yaml", ["ship"])
    until(lambda: runs.now.get("title") == "training")
    os.killpg(json.loads((project.home / "run.json").read_text())["pid"], signal.SIGKILL)
    until(lambda: runs.now["state"] == "failed")


def test_the_page_is_served_without_torch_pandas_or_scikit_learn():
    code = (
        "import sys, pocketscope.web.app; print({'torch', 'pandas', 'sklearn', 'pyarrow', 'scipy'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env=os.environ | {"PYTHONPATH": str(workflow.root() / "workflow_scripts")})  # fmt: skip
    assert ran.stdout.strip() == "set()"


def test_folders_become_categories_where_that_is_said(desk):
    for request in ("request-undo-1", "request-undo-2"):
        desk.labels.turn(request)  # the categories of the fixture
    assert desk.take_folders("request-folders") == {"categories": 4, "images": 40}
    until(lambda: sum(desk.study.counts()["learnt"].values()) == 40)
    assert {one["name"] for one in desk.labels.as_json()} == {f"patient {number}" for number in range(4)}
    assert desk.labels.category_of(0) == "patient 0"
    with pytest.raises(InputError, match="too few to set some aside"):
        desk.study.set_exam("request-exam", 0.3, by_folder=False)
    found = desk.study.set_exam("request-exam", 0.3, by_folder=False, labelled_too=True)
    assert found == {"exam": 13, "of": 40}
    assert sum(desk.study.counts()["exam"].values()) == 13


def test_what_was_labelled_after_a_guess_never_tests(desk):
    desk.labels.label("request-label", list(range(20)), "cell", seen={}, guess_shown=range(20))
    desk.study.set_exam("request-exam", 0.3, by_folder=False, labelled_too=True)
    assert {n for one in desk.labels.exam for n in desk.index.numbers[one]} <= set(range(20, 40))


# ---- what it costs


def costs_of(project, tmp_path, monkeypatch, speeds):
    """Return the estimates of a project whose probe says what is given."""
    path = tmp_path / "config.yaml"
    path.write_text(wizard.as_text(wizard.configuration(project, wizard.Choice(), exam=True, unlabelled=True), "x"))
    monkeypatch.setattr(cost.Costs, "_probe", lambda self, *_: None)
    made = cost.Costs(project, lambda: None)
    made._place.parent.mkdir(parents=True, exist_ok=True)
    made._place.write_text(json.dumps({f"{platform.node()} {name} 128": each for name, each in speeds.items()}))
    return made, path


def test_a_quick_look_is_foreseen_without_comparing_and_timing(project, tmp_path, monkeypatch):
    costs, path = costs_of(project, tmp_path, monkeypatch, {key: [1.0, 0.01] for key in wizard.TEACHERS})
    choice = wizard.Choice(preset="quick")
    path.write_text(wizard.as_text(wizard.configuration(project, choice, exam=True, unlabelled=True), "x"))
    plan = StudyPlan(*read_config(path, workflow.root()), workflow.root())
    found, splits = cost.trainings(plan, 40, 40)
    assert (len(found), splits) == (2, 2)  # what is tested, and what ships
    # Packing, checks, two splits, the test, quantising (as long as two), what is reliable, three forms of answers.
    assert cost.others(plan, splits) == 11
    work = 2 * (cost.TORCH * cost.JOB + 40 * 0.01) + 11 * cost.JOB
    assert costs.estimate(path, 40, 40).minutes * 60 == pytest.approx(cost.BEGIN + work / max(1, os.cpu_count()))


def test_trainings_are_those_that_the_workflow_plans(project, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(wizard.as_text(wizard.configuration(project, wizard.Choice(), exam=True, unlabelled=True), "x"))
    plan = StudyPlan(*read_config(path, workflow.root()), workflow.root())
    found, splits = cost.trainings(plan, 100, 400)
    assert splits == 6  # the study's, what ships, and its four folds
    # In each: two teachers and their student. Supervised training of the student's network is one of the teachers.
    assert Counter(one.network for one in found) == {"efficientnet_lite0": 12, "efficientnet_lite1": 6}
    assert sorted({(one.images, one.steps) for one in found}) == [(75, 200), (100, 200), (475, 436), (500, 447)]
    assert {one.views for one in found} == {0, 7 * 475, 7 * 500}


def test_a_network_without_pretrained_weights_takes_the_steps_of_such(tmp_path):
    path = write_config(tmp_path, study(training={"steps": 4, "steps_from_scratch": 9, "steps_exponent": 0}))
    plan = StudyPlan(*read_config(path, workflow.root()), workflow.root())
    found, _ = cost.trainings(plan, 20, 100)
    assert {one.steps for one in found} == {9}


def test_minutes_grow_with_the_probes_seconds_and_are_replaced_by_those_of_earlier_trainings(
    project, tmp_path, monkeypatch
):
    slow, path = costs_of(project, tmp_path, monkeypatch, {key: [1.0, 0.01] for key in wizard.TEACHERS})
    first = slow.estimate(path, 100, 400)
    quick, _ = costs_of(project, tmp_path, monkeypatch, {key: [0.5, 0.01] for key in wizard.TEACHERS})
    second = quick.estimate(path, 100, 400)
    assert first.by == second.by == "probe"
    steps = 12 * 200 + 4 * 436 + 2 * 447
    slots = max(1, os.cpu_count())
    assert first.minutes - second.minutes == pytest.approx(0.5 * steps / slots / 60)
    monkeypatch.setattr(cost.Costs, "_earlier", lambda *_: dict.fromkeys(wizard.TEACHERS, 0.5))
    third = slow.estimate(path, 100, 400)
    assert third.by == "earlier"
    unknown, _ = costs_of(project, tmp_path, monkeypatch, {})
    assert unknown.estimate(path, 100, 400) is None


def test_a_probe_measures_this_machine_once(project, tmp_path):
    choice = wizard.Choice(preset="quick", image_size=32)
    path = tmp_path / "config.yaml"
    path.write_text(wizard.as_text(wizard.configuration(project, choice, exam=True, unlabelled=True), "x"))
    told = []
    made = cost.Costs(project, lambda: told.append(True))
    assert made.estimate(path, 20, 20) is None
    assert made.probing
    until(lambda: told, 180)
    found = made.estimate(path, 20, 20)
    assert found.by == "probe"
    assert 0 < found.minutes < 600
    assert len(told) == 1


def test_results_lead_with_what_is_known_and_name_the_recommended_file(desk, tmp_path, monkeypatch):
    rows = [("1.png", "a", True, None), ("copy.png", "a", True, None), ("2.png", "b", False, None),
            ("3.png", "c", True, "N")]  # fmt: skip
    table = [
        {"path": path, "image_id": identity, "class": "P", "probability": 0.8, "reliable": sure, "said": said}
        for path, identity, sure, said in rows
    ]
    parquet.write(pa.Table.from_pylist(table, schema=answers.ANSWERS), tmp_path / "answers.parquet", answers.ANSWERS)
    (tmp_path / "README.md").write_text(
        "| `model.fp32.onnx` | fp32 |\n| `model.int8.onnx` | the model in int8: this one is recommended, and"
    )
    shipped = {name: tmp_path / name for name in ("answers.parquet", "README.md")}
    monkeypatch.setattr(Study, "_shipped", lambda self, plan: iter(shipped.items()))
    found = Study(desk, lambda _: None)
    monkeypatch.setattr(Study, "_plan", lambda self, path: StudyPlan(*read_config(
        write_config(tmp_path, study()), workflow.root()), workflow.root()))  # fmt: skip
    told = found.results()
    assert told["answered"] == {"images": 2, "reliable": 1}
    assert told["recommended"] == "model.int8.onnx"


def test_an_export_of_what_ships_is_made_when_it_is_asked_for(tmp_path):
    with pytest.raises(InputError, match="no model to export yet"):
        exported.make("imagej", tmp_path / "nothing", tmp_path / "out")
    shipped = tiny_models.ship(tmp_path)
    with pytest.raises(InputError, match="is no kind of export that can be made here"):
        exported.make("../phone", shipped, tmp_path / "out")
    path = exported.make("imagej", shipped, tmp_path / "out")
    with zipfile.ZipFile(path) as archive:
        assert "imagej/Classify_with_pocketscope.ijm" in archive.namelist()
    assert [left.name for left in (tmp_path / "out").iterdir()] == ["imagej.zip"]
    (shipped / "model.fp32.onnx").write_bytes(b"cut")
    (shipped / "model.int8.onnx").write_bytes(b"cut")
    with pytest.raises(InputError, match=r"model\.\w+\.onnx"):
        exported.make("imagej", shipped, tmp_path / "out")
    assert zipfile.is_zipfile(path)  # the one from before
