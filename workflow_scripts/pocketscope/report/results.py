"""The results of a comparison as a paragraph for a paper: in words, in LaTeX, and its table as CSV."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pocketscope.core import files
from pocketscope.statistics.comparison import Answers
from pocketscope.tables.comparison import ALL_ALIKE, DIFFERENT, TOO_FEW

HEADLINES = (
    ("methods", "mean over networks"),
    ("networks", "mean over methods"),
    ("families", "mean over methods"),
    ("precisions", "mean over methods"),
    ("gains", "mean over methods"),
    ("rows", "all"),
)
PRINTED = ("Friedman", "Iman-Davenport", "Quade")  # for the headline questions, whatever the number of groups
LISTED = 8  # names in a sentence
ESCAPED = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def headlines(answers: Answers) -> list[tuple[str, str]]:
    """Return the questions, with their subject, that a paper would print: those over all of the rest."""
    asked = set(answers.omnibus[["question", "subject"]].itertuples(index=False, name=None))
    return [key for key in HEADLINES if key in asked]


def paragraphs(answers: Answers, alpha: float) -> list[str]:
    """Return a paragraph for each headline question: the tests, the ranks, and what differs from what."""
    return [_paragraph(answers, key, alpha) for key in headlines(answers)]


def tests_in_words(answers: Answers) -> list[str]:
    """Return a line for each headline question with Friedman's, Iman-Davenport's and Quade's test."""
    said = []
    for question, subject in headlines(answers):
        tests = _of(answers.tests, (question, subject))
        parts = [_test(row) for row in tests.itertuples() if row.test in PRINTED]
        said.append(f"{question} ({subject}), {tests['groups'].iloc[0]} groups: {'; '.join(parts)}")
    return said


