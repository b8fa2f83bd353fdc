"""The questions that a study asks of its scores, answered by one of two protocols.

`paper` follows the published study of compact networks; `sound` leaves out what in it cannot be defended. Where and why
they differ is written in docs/statistics.md.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean
from pocketscope.statistics import frames, score_table
from pocketscope.statistics.protocols import answer_as_the_paper, answer_soundly
from pocketscope.statistics.questions import Question, questions, reason_to_skip
from pocketscope.tables.comparison import GROUPS, OMNIBUS, PAIRS, SKIPPED_QUESTIONS

PROTOCOLS = ("sound", "paper")

SCHEMAS = (GROUPS, OMNIBUS, PAIRS, SKIPPED_QUESTIONS)


class Answers(NamedTuple):
    """The four tables of a comparison, under `GROUPS`, `OMNIBUS`, `PAIRS` and `SKIPPED`."""

    groups: pd.DataFrame
    omnibus: pd.DataFrame
    pairs: pd.DataFrame
    skipped: pd.DataFrame

    def by_name(self) -> dict[str, tuple[pd.DataFrame, pa.Schema]]:
        """Return each table with its schema, by the name of its file."""
        return dict(zip(self._fields, zip(self, SCHEMAS, strict=True), strict=True))


def compare(
    scores: pd.DataFrame,
    *,
    protocol: str = "sound",
    controls: Sequence[str] = (),
    families: Mapping[str, str] | None = None,
    bounds: Sequence[str] = score_table.BOUNDS,
    alpha: float = 0.05,
) -> Answers:
    """Answer every question that a score table can be asked.

    Parameters
    ----------
    scores
        A table as `score_table.check_scores` returns it. A dataset counts once: its splits are averaged.
    protocol
        `sound` or `paper`.
    controls
        Names of methods, rows (network and precision), families, precisions, or `method/row`. A question that has one
        of them among its groups compares the others with it; `sound` compares all pairs in the rest, and `paper` always
        takes the best-ranked.
    families
        Which family a network belongs to, by the network's or row's name.
    bounds
        Methods that know every true label, and do not compete.
    alpha
        The level of significance.

    Returns
    -------
    Answers
        Tidy frames; a question that does not apply is in `skipped`, with the reason.

    Raises
    ------
    pocketscope.core.errors.InputError
        The protocol or a control is unknown.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol '{protocol}' is unknown; the protocols are {', '.join(PROTOCOLS)}")
    asked = list(
        questions(
            score_table.competitors(scores, bounds),
            families or {},
            rows=protocol == "paper" or any("/" in c for c in controls),
        )
    )
    _check_controls(controls, asked)
    reasons = [reason_to_skip(question) for question in asked]
    skipped = [
        {"question": question.name, "subject": question.subject, "reason": reason}
        for question, reason in zip(asked, reasons, strict=True)
        if reason
    ]
    put = [question for question, reason in zip(asked, reasons, strict=True) if not reason]
    with_control = [next((name for name in controls if name in question.scores.columns), None) for question in put]
    if protocol == "sound":
        found = answer_soundly(put, with_control, alpha)
    else:
        found = [answer_as_the_paper(*one, alpha) for one in zip(put, with_control, strict=True)]
    groups = [row for part, _, _ in found for row in part]
    omnibus = [row for _, row, _ in found]
    pairs = [row for _, _, part in found for row in part]
    return Answers(*map(frames.frame, (groups, omnibus, pairs, _together(skipped)), SCHEMAS))


def write(answers: Answers, folder: str | os.PathLike, *, notes: Mapping[str, Any] | None = None) -> list[Path]:
    """Write the four tables as Parquet and as CSV into `folder`, and return their paths."""
    written = []
    for name, (frame, schema) in answers.by_name().items():
        path = Path(folder) / f"{name}.parquet"
        written += [frames.write(frame, path, schema, notes), frames.write_csv(frame, path.with_suffix(".csv"))]
    return written


def read(folder: str | os.PathLike) -> Answers:
    """Read the four tables that `write` put into `folder`."""
    named = zip(Answers._fields, SCHEMAS, strict=True)
    return Answers(*(frames.read(Path(folder) / f"{name}.parquet", schema) for name, schema in named))


def _together(skipped: list[dict]) -> list[dict]:
    """Name the subjects that were skipped for one reason in one row."""
    subjects: dict[tuple[str, str], list[str]] = {}
    for row in skipped:
        subjects.setdefault((row["question"], row["reason"]), []).append(row["subject"])
    return [{"question": q, "subject": ", ".join(names), "reason": reason} for (q, reason), names in subjects.items()]


def _check_controls(controls: Sequence[str], asked: list[Question]) -> None:
    known = list(dict.fromkeys(str(name) for question in asked for name in question.scores.columns))
    for control in controls:
        if control not in known:
            hint = did_you_mean(control, known, f"; known are {', '.join(known[:12])}")
            raise InputError(
                f"the control '{control}' is not a method, network, family or precision of the scores{hint}"
            )
