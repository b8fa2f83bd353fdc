"""What a call raises where the workflow did not come to its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LINES = 30  # of a job's log, in a message


@dataclass(frozen=True)
class FailedJob:
    """A job that failed.

    rule, wildcards
        What it made.
    log
        Its log file; None where the rule has none.
    text
        What the log says.
    """

    rule: str
    wildcards: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    text: str = ""

    @property
    def reason(self) -> str:
        """The log's last error, or its last line."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        return (errors or lines or ["it wrote no log"])[-1]

    def __str__(self) -> str:
        of = ", ".join(f"{key} {value}" for key, value in self.wildcards.items())
        return f"{self.rule}{f' ({of})' if of else ''}: {self.reason}"


class RunError(RuntimeError):
    """The workflow stopped before its end. What was made stays, and the same call goes on from there.

    Attributes
    ----------
    jobs
        The jobs that failed, with their logs.
    output
        What Snakemake printed.
    """

    def __init__(self, jobs: Sequence[FailedJob], output: str) -> None:
        self.jobs, self.output = list(jobs), output
        super().__init__(self._message())

    def _message(self) -> str:
        if not self.jobs:
            return "Snakemake stopped without a failed job; the end of what it printed:\n" + _end(self.output)
        first = self.jobs[0]
        count = f"{len(self.jobs)} jobs failed" if len(self.jobs) > 1 else "a job failed"
        said = [f"{count}: {'; '.join(map(str, self.jobs))}", "What was made stays; call again once this is mended."]
        if first.log:
            said.append(f"The end of {first.log}:\n{_end(first.text)}")
        return "\n".join(said)


def _end(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines()[-LINES:])
