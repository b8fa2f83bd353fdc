"""Under which licence images stand, and where they are published, where that is known."""

from collections.abc import Mapping
from typing import Any

from pocketscope.core.errors import InputError

DIGITS = (
    "CC BY 4.0"  # Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI; scikit-learn carries it
)

LINKS = {  # by the kind of a source
    "digits": "https://doi.org/10.24432/C50P49",
    "medmnist": "https://doi.org/10.1038/s41597-022-01721-8",
}
DOI = "10."


def licence_of(dataset: Mapping[str, Any]) -> str | None:
    """Return the licence of a data set's images: as the configuration says, or as the source is published.

    Parameters
    ----------
    dataset
        A data set of the configuration, as plain values.
    """
    source = dataset["source"]
    if dataset["licence"] is not None:
        return dataset["licence"]
    if source["kind"] == "digits":
        return DIGITS
    if source["kind"] == "medmnist":
        from pocketscope.data.sources import medmnist_source

        try:
            return medmnist_source.licence(source["name"])
        except (InputError, ImportError):  # whoever packs the images says what is wrong
            return None
    return None


def link_of(dataset: Mapping[str, Any]) -> str | None:
    """Return the address where a data set's images are published: as the configuration says, or as is known.

    Parameters
    ----------
    dataset
        See `licence_of`.
    """
    given = dataset["link"]
    if given is None:
        return LINKS.get(dataset["source"]["kind"])
    return f"https://doi.org/{given}" if given.startswith(DOI) else given
