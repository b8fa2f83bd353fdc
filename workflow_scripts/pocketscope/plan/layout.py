"""Where the files of a study lie, relative to the results folder.

Each name may be a wildcard in braces: `layout.run("{dataset}", "{split}", "{label_set}", "{network}")` gives the
patterns of Snakemake's rules.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """The files of one training: a triple of split, label set and network.

    Examples
    --------
    >>> Layout("demo").run("digits", "k10_s0", "human", "resnet18").weights
    'demo/runs/digits/k10_s0/human/resnet18/model.safetensors'
    """

    folder: str

    @property
    def weights(self) -> str:
        """The trained network, for torch."""
        return f"{self.folder}/model.safetensors"

    def onnx(self, precision: str) -> str:
        """Return the model file that ships."""
        return f"{self.folder}/model.{precision}.onnx"

    @property
    def history(self) -> str:
        """What happened in each epoch."""
        return f"{self.folder}/history.parquet"

    @property
    def timings(self) -> str:
        """How long each epoch took."""
        return f"{self.folder}/timings.parquet"

    @property
    def predictions(self) -> str:
        """Probabilities of all images that are not tested on, under every view."""
        return f"{self.folder}/predictions.parquet"

    @property
    def online_pseudo_labels(self) -> str:
        """What a consistency method made of unlabelled images while it trained."""
        return f"{self.folder}/online_pseudo_labels.parquet"

    def out_of_fold(self, how: str) -> str:
        """Return the predictions of labelled images by networks that did not see them; `how` is `frozen` or `full`."""
        return f"{self.folder}/out_of_fold.{how}.parquet"

    def test(self, precision: str) -> str:
        """Return the predictions of the test set."""
        return f"{self.folder}/test.{precision}.parquet"


@dataclass(frozen=True)
class Split:
    """The files of one split of a data set."""

    folder: str

    @property
    def roles(self) -> str:
        """The role of each image, and the labels that may be seen."""
        return f"{self.folder}/split.parquet"

    @property
    def truth(self) -> str:
        """The hidden labels of test and unlabelled images."""
        return f"{self.folder}/truth.parquet"

    def labels(self, label_set: str) -> str:
        """Return a label set: what a network is trained on."""
        return f"{self.folder}/{label_set}/labels.parquet"

    def proposals(self, label_set: str) -> str:
        """Return what the teachers of a label set voted on."""
        return f"{self.folder}/{label_set}/proposals.parquet"

    def teachers(self, label_set: str) -> str:
        """Return how far each teacher of a label set was believed."""
        return f"{self.folder}/{label_set}/teachers.parquet"

    def audit(self, table: str) -> str:
        """Return a table of what became of the unlabelled images: `classes` or `coverage`."""
        return f"{self.folder}/audit/{table}.parquet"

    def review(self, method: str) -> str:
        """Return a method's accepted labels, the most suspicious first, for a person to look at."""
        return f"{self.folder}/audit/review.{method}.csv"


