"""What a run has made, for programs: the files that people open, and what is recommended."""

import json
from pathlib import Path
from typing import Any

KEYS = ("candidate", "f1", "f1_lower", "f1_upper", "tested", "level", "units", "text")


def made(study: Path) -> list[dict[str, str]]:
    """Return what a study has for people: `what`, and `path`, absolute."""
    found = [("scores", "scores.csv"), ("report", "report/index.html")]
    for answers in sorted(study.glob("ship/*/answers.csv")):
        found += [("shipped", f"ship/{answers.parent.name}"), ("answers", f"ship/{answers.parent.name}/answers.csv")]
    return [{"what": what, "path": str((study / path).resolve())} for what, path in found if (study / path).exists()]


def recommended(study: Path) -> list[dict[str, Any]]:
    """Return by data set the recommended candidate, its F1 with an interval, and a sentence; none before that."""
    path = study / "statistics" / "recommendation.json"
    if not path.is_file():
        return []
    told = json.loads(path.read_text(encoding="utf-8"))["datasets"]
    return [{"dataset": name, **{key: entry.get(key) for key in KEYS}} for name, entry in told.items()]
