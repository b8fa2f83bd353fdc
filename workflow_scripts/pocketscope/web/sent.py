"""What a page may send to the desk."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pocketscope.web.wizard import Choice


class Sent(BaseModel):
    """What changes something: a request that is sent twice is done once."""

    model_config = ConfigDict(extra="forbid", strict=True)

    request: str = Field(min_length=8, max_length=80)


class Label(Sent):
    """Label images, or take labels away."""

    images: list[int] = Field(min_length=1)
    category: str | list[str | None] | None  # of all, or beside `images`: that of each
    seen: list[str | None]  # beside `images`: what the page showed of each
    guess_shown: list[int] = []


class Turn(Sent):
    """Take the last deed back, or do it again."""

    redo: bool = False


class Change(Sent):
    """Change a category."""

    what: Literal["add", "rename", "merge", "delete", "colour", "key"]
    category: str | None = None
    name: str | None = None
    into: str | None = None
    value: str | None = None


class SetAside(Sent):
    """Draw the exam, or go on without one."""

    width: float | None = Field(ge=0.05, le=0.6)
    by_folder: bool = False
    labelled_too: bool = False


class Run(BaseModel):
    """Start what the person chose."""

    model_config = ConfigDict(extra="forbid", strict=True)
    kind: Literal["features", "study", "report", "preview", "estimate", "stop"]
    choice: Choice = Choice()


class Export(BaseModel):
    """Make an export of what ships."""

    model_config = ConfigDict(extra="forbid", strict=True)
    kind: str


class Open(BaseModel):
    """Open a folder."""

    model_config = ConfigDict(extra="forbid", strict=True)
    folder: str


class TakePage(BaseModel):
    """Say what of files with several pages is the image."""

    model_config = ConfigDict(extra="forbid", strict=True)
    page: int | str


class Toured(BaseModel):
    """The tour was seen or dismissed."""

    model_config = ConfigDict(extra="forbid", strict=True)
