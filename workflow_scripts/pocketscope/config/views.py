"""Views of an image, and which symmetries they rest on."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from pocketscope.config.base import Model

View = Literal[
    "identity", "horizontal_flip", "vertical_flip", "both_flips", "rotate_90", "rotate_270", "box_blur",
    "gaussian_blur", "gamma",
]  # fmt: skip
# Which symmetries of a data set a view rests on; the others change no geometry.
VIEW_NEEDS: dict[str, set[str]] = {
    "horizontal_flip": {"horizontal_flip"},
    "vertical_flip": {"vertical_flip"},
    "both_flips": {"horizontal_flip", "vertical_flip"},
    "rotate_90": {"quarter_turn"},
    "rotate_270": {"quarter_turn"},
}


class ViewStrengths(Model):
    """How strong the views are that are no symmetry."""

    box_blur: int = Field(3, ge=3, le=15, description="Side of the window, in pixels; an odd number.")
    gaussian_blur: float = Field(1.0, gt=0, le=4, description="Standard deviation, in pixels.")
    gamma: float = Field(1.5, gt=0, le=5, description="Exponent of the brightness; values above 1 darken the image.")

    @model_validator(mode="after")
    def _is_felt(self) -> "ViewStrengths":
        if self.gamma == 1:
            raise ValueError("a gamma of 1 changes nothing; choose another value, or leave 'gamma' out of the views")
        if self.box_blur % 2 == 0:
            raise ValueError("'box_blur' must be odd, so that the window has a middle")
        return self


def allowed_views(views: Iterable[str], symmetries: Iterable[str]) -> list[str]:
    """Return those views that leave an image's class what it was, by the symmetries of its data set."""
    allowed = set(symmetries)
    return [view for view in views if VIEW_NEEDS.get(view, set()) <= allowed]
