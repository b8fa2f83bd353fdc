"""One image of a file that holds several: a page or frame, a projection, or colours that are stored as pages."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from pocketscope.core.stack_pages import CHANNELS, MAXIMUM, MEAN, MIDDLE, MINIMUM, Page
from pocketscope.images.pixels import MAX_PIXELS, Unreadable, check_page

MAX_STACK = 10 * MAX_PIXELS  # pixels of all pages that are projected


def chosen(page: Page, pages: int, images: Callable[[], Sequence[int]]) -> list[int]:
    """Return the places of the pages to be read.

    Parameters
    ----------
    page
        See `pocketscope.images.decode.decode`.
    pages
        How many pages the file has.
    images
        Gives the places of those that are images of their own: smaller copies and masks count by their number alone.

    Raises
    ------
    Unreadable
        There is no such page, or there are more channels than colours.
    """
    if isinstance(page, int):
        check_page(page, pages)
        return [page]
    places = list(images()) or [0]
    if page == MIDDLE:
        return [places[len(places) // 2]]
    if page == CHANNELS and len(places) > 3:
        raise Unreadable(
            f"has {len(places)} pages, and 'page: {CHANNELS}' takes red, green and blue: save the channels to use apart"
        )
    return places


def project(images: Iterable[np.ndarray], how: str) -> np.ndarray:
    """Project images of one size along their order.

    Parameters
    ----------
    images
        At least one, of any real dtype; no two are in memory at once. What is not a number counts for no maximum or
        minimum.
    how
        One of `pocketscope.core.stack_pages.PROJECTIONS`.

    Returns
    -------
    numpy.ndarray
        The shape and dtype of each; means of whole numbers are rounded.

    Raises
    ------
    Unreadable
        The images differ in size or type.
    """
    remaining = iter(images)
    first = next(remaining)
    # Sums of 65,536 pages of 16 bits fit in 32.
    sums = np.uint32 if first.dtype in (np.uint8, np.uint16) else np.float64
    result = first.astype(sums) if how == MEAN else first.copy()
    join = {MAXIMUM: np.fmax, MINIMUM: np.fmin, MEAN: np.add}[how]
    count = 1
    for count, image in enumerate(remaining, 2):  # noqa: B007 (how many there were)
        if image.shape != first.shape or image.dtype != first.dtype:
            raise Unreadable("its pages differ in size or type, and cannot be projected: name one of them by 'page'")
        join(result, image, out=result)
    if how != MEAN:
        return result
    mean = result / count
    return (np.rint(mean) if first.dtype.kind in "iu" else mean).astype(first.dtype)


def inverted(how: str) -> str:
    """Return the projection of values that are the darker the larger they are: `how` means what is seen."""
    return {MAXIMUM: MINIMUM, MINIMUM: MAXIMUM}.get(how, how)


def joined(channels: Sequence[np.ndarray]) -> np.ndarray:
    """Return two or three grey images, uint8 (height, width, 3), as red, green and blue of one."""
    if len({channel.shape for channel in channels}) > 1:
        raise Unreadable("its pages differ in size, and cannot be the colours of one image: name one of them by 'page'")
    if any((channel != channel[..., :1]).any() for channel in channels):
        raise Unreadable("its pages have colours themselves, and cannot be those of one image: name one by 'page'")
    result = np.zeros(channels[0].shape, np.uint8)
    for place, channel in enumerate(channels):
        result[..., place] = channel[..., 0]
    return result


def check_stack(pages: int, width: int, height: int) -> None:
    if pages * width * height > MAX_STACK:
        raise Unreadable(
            f"too large to be projected ({pages} pages of {width} x {height} pixels; the maximum is "
            f"{MAX_STACK // 1_000_000} million): save the projection as an image of its own"
        )
