"""The journal's file: SQLite, one row a deed and one row a label of a deed."""

import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.files import FULL
from pocketscope.journal import categories
from pocketscope.journal.categories import Category
from pocketscope.journal.deeds import CATEGORY_KINDS, KINDS, Deed
from pocketscope.journal.disk import is_on_network

VERSION = 1
FEW = 200  # images, up to which each is asked for
WAIT = 30.0  # seconds for another process that is writing

_SCHEMA = """
CREATE TABLE deeds (
    number INTEGER PRIMARY KEY,
    request TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    who TEXT NOT NULL,
    "when" TEXT NOT NULL,
    target INTEGER REFERENCES deeds,  -- of an undo or a redo: which deed
    body TEXT NOT NULL                -- JSON
) STRICT;
CREATE INDEX deeds_by_target ON deeds (target) WHERE target IS NOT NULL;
CREATE INDEX deeds_by_who ON deeds (who, number);
CREATE TABLE labels (
    deed INTEGER NOT NULL REFERENCES deeds,
    image_id TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT,
    category TEXT,  -- NULL takes the label away
    before TEXT,    -- as it was called then
    after TEXT,
    guess_shown INTEGER NOT NULL,
    PRIMARY KEY (image_id, deed)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_by_deed ON labels (deed);
CREATE TABLE exam (
    deed INTEGER NOT NULL REFERENCES deeds,
    image_id TEXT NOT NULL,
    PRIMARY KEY (image_id, deed)
) STRICT, WITHOUT ROWID;
CREATE VIEW undone AS
    SELECT target AS deed FROM (
        SELECT target, kind, max(number) FROM deeds WHERE target IS NOT NULL GROUP BY target
    ) WHERE kind = 'undo';
"""
_NO_CHANGE = "".join(
    f"CREATE TRIGGER {table}_keep_{verb} BEFORE {verb} ON {table} BEGIN SELECT raise(ABORT, 'append only'); END;"
    for table in ("deeds", "labels", "exam")
    for verb in ("UPDATE", "DELETE")
)


@dataclass(frozen=True, slots=True)
class Said:
    """What one deed says of one image.

    `category` is an identity, `name` what that is called now (None: no label), `before` and `after` what it was called
    then. `role` is `exam` where the image is set aside to be tested on and no guess was shown. `holds` is False where
    the deed was undone.
    """

    deed: int
    image_id: str
    path: str
    sha256: str | None
    category: str | None
    name: str | None
    who: str
    when: str
    before: str | None
    after: str | None
    role: str | None
    guess_shown: bool
    holds: bool = True


