"""What the page shows beyond scores and decisions: histories, automatic labels, example images, warnings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from pocketscope.core import parquet
from pocketscope.tables.images import load_images

EXAMPLES = 4  # images of a kind


def history(name: str, path: str) -> pd.DataFrame:
    """Read a training history (epoch, and a column a quantity) as the report takes it: name, epoch, quantity, value."""
    wanted = {"train_loss": "training loss", "validation_accuracy": "validation accuracy"}
    frame = _read(path, ["epoch", *wanted]).rename(columns=wanted)
    long = frame.melt(id_vars="epoch", var_name="quantity", value_name="value").dropna(subset=["value"])
    return long.assign(name=name)


def striking(answers: pd.DataFrame) -> list[dict[str, Any]]:
    """Pick the test images of which a candidate is surest, rightly and wrongly.

    Parameters
    ----------
    answers
        Columns image_id, truth, answer and confidence, a line an image.

    Returns
    -------
    list of dict
        kind (``Correct and confident``, ``Wrong and confident``), image_id, truth, answer and confidence; the most
        confident of each class first, so that one class does not fill the line.
    """
    picked = []
    for kind, part in (
        ("Correct and confident", answers[answers["answer"] == answers["truth"]]),
        ("Wrong and confident", answers[answers["answer"] != answers["truth"]]),
    ):
        part = part.sort_values(["confidence", "image_id"], ascending=[False, True])
        turn = part.groupby("truth").cumcount()
        chosen = part.assign(turn=turn).sort_values(["turn", "confidence"], ascending=[True, False]).head(EXAMPLES)
        columns = ["image_id", "truth", "answer", "confidence"]
        picked += [{"kind": kind, **row} for row in chosen[columns].to_dict("records")]
    return picked


def _read(path: str, columns: list[str] | None = None) -> pd.DataFrame:
    return pq.read_table(path, columns=columns, partitioning=None).to_pandas()


def histories(paths: Sequence[str]) -> pd.DataFrame | None:
    """Read all histories of a study (see `history`), named by their folders; None where there are none."""
    read = [history("/".join(Path(path).parts[2:-1]), path) for path in paths]
    filled = [frame for frame in read if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else None


def automatic_labels(
    audits: Sequence[str], coverages: Sequence[str], about: Sequence[Sequence[str]]
) -> tuple[pd.DataFrame, pd.DataFrame] | tuple[None, None]:
    """Read what became of a study's unlabelled images; None where no method labels any.

    Parameters
    ----------
    audits, coverages
        Of each split (schemas audit.AUDIT and audit.COVERAGE).
    about
        Of each its data set and split.

    Returns
    -------
    tuple of pandas.DataFrame
        By dataset, method and round, or epoch of a consistency method, the mean over splits and networks: `coverage`
        (share of the images that were seen which was accepted), `accuracy` of the accepted labels,
        `accuracy_of_given`, as if all had been accepted (NaN where the truth is unknown), and `remark`. And the last
        round's curves: dataset, method, coverage, accuracy.
    """
    if not audits:
        return None, None
    totals, curves = [], []
    for audit, curve, (dataset, split) in zip(audits, coverages, about, strict=True):
        frame = pd.read_parquet(audit)
        totals.append(frame[frame["class"].isna()].assign(dataset=dataset))
        curves.append(pd.read_parquet(curve).assign(dataset=dataset, split=split))
    totals = pd.concat(totals, ignore_index=True)
    totals["coverage"] = totals["accepted"] / totals["given"].where(totals["given"] > 0)
    networks = totals["network"].notna() & totals["remark"].notna()
    totals.loc[networks, "remark"] = totals["network"] + ": " + totals["remark"]
    keys, values = ["dataset", "method", "round", "epoch"], ["coverage", "accuracy", "accuracy_of_given"]
    by_round = totals.groupby(keys, sort=False, dropna=False)
    lines = by_round[values].mean()
    lines["remark"] = by_round["remark"].agg(lambda said: "; ".join(dict.fromkeys(said.dropna())))
    lines = lines.reset_index().astype({"round": "Int64", "epoch": "Int64"})
    return lines, _mean_curves(pd.concat(curves, ignore_index=True))


def _mean_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of each method's last round, at every hundredth of coverage, the mean over splits."""
    grid = np.linspace(0.01, 1, 100)
    found = []
    for (dataset, method), of_method in curves.groupby(["dataset", "method"], sort=False):
        last = of_method[of_method["round"] == of_method["round"].max()]
        each = [np.interp(grid, part["coverage"], part["accuracy"]) for _, part in last.groupby("split", sort=False)]
        found.append(
            pd.DataFrame({"dataset": dataset, "method": method, "coverage": grid, "accuracy": np.mean(each, axis=0)})
        )
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["dataset", "method"])


