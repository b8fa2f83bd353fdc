"""How long a study will take on this machine, before it is started: counted from its plan, timed by a short probe."""

import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from pocketscope.api import workflow
from pocketscope.config.study import read_config
from pocketscope.core import files
from pocketscope.plan.shipping import default_method
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.training import budget
from pocketscope.web.project import Project

JOB = 5.0  # seconds of a job that trains nothing, where none was timed here: most of them to start Python
TIMED = 60.0  # of the rule that times networks, which has the machine to itself
BEGIN = 8.0  # of Snakemake itself, until the first job begins and after the last one
TORCH = 2.5  # jobs that one is as long as which trains nothing but a head: 13 s, of which imports and the network are 8
ANSWERS = 6  # jobs of whatever ships: packing, checks, what is reliable, answers as a table, as CSV and as a page
COMPARED = 6  # of a study that compares: near duplicates, scores, tests, the recommendation, the report twice as long
PER_SPLIT = 3  # where labels are made: drawing it, its labels, its audit; else drawing it alone
QUANTISED = 2  # jobs that one is as long as which quantises
HEAVY = {"train", "train_consistency", "predict", "time_inference"}  # rules whose jobs tell nothing of others
PROBE = 300.0  # seconds that a probe may take


class Training(NamedTuple):
    """A training of a study.

    `factor` is how many images a step has for each labelled one. `images` go through the network as it is, for its
    head; a teacher looks at `views` afterwards.
    """

    network: str
    steps: int
    factor: float
    images: int
    views: int


class Speed(NamedTuple):
    """Seconds of a training step, and of an image that is only looked at."""

    step: float
    image: float


class Estimate(NamedTuple):
    """Minutes of a study on this machine, and what they were estimated from: `earlier` steps here, or a `probe`."""

    minutes: float
    by: str


