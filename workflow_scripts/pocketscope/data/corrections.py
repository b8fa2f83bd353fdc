"""Labels that people give of a data set, laid over those that its source brings."""

import logging
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pocketscope.core import parquet, sheets
from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean, listing
from pocketscope.data.sources.cells import as_label, is_altered, read_cells, spelling
from pocketscope.data.sources.near_paths import as_remark, beyond_doubt, near_misses
from pocketscope.data.sources.paths import top_of
from pocketscope.tables.given_labels import EXAM, GIVEN_LABELS, RENAMED

log = logging.getLogger(__name__)


# What spreadsheets of other languages make of `true` and `false`.
_TRANSLATED = dict.fromkeys(("wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar", "prawda", "истина"), "true")
_TRANSLATED |= dict.fromkeys(("falsch", "faux", "falso", "onwaar", "fałsz", "ложь"), "false")
_BEGIN = 2  # images that a new class begins with, lest a slip of the pen make one
_OF_PACKED = (
    "Write paths as answers.csv and images.parquet do, or remove the rows; skipped.parquet lists which images could "
    "not be read"
)


@dataclass(frozen=True)
class Given:
    """What people say of a data set.

    Attributes
    ----------
    source
        The labels that the source gives (schema SOURCE_LABELS), its classes as they are called now.
    learnt
        Labels that replace those of the source, by image; None: the image has none.
    exam
        Labels that were given to images of the exam before a guess was shown, by image.
    renamed
        What classes of the source are called now that are not what they were; None: deleted.
    """

    source: pa.Table
    learnt: dict[str, str | None] = field(default_factory=dict)
    exam: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str | None] = field(default_factory=dict)


def read(
    asked: Mapping[str, Any] | None, place: str | os.PathLike | None, root: Path, images: pa.Table, labels: pa.Table
) -> Given:
    """Read the labels that people gave: a table of a journal, or one that they wrote.

    Rows without a label say nothing, so that the table of answers can be given back with its column `label` filled in
    where somebody looked. A class that the source does not have begins with two images, unless the configuration says
    which classes to keep. A journal's table was checked when it was written, and says itself what takes a label away;
    rows of images that are not in the data set, or not any more, are counted in the log.

    Parameters
    ----------
    asked
        `source` and `classes`, those of the data set; None where nobody gave any.
    place
        The table: schema GIVEN_LABELS, or with the columns path and label.
    root
        The folder that relative paths of the source start from.
    images, labels
        The packed images (columns image_id, paths and sha256) and their labels as the source says. A table names images
        by these paths, or by absolute ones; a journal by identities, or else by the files' SHA-256.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no such table, it holds no label, a path is not one of the data set's, a class neither one of those nor
        a new one, or two rows contradict one another. The message names the rows.
    """
    if asked is None:
        return Given(labels)
    table = Path(place)
    if is_of_journal(table):
        return _of_journal(table, images, labels)
    each = zip(images["image_id"].to_pylist(), images["paths"].to_pylist(), strict=True)
    known = {path: identity for identity, paths in each for path in paths}
    classes = set(labels["label"].drop_null().to_pylist())
    rows = said_in(table, top_of(asked["source"], root), known, classes)
    return Given(labels, checked(table, rows, known, classes, asked["classes"]))


def called_now(labels: pa.Table, renamed: Mapping[str, str | None]) -> pa.Table:
    """Return labels (schema SOURCE_LABELS) by the names that classes have now."""
    now = [renamed.get(label, label) for label in labels["label"].to_pylist()]
    place = labels.column_names.index("label")
    return labels.set_column(place, labels.schema.field("label"), pa.array(now, pa.string()))


def of_images(table: str | os.PathLike | None, image_ids: Collection[str]) -> dict[str, str]:
    """Return what a journal's table says of some images, by identity; nothing where there is no such table."""
    if table is None or not is_of_journal(Path(table)):
        return {}
    rows, _ = journal_rows(Path(table))
    return {row["image_id"]: row["class"] for row in rows if row["class"] is not None and row["image_id"] in image_ids}


