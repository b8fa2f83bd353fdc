"""Snakemake's `--logger pocketscope`: hands what Snakemake logs to the checkout whose Snakefile runs.

Snakemake imports each installed package of such a name when it starts, before it knows of any Snakefile, and in every
job: so nothing of pocketscope is imported here. The package that is installed may belong to another checkout than the
one that runs; that one's `rules/hooks.smk` calls `LogHandler.follow`. Until then, and with a Snakefile that never calls
it, messages look as Snakemake's own.
"""

import json
import os
import sys
import traceback
from dataclasses import dataclass, field
from datetime import datetime
from logging import LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from snakemake_logger_plugin_pocketscope import places
from snakemake_logger_plugin_pocketscope.sentences import as_sentence

os.environ.update(places.for_caches())  # this is imported before Snakemake makes its cache

# What Snakemake says of itself, and people need not read.
QUIET = ("Building DAG of jobs", "Config file ")


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """`--logger-pocketscope-events FILE`."""

    events: Path | None = field(
        default=None,
        metadata={"help": "write the run's events, as JSON lines, to this file too", "type": Path, "metavar": "FILE"},
    )


class LogHandler(LogHandlerBase):
    """Hands records on to its follower, and speaks for itself while it has none."""

    def __post_init__(self) -> None:
        """Make ready what speaks before a follower is there."""
        from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

        settings = self.common_settings
        self._follower: Any = None
        self._stream = sys.stdout if settings.stdout else sys.stderr
        self._plain = ColorizingTextHandler(nocolor=settings.nocolor, stream=self._stream)
        self._plain.setFormatter(DefaultFormatter(settings.quiet, settings.show_failed_logs))
        self._plain.addFilter(
            DefaultFilter(
                settings.quiet, settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds
            )
        )
        self._events = self.settings.events.absolute() if self.settings and self.settings.events else None

    def follow(self, begin: Any) -> None:
        """Hand on all that comes from now on.

        Parameters
        ----------
        begin
            Called with this run's common settings, the stream to write to and the file of events that was asked for
            (None: none). Returns what has `record(event, fields, level)`, called in a thread of its own, and
            `close()`, called once all is said.
        """
        self._follower = begin(self.common_settings, self._stream, self._events)

    def emit(self, record: LogRecord) -> None:
        """Show a record. Whatever goes wrong is told, and ends no run."""
        try:
            event = getattr(record, "event", None)
            fields = record.__dict__ | {"message": self._message(record, event)}
            if self._follower is not None:
                self._follower.record(event and str(event), fields, record.levelname)
            elif event is not None and str(event) == "error":
                self._stream.write(f"error: {fields['message']}\n")
                self._stream.flush()
                self._tell(fields["message"])
            elif self.common_settings.verbose or not fields["message"].startswith(QUIET):
                self._plain.handle(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """End what follows."""
        follower, self._follower = self._follower, None
        try:
            if follower is not None:
                follower.close()
        except Exception:  # Snakemake would say nothing of it
            traceback.print_exc()
        finally:
            super().close()

    def _message(self, record: LogRecord, event: Any) -> str:
        if record.msg is None:
            return ""
        message = record.getMessage()
        if event is not None and str(event) == "error" and not self.common_settings.verbose:
            known = getattr(self._follower, "targets", ())
            return as_sentence(getattr(record, "exception", ""), message, known)
        return message

    def _tell(self, message: str) -> None:
        """Let programs know too of an error that comes before the Snakefile is read."""
        if self._events is not None:
            line = {"time": datetime.now().astimezone().isoformat(timespec="milliseconds"), "event": "error"}
            self._events.parent.mkdir(parents=True, exist_ok=True)
            self._events.write_text(json.dumps(line | {"message": message}) + "\n", encoding="utf-8")

    @property
    def writes_to_stream(self) -> bool:
        """Whether it writes to the terminal."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Whether it is a handler of files."""
        return False

    @property
    def has_filter(self) -> bool:
        """Whether it decides itself what is shown."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Whether it decides itself how records are worded."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """Whether Snakemake should log the graph of rules."""
        return False
