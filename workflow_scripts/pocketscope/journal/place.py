"""Where the journal of a data set lies."""

from pathlib import Path

JOURNAL = ".sqlite"
FOLDER = "labels"  # beside the results folder: what people said outlives any result


def labels_of(dataset: str, asked: str | None, root: Path) -> Path:
    """Return the journal of a data set, or the table that its configuration names instead of one.

    Parameters
    ----------
    dataset
        Its name.
    asked
        What its key `labels` says; a relative path is relative to `root`, the folder of the Snakefile.
    """
    path = Path(asked).expanduser() if asked else Path(FOLDER) / f"{dataset}{JOURNAL}"
    return root / path
