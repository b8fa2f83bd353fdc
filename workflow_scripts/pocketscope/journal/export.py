"""One sorted table of the labels that hold, which a run reads in the journal's place."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.journal import categories
from pocketscope.journal.store import Journal, Said

_COLUMNS = ("image_id", "path", "sha256", "class", "who", "when", "before", "after", "role", "guess_shown")


def rows(journal: Journal) -> tuple[list[dict[str, Any]], dict[str, str | None]]:
    """Return the labels that hold, by image (columns: `tables.given_labels`), and what classes are called now.

    An image of the exam tests with the last label that was given to it blind, whatever was said of it later; one that
    was labelled after a guess was shown alone is learnt from, as all others are.
    """
    found = {said.image_id: _row(said) for said in journal.current()}
    found |= {said.image_id: _row(said) for said in journal.blind() if said.name is not None}
    return [found[image_id] for image_id in sorted(found)], categories.renamed(journal.categories())


def digest(table: list[dict[str, Any]], renamed: dict[str, str | None]) -> str:
    """Return 16 hexadecimal digits for what a run learns of labels: not who gave them, nor when."""
    said = [[row[key] for key in ("image_id", "path", "class", "role")] for row in table]
    return hashlib.sha256(json.dumps([said, renamed], sort_keys=True).encode()).hexdigest()[:16]


def write(path: Path, table: list[dict[str, Any]], renamed: dict[str, str | None]) -> bool:
    """Write the table of `rows` whole or not at all, only where it differs from what is there; say whether it did.

    The ending says how: `.csv`, which holds no renamed classes and is refused where there are any, or `.parquet`.
    """
    if path.suffix.casefold() == ".csv":
        return _write_csv(path, table, renamed)
    import pyarrow as pa  # takes longer to import than a journal to read

    from pocketscope.core import parquet
    from pocketscope.tables.given_labels import GIVEN_LABELS, RENAMED

    new = pa.Table.from_pylist(table, schema=GIVEN_LABELS)
    if path.is_file():
        try:
            if parquet.read(path, GIVEN_LABELS).equals(new) and parquet.notes(path).get(RENAMED, {}) == renamed:
                return False
        except InputError:
            pass  # damaged, or of an older version: written anew
    parquet.write(new, path, GIVEN_LABELS, notes={RENAMED: renamed} if renamed else None)
    return True


def _write_csv(path: Path, table: list[dict[str, Any]], renamed: dict[str, str | None]) -> bool:
    import csv
    import io

    from pocketscope.core import files

    if renamed:
        raise InputError(
            f"{path}: a CSV file cannot say that classes were renamed ({', '.join(map(repr, renamed))}); let the name "
            "end in .parquet"
        )
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS)
    lines.writerows([row[column] for column in _COLUMNS] for row in table)
    if path.is_file() and path.read_bytes() == text.getvalue().encode("utf-8-sig"):
        return False
    files.write_text(path, "\ufeff" + text.getvalue())
    return True


def _row(said: Said) -> dict[str, Any]:
    return {
        "image_id": said.image_id,
        "path": said.path,
        "sha256": said.sha256,
        "class": said.name,
        "who": said.who,
        "when": said.when,
        "before": said.before,
        "after": said.after,
        "role": said.role,
        "guess_shown": said.guess_shown,
    }
