"""Decode, check, orient, fit and encode every image of a source once, into one Parquet file sorted by identity."""

import json
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.core.files import named, whole
from pocketscope.core.messages import LISTED, did_you_mean, listing
from pocketscope.core.stack_pages import Page
from pocketscope.data import identities, preparing, shards
from pocketscope.data.label_remarks import note_of_doubled
from pocketscope.data.preparing import FACTS, Prepared
from pocketscope.data.sources import kinds
from pocketscope.data.sources.cells import spelling
from pocketscope.data.sources.record import TEST, Record
from pocketscope.tables.images import IMAGES, ROW_GROUP
from pocketscope.tables.source_labels import SKIPPED, SOURCE_FILES, SOURCE_LABELS

log = logging.getLogger(__name__)


def pack(
    source: dict[str, Any],
    root: str | os.PathLike,
    *,
    images: str | os.PathLike,
    labels: str | os.PathLike,
    skipped: str | os.PathLike,
    files: str | os.PathLike,
    image_size: int,
    resize: str,
    classes: Sequence[str] | None = None,
    page: Page = 0,
    processes: int = 1,
    max_skipped_share: float = 0.1,
    remembered: str | os.PathLike | None = None,
    snapshot: str | os.PathLike | None = None,
    new: bool = False,
    decoded: Sequence[str | os.PathLike] = (),
    manifest: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Write the images and labels of a source as tables.

    The images stream through: what is kept of each is its names, so that memory does not grow with the pixels.
    Encoded images wait in a nameless file beside `images` until all identities are known and they can be written in
    their order. The tables' bytes depend neither on `processes` nor on what was decoded in shards before.

    Exact duplicates, after decoding, are one image with all its paths. Such an image keeps the label that any of its
    copies has, and is for testing where any copy is; copies that contradict one another in label or group are skipped.

    Parameters
    ----------
    source, root
        See `pocketscope.data.sources.kinds.records`.
    images, labels, skipped, files
        Where the tables `IMAGES`, `LABELS`, `SKIPPED` and `FILES` go. None is written where an error is raised.
    image_size, resize
        See `pocketscope.images.resize.to_square`.
    classes
        The classes to keep; images of others are left out. All where None.
    page
        See `pocketscope.images.decode.decode`.
    processes
        How many processes decode.
    max_skipped_share
        The largest share of the source's images that may be skipped, 0 to 1.
    remembered
        The folder in which the identities of files are kept, see `pocketscope.data.identities`; none where None.
    snapshot
        The files that there were at a time (schema FILES): no others are packed.
    new
        Pack those that came, or were changed, since the snapshot instead. They are answered and not learnt from: they
        need no label, and as many may be skipped as like.
    decoded
        Shards that `pocketscope.data.shards.write` wrote: their images are taken as they are.
    manifest
        What the files were like when they were given to shards: those of equal size and time are not read again.

    Returns
    -------
    dict
        Counts: `images`, `unlabelled`, `test`, `duplicates` (further copies), `skipped`, and `classes`, label to count.

    Raises
    ------
    pocketscope.core.errors.InputError
        The source is not there or empty; fewer than two classes, or no image, are labelled; a class that is named
        does not exist; labels differ only in case or spaces; too many images are skipped; a file of the snapshot is
        gone or was changed.
    """
    root = Path(root)
    name = str(source.get("path") or source.get("unlabelled") or source.get("name") or source["kind"])
    # Before decoding: what changes meanwhile is seen next time.
    surveyed = kinds.survey(kinds.files(source, root), kinds.recorded(Path(manifest)) if manifest else None)
    listed = list(kinds.records(source, root, classes))
    if snapshot is not None:
        listed, surveyed = _of_snapshot(listed, surveyed, kinds.recorded(Path(snapshot)), source, root, new)
    labelled = not new and kinds.brings_labels(source)
    if not new:
        listed = _of_classes(listed, classes, name)
    if labelled:
        check_labels(listed, name)
    group_by = kinds.header_of_groups(source)
    prepare = partial(preparing.prepare, image_size=image_size, resize=resize, page=page, group_by=group_by)
    with named(images), tempfile.TemporaryFile(dir=_folder_of(images)) as spill:
        known = identities.read(Path(remembered), page) if remembered else {}
        given = identities.Identities(known)
        there = shards.Shards(decoded, {path: entry[2] for path, entry in surveyed.items()})
        # Processes that decode hold the spill file too: on a full disk a message has room once they have ended.
        with closing(shards.results(listed, there, prepare, processes)) as results:
            packed, reasons, patients = _join(results, len(listed), spill, given)
        if group_by and packed and not new and not any(copies.group for copies in packed.values()):
            raise InputError(
                f"{name}: 'group: {group_by}' of the source: none of the images is a DICOM file that says it; name the "
                "groups by a pattern or a table"
            )
        reasons |= _contradictions(packed)
        kept = [record for copies in packed.values() for record in copies.records]
        if not new:
            _check_skipped(reasons, len(listed), max_skipped_share, name)
            _warn_of_lost_classes(listed, kept)
        if labelled:
            check_labels(kept, name)
        notes = {"image_size": image_size, "resize": resize, "page": page}
        said = {"patients": len(patients), "of_patients": patients.total(), "hints": kinds.hints(source, root)}
        notes |= {key: value for key, value in said.items() if value}
        notes |= note_of_doubled(copies.records for copies in packed.values()) | given.notes
        _write_images(images, packed, spill, notes)
    label_of = {identity: packed[identity].label for identity in sorted(packed)}
    parquet.write(_table(label_of.items(), SOURCE_LABELS), labels, SOURCE_LABELS)
    parquet.write(_table(sorted(reasons.items()), SKIPPED), skipped, SKIPPED)
    parquet.write(_table(((path, *entry) for path, entry in surveyed.items()), SOURCE_FILES), files, SOURCE_FILES)
    if remembered:
        identities.write(Path(remembered), page, known | given.given)
    return {
        "images": len(packed),
        "unlabelled": sum(label is None for label in label_of.values()),
        "test": sum(copies.role == TEST for copies in packed.values()),
        "duplicates": len(kept) - len(packed),
        "skipped": len(reasons),
        "classes": dict(sorted(Counter(label for label in label_of.values() if label is not None).items())),
    }


# ---- checks


def check_labels(records: Iterable[Record], name: str) -> None:
    """Refuse labels that nothing can be learnt from, before any time is spent.

    Raises
    ------
    pocketscope.core.errors.InputError
        No labelled image; one class only; labels that differ only in case, spaces or the way of writing a number;
        classes that only images set apart for testing have. `name` is how the message calls the source.
    """
    counts = Counter((record.label, record.role == TEST) for record in records if record.label is not None)
    total: Counter[str] = Counter()
    for (label, _), count in counts.items():
        total[label] += count
    alike: dict[str, list[str]] = {}
    for label in sorted(total):
        alike.setdefault(spelling(label), []).append(label)
    for group in alike.values():
        if len(group) > 1:
            raise InputError(
                f"{name}: the classes {_quoted(group, total)} differ only in case or spaces, or in how a number is "
                "written; give them one spelling, or keep one of them with 'classes'"
            )
    trainable = sorted({label for label, test in counts if not test})
    if not trainable:
        raise InputError(
            f"{name}: there are no labelled images to learn from{', only for testing' if total else ''}; put "
            "images of each class "
            "into a folder named like the class, or give labels in a table"
        )
    if len(trainable) == 1:
        raise InputError(
            f"{name}: all labelled images to learn from are of one class, {trainable[0]!r}; "
            "label images of at least one other class"
        )
    if only_test := sorted(set(total) - set(trainable)):
        raise InputError(
            f"{name}: {_quoted(only_test, total)}: there are only images for testing; "
            "label images of this class to learn from, or leave it out with 'classes'"
        )


def _of_classes(records: list[Record], classes: Sequence[str] | None, name: str) -> list[Record]:
    if classes is None:
        return records
    present = sorted({record.label for record in records if record.label is not None})
    for wanted in classes:
        if wanted not in present:
            raise InputError(
                f"{name}: 'classes' names {wanted!r}, which has no images{did_you_mean(wanted, present)} "
                f"The classes with images are {', '.join(map(repr, present[:20])) or 'none'}"
                f"{' and more' if len(present) > 20 else ''}"
            )
    return [record for record in records if record.label is None or record.label in set(classes)]


def _check_skipped(reasons: dict[str, str], total: int, most: float, name: str) -> None:
    if len(reasons) <= most * total:
        return
    raise InputError(
        f"{name}: {len(reasons)} of {total} images cannot be used, more than the allowed share of {most:g}:\n"
        + listing([f"{path}: {reason}" for path, reason in sorted(reasons.items())])
        + "Repair or remove them, or raise 'max_skipped_share' to go on without them"
    )


def _warn_of_lost_classes(listed: Iterable[Record], kept: Iterable[Record]) -> None:
    for label in sorted({r.label for r in listed if r.label} - {r.label for r in kept if r.label}):
        log.warning("class %r: none of its images can be used", label)


def _quoted(labels: Sequence[str], counts: Counter[str]) -> str:
    return " and ".join(f"{label!r} ({counts[label]} images)" for label in labels)


# ---- snapshots


def _of_snapshot(
    listed: list[Record],
    now: dict[str, kinds.Entry],
    before: dict[str, kinds.Entry],
    source: dict[str, Any],
    root: Path,
    new: bool,
) -> tuple[list[Record], dict[str, kinds.Entry]]:
    """Return records and files of a snapshot, or those that came since."""
    since = kinds.arrived(source, root, now, before)
    if new:
        return [record for record in listed if record.path in since], since
    changed = sorted({path for path in since if path in before} | (before.keys() - now.keys()))
    if changed:
        raise InputError(
            f"{len(changed)} files have changed, or are gone, since the snapshot that this study reads:\n"
            + listing(changed)
            + "Put them back, or let `pocketscope refresh` take a new snapshot, from which all is made again"
        )
    return [record for record in listed if record.path not in since], before


# ---- joining


@dataclass(frozen=True, slots=True)
class _Copies:
    """One image and all records of it; its bytes stand in the spill file."""

    offset: int
    length: int
    facts: tuple[int, int, bool, bool, str | None]  # of the first
    records: list[Record]
    sha256: list[str]  # of the files of `records`

    def _one(self, name: str) -> str | None:
        return next((value for record in self.records if (value := getattr(record, name)) is not None), None)

    @property
    def label(self) -> str | None:
        return self._one("label")

    @property
    def group(self) -> str | None:
        return self._one("group")

    @property
    def role(self) -> str | None:
        return self._one("role")


def _join(
    results: Iterable[tuple[Record, Prepared | str]], total: int, spill: BinaryIO, given: identities.Identities
) -> tuple[dict[str, _Copies], dict[str, str], Counter[str]]:
    """Write each different image to `spill`.

    Returns
    -------
    tuple of dict, dict and Counter
        The images by identity, the reasons of the others by path, and the images of each patient whom headers name.
    """
    packed: dict[str, _Copies] = {}
    reasons: dict[str, str] = {}
    patients: Counter[str] = Counter()
    offset = 0
    started = told = time.monotonic()
    for done, (record, result) in enumerate(results, 1):
        if isinstance(result, str):
            reasons[record.path] = result
        else:
            patients.update([result.patient] if result.patient else [])
            identity = given.of(result.sha256, result.image_id, record.path)
            if identity not in packed:
                spill.write(result.data)
                packed[identity] = _Copies(offset, len(result.data), result.facts, [], [])
                offset += len(result.data)
            packed[identity].records.append(replace(record, group=result.group or record.group))
            packed[identity].sha256.append(result.sha256)
        if time.monotonic() - told > 10 or done == total:
            told = time.monotonic()
            rate = done / max(told - started, 1e-9)
            log.info("%d of %d images, %.0f images/s, %.0f s left", done, total, rate, (total - done) / rate)
    return packed, reasons, patients


def _contradictions(packed: dict[str, _Copies]) -> dict[str, str]:
    """Take the images out whose copies contradict one another, and return the reasons by path."""
    reasons = {}
    for identity in list(packed):
        for what in ("label", "group"):
            values = {record.path: getattr(record, what) for record in packed[identity].records}
            different = sorted({value for value in values.values() if value is not None})
            if len(different) > 1:
                said = ", ".join(f"{path} ({value!r})" for path, value in sorted(values.items())[:LISTED])
                reasons |= {
                    path: f"copies of one image contradict each other in their {what}: {said}" for path in values
                }
                del packed[identity]
                break
    return reasons


# ---- writing


def _folder_of(path: str | os.PathLike) -> Path:
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _table(rows: Iterable[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)


def _write_images(path: str | os.PathLike, packed: dict[str, _Copies], spill: BinaryIO, notes: dict[str, Any]) -> None:
    hugging_face = {"info": {"features": {"image": {"_type": "Image"}}}}  # `datasets` then shows pictures, not bytes
    schema = IMAGES.with_metadata(
        {parquet.NOTES: json.dumps(notes, sort_keys=True), b"huggingface": json.dumps(hugging_face)}
    )
    remaining = iter(sorted(packed))
    with (
        whole(path) as temporary,
        # The images are compressed already, and no two cells are equal.
        pq.ParquetWriter(
            temporary, schema, compression="none", use_dictionary=False, write_statistics=["image_id"]
        ) as writer,
    ):
        for identities in iter(lambda: list(islice(remaining, ROW_GROUP)), []):
            writer.write_batch(_batch(identities, packed, spill, schema))


def _batch(identities: list[str], packed: dict[str, _Copies], spill: BinaryIO, schema: pa.Schema) -> pa.RecordBatch:
    rows = []
    for identity in identities:
        copies = packed[identity]
        spill.seek(copies.offset)
        paths = [record.path for record in copies.records]
        rows.append(
            {
                "image_id": identity,
                "paths": paths,
                "sha256": copies.sha256,
                "group": copies.group,
                "role": copies.role,
                **dict(zip(FACTS, copies.facts, strict=True)),
                "image": {"bytes": spill.read(copies.length), "path": paths[0]},
            }
        )
    return pa.RecordBatch.from_pylist(rows, schema=schema)
