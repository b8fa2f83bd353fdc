"""Under which licence images stand, where that is known."""

from collections.abc import Mapping
from typing import Any

from pocketscope.core.errors import InputError

DIGITS = (
    "CC BY 4.0"  # Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI; scikit-learn carries it
)


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
