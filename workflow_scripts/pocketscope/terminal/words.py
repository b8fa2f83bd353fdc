"""Jobs in plain words: what a rule is doing, on what, and the stage of the study that it belongs to."""

from collections.abc import Mapping

READING, DRAWING, TRAINING = "reading the images", "drawing training and test images", "training networks"
LABELLING, TESTING, COMPARING = "labelling the rest", "testing", "comparing"
QUANTISING, SHIPPING = "quantising", "shipping"

# By rule: the stage, and the job. The words in braces are the rule's wildcards, and `labels`, a label set in words.
RULES = {
    "pack": (READING, "reading the images"),
    "pack_shard": (READING, "reading the images, part {shard}"),
    "pack_new": (READING, "reading images that came since"),
    "features": (READING, "looking at the images by {network}, as it is"),
    "features_shard": (READING, "looking at the images by {network}, as it is, part {shard}"),
    "check": (READING, "counting the classes"),
    "split": (DRAWING, "drawing training and test images"),
    "pair_near_duplicates": (READING, "pairing nearly equal images"),
    "near_duplicates": (READING, "looking for nearly equal images"),
    "oracle_labels": (DRAWING, "writing all true labels down, for the upper bound"),
    "train": (TRAINING, "training {network} on {labels}"),
    "train_consistency": (TRAINING, "training {network} by {label_set}, on labelled and unlabelled images"),
    "predict": (LABELLING, "labelling the rest by {network}, which learnt {labels}"),
    "leave_out": (LABELLING, "leaving a part of the labels out, to judge teachers by it"),
    "join_folds": (LABELLING, "joining what {network} says of labels that it has not seen"),
    "cross_fit": (LABELLING, "judging {network} by labels that it has not seen"),
    "calibrate": (LABELLING, "calibrating the teachers of {method}, round {round}"),
    "pseudo_label": (LABELLING, "voting of the teachers of {method}, round {round}"),
    "choose": (LABELLING, "choosing the best teacher of {labels}"),
    "audit": (TESTING, "checking what became of the unlabelled images"),
    "quantize": (QUANTISING, "quantising {network}, which learnt {labels}"),
    "evaluate": (TESTING, "testing {network} {precision}, which learnt {labels}"),
    "time_inference": (TESTING, "timing {network}, with nothing else running"),
    "scores": (COMPARING, "collecting the scores"),
    "compare": (COMPARING, "testing differences for significance"),
    "recommend": (COMPARING, "recommending a candidate"),
    "report": (COMPARING, "drawing the report"),
    "reliability": (SHIPPING, "finding out which answers are reliable"),
    "answer": (SHIPPING, "answering for the unlabelled images"),
    "answer_new": (SHIPPING, "answering for images that came since"),
    "answers_table": (SHIPPING, "writing the answers as a table"),
    "answers_page": (SHIPPING, "drawing the answers as a page"),
    "export": (SHIPPING, "exporting the model ({kind})"),
}
GATHERING = ("all", "exports", "ship")  # rules that only ask for what others make


def stage(rule: str) -> str:
    """Return the stage of a rule; its own name where it is unknown."""
    return RULES[rule][0] if rule in RULES else _spaced(rule)


def job(rule: str, wildcards: Mapping[str, str], place: bool = True) -> str:
    """Return what a job does.

    Parameters
    ----------
    rule, wildcards
        The job.
    place
        Say at the end which data set and which split it belongs to.

    Examples
    --------
    >>> job("train", {"dataset": "cells", "split": "k25_s0", "label_set": "human", "network": "resnet18"})
    "training resnet18 on people's labels (cells, k25_s0)"
    """
    known = {"labels": labels(wildcards.get("label_set", ""))} | dict(wildcards)
    text = RULES[rule][1].format_map(_Gaps(known)) if rule in RULES else _spaced(rule)
    dataset = wildcards.get("dataset") or wildcards.get("packed", "").rpartition("-")[0]
    where = ", ".join(filter(None, [dataset, wildcards.get("split", "").replace("ship", "for shipping")]))
    return f"{text} ({where})" if place and where else text


def labels(label_set: str) -> str:
    """Return a label set in words.

    Examples
    --------
    >>> labels("plain.r1@paper")
    'labels of plain, round 1 (recipe paper)'
    """
    name, _, recipe = label_set.partition("@")
    method, _, part = name.partition(".")
    if method == "human":
        text = f"people's labels but fold {part[1:]}" if part else "people's labels"
    elif name == "full":
        text = "all true labels"
    else:
        text = f"labels of {method}, round {part[1:]}" if part else f"labels of {method}"
    return f"{text} (recipe {recipe})" if recipe else text


def span(seconds: float) -> str:
    """Return a length of time, in the two largest units.

    Examples
    --------
    >>> span(8.2), span(200), span(7800)
    ('8 s', '3 min 20 s', '2 h 10 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def roughly(seconds: float) -> str:
    """Return a length of time that was estimated: no more exact than it can be.

    Examples
    --------
    >>> roughly(8.2), roughly(47), roughly(200), roughly(7800)
    ('10 s', '50 s', '3 min', '2 h 10 min')
    """
    if seconds < 55:
        return f"{max(10, 10 * round(seconds / 10))} s"
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {10 * (minutes % 60 // 10):02d} min"


class _Gaps(dict):
    def __missing__(self, key: str) -> str:
        return "…"


def _spaced(rule: str) -> str:
    return rule.replace("_", " ")