def changed(before: str | os.PathLike | None, now: str | os.PathLike | None) -> int:
    """Return how many images have another label by one table of labels than by an earlier one."""
    tables = [_by_image(None if path is None else Path(path)) for path in (before, now)]
    return len({image for image, _ in tables[0].items() ^ tables[1].items()})


def _by_image(table: Path | None) -> dict[str, str | None]:
    if table is None:
        return {}
    if is_of_journal(table):
        return {row["image_id"]: row["class"] for row in journal_rows(table)[0]}
    return {str(row["path"]): label for row in read_cells(table)[0] if (label := as_label(row["label"])) is not None}


def is_of_journal(table: Path) -> bool:
    """Say whether a table is one that a journal's labels were written to: it has the columns of GIVEN_LABELS."""
    wanted = set(GIVEN_LABELS.names)
    try:
        if table.suffix.casefold() != ".csv":
            return table.is_file() and wanted <= set(pq.read_schema(table).names)
        return table.is_file() and wanted <= set(sheets.read(table).columns)
    except (pa.ArrowInvalid, OSError, InputError):
        return False  # whoever reads it says what is wrong


def journal_rows(table: Path) -> tuple[list[dict[str, Any]], dict[str, str | None]]:
    """Return the rows of a journal's table (GIVEN_LABELS), and what classes of the source are called now."""
    if table.suffix.casefold() != ".csv":
        return parquet.read(table, GIVEN_LABELS).to_pylist(), parquet.notes(table).get(RENAMED, {})
    rows = [{name: row[name] or None for name in GIVEN_LABELS.names} for row in sheets.read(table).rows]
    return [row | {"guess_shown": row["guess_shown"] == "True"} for row in rows], {}


def said_in(
    table: Path, top: Path, known: Collection[str], classes: Collection[str], *, remedy: str = _OF_PACKED
) -> list[tuple[int, str, str]]:
    """Return line, path in the data set and label of those rows of a table that have a label.

    Parameters
    ----------
    table
        CSV or Parquet with the columns path and label.
    top
        The folder that the paths of the data set start from.
    known
        The paths of the data set.
    classes
        Its classes. A folder may be called `NA` or `1.0`, which in a table is no label, or another one.
    remedy
        What to do where a path is not among `known`.

    Raises
    ------
    pocketscope.core.errors.InputError
        See `read`.
    """
    if not table.is_file():
        raise InputError(f"{table}: there is no such file ('labels' of a data set); correct the path")
    written, remarks = read_cells(table, classes=classes)
    for remark in remarks:
        log.warning("%s", remark)
    rows = [
        (line, str(cells["path"]), label)
        for line, cells in enumerate(written, 1)
        if (label := as_label(cells["label"], classes)) is not None
    ]
    if not rows:
        raise InputError(f"{table}: no row has a label; write the right class into the column 'label' of some rows")
    return _named(table, [(line, _relative(path, top, known), label) for line, path, label in rows], known, remedy)


def checked(
    table: Path,
    rows: Iterable[tuple[int, str, str]],
    identity_of: Mapping[str, str],
    classes: Collection[str],
    kept: Collection[str] | None,
) -> dict[str, str]:
    """Return the label of each image that has one in `rows` of `said_in`, by identity.

    Raises
    ------
    pocketscope.core.errors.InputError
        Two rows contradict one another, or a new class looks like a slip of the pen.
    """
    found: dict[str, tuple[int, str]] = {}
    for line, path, label in rows:
        first, said = found.setdefault(identity_of[path], (line, label))
        if said != label:
            raise InputError(
                f"{table}: rows {first} and {line} contradict each other about one image ({path}): {said!r} and "
                f"{label!r}; keep the right one"
            )
    _check_new(table, found.values(), classes, kept)
    return {identity: label for identity, (_, label) in found.items()}


