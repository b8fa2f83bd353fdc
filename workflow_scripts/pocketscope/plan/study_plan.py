"""Which runs a study has: splits, label sets, teachers, candidates, and what each of them is made of.

A run is a triple of split, label set and network. The label set of a round is a function of the predictions of the
networks trained on that of the round before: all rounds are known before the first job begins.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pocketscope.config.base import digest_of_value, plain
from pocketscope.config.catalogue import BEST_TEACHER, Network, train_dtypes
from pocketscope.config.study import Config
from pocketscope.config.training import Training
from pocketscope.config.views import allowed_views
from pocketscope.core import seeds
from pocketscope.plan import resources
from pocketscope.plan.layout import Layout, Run
from pocketscope.plan.own_functions import is_own, own_function

SHIP = "ship"  # the split that what ships is trained on: every label, and nothing to test on
SHIP_FOLD = "ship_f{}"  # the same without a fold of the labels, which is tested on


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression for just these names; one that matches nothing where there are none."""
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


class StudyPlan:
    """What a study is made of.

    Parameters
    ----------
    config, networks
        A validated configuration, and the networks that it uses: see `pocketscope.config.study.load_config`.
    root
        The folder that relative paths in the configuration start from.

    Attributes
    ----------
    layout
        Where all files lie.
    splits, ship
        By name, how a split is drawn: `labelled`, `seed` and `test`; those of the study; and the one that ships, with
        its folds.
    """

    def __init__(self, config: Config, networks: Mapping[str, Network], root: Path) -> None:
        self.config, self.networks, self.root = config, networks, root
        self.layout = Layout(config.study)
        asked = config.split
        if asked.evaluation == "crossvalidation":
            tests: dict[str, Any] = {f"_f{fold}": [fold, asked.folds] for fold in range(asked.folds)}
        else:
            tests = {"": "share"}
        self.splits = {
            f"k{k}_s{seed}{fold}": {"labelled": k, "seed": seed, "test": test}
            for k in asked.labelled
            for seed in asked.seeds
            for fold, test in tests.items()
        }
        every = {"labelled": "all", "seed": asked.seeds[0]}
        # As what ships is trained: on every label, and with nothing kept for validation.
        fold = every | {"validation_share": 0.0, "of_all": True}
        count = 0 if asked.evaluation == "crossvalidation" else config.ship.folds
        self.ship_folds = {SHIP_FOLD.format(i): fold | {"test": [i, count]} for i in range(count)}
        self.ship = {SHIP: every | {"test": None}} | self.ship_folds
        self.upper_bounds = [name for name, method in config.methods.items() if method.labels == "full"]
        self.distilling = [name for name, method in config.methods.items() if method.labels == "teachers"]
        self.consistency = [name for name, method in config.methods.items() if method.labels == "consistency"]
        self.recipes = sorted({method.training for method in config.methods.values() if method.training})
        self.folds = range(config.crossfit_folds)
        self.packed_names = {self.packed_name(dataset): dataset for dataset in config.datasets}

    # ---- data sets and splits

    @functools.cache  # noqa: B019 - one plan lives as long as its process, and every job asks
    def packed_name(self, dataset: str) -> str:
        """Return the folder of a data set's images: what changes the pixels changes the name, so that studies share."""
        entry = plain(self.config.datasets[dataset])
        kept = {key: entry[key] for key in ("source", "classes", "page", "image_size")}
        if entry["source"]["kind"] != "parquet" and not entry["source"].get("group"):
            entry["source"].pop("group", None)  # younger than many packed images
        # The key and its value were once called so. The digest keeps to that: a word changes no pixel.
        kept["fit"] = {"stretch": "squeeze"}.get(entry["resize"], entry["resize"])
        return f"{dataset}-{digest_of_value(kept)}"

    def packed(self, dataset: str, table: str = "images") -> str:
        """Return a table of a data set's packed images."""
        return self.layout.packed(self.packed_name(dataset), table)

    def packed_new(self, dataset: str, table: str = "images") -> str:
        """Return a table of the images that came since the data set's snapshot."""
        return self.layout.packed_new(self.packed_name(dataset), table)

    def dataset(self, dataset: str) -> dict[str, Any]:
        """Return the configuration of a data set as plain values."""
        return plain(self.config.datasets[dataset])

    def drawing(self, split: str) -> dict[str, Any]:
        """Return how a split is drawn: the arguments of `pocketscope.data.splitting.assign`."""
        shared = {
            key: value
            for key, value in plain(self.config.split).items()
            if key not in ("labelled", "seeds", "evaluation", "folds", "group_near_duplicates")
        }
        return shared | (self.splits | self.ship)[split]

    def near_pairs(self, dataset: str) -> list[str]:
        """Return the table of nearly equal images, where the study makes them one group."""
        return [self.layout.near_pairs(dataset)] if self.config.split.group_near_duplicates else []

    def all_splits(self) -> list[tuple[str, str]]:
        """Return data set and split of every split of the study."""
        return [(dataset, split) for dataset in self.config.datasets for split in self.splits]

    def has_validation(self, split: str) -> bool | None:
        """Return whether a split has a validation set; None where that is known when the images are split."""
        return self.config.has_validation(self.splits[split]["labelled"]) if split in self.splits else False

    def seed_of_folds(self, dataset: str, split: str) -> int:
        """Return the seed that draws the folds of a cross-fit."""
        return seeds.seed(self.config.seed, dataset, split, "folds")

    # ---- label sets

    @property
    def trained_label_sets(self) -> str:
        """A regular expression for the label sets that `train` learns; a consistency method has a rule of its own."""
        rounds = rf"(?:{any_of(self.distilling)})\.r[1-9]\d*"
        return rf"(?:human(?:\.f\d+)?|full|{rounds})(?:@(?:{any_of(self.recipes)}))?"

    def labels_before(self, method: str, round: str) -> str:
        """Return the label set that a round's teachers were trained on: people's labels, then each round the last's."""
        last = int(round) - 1
        return f"{method}.r{last}" if last else "human"

    def final_label_set(self, method: str) -> str:
        """Return the label set that a method's students are trained on, with their recipe where the method has its own.

        A consistency method makes its labels while it trains: its runs have its name.
        """
        settings = self.config.methods[method]
        if settings.labels == "consistency":
            return method
        labels = f"{method}.r{settings.rounds}" if settings.labels == "teachers" else settings.labels
        return f"{labels}@{settings.training}" if settings.training else labels

    def labels_of(self, dataset: str, split: str, label_set: str) -> str:
        """Return the table of the labels that a run is trained on; consistency methods make their own of the rest."""
        name = label_set.partition("@")[0]
        return self.layout.split(dataset, split).labels("human" if name in self.consistency else name)

    def rounds(self) -> list[tuple[str, int]]:
        """Return method and round of every label set that teachers make in a split."""
        methods = self.config.methods
        return [(name, number) for name in self.distilling for number in range(1, methods[name].rounds + 1)]

    def pseudo_label_sets(self) -> list[tuple[str, str, str, str, int]]:
        """Return path, data set, split, method and round of every label set that teachers made."""
        return [
            (self.layout.split(dataset, split).labels(f"{method}.r{number}"), dataset, split, method, number)
            for dataset, split in self.all_splits()
            for method, number in self.rounds()
        ]

    # ---- teachers

    def teachers(self, method: str, round: str) -> list[tuple[str, str]]:
        """Return the name and the label set of each network that labels in a round."""
        settings, trained_on = self.config.methods[method], self.labels_before(method, round)
        label_sets = [f"human.f{fold}" for fold in self.folds] if settings.fold_teachers else [trained_on]
        return [(teacher, label_set) for teacher in settings.teachers for label_set in label_sets]

    def views_of(self, dataset: str, method: str | None = None) -> list[str]:
        """Return the views, of the study or of a method, that leave the class of the data set's images what it was."""
        asked = "auto" if method is None else self.config.methods[method].views
        return allowed_views(self.config.views if asked == "auto" else asked, self.config.datasets[dataset].symmetries)

    def labelling(self, method: str) -> dict[str, Any]:
        """Return that part of a method's configuration which says how the teachers' votes become labels."""
        elsewhere = ("labels", "teachers", "rounds", "training", "views", "calibration")
        found = {key: value for key, value in plain(self.config.methods[method]).items() if key not in elsewhere}
        return found | ({"vote": own_function(found["vote"], self.root)} if is_own(found["vote"]) else {})

    def out_of_fold(self, dataset: str, split: str, teachers: Iterable[str]) -> dict[str, list[str]]:
        """Return networks' predictions of labelled images out of fold, for a split that may lack a validation set."""
        if self.has_validation(split):
            return {}
        found = [self.layout.run(dataset, split, "human", name).out_of_fold(self.config.crossfit) for name in teachers]
        return {"out_of_fold": found}

    def votes(self, dataset: str, split: str, method: str, round: str) -> dict[str, str | list[str]]:
        """Return what a round reads: teachers' predictions, how far they are believed, and predictions before."""
        settings, teachers = self.config.methods[method], self.teachers(method, round)
        found = {"predictions": self._predictions(dataset, split, teachers)}
        if settings.needs_held_out:
            found["teachers"] = self.layout.split(dataset, split).teachers(f"{method}.r{round}")
        if settings.stop == "no_improvement" and int(round) > 1 and self.has_validation(split) is not False:
            earlier = self.labels_before(method, str(int(round) - 1))
            found["before"] = self._predictions(dataset, split, [(name, earlier) for name, _ in teachers])
        return found

    def calibrated_by(self, dataset: str, split: str, method: str, round: str) -> dict[str, list[str]]:
        """Return what says how far a round's teachers are believed: their predictions, and those out of fold."""
        teachers = self.teachers(method, round)
        found = {"predictions": self._predictions(dataset, split, teachers)}
        return found | self.out_of_fold(dataset, split, [name for name, _ in teachers])

    def _predictions(self, dataset: str, split: str, teachers: Iterable[tuple[str, str]]) -> list[str]:
        return [self.layout.run(dataset, split, label_set, name).predictions for name, label_set in teachers]

    def previous_run(self, dataset: str, split: str, label_set: str, network: str) -> dict[str, str]:
        """Return the same teacher's model of the round before, to be passed on where the labels did not change."""
        method, _, number = label_set.partition(".r")
        if not number.isdigit() or int(number) < 2 or network not in self.config.methods[method].teachers:
            return {}
        before = self.labels_before(method, number)
        return {
            "previous_labels": self.layout.split(dataset, split).labels(before),
            "previous_model": self.layout.run(dataset, split, before, network).weights,
        }

    def best_teachers(self, label_set: str) -> list[str]:
        """Return the networks of which the best is a label set's `best_teacher`: all, where it is no method's own."""
        method = label_set.partition(".r")[0]
        asked = [method] if method in self.distilling else self.distilling
        return list(dict.fromkeys(name for method in asked for name in self.config.methods[method].teachers))

    def choice(self, dataset: str, split: str, label_set: str) -> dict[str, list[str]]:
        """Return what the best teacher is chosen by, and what is copied of it."""
        names = self.best_teachers(label_set)
        runs = [self.layout.run(dataset, split, label_set, name) for name in names]
        found = self.out_of_fold(dataset, split, names)
        if self.has_validation(split) is not False:
            found["predictions"] = [run.predictions for run in runs]
        return found | {"models": [run.onnx("fp32") for run in runs], "histories": [run.history for run in runs]}

    # ---- trainings

    def seed_of(self, purpose: str, dataset: str, split: str, network: str) -> int:
        """Return the seed of a random stream of one training run.

        The label set is no part of it: a student and its upper bound differ in their labels alone.
        """
        return seeds.seed(self.config.seed, dataset, split, network, purpose)

    def network(self, network: str) -> dict[str, Any]:
        """Return a network's entry in the catalogue as plain values."""
        found = plain(self.networks[network])
        return found | ({"build": own_function(found["build"], self.root)} if found["build"] else {})

    def training(self, label_set: str) -> dict[str, Any]:
        """Return the keys of `training` for a run: the study's, or those of the recipe that its label set names."""
        recipe = label_set.partition("@")[2]
        found = plain(Training(recipe=recipe) if recipe else self.config.training)
        if found["augmentation"]["own"]:
            found["augmentation"] |= {"own": own_function(found["augmentation"]["own"], self.root)}
        return found

    def consistency_method(self, label_set: str) -> dict[str, Any]:
        """Return a consistency method's configuration, which its label set names, as plain values."""
        return plain(self.config.methods[label_set])

    def warm_start(self, dataset: str, split: str, label_set: str, network: str) -> dict[str, str]:
        """Return the model that a consistency method starts from, where it is one that people's labels trained."""
        if not self.config.methods[label_set].warm_start:
            return {}
        return {"warm_start": self.layout.run(dataset, split, "human", network).weights}

    def train_dtype(self, dataset: str, network: str) -> str | dict[str, str]:
        """Return fp32 or bf16, or which of them by kind of device: where the job will run is not known here."""
        asked = self.config.compute.train_dtype
        if asked != "auto" or network not in self.networks:  # which network the best teacher is, is not known here
            return "fp32" if asked == "auto" else asked
        return train_dtypes(self.networks[network].name, self.config.datasets[dataset].image_size, self.root)

    def memory_of_training(self, dataset: str, label_set: str, packed_mb: float, attempt: int) -> int:
        """Return MB for a training; see `pocketscope.plan.resources`."""
        images = self.config.methods[label_set].images_per_label if label_set in self.consistency else 1
        size = self.config.datasets[dataset].image_size
        return resources.memory_of_training(self.training(label_set), size, packed_mb, attempt, images)

    @property
    def gpus(self) -> int:
        """How many GPUs a job that runs networks asks for."""
        return 0 if self.config.compute.device == "cpu" else 1

    # ---- audits

    def audits(self, table: str = "classes") -> list[str]:
        """Return a table of every split's audit; there is none where no method makes pseudo-labels."""
        asked = self.all_splits() if self.distilling or self.consistency else []
        return [self.layout.split(*where).audit(table) for where in asked]

    def audited(self, dataset: str, split: str) -> dict[str, list[str]]:
        """Return the tables of pseudo-labels that a split's audit reads."""
        files = self.layout.split(dataset, split)
        last = [f"{method}.r{self.config.methods[method].rounds}" for method in self.distilling]
        return {
            "proposals": [files.proposals(f"{method}.r{number}") for method, number in self.rounds()],
            "online": [self.layout.run(dataset, split, *run).online_pseudo_labels for run in self.consistency_runs()],
            "labels": [files.labels(label_set) for label_set in last],
        }

    def consistency_runs(self) -> list[tuple[str, str]]:
        """Return method and network of every run of a split that makes pseudo-labels while it trains."""
        networks = [network for network in self.config.students if network != BEST_TEACHER]
        return [(method, network) for method in self.consistency for network in networks]

    # ---- candidates

    @functools.cached_property
    def candidates(self) -> list[dict[str, str]]:
        """Every candidate on every split: dataset, split, method, network, precision, in a fixed order."""
        return [
            {"dataset": dataset, "split": split, "method": method, "network": network, "precision": precision}
            for dataset, split in self.all_splits()
            for method in self.config.methods
            for network, precisions in self.config.students.items()
            for precision in precisions
        ]

    def run_of(self, candidate: Mapping[str, str]) -> Run:
        """Return the files of the training that a candidate is a form of."""
        label_set = self.final_label_set(candidate["method"])
        return self.layout.run(candidate["dataset"], candidate["split"], label_set, candidate["network"])

    def test_predictions(self) -> list[str]:
        """Return what each candidate predicts of its test set, in the order of `candidates`."""
        return [self.run_of(candidate).test(candidate["precision"]) for candidate in self.candidates]

    def histories(self) -> list[str]:
        """Return the histories of all candidates' trainings, each once, sorted."""
        return sorted({self.run_of(candidate).history for candidate in self.candidates})

    def timings(self) -> list[str]:
        """Return the timings of the study's networks; `best_teacher` is a copy of one of its method's teachers."""
        return [self.layout.timing(name) for name in self.config.students if name != BEST_TEACHER]

    def precisions_to_time(self, network: str) -> list[str]:
        """Return the precisions of a network's model files; fp32 is always there."""
        return sorted({"fp32", *self.config.students[network]})

    def _to_time(self, network: str) -> dict[int, dict[str, str]]:
        """Return by image size one candidate of a network: latency depends on no label and no other setting."""
        return {
            self.config.datasets[candidate["dataset"]].image_size: candidate
            for candidate in reversed(self.candidates)
            if candidate["network"] == network
        }

    def models_to_time(self, network: str) -> dict[str, list[str]]:
        """Return the model files and the weights of a network, one of each image size."""
        runs = [self.run_of(candidate) for candidate in self._to_time(network).values()]
        found = {precision: [run.onnx(precision) for run in runs] for precision in self.precisions_to_time(network)}
        return found | {"weights": [run.weights for run in runs]}

    def train_dtypes_to_time(self, network: str) -> list[str | dict[str, str]]:
        """Return, for each image size, how the study trains the network there; see `train_dtype`."""
        return [self.train_dtype(candidate["dataset"], network) for candidate in self._to_time(network).values()]

    # ---- the whole

    def digest(self) -> str:
        """Return eight digits for all that the configuration says, wherever its files lie."""
        catalogue = {name: plain(self.networks[name]) for name in self.networks}
        return digest_of_value(plain(self.config) | {"catalogue": catalogue})

    def settings(self) -> dict[str, Any]:
        """Return all that the configuration says, defaults included, and of each network its entry of the catalogue.

        Where the catalogue lies is no part of it: a study that is moved is the same study.
        """
        said = {key: value for key, value in plain(self.config).items() if key != "catalogue"}
        return {"config": said, "networks": {name: plain(self.networks[name]) for name in self.networks}}

    def families(self) -> dict[str, str]:
        """Return the family of each network, sorted by name."""
        return {name: network.family for name, network in sorted(self.networks.items())}
