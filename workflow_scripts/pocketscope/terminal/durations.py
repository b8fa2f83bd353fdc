"""How long jobs took on this machine, and how long what is left will take."""

import contextlib
import csv
import io
import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pocketscope.core import files
from pocketscope.core.errors import InputError

PLACE = Path(".snakemake/pocketscope_durations.csv")  # in the results folder: it belongs to no study
KEPT = 5000  # jobs
COLUMNS = ["host", "study", "rule", "network", "threads", "seconds"]
# Rules whose time depends on images, networks and the machine too much to be guessed without any measurement.
HEAVY = {
    "pack",
    "pack_shard",
    "features",
    "features_shard",
    "near_duplicates",
    "train",
    "train_consistency",
    "predict",
    "cross_fit",
    "time_inference",
    "answer",
}
LIGHT = 8.0  # seconds that any job takes at least, most of them to start Python


class Left(NamedTuple):
    """How long a run will take, seconds; and whether that is only a part, because some of its jobs were never timed."""

    seconds: float
    at_least: bool


class Durations:
    """What jobs took, from a file in the results folder, and in this run.

    Parameters
    ----------
    path
        The file; it need not exist.
    study
        Its own jobs tell more of a rule than those of other studies.
    """

    def __init__(self, path: Path, study: str) -> None:
        self.path, self.study, self.host = path, study, platform.node()
        self.before: list[dict[str, str]] = []
        with contextlib.suppress(OSError), path.open(newline="", encoding="utf-8") as file:
            self.before = [row for row in csv.DictReader(file) if _is_whole(row)]
        self.now: list[dict[str, str]] = []
        self.guessed: dict[str, float] = {}

    def add(self, rule: str, network: str, threads: int, seconds: float) -> None:
        """Take a job that ended well."""
        told = [self.host, self.study, rule, network, str(threads), f"{seconds:.1f}"]
        self.now.append(dict(zip(COLUMNS, told, strict=True)))

    def guess(self, rule: str, seconds: float) -> None:
        """Take what a job that still runs says of its whole length; any job that has ended tells more."""
        self.guessed[rule] = seconds

    def save(self) -> None:
        """Write all down, the newest last. Where that cannot be, the next run's estimate begins anew."""
        if not self.now:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows((self.before + self.now)[-KEPT:])
        with contextlib.suppress(InputError, OSError):
            files.write_text(self.path, text.getvalue())

    def expected(self, rule: str, network: str = "") -> float | None:
        """Return the processor seconds (seconds times threads) of a job; None where nothing is known.

        From the nearest that is known: the same network in this run, in this study; the rule in this run, in this
        study, in any study.
        """
        earlier = [row for row in self.before if row["host"] == self.host and row["rule"] == rule]
        here = [row for row in self.now if row["rule"] == rule]
        same = [row for row in earlier if row["study"] == self.study]
        for rows in (_of(here, network), _of(same, network), here, same):
            if rows:
                return _typical(rows)
        if rule in self.guessed:
            return self.guessed[rule]
        if earlier:
            return _typical(_of(earlier, network) or earlier)
        return None if rule in HEAVY else LIGHT

    def left(
        self, waiting: Mapping[str, int], running: Iterable[tuple[str, str, int, float, float | None]], slots: int
    ) -> Left:
        """Return how long the rest of a run takes.

        Parameters
        ----------
        waiting
            How many jobs of each rule have not begun.
        running
            Of each job that runs, rule, network, threads, its seconds so far, and how many it says to have left (None:
            it says nothing).
        slots
            How many processors the jobs share.
        """
        work, longest, unknown = 0.0, 0.0, False
        for rule, count in waiting.items():
            each = self.expected(rule)
            unknown |= each is None and count > 0
            work += count * (LIGHT if each is None else each)
        for rule, network, threads, elapsed, told in running:
            whole = self.expected(rule, network)
            unknown |= told is None and whole is None
            rest = told if told is not None else max((whole or LIGHT) / threads - elapsed, 2.0)
            work, longest = work + threads * rest, max(longest, rest)
        return Left(max(work / max(slots, 1), longest), unknown)


def _of(rows: list[dict[str, str]], network: str) -> list[dict[str, str]]:
    return [row for row in rows if network and row["network"] == network]


def _typical(rows: list[dict[str, str]]) -> float:
    """Return the middle of the last jobs of each network, on the mean over networks."""
    by_network = defaultdict(list)
    for row in rows:
        by_network[row["network"]].append(float(row["seconds"]) * int(row["threads"]))
    return sum(median(each[-5:]) for each in by_network.values()) / len(by_network)


def _is_whole(row: Mapping[str, str | None]) -> bool:
    try:
        return all(row[name] is not None for name in COLUMNS) and float(row["seconds"]) >= 0 < int(row["threads"])
    except (KeyError, TypeError, ValueError):
        return False