@dataclass(frozen=True)
class Layout:
    """The files of a study.

    Parameters
    ----------
    study
        The study's name, which is its folder.
    """

    study: str

    @staticmethod
    def packed(name: str, table: str) -> str:
        """Return a table of packed images, which studies share: images, labels, skipped or files."""
        return f"datasets/{name}/{table}.parquet"

    @staticmethod
    def shard(name: str, shard: str) -> str:
        """Return what was decoded of a part of a large data set."""
        return f"datasets/{name}/shards/{shard}.arrow"

    @staticmethod
    def packed_new(name: str, table: str) -> str:
        """Return a table of the images that came since the snapshot: as `packed`."""
        return f"datasets/{name}/new/{table}.parquet"

    @staticmethod
    def packing_log(name: str) -> str:
        """Return the log of packing."""
        return f"datasets/{name}/pack.log"

    @staticmethod
    def features(name: str, network: str) -> str:
        """Return what a pretrained network sees in each packed image, which studies share."""
        return f"datasets/{name}/features.{network}.parquet"

    @staticmethod
    def features_of_shard(name: str, network: str, shard: str) -> str:
        """Return what a pretrained network sees in the images of a part of a large data set."""
        return f"datasets/{name}/shards/{shard}.features.{network}.arrow"

    def classes(self, dataset: str) -> str:
        """Return the classes of a data set, counted."""
        return f"{self.study}/runs/{dataset}/classes.parquet"

    def near_pairs(self, dataset: str) -> str:
        """Return all pairs of nearly equal images, which a split may keep together."""
        return f"{self.study}/near_duplicates/{dataset}.pairs.parquet"

    def given_labels(self, dataset: str, ending: str) -> str:
        """Return the labels that people gave of a data set, as they were when the run began."""
        return f"{self.study}/labels/{dataset}{ending}"

    def pinned_labels(self, dataset: str, ending: str) -> str:
        """Return the labels that people had given of a data set when the study was pinned."""
        return f"{self.pinned}/{dataset}{ending}"

    @property
    def pinned(self) -> str:
        """The folder of what the study was pinned to."""
        return f"{self.study}/history"

    @property
    def history(self) -> str:
        """What the study was pinned to: see `pocketscope.plan.history`."""
        return f"{self.study}/history.json"

    def near_duplicates(self, dataset: str, ending: str = "parquet") -> str:
        """Return the nearly equal images of which one is tested on and the other learnt from."""
        return f"{self.study}/near_duplicates/{dataset}.{ending}"

    def split(self, dataset: str, split: str) -> Split:
        """Return the files of a split."""
        return Split(f"{self.study}/runs/{dataset}/{split}")

    def run(self, dataset: str, split: str, label_set: str, network: str) -> Run:
        """Return the files of one training."""
        return Run(f"{self.study}/runs/{dataset}/{split}/{label_set}/{network}")

    def timing(self, network: str) -> str:
        """Return how fast and how large the forms of a network are."""
        return f"{self.study}/timing/{network}.parquet"

    @property
    def config(self) -> str:
        """The configuration, where a Python call wrote it."""
        return f"{self.study}/config.yaml"

    def scores(self, ending: str = "parquet") -> str:
        """Return the scores of every candidate."""
        return f"{self.study}/scores.{ending}"

    def statistics(self, table: str, ending: str = "parquet") -> str:
        """Return an answer to the study's questions: see `pocketscope.tables.comparison` and `tables.decision`."""
        return f"{self.study}/statistics/{table}.{ending}"

    @property
    def recommendation(self) -> str:
        """Which candidate to take, and why."""
        return f"{self.study}/statistics/recommendation.json"

    @property
    def report(self) -> str:
        """The page that people read."""
        return f"{self.study}/report/index.html"

    @property
    def figures(self) -> str:
        """The report's figures, each as SVG and PDF."""
        return f"{self.study}/report/figures"

    def report_cited(self, file: str) -> str:
        """Return what a paper takes over: `methods.tex`, `references.bib`."""
        return f"{self.study}/report/{file}"

    @property
    def report_tables(self) -> str:
        """The report's tables, each as CSV and LaTeX."""
        return f"{self.study}/report/tables"

    def shipped(self, dataset: str, file: str) -> str:
        """Return what a user takes away: `model.fp32.onnx`, `model.int8.onnx`, `answers.csv`, `README.md`."""
        return f"{self.study}/ship/{dataset}/{file}"

    def exported(self, dataset: str, kind: str) -> str:
        """Return the folder of an export of a shipped model: see `pocketscope.exports.kinds`."""
        return f"{self.study}/exports/{dataset}/{kind}"

    def log(self, rule: str, *names: str) -> str:
        """Return the log of a job; a rule without wildcards has one."""
        return f"{self.study}/logs/{'/'.join([rule, '.'.join(names)]) if names else rule}.log"