def _of_journal(table: Path, images: pa.Table, labels: pa.Table) -> Given:
    rows, renamed = journal_rows(table)
    present = set(labels["image_id"].to_pylist())
    # An image has another identity where another version decoded its file: the file is the same.
    if "sha256" in images.column_names:
        each = zip(images["image_id"].to_pylist(), images["sha256"].to_pylist(), strict=True)
        of_file = {sha256: identity for identity, files in each for sha256 in files}
        by_identity = {row["image_id"] for row in rows}
        for row in rows:
            meant = of_file.get(row["sha256"])
            if row["image_id"] not in present and meant is not None and meant not in by_identity:
                row["image_id"] = meant
    if absent := sum(row["image_id"] not in present for row in rows):
        log.warning("%s: %d of %d labels are of images that are not among these", table, absent, len(rows))
    rows = [row for row in rows if row["image_id"] in present]
    return Given(
        called_now(labels, renamed),
        {row["image_id"]: row["class"] for row in rows if row["role"] != EXAM},
        {row["image_id"]: row["class"] for row in rows if row["role"] == EXAM},
        renamed,
    )


def _check_new(
    table: Path, said: Collection[tuple[int, str]], classes: Collection[str], kept: Collection[str] | None
) -> None:
    """Refuse classes that the source does not have, where they can be slips of the pen."""
    lines_of = defaultdict(list)
    for line, label in said:
        if label not in classes:
            lines_of[label].append(line)
    spelled = {spelling(label): label for label in classes}
    for label, lines in sorted(lines_of.items()):
        if kept is None and len(lines) >= _BEGIN and not _is_slip(label, spelled):
            spelled[spelling(label)] = label
            log.warning(
                "%s: a new class, %r: %d images, which are learned from but not tested on", table, label, len(lines)
            )
            continue
        remedy = (
            f"a new class needs at least {_BEGIN} images" if kept is None else "'classes' lists the classes to keep"
        )
        if is_altered(label):
            remedy = "this one looks like a date or a number that a spreadsheet made of another name"
        meant = spelled.get(spelling(label)) or spelled.get(_TRANSLATED.get(label.casefold(), ""))
        hint = f"; did you mean {meant!r}?" if meant else did_you_mean(label, spelled.values())
        raise InputError(
            f"{table}: row {min(lines)}: there is no class {label!r}{hint} The "
            f"classes are {', '.join(map(repr, sorted(spelled.values())))}; {remedy}"
        )


def _is_slip(label: str, spelled: Collection[str]) -> bool:
    """Say whether a label that is no class looks like a person's or a spreadsheet's way of writing one."""
    return spelling(label) in spelled or is_altered(label) or _TRANSLATED.get(label.casefold()) in spelled


def _relative(path: str, top: Path, known: Collection[str]) -> str:
    relative = path if path in known else Path(os.path.relpath(top / path, top)).as_posix()
    return relative if relative in known else path


def _named(
    table: Path, rows: list[tuple[int, str, str]], known: Collection[str], remedy: str
) -> list[tuple[int, str, str]]:
    """Return rows of line, path and label with paths of the data set, where all are, or nearly are."""
    strangers = [path for _, path, _ in rows if path not in known]
    near = near_misses(strangers, known) if strangers else {}
    taken = beyond_doubt(near, strangers, {path for _, path, _ in rows if path in known})
    if strangers and not taken:
        raise InputError(
            f"{table}: {len(strangers)} rows with a label name images that are not in the data set:\n"
            + listing([f"row {line}: {path!r}{near.get(path, '')}" for line, path, _ in rows if path not in known])
            + remedy
        )
    if taken:
        log.warning("%s: %s", table, as_remark(taken, near))
    return [(line, taken.get(path, path), label) for line, path, label in rows]
