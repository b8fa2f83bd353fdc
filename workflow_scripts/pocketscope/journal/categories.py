"""Categories as the deeds so far leave them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pocketscope.core.errors import InputError
from pocketscope.core.messages import did_you_mean


@dataclass(frozen=True, slots=True)
class Category:
    """A class as people call it now.

    Attributes
    ----------
    identity
        Its first name, which stays: labels and the folders of a source mean the category by it.
    name, colour, key
        As it is called and shown now.
    into
        The category that it has become a part of.
    deleted
        Whether it was deleted.
    """

    identity: str
    name: str
    colour: str | None = None
    key: str | None = None
    into: str | None = None
    deleted: bool = False

    @property
    def lives(self) -> bool:
        """Whether images can be of this category."""
        return self.into is None and not self.deleted


def replayed(deeds: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Category]:
    """Return all categories by identity, given kind and body of the deeds that hold, in their order."""
    found: dict[str, Category] = {}
    for kind, body in deeds:
        if kind == "add":
            found[body["category"]] = Category(body["category"], body["name"], body.get("colour"), body.get("key"))
        elif (category := found.get(body["category"])) is not None:  # None: adding it was undone since
            found[category.identity] = _changed(category, kind, body)
        if kind in ("add", "key") and (pressed := body.get("key")):
            for other in found.values():
                if other.key == pressed and other.identity != body["category"]:
                    found[other.identity] = replace(other, key=None)
    return found


def _changed(category: Category, kind: str, body: Mapping[str, Any]) -> Category:
    if kind == "merge":
        return replace(category, into=body["into"])
    if kind == "delete":
        return replace(category, deleted=True)
    column = {"rename": "name"}.get(kind, kind)
    return replace(category, **{column: body[column]})


def name_of(identity: str | None, categories: Mapping[str, Category]) -> str | None:
    """Return what images labelled as a category are called now; None where it was deleted, or is not there."""
    seen = set()
    while identity is not None and (category := categories.get(identity)) is not None and identity not in seen:
        seen.add(identity)
        if category.deleted:
            return None
        if category.into is None:
            return category.name
        identity = category.into
    return None


def renamed(categories: Mapping[str, Category]) -> dict[str, str | None]:
    """Return, by identity, what those categories are called that are not what they were; None: deleted."""
    names = {identity: name_of(identity, categories) for identity in sorted(categories)}
    return {identity: name for identity, name in names.items() if name != identity}


def checked(kind: str, body: Mapping[str, Any], categories: Mapping[str, Category]) -> dict[str, Any]:
    """Return the body of a deed on a category, ready to be appended.

    Raises
    ------
    pocketscope.core.errors.InputError
        There is no such category; a name is empty, or another category has it.
    """
    body = dict(body)
    living = {category.name: identity for identity, category in categories.items() if category.lives}
    for part in ("category", "into"):
        if part in body and kind != "add" and not (body[part] in categories and categories[body[part]].lives):
            raise InputError(f"there is no category {body[part]!r}{did_you_mean(str(body[part]), living)}")
    if kind == "merge" and body["category"] == body["into"]:
        raise InputError(f"{body['category']!r} cannot become a part of itself; name another category")
    if kind in ("add", "rename"):
        name = body["name"] = str(body["name"]).strip()
        if not name:
            raise InputError("a category needs a name")
        same = {other.casefold(): other for other, identity in living.items() if identity != body.get("category")}
        if name.casefold() in same:
            raise InputError(f"there is a category {same[name.casefold()]!r} already; merge the two instead")
        if kind == "add":
            body["category"] = _free(name, categories)
    return body


def _free(name: str, categories: Mapping[str, Category]) -> str:
    identity, number = name, 1
    while identity in categories:
        number += 1
        identity = f"{name} ({number})"
    return identity
