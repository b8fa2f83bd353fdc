"""Which figures of the first study come out of its own published scores: the table of docs/statistics.md.

Run: ``python benchmarks/published_figures.py published_results.csv``, the 840 scores (dataset, method, network, f1).
Prints the table in Markdown, then one JSON object: how many figures are reproduced, cut, and not explained.

With ``--workbook FullResults.xlsx``, the authors' workbook (needs openpyxl), its means and gains are compared too.
"""

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))

from pocketscope.statistics import hypothesis_tests, post_hoc

METHODS = ["supervised", "plain", "data", "model", "model_data", "fixmatch", "mixmatch"]
FAMILIES = {
    "NAS": ["fbnet", "mixnet", "mnasnet"],
    "manual": ["mobilenet_v2", "resnet18", "squeezenet", "shufflenet"],
    "quantised": ["resnet18_int8", "resnet50_int8"],
}
SCORES = "supervised, scores"  # 120 of them: only those that do not come out have a line of their own
WORSE = {"mobilenet_v2", "squeezenet", "shufflenet", "resnet18_int8", "resnet50_int8"}


# F1 x 100 of the supervised networks on the ten data sets in alphabetical order, their mean and standard deviation, as
# the authors print them.
SUPERVISED = {
    "resnet50": "59.3 89.9 91.0 54.3 87.6 89.0 91.3 84.3 97.4 81.8 82.5 13.5",
    "resnet101": "58.2 90.7 86.9 52.0 84.0 83.8 95.8 84.3 96.4 80.1 81.2 14.1",
    "efficientnet_b3": "53.6 84.1 84.7 52.8 85.0 85.4 96.8 84.0 98.1 72.9 79.7 14.8",
    "fbnet": "57.5 87.4 89.0 47.2 85.2 88.9 95.4 81.8 94.9 73.3 80.1 15.3",
    "mixnet": "61.8 89.5 89.7 46.9 89.9 86.8 95.5 86.2 98.9 76.7 82.2 15.3",
    "mnasnet": "56.2 89.2 90.3 55.8 81.9 84.6 95.7 82.5 97.4 75.3 80.9 13.9",
    "mobilenet_v2": "52 86.9 89.0 46.7 84.1 82.1 89.1 82.9 91.0 69.4 77.3 15.1",
    "resnet18": "56.3 90.3 94.2 53.7 86.8 84.1 91.6 80.0 97.7 77.5 81.2 14.4",
    "squeezenet": "50.3 88.3 79.3 43.6 76.8 80.1 90.9 78.9 93.2 75.5 75.7 15.5",
    "shufflenet": "39.5 85.7 69.9 37.6 78.9 67.0 89.6 51.9 33.9 40.7 59.5 20.2",
    "resnet18_int8": "45.1 77.8 88.1 47.0 86.5 84.2 91.3 75.1 91.6 55.8 74.3 17.2",
    "resnet50_int8": "48.6 77.2 83.2 42.9 78.6 81.1 85.4 77.7 91.6 69.7 73.6 15.0",
}


class Figure(NamedTuple):
    """A printed figure (as printed) or grouping, and what the scores give."""

    table: str
    what: str
    printed: str
    computed: float | str


