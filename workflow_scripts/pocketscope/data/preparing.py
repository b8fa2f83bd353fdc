"""From the records of a source to encoded images: read, decode, fit and encode each, in several processes."""

import hashlib
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice

from pocketscope.core.errors import InputError
from pocketscope.core.extras import FORMATS, lacking
from pocketscope.core.stack_pages import Page
from pocketscope.data.sources.record import Record
from pocketscope.images import codec, decode
from pocketscope.images.pixels import Unreadable, is_of_one_colour
from pocketscope.images.resize import to_square

_CHUNK = 16  # images sent to a process at once
FACTS = ("width", "height", "single_colour", "further_pages", "damage")  # columns of IMAGES that decoding tells
PATIENT = "PatientID"


@dataclass(frozen=True, slots=True)
class Prepared:
    """One image, decoded and encoded again.

    Attributes
    ----------
    image_id
        See `pocketscope.images.codec.content_id`.
    facts
        The columns `FACTS`.
    data
        What `pocketscope.images.codec.encode` returns.
    sha256
        Of the file's content.
    patient
        A digest of the patient's name in archives, where the file is DICOM and says it.
    group
        A digest of the header's value that was asked for as the group.
    """

    image_id: str
    facts: tuple[int, int, bool, bool, str | None]
    data: bytes
    sha256: str
    patient: str | None
    group: str | None


def prepare(record: Record, *, image_size: int, resize: str, page: Page, group_by: str | None = None) -> Prepared | str:
    """Return the image of a record, or the reason why there is none.

    Parameters
    ----------
    record
        What to read.
    image_size, resize, page
        See `pocketscope.images.decode.load`.
    group_by
        An attribute of DICOM files that says which images belong together.
    """
    try:
        content = record.read()
        image = decode.decode(content, page=page)
    except Unreadable as error:
        return str(error)
    except OSError as error:
        return f"cannot be opened ({error.strerror or error})"
    except ImportError as error:
        raise InputError(f"{record.path}: to read it {lacking(str(error.name), FORMATS)}") from error
    further, damage = decode.has_further_pages(content, page), decode.accepted_damage(content)
    facts = image.shape[1], image.shape[0], is_of_one_colour(image), further, damage
    patient = _digest(decode.header_value(content, PATIENT))
    group = _digest(decode.header_value(content, group_by)) if group_by else None
    encoded = codec.encode(to_square(image, image_size, resize))
    sha256 = hashlib.sha256(content).hexdigest()
    return Prepared(codec.content_id(image), facts, encoded, sha256, patient, group)


def prepared(records: Sequence[Record], prepare: partial, processes: int) -> Iterator[tuple[Record, Prepared | str]]:
    """Yield each record with what became of it, in order; few results wait at a time."""
    remaining = iter(records)
    chunks = iter(lambda: list(islice(remaining, _CHUNK)), [])
    if processes <= 1:
        for chunk in chunks:
            yield from zip(chunk, _prepare_chunk(chunk, prepare), strict=True)
        return
    with _pool(processes) as pool:
        waiting: deque[tuple[list[Record], Future]] = deque()
        for chunk in chunks:
            waiting.append((chunk, pool.submit(_prepare_chunk, chunk, prepare)))
            if len(waiting) > 3 * processes:
                done, future = waiting.popleft()
                yield from zip(done, future.result(), strict=True)
        for done, future in waiting:
            yield from zip(done, future.result(), strict=True)


def _digest(value: str | None) -> str | None:
    """Return what stands for a value that says who a patient is: it is not to be spread with the results."""
    return hashlib.blake2b(value.encode(), digest_size=8).hexdigest() if value else None


def _prepare_chunk(chunk: list[Record], prepare: partial) -> list[Prepared | str]:
    return [prepare(record) for record in chunk]


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    # Forked, where that can be: the other ways import the main script again, and a rule's script has no guard.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    context = multiprocessing.get_context(method)
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise InputError(
            "a process that decodes images was killed, most likely because memory ran out; "
            "give the job more memory or fewer processes"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this process when the one that started it is killed: it would wait for work for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
