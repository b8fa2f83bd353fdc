"""What a run ends with: the table of F1, what is recommended, where all is, and what to do next."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.tables.scores import SCORES


def show(study: Path, complete: bool = True) -> None:
    """Print F1 by method and network for each data set of a study, in percent, mean over its splits.

    Then what is remarkable about the data sets, what is recommended, where all is, and what to do next.

    Parameters
    ----------
    study
        The study's folder of results.
    complete
        Whether the run that ends with this made all that was asked for. Else the study is only named, since its scores
        may be of an earlier run.

    Raises
    ------
    pocketscope.core.errors.InputError
        There are no scores yet.
    """
    path, shipped = study / "scores.parquet", sorted(study.glob("ship/*/answers.csv"))
    if not complete:
        print(f"What is done is in {study.resolve()}")
        return
    if not path.is_file() and not shipped:
        raise InputError(f"{path}: there are no scores yet; run snakemake")
    console = Console()
    if path.is_file():
        _show_scores(parquet.read(path, SCORES), parquet.notes(path)["positive"], console)
    for classes in sorted(study.glob("runs/*/classes.parquet")):
        for said in parquet.notes(classes).get("remarks", []):
            _say(console, f"{classes.parent.name}: {said}.")
    recommendation = study / "statistics" / "recommendation.json"
    if recommendation.is_file():
        for dataset, told in json.loads(recommendation.read_text(encoding="utf-8"))["datasets"].items():
            tested = told.get("tested") or {}  # results of an older version lack it
            _say(console, f"{dataset}: {' '.join(filter(None, [tested.get('text'), told['text']]))}")
    _say(console, f"All results: {study.resolve()} (all scores: scores.csv)")
    print("\nWhat to do next:")
    for step in _next_steps(study, shipped):
        _say(console, f"  - {step}", indent="    ")


def _say(console: Console, text: str, indent: str = "") -> None:
    """Print a text: on a terminal between words, but no path is broken; in a file as one line."""
    if console.is_terminal:
        text = textwrap.fill(
            text, console.width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    print(text)


def _next_steps(study: Path, shipped: list[Path]) -> Iterator[str]:
    page = study / "report" / "index.html"
    if page.is_file():
        yield f"Read {page.resolve()} in a browser: what is recommended, and how sure that is"
    for answers in shipped:
        page = answers.with_suffix(".html")
        if _has_rows(answers):
            yield (
                f"Look through {(page if page.is_file() else answers).resolve()}, the most doubtful answers first: "
                f"correct what is wrong in a copy of {answers.name}, and give it back by `pocketscope label --from`"
            )
        else:
            yield (
                f"{answers.parent.name} has no image without a label, so there are no answers: name the folder of such "
                "images by 'unlabelled' of the source, or give them to `pocketscope classify`"
            )
        yield f"Use the model in {answers.parent.resolve()}: its README.md says how good it is, and how"
    if not shipped:
        yield "For a model that learnt every label, and its answers: `make ship` (or the target `ship`)"


def _has_rows(table: Path) -> bool:
    with table.open(encoding="utf-8") as file:
        return sum(1 for _ in zip(file, range(2), strict=False)) > 1


def _show_scores(scores: pa.Table, positive: Mapping[str, str | None], console: Console) -> None:
    f1 = scores.filter((pc.field("metric") == "f1") & pc.field("class").is_null()).to_pandas()
    f1["labelled"] = f1["split"].str.extract(r"^k(\w+?)_", expand=False)
    for (dataset, labelled), part in f1.groupby(["dataset", "labelled"], sort=False):
        splits = part["split"].nunique()
        table = Table(
            title=escape(f"{dataset}: F1 {f'of {positive[dataset]!r} ' if positive[dataset] else ''}in percent, ")
            + f"{labelled} labelled images per class, "
            + ("one split" if splits == 1 else f"mean and standard deviation of {splits} splits"),
            title_justify="left",
        )
        table.add_column("method")
        rows = part.groupby(["method", "network", "precision"], sort=False)["value"].agg(["mean", "std"]) * 100
        columns = list(dict.fromkeys((network, precision) for _, network, precision in rows.index))
        for network, precision in columns:
            table.add_column(f"{network}\n{precision}", justify="right", overflow="fold")
        for method in dict.fromkeys(rows.index.get_level_values("method")):
            cells = [rows.loc[(method, *column)] for column in columns]
            shown = [f"{cell['mean']:.1f}" + (f" ± {cell['std']:.1f}" if splits > 1 else "") for cell in cells]
            table.add_row(method, *shown)
        console.print(table)
