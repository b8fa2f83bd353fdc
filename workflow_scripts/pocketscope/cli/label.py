"""`pocketscope label`: labels that people give go into the journal of their data set."""

import argparse
import uuid
from pathlib import Path

from pocketscope.api import label_tables
from pocketscope.config.study import read_config
from pocketscope.core.errors import InputError
from pocketscope.core.messages import nearest
from pocketscope.journal import export
from pocketscope.journal.place import JOURNAL, labels_of
from pocketscope.journal.store import Journal
from pocketscope.runtime import access


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
            for taken in label_tables.take(journal, parsed.tables, asked, root, who):
                print(f"{taken.place}: {taken.new} labels appended, {taken.known} known already")
            held = sum(said.name is not None for said in journal.current())
            print(f"{journal.path}: {held} images have a label that a person gave; the next run learns from them")
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