def example_images(answers: pd.DataFrame, images: Mapping[str, str]) -> list[dict[str, Any]]:
    """Pick striking test images of each data set's recommended candidate, with their pixels.

    Parameters
    ----------
    answers
        The recommended candidates' (schema decision.ANSWERS). The first seed's are taken: another has others.
    images
        By dataset the packed images.
    """
    picked = []
    by_dataset = answers.groupby("dataset", sort=False)
    for dataset, of_dataset in by_dataset:
        for example in striking(of_dataset[of_dataset["split"] == of_dataset["split"].iloc[0]]):
            pixels = load_images(images[dataset], [example.pop("image_id")])[0]
            kind = example["kind"] if len(by_dataset) == 1 else f"{dataset}: {example['kind'].lower()}"
            picked.append(example | {"kind": kind, "image": pixels})
    return picked


def wrongly_accepted(
    paths: Sequence[str],
    truths: Sequence[str],
    about: Sequence[Sequence[Any]],
    images: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Pick, by dataset, the images to which teachers gave a wrong label most confidently, where the truth is known.

    Parameters
    ----------
    paths
        The label sets that teachers made.
    truths
        Of each the table of true labels of its split.
    about
        Of each its dataset, split, method and round.
    images
        By dataset the packed images.
    """
    found: dict[str, list[pd.DataFrame]] = {}
    for path, truth, (dataset, _, method, _) in zip(paths, truths, about, strict=True):
        given = _read(path, ["image_id", "label", "confidence", "source"])
        known = given[given["source"] == "pseudo"].merge(
            _read(truth, ["image_id", "label"]), on="image_id", suffixes=("", "_true")
        )
        found.setdefault(dataset, []).append(known[known["label"] != known["label_true"]].assign(method=method))
    picked = []
    for dataset, frames in found.items():
        wrong = pd.concat(frames).sort_values(["confidence", "image_id"], ascending=[False, True])
        for row in wrong.drop_duplicates("image_id").head(EXAMPLES).itertuples():
            kind = "Wrong pseudo-labels that were accepted" + (f": {dataset}" if len(found) > 1 else "")
            pixels = load_images(images[dataset], [row.image_id])[0]
            picked.append(
                {
                    "kind": kind,
                    "image": pixels,
                    "truth": row.label_true,
                    "answer": row.label,
                    "confidence": row.confidence,
                }
            )
    return picked


def flattered(paths: Mapping[str, str]) -> list[str]:
    """Say of each data set how many of its test images are nearly the same as an image that is learnt from.

    In a cross-validation both images of a pair are, if they are tested in turn: each is then learnt from for the other.

    Parameters
    ----------
    paths
        By dataset the table (schema near_duplicates.ACROSS).
    """
    said = []
    for dataset, path in paths.items():
        frame = _read(path, ["image_id", "other", "role"])
        tested = len(set(frame["image_id"].where(frame["role"] == "test", frame["other"])))
        if tested:
            said.append(
                f"{dataset}: {tested} test image{'s are' if tested > 1 else ' is'} nearly the same as an image that is "
                f"learned from. This makes every score too high; near_duplicates/{dataset}.csv lists them."
            )
    return said


def warnings(classes: Mapping[str, str], near_duplicates: Mapping[str, str], histories: Sequence[str]) -> list[str]:
    """Return all that a reader is to be warned of: see `remarks`, `flattered` and `collapsed`."""
    return remarks_of_datasets(classes) + flattered(near_duplicates) + collapsed(histories)


def collapsed(paths: Sequence[str]) -> list[str]:
    """Name the trainings without a validation set whose last epoch was not kept (paths: schema history.HISTORY)."""
    found = []
    for path in paths:
        told = _read(path, ["epoch", "validation_loss", "kept"])
        if len(told) and told["validation_loss"].isna().all() and not told["kept"].iloc[-1]:
            name, epoch = "/".join(Path(path).parts[2:-1]), told["epoch"][told["kept"]].iloc[0]
            found.append(
                f"{name}: the training run collapsed. The weights of its epoch {epoch} were kept; "
                "lower `learning_rate`."
            )
    return found


def remarks_of_datasets(paths: Mapping[str, str]) -> list[str]:
    """Return what is to be said of data sets, by which their tables of classes (schema classes.CLASSES) are given."""
    return [f"{dataset}: {said}." for dataset, path in paths.items() for said in parquet.notes(path)["remarks"]]


def provenance(paths: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return what a study was computed with, from its histories' and timings' notes, and warnings where runs differ."""
    found: dict[str, set[str]] = {}
    for path in paths:
        for key, value in parquet.notes(path).items():
            if key != "seed":
                found.setdefault(key, set()).add(str(value))
    shown = {key: ", ".join(sorted(values)) for key, values in sorted(found.items())}
    return shown, [f"The training runs differ in {key}: {text}." for key, text in shown.items() if len(found[key]) > 1]