def figures(scores: pd.DataFrame) -> Iterator[Figure]:
    """Yield every printed figure that is known, with what the published scores give."""
    wide = {
        m: part.pivot_table(index="dataset", columns="network", values="f1") for m, part in scores.groupby("method")
    }
    for method, printed in zip(METHODS, ["16.0", "14.4", "16.9", "12.1", "17.2", "11.8", "2.6"], strict=True):
        test = hypothesis_tests.iman_davenport(wide[method], ties=False)
        yield Figure("4, networks", f"F, {method}", printed, test.statistic)
    for method, best in (("supervised", "resnet50"), ("data", "mixnet")):
        yield Figure(
            "4, networks", f"best and worse than it, {method}", _grouping(best, WORSE), _networks(wide[method])
        )
    for method, printed in {"supervised": "13.0", "model_data": "7.5", "fixmatch": "6.1"}.items():
        test = hypothesis_tests.quade(_families(wide[method]))
        yield Figure("6, families", f"Quade's F, {method}", printed, test.statistic)
    p = hypothesis_tests.quade(_families(wide["supervised"])).p
    yield Figure("6, families", "p, supervised", "< 0.001", "< 0.001" if p < 0.001 else f"{p:.3f}")
    groups = {"supervised": "manual quantised", "plain": "manual quantised", "data": "manual quantised",
              "model": "quantised", "model_data": "quantised", "fixmatch": "manual", "mixmatch": ""}  # fmt: skip
    for method, worse in groups.items():
        best = "quantised" if method == "fixmatch" else "NAS"
        printed = _grouping(best, set(worse.split()))
        yield Figure("6, families", f"best and worse than it, {method}", printed, _family_groups(wide[method]))
    means = pd.DataFrame({method: wide[method].mean(axis=1) for method in METHODS})
    ranked = post_hoc.friedman_ranks(means)
    # Printed with 1 the worst.
    for method, printed, rank in zip(
        METHODS, ["4.2", "5.8", "6.7", "3.8", "4.0", "2.2", "1.3"], ranked.ranks, strict=True
    ):
        yield Figure("9, methods", f"mean rank, {method}", printed, len(METHODS) + 1 - rank)
    at = METHODS.index("data")
    others = [i for i in range(len(METHODS)) if i != at]
    p = np.array([2 * stats.norm.sf(abs(ranked.z(at, i))) for i in others])
    found = dict(zip(others, zip(p, hypothesis_tests.holm(p), strict=True), strict=True))
    printed_pairs = {
        "supervised": "2.6 9.6e-3 0.02 0.16", "plain": "0.9 0.35 0.35 0.047", "model": "3.0 2.7e-3 0.01 0.31",
        "model_data": "2.8 5.2e-3 0.02 0.30", "fixmatch": "4.7 3.2e-6 1.6e-5 0.83", "mixmatch": "5.6 2.3e-8 1.4e-7 1.3",
    }  # fmt: skip
    for method, printed in printed_pairs.items():
        i = METHODS.index(method)
        d = hypothesis_tests.cohens_d(means["data"], means[method])
        for name, text, value in zip(
            ("z", "p", "Holm's p", "Cohen's d"), printed.split(), (ranked.z(at, i), *found[i], d), strict=True
        ):
            yield Figure("10, control data", f"{name}, {method}", text, value)
    for method, network, printed in (("data", "mixnet", "84.7"), ("plain", "resnet18", "84.2"),
                                     ("supervised", "resnet50", "82.6")):  # fmt: skip
        yield Figure("means", f"{network}, {method}", printed, 100 * wide[method][network].mean())
    gains = 100 * (means.mean() - means["supervised"].mean())
    for method, printed in zip(METHODS[1:], ["1.6", "2.4", "-2.0", "-1.9", "-11.9", "-17.3"], strict=True):
        yield Figure("means", f"gain over supervised, {method}", printed, gains[method])
    for network, line in SUPERVISED.items():
        *each, mean, deviation = line.split()
        values = 100 * wide["supervised"][network].sort_index()
        for dataset, printed in zip(values.index, each, strict=True):
            yield Figure(SCORES, f"{network}, {dataset}", printed, values[dataset])
        yield Figure("supervised", f"mean, {network}", mean, values.mean())
        yield Figure("supervised", f"standard deviation, {network}", deviation, values.std(ddof=0))


def verdict(figure: Figure) -> str:
    """Say whether a printed figure comes out: reproduced, cut or rounded twice, a contradiction, or not explained."""
    if isinstance(figure.computed, str):
        return "reproduced" if figure.computed == figure.printed else "not explained"
    printed = float(figure.printed)
    mantissa, _, power = figure.printed.partition("e")
    unit = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    if abs(figure.computed - printed) <= unit * (0.5 + 1e-6):
        return "reproduced"
    if math.isclose(math.trunc(figure.computed / unit) * unit, printed, abs_tol=unit / 1e6):
        return "cut, not rounded"
    once = math.floor(figure.computed * 10 / unit + 0.5) / 10
    if math.isclose(math.floor(once + 0.5) * unit, printed, abs_tol=unit / 1e6):
        return "rounded twice"
    # A score is no statistic: the authors' table and their file say two different things.
    return "inputs contradict" if figure.table == SCORES else "not explained"


