"""The image files of a folder: numbered as they came, identified and made small one by one, where they lie."""

import hashlib
import io
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from pocketscope.core.stack_pages import Page
from pocketscope.images import codec, decode
from pocketscope.images.files import read_file, walk
from pocketscope.images.pixels import Unreadable

log = logging.getLogger(__name__)

SMALL = 192  # pixels of a thumbnail's longer side: sharp in cells of 96 to 192
LARGE = 1600  # of the picture that is looked at alone
WORKERS = 2
TOLD = 0.5  # seconds between words on what was found: each costs all pages a new drawing

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    image_id TEXT, sha256 TEXT, problem TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stacks (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS thumbnails (path TEXT PRIMARY KEY, image BLOB NOT NULL) STRICT;
"""


class Gone(Exception):
    """A file that was there is there no more."""


class Index:
    """The images of a folder.

    Numbers stay while the desk is open: a file that goes keeps its number, one that comes gets the next. What a file's
    decoding gave (identity, thumbnail, or why it cannot be read) is kept in `cache`, and holds while size and time of
    the file are the same.

    Attributes
    ----------
    paths
        By number, relative to the folder.
    image_ids, problems
        By number: the identity of the image, and why it cannot be used; both None until the file was decoded.
    numbers
        Of each identity that is known: copies of an image share it.
    gone
        Numbers of files that are there no more.
    stacks
        Numbers of files that hold several images, of which `page` says which one is meant, or what is made of all.
    """

    def __init__(self, folder: Path, cache: Path, page: Page = 0) -> None:
        self.folder, self.page = folder, page
        self.stacks: set[int] = set()
        self.paths: list[str] = []
        self.image_ids: list[str | None] = []
        self.hashes: list[str | None] = []
        self.problems: list[str | None] = []
        self.numbers: dict[str, list[int]] = {}
        self.gone: set[int] = set()
        self._stats: list[tuple[int, int]] = []
        self._places: list[str] = []
        self._number: dict[str, int] = {}
        self._lock = threading.RLock()
        self._told_full = False
        self._asked = 0  # decodings that somebody waits for
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="decode")
        self._stop = threading.Event()
        self._cache = _opened(cache)

    def close(self) -> None:
        """End what runs in the background."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        with self._lock:
            self._cache.close()

    # ---- which files there are

    def scan(self) -> tuple[list[int], list[int]]:
        """List the folder; return the numbers of files that came or changed, and of those that went.

        Raises
        ------
        OSError
            The folder cannot be read; what was known of it is kept.
        """
        os.scandir(self.folder).close()  # `walk` is lazy, and an error should come before anything is taken for gone
        found, places = {}, {}
        for path, place in walk(str(self.folder), "", set()):
            if not path.isascii():  # a name may be no valid UTF-8: it is called as in the packed images
                path = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
            places[path] = place
            try:
                status = os.stat(place)  # noqa: PTH116 (a hundred thousand times)
            except OSError:
                found[path] = -1, -1
            else:
                found[path] = status.st_size, status.st_mtime_ns
        os.scandir(self.folder).close()  # it may have gone meanwhile
        with self._lock:
            known = self._known()
            stacks = {path for (path,) in self._cache.execute("SELECT path FROM stacks")}
            came = []
            for path in sorted(found):
                number = self._number.get(path)
                if number is None:
                    number = self._number[path] = len(self.paths)
                    self.paths.append(path)
                    self.image_ids.append(None)
                    self.hashes.append(None)
                    self.problems.append(None)
                    self._stats.append((-2, -2))
                    self._places.append(places[path])
                if self._stats[number] != found[path] or number in self.gone:
                    self._stats[number] = found[path]
                    self.gone.discard(number)
                    row = known.get(path)
                    same = row is not None and tuple(row[:2]) == found[path]
                    self._set(number, *(row[2:] if same else (None,) * 3))
                    (self.stacks.add if same and path in stacks else self.stacks.discard)(number)
                    came.append(number)
            went = [n for path, n in self._number.items() if path not in found and n not in self.gone]
            self.gone.update(went)
        return came, went

    def place(self, number: int) -> Path:
        """Return where a file is; only files of the index have a number."""
        return Path(self._places[number])

    def number_of(self, path: str) -> int | None:
        """Return the number of a file by its path relative to the folder; None where there is no such file."""
        return self._number.get(path)

    # ---- what is in them

    def identify(self, number: int) -> str | None:
        """Return the identity of an image, decoding the file where it is not known; None if it cannot be read."""
        if self.image_ids[number] is None and self.problems[number] is None:
            self._wait_for(number)
        return self.image_ids[number]

    def thumbnail(self, number: int) -> bytes | None:
        """Return a small WebP picture of an image; None if the file cannot be read (see `problems`)."""
        if self.problems[number] is None and self.image_ids[number] is not None:
            with self._lock:
                row = self._cache.execute(
                    "SELECT image FROM thumbnails WHERE path = ?", [self.paths[number]]
                ).fetchone()
            if row:
                return row[0]
        return self._wait_for(number)

    def picture(self, number: int) -> bytes | None:
        """Return the whole image, as a network sees it, as a JPEG of at most `LARGE` pixels; None if unreadable."""
        with self._asking():
            try:
                pixels = decode.decode(read_file(str(self.place(number))), page=self.page)
            except (Unreadable, OSError, MemoryError, ImportError):
                return None
        return _smaller(pixels, LARGE, "JPEG", quality=92)

    def identify_all(self, told: Callable[[list[int]], None]) -> None:
        """Decode what is not known yet, after all that somebody waits for; `told` gets the numbers, some at a time."""
        done: list[int] = []
        number, last = 0, 0.0
        while not self._stop.is_set() and number < len(self.paths):
            if self.image_ids[number] is None and self.problems[number] is None and number not in self.gone:
                while self._asked and not self._stop.wait(0.01):  # what somebody looks at comes first
                    pass
                try:
                    self._pool.submit(self._decode, number).result()
                except Exception as error:  # a pool that was shut down, or a disk that is full
                    if not self._stop.is_set():
                        log.warning("%s: %s", self.paths[number], error)
                    return
                done.append(number)
            number += 1
            if done and (time.monotonic() - last > TOLD or number == len(self.paths)):
                told(done)
                done, last = [], time.monotonic()

    def _wait_for(self, number: int) -> bytes | None:
        with self._asking():
            return self._pool.submit(self._decode, number).result()

    def _asking(self) -> "_Asking":
        return _Asking(self)

    def _decode(self, number: int) -> bytes | None:
        """Decode a file once: its identity, and its thumbnail, which is returned."""
        path = self.paths[number]
        image_id = digest = problem = small = None
        stack = False
        try:
            data = read_file(str(self.place(number)))
            digest = hashlib.sha256(data).hexdigest()
            stack = decode.has_further_pages(data)
            pixels = decode.decode(data, page=self.page)
        except FileNotFoundError:
            if self.folder.is_dir():  # else all of it is away, and comes back
                self.gone.add(number)
            return None
        except OSError as error:
            problem = error.strerror or str(error)
        except (Unreadable, MemoryError, ImportError) as error:
            problem = str(error) or "too large for the memory of this machine"
        else:
            image_id = codec.content_id(pixels)
            small = _smaller(pixels, SMALL, "WEBP", quality=80, method=1)
        with self._lock:
            self._set(number, image_id, digest, problem)
            (self.stacks.add if stack else self.stacks.discard)(number)
            if self._stop.is_set():
                return small
            try:
                row = path, *self._stats[number], image_id, digest, problem
                self._cache.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
                if stack:
                    self._cache.execute("INSERT OR IGNORE INTO stacks VALUES (?)", [path])
                else:
                    self._cache.execute("DELETE FROM stacks WHERE path = ?", [path])
                if small:
                    self._cache.execute("INSERT OR REPLACE INTO thumbnails VALUES (?, ?)", [path, small])
            except sqlite3.Error as error:  # a full disk: pictures are shown all the same, and made again later
                if not self._told_full:
                    log.warning("%s: thumbnails cannot be kept (%s)", self.folder, error)
                self._told_full = True
        return small

    def _set(self, number: int, image_id: str | None, digest: str | None, problem: str | None) -> None:
        if (before := self.image_ids[number]) is not None:
            self.numbers[before].remove(number)
        if image_id is not None:
            self.numbers.setdefault(image_id, []).append(number)
        self.image_ids[number], self.hashes[number], self.problems[number] = image_id, digest, problem

    def _known(self) -> dict[str, tuple]:
        rows = self._cache.execute("SELECT path, size, mtime_ns, image_id, sha256, problem FROM files")
        return {path: tuple(rest) for path, *rest in rows}


class _Asking:
    """While somebody waits for a decoding, the background does not begin another."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def __enter__(self) -> None:
        with self._index._lock:
            self._index._asked += 1

    def __exit__(self, *_: object) -> None:
        with self._index._lock:
            self._index._asked -= 1


def _opened(cache: Path) -> sqlite3.Connection:
    """Open the cache; where none can be written, one that lasts until the desk is closed."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _prepared(str(cache))
        except sqlite3.OperationalError:  # locked, or not to be opened: it may be whole
            raise
        except sqlite3.DatabaseError:
            cache.unlink(missing_ok=True)  # damaged, for instance by a full disk
            return _prepared(str(cache))
    except (OSError, sqlite3.Error) as error:
        log.warning("%s: thumbnails cannot be kept (%s); they are made anew each time", cache, error)
        return _prepared("")  # a file that SQLite makes for itself and deletes


def _prepared(cache: str) -> sqlite3.Connection:
    connection = sqlite3.connect(cache, isolation_level=None, check_same_thread=False, timeout=30)
    try:
        # It can be made again at any time: speed before safety.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _smaller(pixels: np.ndarray, longest: int, kind: str, **how: object) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest), Image.Resampling.BILINEAR, reducing_gap=2)
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()
