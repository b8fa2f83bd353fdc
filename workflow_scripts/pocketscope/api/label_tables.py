"""Labels of tables that people give, taken into the journal of their data set."""

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pocketscope.core import sheets
from pocketscope.core.errors import InputError
from pocketscope.core.messages import listing
from pocketscope.data import corrections
from pocketscope.data.sources import kinds
from pocketscope.data.sources.paths import top_of
from pocketscope.data.sources.record import Record
from pocketscope.images import codec, decode
from pocketscope.images.pixels import Unreadable
from pocketscope.journal import deeds
from pocketscope.journal.store import Journal
from pocketscope.tables.given_labels import EXAM

_REMEDY = "Write paths as they are in the folder of images, or remove the rows"
_GUESS = "class"  # a column of the table of answers: whoever fills that in has seen the guess
Identify = Callable[[Record], tuple[str, str | None]]


class Taken(NamedTuple):
    """How many labels of a table were appended, and how many of them were known already."""

    place: Path
    new: int
    known: int


def take(
    journal: Journal,
    tables: Sequence[Path],
    dataset: Mapping[str, Any],
    root: Path,
    who: str,
    identify: Identify | None = None,
) -> list[Taken]:
    """Append the labels of tables to a journal, one by one; nothing of any where one is wrong.

    Parameters
    ----------
    journal
        Of the data set.
    tables
        CSV or Parquet with the columns path and label, or as the journal is exported.
    dataset
        `source`, `classes` and `page` of the data set, as the configuration has them.
    root
        The folder that relative paths of the source start from.
    who
        Gives the labels of tables that do not say it.
    identify
        Returns an image's identity and its file's SHA-256; by default the file is decoded.

    Raises
    ------
    pocketscope.core.errors.InputError
        See `corrections.read`; or an image cannot be read.
    """
    source = dataset["source"]
    records = {record.path: record for record in kinds.records(source, root, dataset["classes"])}
    classes = {record.label for record in records.values() if record.label is not None}
    classes |= {category.name for category in journal.categories().values() if category.lives}
    read = []
    for place in (table.absolute() for table in tables):
        if corrections.is_of_journal(place):
            read.append(_of_journal(place))
        else:
            decoded = identify or (lambda record: _decoded(record, dataset["page"]))
            read.append(_of_person(place, records, classes, dataset, root, who, decoded))
        classes |= {label.category for label in read[-1].labels if label.category is not None}
    found = []
    for table in read:
        new = _append_one(journal, table, who)
        found.append(Taken(table.place, new, len(table.labels) - new))
    return found


def _decoded(record: Record, page: Any) -> tuple[str, str | None]:
    content = record.read()
    return codec.content_id(decode.decode(content, page=page)), hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class _Table:
    """The labels of one table, in which `category` is still a name; who gave them and when, by image; and the exam."""

    place: Path
    labels: list[deeds.Label]
    by: dict[str, tuple[str, str | None]]
    exam: list[str]
    renamed: dict[str, str | None]


def _append_one(journal: Journal, table: _Table, who: str) -> int:
    """Append what a table says and the journal does not; return how many labels that are."""
    for before, now in table.renamed.items():
        _rename(journal, before, now, who)
    now = {said.image_id: said.name for said in journal.current()}
    unheard = object()
    new = [label for label in table.labels if now.get(label.image_id, unheard) != label.category]
    names = {category.name for category in journal.categories().values() if category.lives}
    wanted = {label.category for label in new if label.category is not None}
    journal.append([_deed(deeds.add, who, name) for name in sorted(wanted - names)])
    identity_of = {category.name: identity for identity, category in journal.categories().items() if category.lives}
    sets: dict[tuple[str, str | None], list[deeds.Label]] = {}
    for label in new:
        category = None if label.category is None else identity_of[label.category]
        sets.setdefault(table.by[label.image_id], []).append(replace(label, category=category))
    todo = [_deed(deeds.set_aside, who, table.exam)] if set(table.exam) - set(journal.exam()) else []
    todo += [replace(_deed(deeds.label, by, labels), when=when) for (by, when), labels in sets.items()]
    journal.append(todo)
    return len(new)


def _deed(kind: Any, who: str, *about: Any) -> deeds.Deed:
    return kind(str(uuid.uuid4()), who, *about)


def _rename(journal: Journal, before: str, now: str | None, who: str) -> None:
    """Call a class of the source what a journal's table calls it."""
    known = journal.categories()
    if before not in known:
        journal.append([_deed(deeds.add, who, before)])
    elif not known[before].lives or known[before].name == now:
        return
    names = {category.name: identity for identity, category in journal.categories().items() if category.lives}
    if now is None:
        journal.append([_deed(deeds.delete, who, before)])
    elif now in names:
        journal.append([_deed(deeds.merge, who, before, names[now])])
    else:
        journal.append([_deed(deeds.rename, who, before, now)])


def _of_journal(place: Path) -> _Table:
    rows, renamed = corrections.journal_rows(place)
    labels = [
        deeds.Label(row["image_id"], row["path"], row["class"], row["sha256"], row["guess_shown"], row["before"])
        for row in rows
    ]
    by = {row["image_id"]: (row["who"], row["when"]) for row in rows}
    return _Table(place, labels, by, [row["image_id"] for row in rows if row["role"] == EXAM], renamed)


def _of_person(
    place: Path,
    records: Mapping[str, Record],
    classes: set[str],
    dataset: Mapping[str, Any],
    root: Path,
    who: str,
    identify: Identify,
) -> _Table:
    """Read a table that a person wrote: its images are found by their paths."""
    rows = corrections.said_in(place, top_of(dataset["source"], root), records, classes, remedy=_REMEDY)
    seen, problems = {}, []
    for line, path, _ in rows:
        if path not in seen:
            try:
                seen[path] = identify(records[path])
            except (Unreadable, OSError) as error:
                problems.append(f"row {line}: {path!r}: {error}")
    if problems:
        raise InputError(f"{place}: images that cannot be read have no label:\n{listing(problems)}Remove these rows")
    identities = {path: identity for path, (identity, _) in seen.items()}
    said = corrections.checked(place, rows, identities, classes, dataset["classes"])
    first = {identity: path for path, identity in reversed(identities.items())}
    guess = _GUESS in sheets.read(place).columns
    labels = [
        deeds.Label(identity, first[identity], name, seen[first[identity]][1], guess, records[first[identity]].label)
        for identity, name in said.items()
    ]
    return _Table(place, labels, dict.fromkeys(said, (who, None)), [], {})
