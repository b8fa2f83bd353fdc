"""What a configuration and a model file say of files that hold several images: which page, or what is made of all."""

MIDDLE = "middle"
CHANNELS = "channels"
MAXIMUM, MINIMUM, MEAN = "maximum_projection", "minimum_projection", "mean_projection"
PROJECTIONS = (MAXIMUM, MINIMUM, MEAN)
WORDS = (MIDDLE, *PROJECTIONS, CHANNELS)

Page = int | str  # a number, from 0, or one of WORDS


def reads_all(page: Page) -> bool:
    """Say whether an image is made of all pages of its file, so that none of them is left unread."""
    return page in (*PROJECTIONS, CHANNELS)


def is_known(page: object) -> bool:
    """Say whether this is a page that `pocketscope.images.decode.decode` takes."""
    return (
        page in WORDS if isinstance(page, str) else isinstance(page, int) and not isinstance(page, bool) and page >= 0
    )


def in_words(page: Page) -> str:
    """Return what of a file with several pages the image is, for a sentence; empty for the first page."""
    if page == MIDDLE:
        return "the middle one"
    if page == CHANNELS:
        return "all together, two or three grey ones as red, green and blue"
    if page in PROJECTIONS:
        return f"the {str(page).replace('_', ' ')} of all"
    return f"the one of number {page}, counted from 0" if page else ""
