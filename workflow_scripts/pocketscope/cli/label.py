"""`pocketscope label`: labels that people give go into the journal of their data set."""

import argparse
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketscope.config.study import read_config
from pocketscope.core import sheets
from pocketscope.core.errors import InputError
from pocketscope.core.messages import listing, nearest
from pocketscope.data import corrections
from pocketscope.data.sources import kinds
from pocketscope.data.sources.paths import top_of
from pocketscope.data.sources.record import Record
from pocketscope.images import codec, decode
from pocketscope.images.pixels import Unreadable
from pocketscope.journal import deeds, export
from pocketscope.journal.place import JOURNAL, labels_of
from pocketscope.journal.store import Journal
from pocketscope.runtime import access
from pocketscope.tables.given_labels import EXAM

_GUESS = "class"  # a column of the table of answers: whoever fills that in has seen the guess


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`."""
    parser.add_argument(
        "--configfile", type=Path, default=Path("config/config.yaml"), help="the study (default: %(default)s)"
    )
    parser.add_argument("--dataset", help="which of its data sets; may be left out where there is one")
    parser.add_argument("--who", help="who gives the labels (default: the name by which you are logged in)")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument(
        "--from",
        dest="tables",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="append the labels of CSV or Parquet tables with the columns path and label, such as an answers.csv in "
        "which you filled in the column label, or of tables that --export wrote",
    )
    asked.add_argument("--undo", action="store_true", help="take back what you did last")
    asked.add_argument("--redo", action="store_true", help="do again what you undid last")
    asked.add_argument("--history", metavar="PATH", help="show all that was said of an image")
    asked.add_argument("--export", type=Path, metavar="FILE", help="write the labels that hold, as .parquet or .csv")


def main(parsed: argparse.Namespace) -> None:
    """Append to the journal, or show what is in it.

    Raises
    ------
    pocketscope.core.errors.InputError
        The configuration or a table is wrong; then nothing of any table is taken in.
    """
    root = Path.cwd()
    if not parsed.configfile.is_file():
        raise InputError(f"{parsed.configfile}: there is no such file; name the study's configuration by --configfile")
    config, _ = read_config(parsed.configfile, root)
    name = _dataset(parsed.dataset, list(config.datasets))
    asked = config.datasets[name].model_dump(mode="json")
    place = labels_of(name, asked["labels"], root)
    if place.suffix != JOURNAL:
        raise InputError(
            f"'labels' of data set '{name}' is a table, {place}; to append labels let it name a journal "
            f"({JOURNAL}), or leave it out"
        )
    if not parsed.tables and not place.is_file():
        raise InputError(f"{place}: there is no such journal yet; `pocketscope label --from FILE` begins it")
    who = parsed.who or access.login()
    with Journal(place) as journal:
        if parsed.tables:
            _append(journal, parsed.tables, asked, root, who)
        elif parsed.undo or parsed.redo:
            _turn(journal, "undo" if parsed.undo else "redo", who)
        elif parsed.history:
            _tell(journal, parsed.history)
        else:
            written = export.write(parsed.export, *export.rows(journal))
            print(f"{parsed.export}: {'written' if written else 'is up to date'}")


def _dataset(asked: str | None, names: list[str]) -> str:
    if asked is None and len(names) > 1:
        raise InputError(f"the study has several data sets; name one by --dataset: {', '.join(names)}")
    if asked is not None and asked not in names:
        raise InputError(f"--dataset: there is no data set '{asked}'{nearest(asked, names)}")
    return asked or names[0]


# ---- tables in


@dataclass(frozen=True)
class _Table:
    """The labels of one table, in which `category` is still a name; who gave them and when, by image; and the exam."""

    place: Path
    labels: list[deeds.Label]
    by: dict[str, tuple[str, str | None]]
    exam: list[str]
    renamed: dict[str, str | None]


def _append(journal: Journal, tables: list[Path], dataset: Mapping[str, Any], root: Path, who: str) -> None:
    source = dataset["source"]
    records = {record.path: record for record in kinds.records(source, root, dataset["classes"])}
    classes = {record.label for record in records.values() if record.label is not None}
    classes |= {category.name for category in journal.categories().values() if category.lives}
    read = []
    for place in (table.absolute() for table in tables):
        if corrections.is_of_journal(place):
            read.append(_of_journal(place))
        else:
            read.append(_of_person(place, records, classes, dataset, root, who))
        classes |= {label.category for label in read[-1].labels if label.category is not None}
    for table in read:
        new = _append_one(journal, table, who)
        print(f"{table.place}: {new} labels appended, {len(table.labels) - new} known already")
    held = sum(said.name is not None for said in journal.current())
    print(f"{journal.path}: {held} images have a label that a person gave; the next run learns from them")


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
    place: Path, records: Mapping[str, Record], classes: set[str], dataset: Mapping[str, Any], root: Path, who: str
) -> _Table:
    """Read a table that a person wrote: its images are found, and decoded, by their paths."""
    rows = corrections.said_in(place, top_of(dataset["source"], root), records, classes)
    seen, problems = {}, []
    for line, path, _ in rows:
        if path not in seen:
            try:
                content = records[path].read()
                identity = codec.content_id(decode.decode(content, page=dataset["page"]))
                seen[path] = identity, hashlib.sha256(content).hexdigest()
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


# ---- what is in it


def _turn(journal: Journal, kind: str, who: str) -> None:
    number = (journal.undo if kind == "undo" else journal.redo)(str(uuid.uuid4()), who)
    if number is None:
        print(f"{journal.path}: there is nothing of {who} to {kind}")
        return
    (deed,) = (deed for deed in journal.since(number - 1) if deed["number"] == number)
    about = f"{len(deed['image_ids'])} labels" if deed["image_ids"] else f"{deed['kind']} {deed['body']['category']!r}"
    print(f"{journal.path}: {'took back' if kind == 'undo' else 'did again'} what {who} did at {deed['when']}: {about}")


def _tell(journal: Journal, path: str) -> None:
    found = [said for said in journal.current() if path in (said.path, said.image_id, Path(said.path).name)]
    if not found:
        raise InputError(f"{journal.path}: nothing was said of {path!r}; write the path as answers.csv does")
    for identity in found:
        for said in journal.history(identity.image_id):
            what = "no label" if said.after is None else said.after
            notes = [*([] if said.holds else ["undone"]), *(["exam"] if said.role else [])]
            notes += ["a guess was shown"] if said.guess_shown else []
            print(f"{said.when[:19]}  {said.who}  {said.path}: {said.before or 'no label'} -> {what}", *notes, sep="  ")
