"""The questions that a study asks of its scores, answered by one of two protocols.

`paper` follows the published study of compact networks; `sound` leaves out what in it cannot be defended. Where and why
they differ is written in docs/statistics.md.
"""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean, nearest
from pocketscope.statistics import bayes, frames, named_tests, score_table
from pocketscope.statistics.protocols import answer_as_the_paper, answer_soundly
from pocketscope.statistics.questions import NOUNS, Question, questions, reason_to_skip
from pocketscope.tables.comparison import GROUPS, OMNIBUS, PAIRS, SKIPPED_QUESTIONS, TESTS

PROTOCOLS = ("sound", "paper")

log = logging.getLogger(__name__)

SCHEMAS = (GROUPS, OMNIBUS, PAIRS, SKIPPED_QUESTIONS, TESTS)
MOST_PAIRS = 100_000  # of a question, and of all details: more take minutes and gigabytes, and nobody reads them
POSTERIOR = ("probability_first", "probability_equal", "probability_second")
MOST_POSTERIORS = 300  # pairs of main questions: each takes some hundredths of a second
FEWEST_DATASETS = 3  # below, a posterior over data sets is its prior
MARGIN = 2.0  # points of F1, as of the recommendation
FEWER = "declare a control, or give fewer methods or networks"


class Answers(NamedTuple):
    """The five tables of a comparison; schemas in `SCHEMAS`."""

    groups: pd.DataFrame
    omnibus: pd.DataFrame
    pairs: pd.DataFrame
    skipped: pd.DataFrame
    tests: pd.DataFrame

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
    named: named_tests.Named | None = None,
    only: Sequence[str] = (),
    gains_over: str | None = None,
    margin: float = MARGIN,
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
        of them among its groups compares the others with it; in the rest `sound` compares all pairs, and `paper` takes
        the best-ranked.
    families
        Which family a network belongs to, by the network's or row's name.
    bounds
        Methods that know every true label, and do not compete.
    alpha
        The level of significance.
    named
        A test and a post-hoc in place of the protocol's. With the test `corrected-t` the splits of the one data set are
        the blocks.
    only
        Which questions are asked, of `questions.NOUNS`; all of them where empty, `rows` only with a control among them.
    gains_over
        A method: which network gains most over it is asked too.
    margin
        Points of F1 (hundredths) within which two groups are equal for all practical purposes: see `bayes`.

    Returns
    -------
    Answers
        Tidy frames; a question that does not apply is in `skipped`, with the reason.

    Raises
    ------
    pocketscope.core.errors.InputError
        The protocol, a test, a post-hoc, a question, the baseline or a control is unknown, or they do not go together.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol '{protocol}' is unknown; the protocols are {', '.join(PROTOCOLS)}")
    for name in only:
        if name not in NOUNS:
            raise InputError(f"there is no question '{name}'; there are {', '.join(NOUNS)}")
    competing = score_table.competitors(scores, bounds)
    if gains_over is not None and gains_over not in set(competing["method"]):
        raise InputError(f"there is no method '{gains_over}'{nearest(gains_over, competing['method'].unique())}")
    if named is not None:
        named_tests.check(named, controls)
        if named.test == "corrected-t":
            competing = _by_split(competing)
    rows = "rows" in only or protocol == "paper" or bool(set(controls) & set(score_table.candidates(competing).index))
    asked = list(questions(competing, families or {}, rows=rows, gains_over=gains_over))
    _check_controls(controls, asked)
    asked = [question for question in asked if not only or question.name in only]
    with_control = [next((name for name in controls if name in question.scores.columns), None) for question in asked]
    compared = [_pairs(*one, protocol, named) for one in zip(asked, with_control, strict=True)]
    details = sum(n for question, n in zip(asked, compared, strict=True) if not question.main)
    put, skipped = [], []
    for question, control, pairs in zip(asked, with_control, compared, strict=True):
        if reason := (
            reason_to_skip(question)
            or (named and named_tests.reason_to_skip(question, control, named))
            or _too_many(question, pairs, details)
        ):
            skipped.append({"question": question.name, "subject": question.subject, "reason": reason})
        else:
            put.append((question, control))
    for reason in dict.fromkeys(row["reason"] for row in skipped if row["reason"].endswith(FEWER)):
        log.warning("left out: %s", reason)  # at once: what is left may take a while
    put, with_control = [question for question, _ in put], [control for _, control in put]
    if named is not None:
        found = [named_tests.answer(*one, alpha, named) for one in zip(put, with_control, strict=True)]
    elif protocol == "sound":
        found = answer_soundly(put, with_control, alpha)
    else:
        found = [answer_as_the_paper(*one, alpha) for one in zip(put, with_control, strict=True)]
    groups = [row for part, _, _ in found for row in part]
    omnibus = [row for _, row, _ in found]
    pairs = [row for _, _, part in found for row in part]
    _add_posteriors(put, pairs, margin / 100, named)
    tests = [row for question in put for row in named_tests.every_omnibus(question)]
    return Answers(*map(frames.frame, (groups, omnibus, pairs, _together(skipped), tests), SCHEMAS))


