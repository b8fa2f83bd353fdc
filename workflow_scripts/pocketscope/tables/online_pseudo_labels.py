"""What a consistency method made of unlabelled images while it trained."""

from collections.abc import Sequence

import pyarrow as pa

from pocketscope.tables.label_set import count_labels

ONLINE_PSEUDO_LABELS = pa.schema(  # what a consistency method made of unlabelled images, the last time in an epoch
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("accepted", pa.bool_(), nullable=False),  # learned; MixMatch learns all, as probabilities
    ]
)
FEW = 0.001  # of the guesses: as good as none


def epoch_remarks(guesses: pa.Table, classes: Sequence[str]) -> list[str]:
    """Say what a reader of a consistency method's epoch must know: nothing learned, a collapse, a class missing.

    Parameters
    ----------
    guesses
        Schema ONLINE_PSEUDO_LABELS, of one epoch.
    classes
        All class names.
    """
    accepted = count_labels(guesses.filter(guesses["accepted"])["label"], classes)
    if accepted.sum() <= FEW * len(guesses):
        return ["no online pseudo-label was confident enough: the unlabelled images had no effect"]
    if (accepted > 0).sum() == 1:
        return [
            f"every online pseudo-label that was learned is '{classes[accepted.argmax()]}': a collapse into one class"
        ]
    never = [f"'{name}'" for name, count in zip(classes, accepted, strict=True) if not count]
    return [f"no online pseudo-label of {', '.join(never)} was learned"] if never else []
