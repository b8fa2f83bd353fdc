"""Paths in a table that are nearly those of files: which file each means, where that is beyond doubt."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

# In what a path differs from a file's.
_BACKSLASHES = "backslashes"
_MACHINE = "the folders of another computer"
_FOLDER = "a sub-folder"
_NO_ENDING = "the ending that is left out"
_ZEROS = "leading zeros"
_CAPITALS = "capitals"
_UNICODE = "the Unicode of its letters"
_PREFIX = "eight digits and letters before the name, which Label Studio puts there"
_ENDING = "the ending"
_ABOVE = "folders above"
_LOCAL_FILES = "/data/local-files/?d="  # Label Studio's address of a file on its own disk
_NAMED_ONLY = {_ENDING, _ABOVE}  # the file may well be another one


@dataclass(frozen=True, slots=True)
class Near:
    """What is near a path that names no file: the files, and in what each of them differs from it."""

    files: tuple[str, ...]
    kinds: frozenset[str]

    def __str__(self) -> str:
        """Return it as a part of a message."""
        if len(self.files) > 1:
            return f" (there are {' and '.join(map(repr, self.files[:3]))})"
        return f" (there is {self.files[0]!r}; what differs: {', '.join(sorted(self.kinds))})"


def near_misses(asked: Iterable[str], there: Iterable[str]) -> dict[str, Near]:
    """Find the files that are near paths: equal but for capitals, Unicode, ending, zeros, backslashes or folders above.

    Parameters
    ----------
    asked
        Paths that name no file.
    there
        The files' paths, relative, parted by `/`.

    Returns
    -------
    dict
        By path, where anything is near.
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    by_stem: dict[str, list[str]] = defaultdict(list)
    for file in there:
        name = file.rpartition("/")[2]
        by_name[_bare(name)].append(file)
        by_stem[_bare(os.path.splitext(name)[0])].append(file)  # noqa: PTH122 (a hundred thousand names)
    found = {path: _near(path, by_name, by_stem) for path in dict.fromkeys(asked)}
    return {path: near for path, near in found.items() if near}


def beyond_doubt(near: Mapping[str, Near], asked: Collection[str], listed: Collection[str]) -> dict[str, str]:
    """Return the file of each path, where all are near misses of one kind; none where there is any doubt.

    One alone is more likely a slip of the pen. Files that the table lists already, or that two paths are near to, are
    in doubt.

    Parameters
    ----------
    near
        See `near_misses`.
    asked
        All paths that name no file.
    listed
        Files that the table names as they are.
    """
    kinds = [found.kinds for found in near.values()]
    files = [found.files[0] for found in near.values() if len(found.files) == 1]
    if (
        len(near) < max(2, len(set(asked)))
        or len(files) < len(near)
        or len({*files, *listed}) < len(files) + len(listed)
    ):
        return {}
    most = max(kinds, key=len)
    if most & _NAMED_ONLY or not all(kind <= most for kind in kinds):
        return {}
    return {path: found.files[0] for path, found in near.items()}


def as_remark(taken: Mapping[str, str], near: Mapping[str, Near]) -> str:
    """Say what was taken for what."""
    kinds = sorted(max((near[path].kinds for path in taken), key=len))
    path, file = next(iter(taken.items()))
    return (
        f"{len(taken)} paths differ from the files' in {', '.join(kinds)}, and are taken for them, such as "
        f"{path!r} for {file!r}"
    )


# ---- one path


def _near(path: str, by_name: Mapping[str, list[str]], by_stem: Mapping[str, list[str]]) -> Near | None:
    kinds = {_BACKSLASHES} if "\\" in path else set()
    slashed = path.replace("\\", "/").strip()
    if _LOCAL_FILES in slashed:
        slashed = "/" + unquote(slashed.partition(_LOCAL_FILES)[2])
    absolute = re.match(r"/|~|[A-Za-z][A-Za-z0-9+.-]*:", slashed) is not None  # an address, such as https:, too
    *folders, name = [part for part in slashed.split("/") if part not in ("", ".")] or [""]
    stem, ending = os.path.splitext(name)  # noqa: PTH122
    uploaded = re.fullmatch(r"[0-9a-f]{8}-(.+)", name)
    if files := by_name.get(_bare(name)):
        pass
    elif files := by_stem.get(_bare(name)):
        kinds.add(_NO_ENDING)
    elif uploaded and (files := by_name.get(_bare(uploaded[1]))):
        name = uploaded[1]
        kinds.add(_PREFIX)
    elif ending and (files := by_stem.get(_bare(stem))):
        kinds.add(_ENDING)
    else:
        return None
    compared = [(file, _difference(folders, name, file, absolute)) for file in files]
    possible = [(file, frozenset(kinds | more)) for file, more in compared if more is not None]
    if not possible:
        return None
    # Of the files below another computer's folder, the one with most of these folders.
    depth = max(file.count("/") for file, _ in possible) if absolute else None
    possible = [(file, more) for file, more in possible if depth in (None, file.count("/"))]
    fewest = min(len(more) for _, more in possible)
    best = [(file, more) for file, more in possible if len(more) == fewest]
    return Near(tuple(file for file, _ in best), best[0][1])


def _difference(folders: list[str], name: str, file: str, absolute: bool) -> set[str] | None:
    """Return in what a path and a file differ that are of nearly the same name, None where the folders are others."""
    *its_folders, its_name = file.split("/")
    if _bare(name) != _bare(its_name):  # by the ending, which is known already
        its_name = os.path.splitext(its_name)[0]  # noqa: PTH122
        name = name if _bare(name) == _bare(its_name) else os.path.splitext(name)[0]  # noqa: PTH122
    ours, theirs = list(map(_bare, folders)), list(map(_bare, its_folders))
    common = min(len(ours), len(theirs))
    if common and ours[-common:] != theirs[-common:]:
        return None
    kinds = set()
    if absolute:
        if len(theirs) > len(ours):
            return None
        kinds.add(_MACHINE)
    elif len(theirs) > len(ours):
        kinds.add(_FOLDER)
    elif len(ours) > len(theirs):
        kinds.add(_ABOVE)
    one = "/".join([*(folders[-common:] if common else []), name])
    other = "/".join([*(its_folders[-common:] if common else []), its_name])
    if (_composed(one) == one) != (_composed(other) == other):
        kinds.add(_UNICODE)
    one, other = _composed(one), _composed(other)
    if one.casefold() != other.casefold():
        kinds.add(_ZEROS)
        one, other = _without_zeros(one), _without_zeros(other)
    if one != other:
        kinds.add(_CAPITALS)
    return kinds


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _bare(name: str) -> str:
    """Return what names share that differ only in capitals, Unicode and leading zeros."""
    return _without_zeros(_composed(name).casefold())


def _without_zeros(name: str) -> str:
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", name)