def table(scores: pd.DataFrame) -> tuple[str, dict[str, int]]:
    """Return the table in Markdown, and how many figures have each verdict."""
    lines = ["| table | figure | printed | computed | |", "| --- | --- | --- | --- | --- |"]
    count: Counter[str] = Counter()
    silent = 0
    for figure in figures(scores):
        said = verdict(figure)
        count[said] += 1
        if figure.table == SCORES and said == "reproduced":
            silent += 1
            continue
        computed = figure.computed if isinstance(figure.computed, str) else f"{figure.computed:.4g}"
        mark = f"**{said}**" if said == "not explained" else said
        lines.append(f"| {figure.table} | {figure.what} | {figure.printed} | {computed} | {mark} |")
    lines.append(f"| {SCORES} | {silent} scores, not listed | | | reproduced |")
    return "\n".join(lines), dict(count)


def of_workbook(path: Path, scores: pd.DataFrame) -> dict[str, int]:
    """Compare the means over the networks, and the gains over `supervised`, that the authors' workbook holds.

    Each data set has a sheet, in alphabetical order, with a block of 12 networks for each method; mean and gain of F1
    stand below it.
    """
    count: Counter[str] = Counter()
    means = scores.groupby(["dataset", "method"]).f1.mean()
    datasets = sorted(scores.dataset.unique())
    for dataset, sheet in zip(datasets, pd.read_excel(path, sheet_name=None, header=None).values(), strict=True):
        cells = sheet.to_numpy(object)
        for row, column in zip(*np.nonzero(cells == "F1-score"), strict=True):
            title = next(str(cell) for cell in cells[row - 1, column - 3 :: -1] if isinstance(cell, str)).lower()
            names = {"base": "supervised", "plaindist": "plain", "datadist": "data", "modeldist": "model",
                     "modeldatadist": "model_data", "fixmatch": "fixmatch", "mixmatch": "mixmatch"}  # fmt: skip
            method = names[next(name for name in names if title.partition("-")[2].startswith(name))]
            mean = means[dataset, method]
            wanted = {"mean": mean} | ({"gain": mean - means[dataset, "supervised"]} if method != "supervised" else {})
            for below, (what, value) in enumerate(wanted.items(), 13):
                found = cells[row + below, column]
                agrees = isinstance(found, float) and abs(found - value) <= 5e-6
                count[f"{what}s that agree" if agrees else f"{dataset}, {method}: {what}"] += 1
    return dict(count)


def _networks(values: pd.DataFrame) -> str:
    ranked = post_hoc.friedman_ranks(values)
    return _worse(list(values.columns), ranked)


def _families(values: pd.DataFrame) -> np.ndarray:
    return np.column_stack([values[members].mean(axis=1) for members in FAMILIES.values()])


def _family_groups(values: pd.DataFrame) -> str:
    families = _families(values)
    ranked = post_hoc.quade_ranks(families)
    if hypothesis_tests.quade(families).p >= 0.05:
        return _grouping(list(FAMILIES)[int(np.argmin(ranked.ranks))], set())
    return _worse(list(FAMILIES), ranked)


def _worse(names: list[str], ranked: post_hoc.Ranked) -> str:
    """Name the best-ranked group, and those that Holm's adjustment tells from it."""
    best = int(np.argmin(ranked.ranks))
    others = [i for i in range(len(names)) if i != best]
    p = hypothesis_tests.holm([2 * stats.norm.sf(abs(ranked.z(best, i))) for i in others])
    return _grouping(names[best], {names[i] for i, q in zip(others, p, strict=True) if q < 0.05})


def _grouping(best: str, worse: set[str]) -> str:
    return f"{best}; {', '.join(sorted(worse)) or 'none'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", type=Path)
    parser.add_argument("--workbook", type=Path)
    arguments = parser.parse_args()
    scores = pd.read_csv(arguments.scores)
    text, count = table(scores)
    print(text)
    workbook = {"workbook": of_workbook(arguments.workbook, scores)} if arguments.workbook else {}
    print(json.dumps({"figures": sum(count.values())} | count | workbook))


if __name__ == "__main__":
    main()