class Journal:
    """The labels that people gave of one data set. It may be used by several threads and processes at once.

    Parameters
    ----------
    path
        The file; it is made, with its folder, where it is missing. Who may not write it may read it.

    Raises
    ------
    pocketscope.core.errors.InputError
        The file is no journal, is of a newer version, or cannot be made.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        with self._named():
            whose = self.path.is_file() and not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK))
            if not whose:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self._to_read() if whose else self.path,
                timeout=WAIT,
                isolation_level=None,
                check_same_thread=False,
                uri=whose,
            )
            self._connection.row_factory = sqlite3.Row
            self._prepare(may_write=not whose)

    def _to_read(self) -> str:
        """Return the address of a file that another user owns: SQLite would make a log beside it."""
        # Without a log nobody writes it just now, and all there is is in the file.
        at_rest = not self.path.with_name(f"{self.path.name}-wal").exists()
        return f"{self.path.absolute().as_uri()}?mode=ro{'&immutable=1' if at_rest else ''}"

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; SQLite then folds its log (`-wal`) into it."""
        self._connection.close()

    # ---- writing

    def append(self, deeds: Iterable[Deed]) -> list[int]:
        """Append deeds, all or none; return their numbers. One whose request is known is not done again.

        When this returns, the deeds are on the disk.

        Raises
        ------
        pocketscope.core.errors.InputError
            A deed names a category that there is not, or a name that is taken; or the disk is full.
        """
        with self._writing():
            return [self._append(deed) for deed in deeds]

    def undo(self, request: str, who: str, others: Collection[str] = ()) -> int | None:
        """Take back the last deed of a person that holds; return its number, None where there is none.

        Requests such as `WINDOW.ANYTHING` are of a window: what came from those of `others` is left alone.
        """
        return self._turn(request, who, "undo", others)

    def redo(self, request: str, who: str, others: Collection[str] = ()) -> int | None:
        """Do again what the person undid last, where they have done nothing since; return its number; see `undo`."""
        return self._turn(request, who, "redo", others)

    # ---- reading

    @property
    def last(self) -> int:
        """The number of the last deed, 0 where there is none: it tells whether anything has come."""
        return self._all("SELECT coalesce(max(number), 0) AS last FROM deeds")[0]["last"]

    def since(self, number: int) -> list[dict[str, Any]]:
        """Return the deeds after `number`: number, request, kind, who, when, target, body, and the images of each."""
        with self._lock:
            rows = self._all('SELECT number, request, kind, who, "when", target, body FROM deeds WHERE number > ? '
                             "ORDER BY number", number)  # fmt: skip
            return [
                dict(row)
                | {"body": json.loads(row["body"]), "image_ids": self.images_of(row["target"] or row["number"])}
                for row in rows
            ]

    def images_of(self, number: int) -> list[str]:
        """Return the images of which a deed says something, sorted."""
        found = "SELECT image_id FROM {} WHERE deed = ?"
        rows = self._all(f"{found.format('labels')} UNION {found.format('exam')} ORDER BY 1", number, number)
        return [row["image_id"] for row in rows]

    def of_deed(self, number: int) -> tuple[str, dict[str, Any], dict[str | None, int]]:
        """Return a deed's kind and body, and how many images it says a name of (None: no label), as they were then.

        Of an exam all its images are under None.
        """
        (deed,) = self._all("SELECT kind, body FROM deeds WHERE number = ?", number)
        rows = self._all(
            "SELECT after, count(*) AS images FROM labels WHERE deed = ? GROUP BY after UNION ALL "
            "SELECT NULL, count(*) FROM exam WHERE deed = ? HAVING count(*) > 0",
            number, number,
        )  # fmt: skip
        return deed["kind"], json.loads(deed["body"]), {row["after"]: row["images"] for row in rows}

    def current(self, image_ids: Sequence[str] | None = None) -> list[Said]:
        """Return what holds of each image that was ever labelled, sorted by identity; of some images, or of all."""
        with self._lock:
            if image_ids is None:
                rows = self._all(_LAST.format(""))
            else:
                rows = [row for some in image_ids for row in self._all(_LAST.format("AND image_id = ?"), some)]
            return self._said(rows)

    def blind(self) -> list[Said]:
        """Return the last label that was given to each image of the exam before a guess was shown, sorted."""
        with self._lock:
            return self._said(
                self._all(_LAST.format("AND NOT guess_shown AND image_id IN (SELECT image_id FROM held)"))
            )

    def history(self, image_id: str) -> list[Said]:
        """Return all that was ever said of an image, the oldest first, undone or not."""
        with self._lock:
            undone = {row["deed"] for row in self._all("SELECT deed FROM undone")}
            rows = self._all(f"{_SAID} WHERE image_id = ? ORDER BY deed", image_id)
            return [_replaced(said, holds=said.deed not in undone) for said in self._said(rows)]

    def exam(self) -> list[str]:
        """Return the images that are set aside to test on, sorted."""
        return [row["image_id"] for row in self._all(f"WITH {_HELD} SELECT image_id FROM held ORDER BY 1")]

    def categories(self) -> dict[str, Category]:
        """Return all categories by identity, those that were merged or deleted too, in the order they were added."""
        kinds = ", ".join(f"'{kind}'" for kind in CATEGORY_KINDS)
        rows = self._all(
            f"SELECT kind, body FROM deeds WHERE kind IN ({kinds}) AND number NOT IN (SELECT deed FROM undone) "
            "ORDER BY number"
        )
        return categories.replayed((row["kind"], json.loads(row["body"])) for row in rows)

    # ---- helpers

    def _append(self, deed: Deed) -> int:
        if (known := self._all("SELECT number FROM deeds WHERE request = ?", deed.request)) != []:
            return known[0]["number"]
        if deed.kind not in KINDS:
            raise ValueError(f"{deed.kind} is no deed")
        body = deed.body
        known_categories = self.categories() if deed.kind in (*CATEGORY_KINDS, "label") else {}
        if deed.kind in CATEGORY_KINDS:
            body = categories.checked(deed.kind, deed.body, known_categories)
        number = self._insert(deed.request, deed.kind, deed.who, deed.when, None, body)
        asked = [label.image_id for label in deed.labels]
        before = {said.image_id: said.name for said in self.current(asked if len(asked) < FEW else None)}
        rows = []
        for label in deed.labels:
            if label.category is not None:
                categories.checked("label", {"category": label.category}, known_categories)
            after = categories.name_of(label.category, known_categories)
            was = before.get(label.image_id) if label.before is None else label.before
            row = asdict(label) | {"deed": number, "before": was, "after": after, "guess_shown": int(label.guess_shown)}
            rows.append(row)
        self._connection.executemany(
            "INSERT INTO labels VALUES (:deed, :image_id, :path, :sha256, :category, :before, :after, :guess_shown) "
            "ON CONFLICT DO NOTHING",
            rows,
        )
        self._connection.executemany(
            "INSERT INTO exam VALUES (?, ?) ON CONFLICT DO NOTHING", [(number, image_id) for image_id in deed.image_ids]
        )
        return number

    def _insert(self, request: str, kind: str, who: str, when: str | None, target: int | None, body: Any) -> int:
        values = request, kind, who, when or now(), target, json.dumps(body, sort_keys=True, ensure_ascii=False)
        return self._connection.execute(
            'INSERT INTO deeds (request, kind, who, "when", target, body) VALUES (?, ?, ?, ?, ?, ?)', values
        ).lastrowid

    def _turn(self, request: str, who: str, kind: str, others: Collection[str]) -> int | None:
        window = "substr(request, 1, instr(request, '.') - 1)"
        mine = f"who = ? AND {window} NOT IN ({', '.join('?' * len(others))})"
        holding = f"SELECT max(number) AS number FROM deeds WHERE {mine} AND target IS NULL AND number NOT IN undone"
        # A deed comes back if nothing new was done since it was taken back: the earliest of them first.
        undone = (
            f"SELECT min(target) AS number FROM (SELECT target, max(number) AS turned FROM deeds WHERE {mine} "
            "AND target IS NOT NULL GROUP BY target) WHERE target IN undone AND turned > "
            f"(SELECT max(number) FROM deeds WHERE {mine} AND target IS NULL)"
        )
        with self._writing():
            if (known := self._all("SELECT target FROM deeds WHERE request = ?", request)) != []:
                return known[0]["target"]
            by = who, *others
            found = self._all(holding, *by) if kind == "undo" else self._all(undone, *by, *by)
            target = found[0]["number"]
            if target is not None:
                self._insert(request, kind, who, None, target, {})
            return target

    def _said(self, rows: Iterable[sqlite3.Row]) -> list[Said]:
        known, held = self.categories(), set(self.exam())
        return [
            Said(
                **{key: row[key] for key in ("deed", "image_id", "path", "sha256", "category", "who", "when")},
                name=categories.name_of(row["category"], known),
                before=row["before"],
                after=row["after"],
                role="exam" if row["image_id"] in held and not row["guess_shown"] else None,
                guess_shown=bool(row["guess_shown"]),
            )
            for row in rows
        ]

    def _all(self, question: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock, self._named():
            return self._connection.execute(question, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, self._named():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _prepare(self, *, may_write: bool) -> None:
        # A log beside the file lets readers and a writer work at once, but needs memory that all of them share: on a
        # network disk the plain journal is used, which needs locks alone.
        if may_write:
            self._connection.execute(f"PRAGMA journal_mode = {'DELETE' if is_on_network(self.path) else 'WAL'}")
            self._connection.execute("PRAGMA synchronous = FULL")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise InputError(f"{self.path}: was written by a newer pocketscope; update this one")
        if version == VERSION:
            return
        if not may_write:
            raise InputError(f"{self.path}: is no journal of labels, or empty; name another file")
        self._connection.execute("BEGIN IMMEDIATE")
        if self._connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:  # another process was quicker
            tables = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables:
                self._connection.execute("ROLLBACK")
                raise InputError(f"{self.path}: is an SQLite file, but no journal of labels; name another file")
            for statement in _statements(_SCHEMA + _NO_CHANGE):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {VERSION}")
        self._connection.execute("COMMIT")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Name the file, and the remedy, in SQLite's errors."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            remedy = "repair or replace it by a copy"
            if isinstance(error, OSError) or "readonly" in str(error) or "unable to open" in str(error):
                remedy = "make the file and its folder writable"
            elif "full" in str(error) or any(text in str(error) for text in FULL):
                remedy = "free some space"
            elif "locked" in str(error):
                remedy = "another program holds it; end that one"
            elif "not a database" in str(error):
                remedy = "this is no journal of labels: name another file"
            raise InputError(f"{self.path}: {error}; {remedy}") from error


_SAID = (
    'SELECT deed, image_id, path, sha256, category, before, after, guess_shown, who, "when" '
    "FROM labels JOIN deeds ON deed = number"
)
_HELD = "held AS (SELECT DISTINCT image_id FROM exam WHERE deed NOT IN (SELECT deed FROM undone))"
_LAST = (
    f"WITH {_HELD}, last AS (SELECT image_id AS image, max(deed) AS of_deed FROM labels "
    "WHERE deed NOT IN (SELECT deed FROM undone) {} GROUP BY image_id) "
    f"{_SAID} JOIN last ON image_id = image AND deed = of_deed ORDER BY image_id"
)


def now() -> str:
    """Return the time as the journal writes it: UTC, ISO 8601, in microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _replaced(said: Said, **changes: Any) -> Said:
    return Said(**asdict(said) | changes)


def _statements(script: str) -> Iterator[str]:
    """Part a script, without `executescript`, which would end the transaction."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