def table(answers: Answers) -> pd.DataFrame:
    """Return what the headline questions compared, a line a group: mean, deviation, rank, and p against the control."""
    parts = []
    for key in headlines(answers):
        groups = _of(answers.groups, key).sort_values(["rank", "group"])
        pairs = _of(answers.pairs, key)
        control = groups.loc[groups["control"], "group"].tolist()
        against = {
            row.second if row.first == control[0] else row.first: row for row in pairs.itertuples()
        } if control else {}  # fmt: skip
        found = [against.get(group) for group in groups["group"]]
        parts.append(
            groups.assign(
                p_adjusted=[math.nan if row is None else row.p_adjusted for row in found],
                effect_size=[math.nan if row is None else row.effect_size for row in found],
                verdict=["control" if is_control else "" if row is None else row.verdict
                         for row, is_control in zip(found, groups["control"], strict=True)],
            ).drop(columns="control")
        )  # fmt: skip
    columns = ["question", "subject", "group", "mean", "deviation", "rank", "p_adjusted", "effect_size", "verdict"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def latex(answers: Answers, alpha: float) -> str:
    """Return the paragraphs and the table for LaTeX (package booktabs), ready for `\\input`."""
    lines = ["% Needs \\usepackage{booktabs}."]
    lines += [_escaped(text).replace("p < ", "$p < $").replace("p = ", "$p = $") + "\n" for text in
              paragraphs(answers, alpha)]  # fmt: skip
    for (question, subject), part in table(answers).groupby(["question", "subject"], sort=False):
        compared = part["p_adjusted"].notna().any()
        lines += [
            r"\begin{table}",
            rf"\caption{{{_escaped(question.capitalize())}, {_escaped(subject)}: F1 $\times$ 100, mean and standard "
            r"deviation over data sets, and mean rank (1 is the best).}",
            rf"\begin{{tabular}}{{lrr{'r' if compared else ''}}}",
            r"\toprule",
            "Group & F1 & Rank" + (r" & adjusted $p$" if compared else "") + r" \\",
            r"\midrule",
        ]
        for row in part.itertuples():
            cells = [_escaped(row.group), rf"{100 * row.mean:.1f} $\pm$ {100 * row.deviation:.1f}", f"{row.rank:.2f}"]
            if compared:
                cells.append("--" if math.isnan(row.p_adjusted) else _p(row.p_adjusted).removeprefix("= "))
            lines.append(" & ".join(cells) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(lines)


def write(answers: Answers, folder: str | os.PathLike, alpha: float) -> list[Path]:
    """Write results.txt, results.tex and results.csv into `folder`, and return their paths."""
    folder = Path(folder)
    texts = {
        "results.txt": "\n\n".join([*paragraphs(answers, alpha), *tests_in_words(answers)]) + "\n",
        "results.tex": latex(answers, alpha),
        "results.csv": table(answers).to_csv(index=False),
    }
    for name, text in texts.items():
        files.write_text(folder / name, text)
    return [folder / name for name in texts]


def _paragraph(answers: Answers, key: tuple[str, str], alpha: float) -> str:
    groups, pairs = _of(answers.groups, key), _of(answers.pairs, key)
    row = _of(answers.omnibus, key).iloc[0]
    question, subject = key
    what = {"rows": "candidates", "gains": "networks' gains over the baseline"}.get(question, question)
    over = "" if subject == "all" else f" ({subject})"
    said = f"Over {row['datasets']} data sets, {row['groups']} {what}{over} were compared"
    if row["verdict"] == ALL_ALIKE:
        return f"{said}; all score alike on every data set."
    test = "" if math.isnan(row["statistic"]) else f" by {_test(row)}"
    best = groups.sort_values(["rank", "group"]).iloc[0]
    said += f"{test}; Kendall's W = {row['kendalls_w']:.2f}. "
    said += f"{best['group']} has the best mean rank, {best['rank']:.2f}, and a mean of {100 * best['mean']:.1f}. "
    if row["verdict"] == TOO_FEW:
        smallest = np.fmax(row["smallest_p"], pairs["smallest_p"].min())
        return said + f"So few data sets cannot give a p-value below {smallest:.2g}: there is no verdict."
    if row["verdict"] == DIFFERENT:
        said += f"The groups differ at the level {alpha:g}. "
    if pairs.empty:
        return said.rstrip()
    said += f"Pairs were compared by {pairs['test'].iloc[0]}. "
    if (pairs["verdict"] == TOO_FEW).all():
        return said + (
            f"With {len(pairs)} comparisons no adjusted p-value can fall below {pairs['smallest_p'].min():.2g}: no "
            "verdict on pairs."
        )
    return said + (_against_control(groups, pairs) if groups["control"].any() else _among_all(pairs))


def _against_control(groups: pd.DataFrame, pairs: pd.DataFrame) -> str:
    control = groups.loc[groups["control"], "group"].iloc[0]
    sides: dict[str, list[str]] = {"better": [], "worse": [], "open": []}
    for row in pairs.itertuples():
        other = row.second if row.first == control else row.first
        side = "open" if pd.isna(row.better) else "better" if row.better == control else "worse"
        sides[side].append(f"{other} (p {_p(row.p_adjusted)})")
    said = []
    if sides["better"]:
        said.append(f"{control} is significantly better than {_listed(sides['better'])}")
    if sides["worse"]:
        said.append(f"significantly better than {control} {_are(sides['worse'])} {_listed(sides['worse'])}")
    if sides["open"]:
        said.append(f"no difference is shown between {control} and {_listed(sides['open'])}")
    text = "; ".join(said)
    return text[:1].upper() + text[1:] + "." if text[:1].islower() and not text.startswith(control) else text + "."


def _among_all(pairs: pd.DataFrame) -> str:
    found = pairs[pairs["better"].notna()].sort_values("p_adjusted", kind="stable")
    said = f"{len(found)} of {len(pairs)} pairs differ significantly"
    names = [
        f"{row.better} over {row.second if row.better == row.first else row.first} (p {_p(row.p_adjusted)})"
        for row in found.itertuples()
    ]
    return f"{said}: {_listed(names)}." if names else f"{said}."


def _test(row: pd.Series | tuple) -> str:
    """Write a test with its degrees of freedom, of a line of OMNIBUS or TESTS."""
    get = (lambda name: row[name]) if isinstance(row, pd.Series) else (lambda name: getattr(row, name))
    degrees = ", ".join(f"{float(get(name)):.4g}" for name in ("df1", "df2") if not pd.isna(get(name)))
    sign = "F" if not pd.isna(get("df2")) else "chi2"
    if not degrees:
        return f"{get('test')}, p {_p(get('p'))}"
    return f"{get('test')} {sign}({degrees}) = {get('statistic'):.2f}, p {_p(get('p'))}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:LISTED])
    if len(names) > LISTED:
        return f"{', '.join(shown)} and {len(names) - LISTED} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _escaped(text: str) -> str:
    return "".join(ESCAPED.get(letter, letter) for letter in text).replace("chi2", r"$\chi^2$")


def _of(frame: pd.DataFrame, key: tuple[str, str]) -> pd.DataFrame:
    return frame[(frame["question"] == key[0]) & (frame["subject"] == key[1])]