def trainings(plan: StudyPlan, labelled: int, unlabelled: int) -> tuple[list[Training], int]:
    """Return all trainings of a study and of what it ships, and the number of its splits.

    What ships is taken to be the default method with the first student; which one it is, the study decides.

    Parameters
    ----------
    plan
        The study.
    labelled, unlabelled
        Images that have a label to learn from, and others. Teachers are taken to label all.
    """
    dataset, named = next(iter(plan.config.datasets)), plan.config.ship.candidate
    asked = [(named.method, named.network) if named else (default_method(plan), next(iter(plan.config.students)))]
    compared = asked if named else [(name, network) for name in plan.config.methods for network in plan.config.students]
    found = _of_split(plan, dataset, compared, labelled, unlabelled) * len(plan.splits)
    folds = len(plan.ship_folds)
    found += _of_split(plan, dataset, asked, labelled, unlabelled)
    if folds:
        found += _of_split(plan, dataset, asked, labelled * (folds - 1) // folds, unlabelled) * folds
    return found, len(plan.splits) + 1 + folds


def _of_split(
    plan: StudyPlan, dataset: str, asked: Iterable[tuple[str, str]], labelled: int, unlabelled: int
) -> list[Training]:
    found: dict[tuple[str, str], int] = {}  # the label set and the network of each training; views that it predicts

    def need(label_set: str, network: str, views: int = 0) -> None:
        new = (label_set, network) not in found
        found[label_set, network] = max(views, found.get((label_set, network), 0))
        method, _, round = label_set.partition("@")[0].partition(".r")
        if new and round.isdigit():
            for teacher, learnt in plan.teachers(method, round):
                need(learnt, teacher, len(plan.views_of(dataset, method)))

    for method, network in asked:
        need(plan.final_label_set(method), network)
    return [_training(plan, *run, views, labelled, unlabelled) for run, views in found.items()]


def _training(plan: StudyPlan, label_set: str, network: str, views: int, labelled: int, unlabelled: int) -> Training:
    settings = plan.training(label_set)
    consistency = plan.config.methods[label_set] if label_set in plan.consistency else None
    many = ".r" in label_set or label_set.startswith("full")
    images = labelled + (unlabelled if many else 0)
    pretrained = plan.network(network)["weights"] != "none"
    steps = budget.steps(settings, images, pretrained=pretrained) * (consistency.duration if consistency else 1)
    factor = consistency.images_per_label if consistency else 1.0
    return Training(network, round(steps), factor, images, views * (labelled + unlabelled))


def others(plan: StudyPlan, splits: int) -> float:
    """Return how many jobs of a study, and of what it ships, train nothing; one that takes twice as long counts twice.

    Parameters
    ----------
    plan
        The study.
    splits
        What `trainings` returned.
    """
    named = plan.config.ship.candidate
    tests = [named.precision] if named else [form for forms in plan.config.students.values() for form in forms]
    methods = 1 if named else len(plan.config.methods)
    tested = len(plan.splits) * methods * (len(tests) + QUANTISED * tests.count("int8"))
    folds = len(plan.ship_folds) * (1 + (0 if named and named.precision == "fp32" else QUANTISED))
    labels = PER_SPLIT if plan.distilling or plan.consistency else 1
    return ANSWERS + (0 if named else COMPARED) + labels * splits + tested + folds + QUANTISED


def seconds(found: list[Training], speeds: dict[str, Speed], jobs: float, job: float, slots: int, timed: int) -> float:
    """Return how long a study takes.

    Parameters
    ----------
    found
        What `trainings` returned.
    speeds
        Of each network.
    jobs
        What `others` returned.
    job
        Seconds of a job that trains nothing.
    slots
        How many jobs run at once.
    timed
        How many networks are timed, each with the machine to itself.
    """
    work = 0.0
    for one in found:
        speed = speeds[one.network]
        work += TORCH * job + one.steps * one.factor * speed.step + (one.images + one.views) * speed.image
        work += TORCH * job if one.views else 0.0
    return BEGIN + (work + job * jobs) / slots + TIMED * timed


class Costs:
    """Estimates for one project, with probes in the background.

    Parameters
    ----------
    project
        Whose.
    told
        Called when a probe has ended.
    """

    def __init__(self, project: Project, told: Callable[[], None]) -> None:
        self.project, self._told = project, told
        self._place = project.results / "desk" / "speeds.json"
        self._busy = threading.Lock()
        self._failed: set[str] = set()
        self._process: subprocess.Popen | None = None

    def close(self) -> None:
        """End a probe that runs."""
        if self._process is not None:
            self._process.kill()

    @property
    def probing(self) -> bool:
        """Whether something is being measured."""
        return self._busy.locked()

    def estimate(self, configfile: Path, labelled: int, unlabelled: int) -> Estimate | None:
        """Return how long a study takes; None while that is being measured, or where it cannot be.

        Parameters
        ----------
        configfile
            The study's.
        labelled, unlabelled
            See `trainings`.
        """
        plan = StudyPlan(*read_config(configfile, workflow.root()), workflow.root())
        found, splits = trainings(plan, labelled, unlabelled)
        size = next(iter(plan.config.datasets.values())).image_size
        probed = {key: Speed(*value) for key, value in self._probed().items()}
        earlier = self._earlier(size)
        speeds, missing, by = {}, [], "probe"
        for name in sorted({one.network for one in found}):
            key = f"{platform.node()} {name} {size}"
            if key not in probed:
                missing.append(name)
                continue
            speeds[name] = probed[key]
            if name in earlier:
                speeds[name], by = Speed(earlier[name], probed[key].image), "earlier"
        if missing:
            self._probe(configfile, missing, size)
            return None
        slots = max(1, (os.cpu_count() or 1) // plan.config.compute.threads)
        timed = 0 if plan.config.ship.candidate else len(plan.config.students)
        return Estimate(seconds(found, speeds, others(plan, splits), self._job(), slots, timed) / 60, by)

    # ---- what was measured

    def _probed(self) -> dict[str, list[float]]:
        try:
            return json.loads(self._place.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def _earlier(self, size: int) -> dict[str, float]:
        """Return the seconds of a step of networks that this project has trained at an image size, on this machine."""
        if not self.project.config.is_file():
            return {}
        plan = StudyPlan(*read_config(self.project.config, workflow.root()), workflow.root())
        dataset = plan.config.datasets[self.project.dataset]
        if dataset.image_size != size or not (self.project.results / plan.layout.report).is_file():
            return {}
        import pyarrow.parquet as pq  # takes a while to import: the page comes first

        found: dict[str, list[float]] = {}
        for path in (self.project.results / plan.config.study / "runs").glob("*/*/*/*/timings.parquet"):
            label_set = path.parts[-3]
            if label_set in plan.consistency:
                continue
            settings = plan.training(label_set)
            rows = pq.read_table(path, partitioning=None).to_pylist()[1:]  # the first has the head too
            if settings["steps"] and (images := sum(row["images"] for row in rows)):
                each = sum(row["seconds"] for row in rows) / images
                found.setdefault(path.parts[-2], []).append(each * settings["batch_size"])
        return {name: statistics.median(each) for name, each in found.items()}

    def _job(self) -> float:
        """Return the seconds of a job that trains nothing: those of earlier runs here, where there are any."""
        place = self.project.results / ".snakemake/pocketscope_durations.csv"
        try:
            with place.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if row["host"] == platform.node()]
            return statistics.mean(float(row["seconds"]) for row in rows if row["rule"] not in HEAVY)
        except (OSError, ValueError, KeyError, statistics.StatisticsError):
            return JOB

    def _probe(self, configfile: Path, names: list[str], size: int) -> None:
        wanted = [name for name in names if f"{name} {size}" not in self._failed]
        if not wanted or not self._busy.acquire(blocking=False):
            return
        threading.Thread(target=self._probing, args=(configfile, wanted, size), name="probe", daemon=True).start()

    def _probing(self, configfile: Path, names: list[str], size: int) -> None:
        command = [sys.executable, "-m", "pocketscope.evaluation.training_probe", str(workflow.root()), str(configfile)]
        try:
            self._process = subprocess.Popen(
                [*command, *names], cwd=workflow.root(), env=workflow.environment(), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            out, _ = self._process.communicate(timeout=PROBE)
            read = json.loads(out.splitlines()[-1])
            new = {f"{platform.node()} {name} {size}": [one["step"], one["image"]] for name, one in read.items()}
            files.write_text(self._place, json.dumps(self._probed() | new))
        except (OSError, ValueError, LookupError, subprocess.SubprocessError):
            self._failed |= {f"{name} {size}" for name in names}  # a minute more or less is not worth a word
            if self._process is not None:
                self._process.kill()
        finally:
            self._process = None
            self._busy.release()
        self._told()
