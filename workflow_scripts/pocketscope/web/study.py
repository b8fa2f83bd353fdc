"""The study of a project: what is set aside, what is started, and what comes out."""

import contextlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketscope.api import workflow
from pocketscope.config.study import read_config
from pocketscope.core import files
from pocketscope.core.errors import InputError
from pocketscope.plan import shipping
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.suggest import exam
from pocketscope.web import archives, exported, tested, wizard
from pocketscope.web import project as projects
from pocketscope.web.cost import Costs
from pocketscope.web.running import Runs

if TYPE_CHECKING:
    from pocketscope.web.desk import Desk

FEWEST = 5  # images of an exam
EYES = wizard.STUDENT  # the network whose features suggestions rest on
# In the model card.
RECOMMENDED = re.compile(r"`(model\.\w+\.onnx)`[^|]*\|[^|]*this one is recommended")
KNOWN = re.compile(r"^\*\*(.+)\*\*$", re.MULTILINE)  # the sentence that it leads with


class Study:
    """What is asked of the workflow for a project, and what it gave.

    Attributes
    ----------
    runs
        What runs now.
    """

    def __init__(self, desk: "Desk", told: Callable[[dict[str, Any]], None]) -> None:
        self.desk, self.project = desk, desk.project
        self.tested: dict[str, tested.Answer] = {}  # by identity of the image; once answers were shown, nobody is blind
        self.answers_shown = bool(projects.about(self.project.home).get("answers_shown"))
        self._features_read: tuple[Path, int] | None = None  # which file, of when
        self.costs = Costs(desk.project, lambda: desk.events.tell("estimated"))
        self._told = told
        if self._look.is_file() or self.project.config.is_file():
            desk.suggestions.expect()
        self.runs = Runs(desk.project, self._tell)
        self.runs.when_ended(self._ended)

    def begin(self) -> None:
        """Take what an earlier opening left: features and answers."""
        with contextlib.suppress(InputError, OSError):
            self._take_in()
        self.desk.listed.wait()  # before, there is nothing that suggestions could be about
        self.desk.suggestions.ready()

    def close(self) -> None:
        """Stop following; what runs goes on."""
        self.runs.close()
        self.costs.close()

    # ---- what is asked

    def asked(self) -> dict[str, Any]:
        """Return the wizard's choice, and whether there is an exam (`exam`: yes, no; None: nobody has said)."""
        known = projects.about(self.project.home)
        return {
            "choice": known.get("choice"),
            "exam": "yes" if self.desk.labels.exam else known.get("exam"),
            "processes": wizard.PROCESSES,
            "presets": wizard.PRESETS,
        }

    def without_exam(self) -> None:
        """Remember that the person wants no exam: folds of the labels test instead."""
        projects.write(self.project, exam="no")

    def set_exam(self, request: str, width: float, by_folder: bool, labelled_too: bool = False) -> dict[str, int]:
        """Set images aside, drawn at random; return how many, and of how many.

        Parameters
        ----------
        request
            Names the deed.
        width
            Of the interval that is wanted; see `suggest.exam.size_for`.
        by_folder
            Whether images of one folder belong together.
        labelled_too
            Whether labelled images may be drawn: the person says that all images are a random sample. Those that were
            labelled after a guess was shown are never drawn.

        Raises
        ------
        pocketscope.core.errors.InputError
            There are too few images, or there is an exam.
        """
        desk = self.desk
        if desk.labels.exam:
            raise InputError("images are set aside already; take that back first (Z)")
        free = [n for n in range(len(desk.index.paths)) if n not in desk.index.gone and desk.index.problems[n] is None]
        if labelled_too:
            seen = {one.image_id for one in desk.journal.current() if one.guess_shown}
            free = [n for n in free if desk.index.image_ids[n] not in seen]
        else:
            free = [n for n in free if desk.labels.category_of(n) is None]
        size = exam.size_for(width)
        groups = {str(n): folder for n in free if by_folder and (folder := desk.index.paths[n].rpartition("/")[0])}
        drawn = exam.draw([str(n) for n in free], size, groups, seed=secrets.randbits(64))
        identities = {one for number in drawn if (one := desk.index.identify(int(number))) is not None}
        if not labelled_too:  # a copy of it may be labelled
            identities -= {one for one, held in desk.labels.of.items() if held.category is not None}
        if len(identities) < FEWEST:
            raise InputError(
                f"{len(free)} images without a label are too few to set some aside; add images, or go on without an "
                "exam: folds of the labels then test the models"
            )
        desk.labels.set_aside(request, identities)
        projects.write(self.project, exam="yes")
        return {"exam": len(identities), "of": len(free)}

    def look(self, choice: wizard.Choice) -> None:
        """Start to look at all images with a frozen network, for suggestions.

        Raises
        ------
        pocketscope.core.errors.InputError
            There are no images, their folder is away, or a run is going on.
        """
        self._check_images()
        text = self.text(choice)
        files.write_text(self._look, text)
        self.runs.start("features", self._look, [self._features(self._plan(self._look))])

    def train(self, choice: wizard.Choice) -> None:
        """Start a study, and train what it recommends on all labels.

        Raises
        ------
        pocketscope.core.errors.InputError
            There are too few labels, the folder of images is away, or a run is going on.
        """
        self._check_images()
        counts = self.counts()
        learnt = {name: number for name, number in counts["learnt"].items() if number}
        if len(learnt) < 2:
            raise InputError("label images of two categories at least, beside those of the exam; then train")
        if self.desk.labels.exam and not sum(counts["exam"].values()):
            raise InputError(
                "no exam image is labelled yet, so nothing could be said of how good a model is; label them first "
                "(Show: Exam images)"
            )
        self._configure(self.text(choice))
        projects.write(self.project, choice=choice.model_dump())
        self.runs.start("study", self.project.config, ["ship"])

    def compare(self) -> None:
        """Start what a study of one model leaves out: its recommendation with the timing of networks, and the report.

        Raises
        ------
        pocketscope.core.errors.InputError
            Nothing was trained yet, the folder of images is away, or a run is going on.
        """
        self._check_images()
        if not self.project.config.is_file():
            raise InputError("nothing was trained yet; train first")
        layout = self._plan(self.project.config).layout
        self.runs.start("report", self.project.config, [layout.recommendation, layout.report])

    def estimate(self, choice: wizard.Choice) -> dict[str, Any]:
        """Return how long a study takes: `minutes` (None: not known), `by` what, and whether it is `probing`."""
        if self.runs.running:
            return {"minutes": None, "by": None, "probing": False}
        path = self.project.home / "estimate.yaml"
        files.write_text(path, self.text(choice))
        labelled = sum(self.counts()["learnt"].values())
        others = max(0, len(self.desk.index.paths) - len(self.desk.index.gone) - labelled - len(self.desk.labels.exam))
        found = self.costs.estimate(path, labelled, others)
        known = {"minutes": None, "by": None} if found is None else found._asdict()
        return known | {"probing": self.costs.probing}

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many images are labelled, by name of the category: to learn from (`learnt`), and of the exam.

        Images whose files are gone do not count: no study sees them.
        """
        labels = self.desk.labels
        names = {one.identity: one.name for one in labels.categories}
        learnt: Counter[str] = Counter(dict.fromkeys(names.values(), 0))
        tested: Counter[str] = Counter(dict.fromkeys(names.values(), 0))
        gone = self.desk.without_file(labels.of)
        for image_id, held in labels.of.items():
            if held.category is not None and image_id not in gone:
                (tested if image_id in labels.exam else learnt)[names[held.category]] += 1
        return {"learnt": dict(learnt), "exam": dict(tested)}

    def text(self, choice: wizard.Choice) -> str:
        """Return the text of the configuration file."""
        command = f".venv/bin/snakemake ship --configfile {self.project.config} --directory {self.project.results}"
        return wizard.as_text(self._configuration(choice), command)

    def _configuration(self, choice: wizard.Choice) -> dict[str, Any]:
        labels = self.desk.labels
        known = sum(held.category is not None for held in labels.of.values())
        unlabelled = known < len(self.desk.index.numbers) or len(self.desk.index.numbers) < len(self.desk.index.paths)
        tested = bool(labels.exam) and any(labels.of.get(one, (None,))[0] for one in labels.exam)
        return wizard.configuration(self.project, choice, exam=tested, unlabelled=unlabelled)

    # ---- what came out

    def results(self) -> dict[str, Any]:
        """Return what came out of the last study.

        `known`, the sentence that the model card leads with; `recommendation`, None where the configuration names what
        ships; `report` (whether); `files` to take away, and which of them is `recommended`; `answered`, how many images
        that no person labelled have an answer, and how many of these are `reliable`; `exports`, the kinds that can be
        made of it; the model `card`.
        """
        with contextlib.suppress(InputError, OSError):
            plan = self._plan(self.project.config)
            layout, results = plan.layout, self.project.results
            found = {name: path for name, path in self._shipped(plan) if path.is_file()}
            # Of an earlier study with the same results folder, where what ships is named.
            shown = plan.config.ship.candidate is None or _younger(results / layout.report, self.project.config)
            card = found["README.md"].read_text(encoding="utf-8") if "README.md" in found else None
            recommended, known = RECOMMENDED.search(card or ""), KNOWN.search(card or "")
            return {
                "known": known and known[1],
                "recommendation": _json(results / layout.recommendation) if shown else None,
                "report": shown and (results / layout.report).is_file(),
                "files": {name: path.stat().st_size for name, path in found.items()},
                "recommended": recommended and recommended[1],
                "answered": _answered(found.get("answers.parquet")),
                "exports": exported.offered() if "README.md" in found else {},
                "card": card,
            }
        return {"known": None, "recommendation": None, "report": False, "files": {}, "card": None}

    def answered(self) -> dict[str, Any]:
        """Return how the test images were answered (see `tested.for_page`), which the person has seen from then on."""
        if self.tested and not self.answers_shown:
            projects.write(self.project, answers_shown=True)
            self.answers_shown = True
        return tested.for_page(self.tested, self.desk.index)

    def not_blind(self, numbers: Iterable[int]) -> set[int]:
        """Return which of some images were answered by a model, with the answers shown to the person."""
        known = self.tested if self.answers_shown else {}
        return {number for number in numbers if self.desk.index.image_ids[number] in known}

    def report(self) -> Path:
        """Return where the report is."""
        return self.project.results / self._plan(self.project.config).layout.report

    def shipped(self, name: str) -> Path | None:
        """Return a file to take away by its name; None where there is no such file."""
        with contextlib.suppress(InputError, OSError):
            return dict(self._shipped(self._plan(self.project.config))).get(name)
        return None

    def _shipped(self, plan: StudyPlan) -> Iterator[tuple[str, Path]]:
        folder = self.project.results / plan.layout.shipped(self.project.dataset, "README.md")
        for path in sorted(folder.parent.iterdir()) if folder.parent.is_dir() else ():
            if path.is_file() and not path.name.startswith("."):
                yield path.name, path
        yield "config.yaml", self.project.config

    def labelled_images(self) -> Iterator[bytes]:
        """Yield a ZIP file of the labelled images as class folders, piece by piece."""
        return archives.packed(archives.labelled_images(self.desk))

    def elsewhere(self, choice: wizard.Choice) -> Iterator[bytes]:
        """Yield a ZIP file of all that runs the study on another machine, piece by piece."""
        return archives.packed(archives.study(self.desk, self._configuration(choice), workflow.root()))

    def export(self, kind: str) -> dict[str, Any]:
        """Make an export of what ships (see `exported.make`); return the file's `name` and `bytes`."""
        plan = self._plan(self.project.config)
        shipped = (self.project.results / plan.layout.shipped(self.project.dataset, "README.md")).parent
        made = exported.make(kind, shipped, self.project.home / "exports")
        return {"name": made.name, "bytes": made.stat().st_size}

    # ---- helpers

    def _check_images(self) -> None:
        if self.desk.trouble:
            raise InputError(self.desk.trouble)
        if len(self.desk.index.paths) == len(self.desk.index.gone):
            raise InputError(f"{self.project.folder} holds no images yet; put some in")

    def _plan(self, configfile: Path) -> StudyPlan:
        config, networks = read_config(configfile, workflow.root())
        return StudyPlan(config, networks, workflow.root())

    def _features(self, plan: StudyPlan) -> str:
        return plan.layout.features(plan.packed_name(self.project.dataset), EYES)

    @property
    def _look(self) -> Path:
        return self.project.home / "look.yaml"

    def _take_in(self) -> None:
        if self.project.config.is_file():  # first what Results shows
            plan = self._plan(self.project.config)
            self.tested = self._tested(plan)
            self.desk.events.tell("tested")
            answers = self.project.results / plan.layout.shipped(self.project.dataset, "answers.parquet")
            self.desk.suggestions.load_answers(answers)
        if self._look.is_file():
            features = self.project.results / self._features(self._plan(self._look))
            if features.is_file() and self._features_read != (which := (features, features.stat().st_mtime_ns)):
                self.desk.suggestions.load_features(features)
                self._features_read = which

    def _tested(self, plan: StudyPlan) -> dict[str, tested.Answer]:
        results, dataset = self.project.results, self.project.dataset
        if (candidate := plan.config.ship.candidate) is None:
            return tested.read(results / plan.layout.statistics("answers"), dataset)
        made_of = shipping.what_ships(plan, dataset, candidate.model_dump())
        return tested.of_model(*([results / path for path in made_of[kind]] for kind in ("predictions", "truths")))

    def _configure(self, text: str) -> None:
        """Write the configuration where it changed: its time says which study results are of."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if self.project.config.read_text(encoding="utf-8") == text:
                return
        files.write_text(self.project.config, text)

    def _tell(self, now: dict[str, Any]) -> None:
        if now["state"] == "done":
            self.desk.suggestions.expect()
        self._told(now)

    def _ended(self, _: dict[str, Any]) -> None:
        try:
            with contextlib.suppress(InputError, OSError):
                self._take_in()
        finally:
            self.desk.suggestions.ready()


def _younger(path: Path, other: Path) -> bool:
    """Say whether a file is there that was written after another one."""
    return path.is_file() and path.stat().st_mtime_ns > other.stat().st_mtime_ns


def _answered(path: Path | None) -> dict[str, int] | None:
    """Count the images with an answer that no person labelled, and the reliable answers among them."""
    if path is None:
        return None
    from pocketscope.core import parquet  # the page is served without pyarrow
    from pocketscope.tables.answers import ANSWERS

    table = parquet.read(path, ANSWERS, columns=["image_id", "reliable", "said"]).to_pydict()
    rows = zip(table["image_id"], table["reliable"], table["said"], strict=True)
    reliable = {identity: sure for identity, sure, said in rows if said is None}
    return {"images": len(reliable), "reliable": sum(reliable.values())}


def _json(path: Path) -> Any:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    return None
