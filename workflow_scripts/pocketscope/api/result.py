"""What a study found, in Python: tables as data frames, the model, the page."""

import functools
import json
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from pocketscope.api.gallery import Gallery
from pocketscope.core.errors import InputError
from pocketscope.core.messages import nearest
from pocketscope.data.sources.paths import top_of
from pocketscope.evaluation import evidence
from pocketscope.inference.model import Model
from pocketscope.plan.layout import Run
from pocketscope.plan.study_plan import StudyPlan
from pocketscope.statistics import bootstrap, score_table
from pocketscope.statistics.predictions import align
from pocketscope.tables.images import load_images
from pocketscope.version import VERSION

ABOUT = "pocketscope.json"  # in an output: which version made it, and of what
TABLES = "study"  # in an output: the folder of the tables, laid out as in the results folder
CANDIDATE = ("method", "network", "precision")


class Result:
    """What a study found. Tables are read when they are asked for.

    Parameters
    ----------
    folder
        Where the study's files are: the results folder, or the folder `study` of an output.
    plan
        What the study consists of.
    output
        The folder that received copies, where there is one.
    shipped
        Whether a model was trained on every label; None: where one is there.
    version
        Of the pocketscope that made it.
    workspace
        The results folder, which has the images.
    """

    def __init__(
        self,
        folder: Path,
        plan: StudyPlan,
        *,
        output: Path | None = None,
        shipped: bool | None = None,
        version: str = VERSION,
        workspace: Path | None = None,
    ) -> None:
        self.folder, self.plan, self.output, self.version = folder, plan, output, version
        self.workspace = workspace or folder
        if shipped is None:
            shipped = (folder / plan.layout.shipped(next(iter(plan.config.datasets)), "model.fp32.onnx")).is_file()
        self.shipped = shipped

    # ---- tables

    @functools.cached_property
    def scores(self) -> pd.DataFrame:
        """Every candidate's scores: mean over the splits, F1 with its interval on the test images.

        Columns: dataset, labelled (images per class), method, network, precision, f1, f1_lower, f1_upper (at the level
        1 - `statistics.alpha`; for new images, not for new trainings), accuracy, test_images, size_mb, latency_ms.
        """
        keys = ["dataset", "labelled", *CANDIDATE]
        overall = self.measurements["class"].isna() & self.measurements["metric"].isin(["f1", "accuracy"])
        found = self.measurements[overall].copy()
        found["labelled"] = found["split"].str.extract(r"^k(\w+?)_", expand=False)
        wide = found.pivot_table(index=keys, columns="metric", values="value", sort=False).reset_index()
        table = wide[[*keys, "f1", "accuracy"]].rename_axis(columns=None)
        table = table.merge(self._intervals(), on=keys, how="left")
        costs = self._statistics("costs")[[*CANDIDATE, "size_mb", "latency_ms"]].drop_duplicates([*CANDIDATE])
        table = table.merge(costs, on=list(CANDIDATE), how="left")
        order = [*keys, "f1", "f1_lower", "f1_upper", "accuracy", "test_images", "size_mb", "latency_ms"]
        return table[order]

    def _intervals(self) -> pd.DataFrame:
        layout, rows = self.plan.layout, []
        positive = self._notes(layout.scores())["positive"]
        alpha = self.plan.config.statistics.alpha
        where = {split: layout.split(*split) for split in self.plan.all_splits()}
        places = {
            "splits": {split: str(self._path(files.roles)) for split, files in where.items()},
            "truths": {split: str(self._path(files.truth)) for split, files in where.items()},
        }
        paths = [str(self._path(path)) for path in self.plan.test_predictions()]
        keys_of = score_table.candidates(pd.DataFrame(self.plan.candidates)).to_dict("index")
        located = evidence.located(self.plan.candidates, paths, places, bounds=())
        labelled = dict.fromkeys(one["split"].partition("_")[0].removeprefix("k") for one in located)
        for k in labelled:
            of_k = [one for one in located if one["split"].partition("_")[0] == f"k{k}"]
            for dataset, given in evidence.gather(of_k, positive).items():
                aligned = align(given.predictions, given.truth, given.classes, given.groups)
                draws = bootstrap.enough_samples(len(aligned.rows))
                sampled = bootstrap.bootstrap(aligned, positive=given.positive, samples=draws)
                for name, (lower, upper) in zip(sampled.rows, bootstrap.interval(sampled, alpha), strict=True):
                    about = {"dataset": dataset, "labelled": k, "test_images": len(aligned.images)}
                    rows.append(about | keys_of[name] | {"f1_lower": lower, "f1_upper": upper})
        return pd.DataFrame(rows, columns=["dataset", "labelled", *CANDIDATE, "f1_lower", "f1_upper", "test_images"])

    @functools.cached_property
    def measurements(self) -> pd.DataFrame:
        """Every measurement, the table `scores.parquet`: dataset, split, candidate, metric, class, value."""
        return self._table(self.plan.layout.scores())

    @functools.cached_property
    def recommendation(self) -> dict[str, Any]:
        """Which candidate to take, and why: `recommendation.json`, which results/README.md explains."""
        return json.loads(self._there(self.plan.layout.recommendation).read_text(encoding="utf-8"))

    @functools.cached_property
    def predictions(self) -> pd.DataFrame:
        """What every candidate says of each test image, beside the truth.

        Columns: dataset, split, method, network, precision, image_id, path (of the first copy; absolute), truth,
        answer, right, confidence, and p(CLASS) of every class.
        """
        parts = []
        for candidate, path in zip(self.plan.candidates, self.plan.test_predictions(), strict=True):
            classes = self._notes(path)["classes"]
            found = self._table(path)
            truth = self._table(self.plan.layout.split(candidate["dataset"], candidate["split"]).truth)
            part = found[["image_id"]].merge(truth.rename(columns={"label": "truth"}), on="image_id", how="left")
            probabilities = pd.DataFrame(found["probabilities"].tolist(), columns=classes)
            part = part.assign(
                path=part["image_id"].map(self._paths_of(candidate["dataset"])),
                answer=probabilities.idxmax(axis=1),
                confidence=probabilities.max(axis=1),
            )
            part = part.assign(right=part["answer"] == part["truth"], **candidate)
            parts.append(part.join(probabilities.add_prefix("p(").add_suffix(")")))
        order = ["dataset", "split", *CANDIDATE, "image_id", "path", "truth", "answer", "right", "confidence"]
        found = pd.concat(parts, ignore_index=True)
        return found[[*order, *(column for column in found.columns if column not in order)]]

    @functools.cached_property
    def label_sets(self) -> pd.DataFrame:
        """The label sets that teachers made, with the human labels in them.

        Columns: dataset, split, label_set, image_id, path, label, confidence, source, round.
        """
        parts = []
        for path, dataset, split, method, number in self.plan.pseudo_label_sets():
            part = self._table(path).drop(columns="probabilities")
            part.insert(1, "path", part["image_id"].map(self._paths_of(dataset)))
            parts.append(part.assign(dataset=dataset, split=split, label_set=f"{method}.r{number}"))
        return _concatenated(parts, ["dataset", "split", "label_set"])

    @functools.cached_property
    def audit(self) -> pd.DataFrame:
        """What became of the unlabelled images, by class: results/README.md has the columns of `audit/classes`."""
        where = zip(self.plan.audits(), self.plan.all_splits(), strict=False)
        parts = [self._table(path).assign(dataset=dataset, split=split) for path, (dataset, split) in where]
        return _concatenated(parts, ["dataset", "split"])

    @functools.cached_property
    def answers(self) -> pd.DataFrame:
        """The answers for the unlabelled images, by the model that was trained on every label: `answers.csv`.

        Raises
        ------
        pocketscope.InputError
            The study did not ship; call with `ship=True`.
        """
        if not self.shipped:
            raise InputError("there are no answers: call again with ship=True, which trains on every label")
        parts = []
        for dataset in self.plan.config.datasets:
            part = pd.read_csv(self._there(self.plan.layout.shipped(dataset, "answers.csv")), keep_default_na=False)
            parts.append(part.assign(dataset=dataset))
        return _concatenated(parts, ["dataset"])

    def mistakes(self, count: int = 12, *, dataset: str | None = None) -> Gallery:
        """Return the test images that the candidate to take answers wrongly, the most confident first.

        Raises
        ------
        pocketscope.InputError
            The packed images, which lie in the workspace, are gone.
        """
        dataset = self._dataset(dataset)
        chosen = {"dataset": dataset} | self.candidate(dataset)
        rows = self.predictions[~self.predictions["right"] & self.predictions["truth"].notna()]
        rows = rows[(rows[list(chosen)] == pd.Series(chosen)).all(axis=1)]
        rows = rows.sort_values("confidence", ascending=False).drop_duplicates("image_id").head(count)
        packed = self.workspace / self.plan.packed(dataset)
        if not packed.is_file():
            raise InputError(f"{packed}: there is no such file; make the call again, which packs the images")
        images = load_images(packed, rows["image_id"].tolist())
        captions = [f"{row.truth}, answered {row.answer} ({row.confidence:.2f})" for row in rows.itertuples()]
        return Gallery(f"Wrong answers of {'/'.join(self.candidate(dataset).values())}", list(images), captions)

    # ---- the page

    @property
    def report(self) -> Path:
        """The page: one HTML file that needs no server."""
        return self._there(self.plan.layout.report)

    @property
    def figures(self) -> dict[str, Path]:
        """The page's figures, SVG files, by name."""
        return {path.stem: path for path in sorted(self._there(self.plan.layout.figures).glob("*.svg"))}

    # ---- models

    @functools.cached_property
    def model(self) -> Model:
        """The model to take: the candidate that the study names, else the recommended one.

        It is the one that was trained on every label, where the study shipped; else the one that was tested, of the
        first seed (and of a cross-validation's first fold).

        Raises
        ------
        pocketscope.InputError
            The study has several data sets: name one by `model_of`.
        """
        return self.model_of()

    def model_of(
        self, dataset: str | None = None, *, method: str | None = None, network: str | None = None, precision: str = ""
    ) -> Model:
        """Open the model of a candidate; see `model`. What is not named is the recommended candidate's.

        Raises
        ------
        pocketscope.InputError
            There is no such data set or candidate, or its file was not copied into the output.
        """
        dataset = self._dataset(dataset)
        chosen = self.candidate(dataset)
        asked = {"method": method, "network": network, "precision": precision}
        candidate = chosen | {key: value for key, value in asked.items() if value}
        if self.shipped and candidate == chosen:
            name = f"model.{chosen['precision']}.onnx"
            return Model(self._there(self.plan.layout.shipped(dataset, name)))
        known = {"/".join(one[key] for key in CANDIDATE): one for one in self.plan.candidates}
        wanted = "/".join(candidate[key] for key in CANDIDATE)
        if wanted not in known:
            raise InputError(f"there is no candidate '{wanted}'{nearest(wanted, known)}")
        return Model(self._there(self.run_of(dataset, candidate).onnx(candidate["precision"])))

    def candidate(self, dataset: str | None = None) -> dict[str, str]:
        """Return method, network and precision of the candidate to take."""
        dataset, asked = self._dataset(dataset), self.plan.config.ship.candidate
        if asked is not None:
            return {key: getattr(asked, key) for key in CANDIDATE}
        return {key: self.recommendation["datasets"][dataset][key] for key in CANDIDATE}

    def run_of(self, dataset: str, candidate: Mapping[str, str]) -> Run:
        """Return the files of a candidate's training on the split with the most labelled images, of the first seed."""
        split = _most_labelled(list(self.plan.splits))
        return self.plan.run_of(dict(candidate) | {"dataset": dataset, "split": split})

    # ---- paths

    @property
    def paths(self) -> dict[str, Path]:
        """The files and folders of the result, by what they are; only those that are there."""
        layout = self.plan.layout
        named = {
            "output": self.output,
            "report": self.folder / layout.report,
            "scores": self.folder / layout.scores("csv"),
            "statistics": (self.folder / layout.recommendation).parent,
            "configuration": self.folder / layout.config,
            "logs": self.folder / layout.study / "logs",
        }
        if len(self.plan.config.datasets) == 1:
            (dataset,) = self.plan.config.datasets
            named |= {"answers": self.folder / layout.shipped(dataset, "answers.csv")}
            named |= {"card": self.folder / layout.shipped(dataset, "README.md")}
        return {name: path for name, path in named.items() if path is not None and path.exists()}

    def __repr__(self) -> str:
        shown = self._shown().to_string(index=False)
        return f"{self.plan.config.study}: F1 in percent\n{shown}\n{self._said()}\nReport: {self.report}"

    def _repr_html_(self) -> str:
        table = self._shown().to_html(index=False, border=0)
        place = f'<p>Report: <a href="{escape(self.report.as_uri())}">{escape(str(self.report))}</a></p>'
        return (
            f"<p><b>{escape(self.plan.config.study)}</b>: F1 in percent</p>{table}<p>{escape(self._said())}</p>{place}"
        )

    def _shown(self) -> pd.DataFrame:
        """Return the scores as people read them."""
        found = self.scores
        level = f"{100 * (1 - self.plan.config.statistics.alpha):.0f} % interval"
        percent = [(100 * found[name]).round(1) for name in ("f1", "f1_lower", "f1_upper")]
        shown = found[["dataset", "labelled", *CANDIDATE]].assign(F1=percent[0])
        shown[level] = [f"{low} to {high}" for low, high in zip(percent[1], percent[2], strict=True)]
        shown["test images"] = found["test_images"]
        single = [name for name in ("dataset", "labelled", "precision") if len(found[name].unique()) == 1]
        return shown.drop(columns=single)

    def _said(self) -> str:
        found = self.recommendation
        texts = [about["text"] for about in found["datasets"].values()] or [(found["overall"] or {}).get("text", "")]
        return " ".join(texts)

    # ---- reading

    def _dataset(self, dataset: str | None) -> str:
        known = list(self.plan.config.datasets)
        if dataset is None and len(known) > 1:
            raise InputError(f"the study has several data sets: name one of {', '.join(known)} (result.model_of(...))")
        dataset = dataset or known[0]
        if dataset not in known:
            raise InputError(f"there is no data set '{dataset}'{nearest(dataset, known)}")
        return dataset

    @functools.lru_cache  # noqa: B019 - a result is kept for its tables
    def _paths_of(self, dataset: str) -> dict[str, str]:
        """Return the path of each image's first copy: absolute where each image is a file."""
        table = pq.read_table(self._there(self.plan.packed(dataset)), columns=["image_id", "paths"], partitioning=None)
        source = self.plan.dataset(dataset)["source"]
        top = str(top_of(source, self.plan.root)) if source["kind"] in ("folder", "table") else ""
        found = zip(table["image_id"].to_pylist(), table["paths"].to_pylist(), strict=True)
        return {image: os.path.normpath(os.path.join(top, paths[0])) for image, paths in found}  # noqa: PTH118

    def _statistics(self, table: str) -> pd.DataFrame:
        return self._table(self.plan.layout.statistics(table))

    def _table(self, path: str) -> pd.DataFrame:
        return pq.read_table(self._there(path), partitioning=None).to_pandas()

    def _notes(self, path: str) -> dict[str, Any]:
        metadata = pq.read_schema(self._there(path)).metadata or {}
        return json.loads(metadata.get(b"pocketscope", b"{}"))

    def _path(self, path: str) -> Path:
        return self.folder / path

    def _there(self, path: str) -> Path:
        found = self.folder / path
        if not found.exists():
            raise InputError(f"{found}: there is no such file{self._of_another_version()}; run the study again")
        return found

    def _of_another_version(self) -> str:
        if self.version == VERSION:
            return ""
        return f" (the result was made by pocketscope {self.version}, and this is {VERSION})"


def _most_labelled(splits: list[str]) -> str:
    def labelled(split: str) -> float:
        k = split.partition("_")[0].removeprefix("k")
        return float("inf") if k == "all" else int(k)

    return max(splits, key=labelled)  # the first of equals


def _concatenated(parts: list[pd.DataFrame], first: list[str]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=first)
    found = pd.concat(parts, ignore_index=True)
    return found[[*first, *(column for column in found.columns if column not in first)]]
