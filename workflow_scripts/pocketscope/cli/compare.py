"""`pocketscope compare`: the statistics and the report of any table of scores."""

import argparse
import sys
from pathlib import Path

from pocketscope.statistics import comparison, decision, score_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`."""
    parser.add_argument(
        "scores",
        type=Path,
        help="CSV or Parquet with the columns dataset, method, network and score (or f1), and optionally split and "
        "precision (fp32 or int8)",
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
        "--control",
        nargs="+",
        default=[],
        metavar="NAME",
        help="methods, networks, families or method/network to compare the others with; by default, all pairs are "
        "compared (sound), or the best-ranked group is the control (paper)",
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
    parser.add_argument("--alpha", type=float, default=0.05, help="significance level (default: %(default)s)")
    parser.add_argument(
        "--margin",
        type=float,
        default=2.0,
        help="points of F1 that a cheaper candidate may lose (default: %(default)s)",
    )
    parser.add_argument("--title", help="title of the report (default: the name of the score file)")


def main(args: argparse.Namespace) -> None:
    """Write the tables of the comparison and of the decision, recommendation.json, and report/index.html to `args.out`.

    What was found and where it lies goes to standard output, what is odd about the scores to standard error.
    """
    scores = score_table.read(args.scores, metric=args.metric, bounds=args.upper_bound)
    families = score_table.read_families(args.families) if args.families else {}
    answers = comparison.compare(
        score_table.most_labelled(scores),
        protocol=args.protocol,
        controls=args.control,
        families=families,
        bounds=args.upper_bound,
        alpha=args.alpha,
    )
    written = comparison.write(answers, args.out, notes={"protocol": args.protocol, "alpha": args.alpha})
    decided = decision.decide(
        scores,
        score_table.read_costs(args.timing) if args.timing else None,
        bounds=args.upper_bound,
        margin=args.margin,
        alpha=args.alpha,
        baseline=args.baseline,
    )
    written += decision.write(decided, args.out)
    for remark in score_table.score_remarks(scores):
        print(f"warning: {args.scores}: {remark}", file=sys.stderr)

    from pocketscope.report.build import build_report  # draws: whoever asks for help needs no matplotlib

    build_report(
        args.out / "report",
        scores,
        answers,
        decided,
        protocol=args.protocol,
        bounds=args.upper_bound,
        title=args.title or args.scores.stem.replace("_", " "),
    )
    if overall := decided.found["overall"]:
        print(overall["text"])
        if overall["remark"]:
            print(f"warning: {overall['remark']}", file=sys.stderr)
    else:
        print("No candidate is recommended: the scores of one data set say nothing about other data sets.")
    tables = sum(path.suffix == ".parquet" for path in written)
    print(f"{tables} tables (Parquet, most also as CSV) and {decision.RECOMMENDATION} are in {args.out}")
    print(f"The report is {args.out / 'report' / 'index.html'}")
