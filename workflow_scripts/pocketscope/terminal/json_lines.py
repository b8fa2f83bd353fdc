"""Events as JSON lines, for other programs: docs/events.md lists what each has."""

import contextlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

KEPT = 50  # runs of a study


def file_of_run(study: Path) -> Path:
    """Return where a run that begins now writes its events, in a study's folder; the newest name sorts last.

    Files of runs before the last fifty are deleted.
    """
    folder = study / "events"
    for old in sorted(folder.glob("*.jsonl"))[: -KEPT + 1]:
        old.unlink(missing_ok=True)
    return folder / f"{datetime.now():%Y-%m-%dT%H-%M-%S-%f}.jsonl"


class JsonLines:
    """Writes each event at once to files that appear with the first one; a file that cannot be written ends no run."""

    def __init__(self, *paths: Path) -> None:
        self._paths, self._files = paths, None

    def take(self, event: Mapping[str, Any]) -> None:
        """Write an event down."""
        line = json.dumps(event, ensure_ascii=False) + "\n"
        with contextlib.suppress(OSError):
            if self._files is None:
                self._files = []
                for path in self._paths:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._files.append(path.open("w", encoding="utf-8"))
            for file in self._files:
                file.write(line)
                file.flush()

    def tick(self, _: Any) -> None:
        """Do nothing: what changes is an event."""

    def close(self) -> None:
        """Close the files."""
        for file in self._files or []:
            with contextlib.suppress(OSError):
                file.close()