def write(answers: Answers, folder: str | os.PathLike, *, notes: Mapping[str, Any] | None = None) -> list[Path]:
    """Write the five tables as Parquet and as CSV into `folder`, and return their paths."""
    written = []
    for name, (frame, schema) in answers.by_name().items():
        path = Path(folder) / f"{name}.parquet"
        written += [frames.write(frame, path, schema, notes), frames.write_csv(frame, path.with_suffix(".csv"))]
    return written


def read(folder: str | os.PathLike) -> Answers:
    """Read the five tables that `write` put into `folder`."""
    named = zip(Answers._fields, SCHEMAS, strict=True)
    return Answers(*(frames.read(Path(folder) / f"{name}.parquet", schema) for name, schema in named))


def _add_posteriors(
    put: Sequence[Question], pairs: Sequence[dict[str, Any]], rope: float, named: named_tests.Named | None
) -> None:
    """Add to the pairs of the main questions how probable it is that either is better, or neither."""
    for row in pairs:
        row |= dict.fromkeys(POSTERIOR)
    main = {(question.name, question.subject): question.scores for question in put if question.main}
    asked = [row for row in pairs if (row["question"], row["subject"]) in main]
    if len(asked) > MOST_POSTERIORS:
        return
    for row in asked:
        scores = main[row["question"], row["subject"]]
        differences = (scores[row["first"]] - scores[row["second"]]).to_numpy()
        if named is not None and named.test == "corrected-t":
            found = bayes.correlated_t(differences, rope, named.test_share)
        elif len(differences) >= FEWEST_DATASETS:
            found = bayes.signed_rank(differences, rope, samples=20_000)
        else:
            continue
        row |= dict(zip(POSTERIOR, found, strict=True))


def _by_split(scores: pd.DataFrame) -> pd.DataFrame:
    """Make the splits of the one data set the blocks, which data sets are elsewhere."""
    if (count := scores["dataset"].nunique()) != 1:
        raise InputError(f"the test corrected-t is for several seeds on one data set, and there are {count} data sets")
    if (count := scores["split"].nunique()) < 2:
        raise InputError("the test corrected-t needs two seeds or more: a column 'split' that names them")
    return scores.assign(dataset=scores["split"], split="all")


def _pairs(question: Question, control: str | None, protocol: str, named: named_tests.Named | None) -> int:
    """Return how many pairs of groups a question compares."""
    groups = question.scores.shape[1]
    with_one = control is not None or (protocol == "paper" and named is None)
    return max(0, groups - 1) if with_one else math.comb(groups, 2)


def _too_many(question: Question, pairs: int, details: int) -> str | None:
    """Say why a question is left out for its size, None where it is not."""
    if pairs > MOST_PAIRS:
        return f"its {question.scores.shape[1]:,} groups have {pairs:,} pairs, more than {MOST_PAIRS:,}; {FEWER}"
    if not question.main and details > MOST_PAIRS:
        return f"the details of single methods and networks have {details:,} pairs, more than {MOST_PAIRS:,}; {FEWER}"
    return None


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
