"""`pocketscope compare`: the statistics and the report of any table of scores."""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from pocketscope.core.errors import InputError
from pocketscope.statistics import comparison, decision, named_tests, score_table
from pocketscope.statistics.questions import NOUNS

EXITS = (
    "Exit codes: 0, all is written (no verdict is a result too); 1, an input is wrong, and nothing is written; 2, the "
    "command line is wrong."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`."""
    parser.epilog = EXITS
    parser.add_argument(
        "scores",
        type=Path,
        help="CSV or Parquet. Long: the columns dataset, method, network (or one of the two) and score (or f1), and "
        "optionally split and precision (fp32 or int8). Wide: a column of data sets, and one of scores for each method",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables and for report/index.html")
    parser.add_argument(
        "--protocol",
        choices=comparison.PROTOCOLS,
        default="sound",
        help="sound: rank tests and signed-rank tests with Holm's adjustment; paper: the tests of the published "
        "study (default: %(default)s)",
    )
    parser.add_argument(
        "--test",
        choices=named_tests.TESTS,
        help="omnibus test in place of the protocol's, and what pairs are compared by; corrected-t (Nadeau, Bengio) is "
        "for several seeds on one data set",
    )
    parser.add_argument(
        "--post-hoc",
        choices=named_tests.POST_HOCS,
        help=f"adjustment of the pairs' p-values: {', '.join(named_tests.OF_CONTROLS)} need --control, "
        f"{', '.join(named_tests.OF_ALL_PAIRS)} compare all pairs (default with --test: holm)",
    )
    parser.add_argument(
        "--test-share",
        type=_number("a share between 0 and 1", lambda x: 0 < x < 1),
        default=0.25,
        metavar="SHARE",
        help="share of the images that are the test set, for corrected-t (default: %(default)s)",
    )
    parser.add_argument(
        "--questions",
        nargs="+",
        choices=list(NOUNS),
        default=[],
        help="ask these alone (default: all that apply; rows, all candidates at once, where a control is one)",
    )
    parser.add_argument(
        "--gains",
        action="store_true",
        help="ask also which network gains most over the --baseline, method by method",
    )
    parser.add_argument(
        "--control",
        nargs="+",
        default=[],
        metavar="NAME",
        help="methods, networks, families or method/network to compare the others with, under every protocol; by "
        "default, all pairs are compared (sound), or the best-ranked group is the control (paper)",
    )
    parser.add_argument("--families", type=Path, metavar="FILE", help="CSV with the columns network and family")
    parser.add_argument(
        "--timing",
        type=Path,
        metavar="FILE",
        help="CSV or Parquet with the columns network and, if known, precision, latency_ms and size_mb",
    )
    parser.add_argument(
        "--baseline",
        default="supervised",
        metavar="METHOD",
        help="method that is trained on the labelled images only (default: %(default)s)",
    )
    parser.add_argument(
        "--upper-bound",
        nargs="+",
        default=list(score_table.BOUNDS),
        metavar="METHOD",
        help="methods trained on every true label, which are upper bounds: shown, but not compared (default: full)",
    )
    parser.add_argument(
        "--metric", default="f1", help="metric to use if the table contains several (default: %(default)s)"
    )
    parser.add_argument(
        "--full-score",
        type=_number("a positive number", lambda x: x > 0),
        metavar="NUMBER",
        help="score of a perfect answer (default: 1, or 100 if most scores lie between 1 and 100)",
    )
    parser.add_argument(
        "--alpha",
        type=_number("a level between 0 and 1", lambda x: 0 < x < 1),
        default=0.05,
        help="significance level (default: %(default)s)",
    )
    parser.add_argument(
        "--margin",
        type=_number("a number of points from 0 to 100", lambda x: 0 <= x <= 100),
        default=2.0,
        help="points of F1 that a cheaper candidate may lose (default: %(default)s)",
    )
    parser.add_argument("--title", help="title of the report (default: the name of the score file)")


def main(args: argparse.Namespace) -> None:
    """Write the tables of the comparison and of the decision, the results in words, and the report to `args.out`.

    What was found and where it lies goes to standard output, what is odd about the inputs to standard error. All is
    read, checked and computed before anything is written.
    """
    warnings: list[str] = []
    for folder in (args.out, *args.out.parents):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--out: {folder} is a file, and the results need a folder")
    scores = score_table.read(
        args.scores, metric=args.metric, bounds=args.upper_bound, full_score=args.full_score, remarks=warnings
    )
    main_scores = score_table.most_labelled(scores)
    families = _families(args, main_scores, warnings)
    costs = _costs(args, main_scores, warnings)
    named = None
    if args.test or args.post_hoc:
        named = named_tests.Named(args.test or "iman-davenport", args.post_hoc or "holm", args.test_share)
    answers = comparison.compare(
        main_scores,
        protocol=args.protocol,
        controls=args.control,
        families=families,
        bounds=args.upper_bound,
        alpha=args.alpha,
        named=named,
        only=args.questions,
        gains_over=args.baseline if args.gains or "gains" in args.questions else None,
        margin=args.margin,
    )
    decided = decision.decide(
        scores,
        costs,
        bounds=args.upper_bound,
        margin=args.margin,
        alpha=args.alpha,
        baseline=args.baseline,
        controls=args.control,
    )
    from pocketscope.report import results  # draws: whoever asks for help needs no matplotlib
    from pocketscope.report.build import build_report

    notes = {"protocol": args.protocol, "alpha": args.alpha} | (named._asdict() if named else {})
    written = comparison.write(answers, args.out, notes=notes)
    written += decision.write(decided, args.out)
    results.write(answers, args.out, args.alpha)
    build_report(
        args.out / "report",
        scores,
        answers,
        decided,
        protocol="named" if named else args.protocol,
        bounds=args.upper_bound,
        title=args.title or args.scores.stem.replace("_", " "),
        warnings=warnings,
    )
    for remark in [*warnings, *score_table.score_remarks(scores)]:
        print(f"warning: {args.scores}: {remark}", file=sys.stderr)
    _tell(args, answers, decided, sum(path.suffix == ".parquet" for path in written))


def _tell(args: argparse.Namespace, answers: comparison.Answers, decided: decision.Decision, tables: int) -> None:
    """Print what was found, and where it lies."""
    from pocketscope.report import results

    for text in [*results.paragraphs(answers, args.alpha), *results.tests_in_words(answers)]:
        print(text)
    for reason, part in answers.skipped.groupby("reason", sort=False):
        print(f"Not answered: {', '.join(part['question'])}: {reason}.")
    if overall := decided.found["overall"]:
        print(overall["text"])
        if overall["remark"]:
            print(f"warning: {overall['remark']}", file=sys.stderr)
    else:
        print(f"No candidate is recommended: {decided.found['no_overall']}.")
    print(f"{tables} tables (Parquet, most also as CSV) and {decision.RECOMMENDATION} are in {args.out}")
    print(f"The results in words, LaTeX and CSV are {args.out / 'results.txt'}, results.tex and results.csv")
    print(f"The report is {args.out / 'report' / 'index.html'}")


def _families(args: argparse.Namespace, scores: pd.DataFrame, warnings: list[str]) -> dict[str, str]:
    if not args.families:
        return {}
    families = score_table.read_families(args.families)
    if not families:
        raise InputError(f"{args.families}: no network has a family; fill the columns network and family")
    known = set(score_table.with_row(scores)["row"]) | set(scores["network"])
    if not set(families) & known:
        raise InputError(
            f"{args.families}: none of its networks ({_few(families)}) is among the scores' ({_few(sorted(known))})"
        )
    if without := sorted(set(scores["network"]) - set(families)):
        warnings.append(f"{args.families} gives no family to {_few(without)}.")
    return families


def _costs(args: argparse.Namespace, scores: pd.DataFrame, warnings: list[str]) -> pd.DataFrame | None:
    if not args.timing:
        return None
    costs = score_table.read_costs(args.timing)
    precision = costs.get("precision", "fp32")
    given = set(score_table.with_row(costs.assign(precision=precision))["row"])
    forms = dict.fromkeys(score_table.with_row(scores)["row"])
    if without := [form for form in forms if form not in given]:
        warnings.append(f"{args.timing} has no costs of {_few(without)}: they cannot be called cheaper.")
    if unused := sorted(given - set(forms)):
        warnings.append(f"{args.timing}: {_few(unused)} {'is' if len(unused) == 1 else 'are'} not among the scores.")
    return costs


def _few(names: object) -> str:
    names = [str(name) for name in names]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _number(wanted: str, holds: Callable[[float], bool]) -> Callable[[str], float]:
    """Return a type for argparse: a finite number for which `holds` is true."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not holds(value):
            raise argparse.ArgumentTypeError(f"'{text}' is not {wanted}")
        return value

    return read
