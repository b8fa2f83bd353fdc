"""What a study's runs hold beyond scores that a recommendation rests on: test predictions, timings, costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from pocketscope.core import parquet
from pocketscope.core.errors import InputError
from pocketscope.statistics import bootstrap, score_table
from pocketscope.tables.split import without_fold


def located(
    candidates: Sequence[Mapping[str, str]],
    predictions: Sequence[str],
    places: Mapping[str, Mapping],
    bounds: Sequence[str],
) -> list[dict[str, str]]:
    """Return what `gather` reads.

    Parameters
    ----------
    candidates
        Every candidate on every split: dataset, split, method, network and precision.
    predictions
        The path of each one's test predictions.
    places
        `splits` and `truths`: the paths of these tables, by data set and split.
    bounds
        Methods that do not compete; they are left out.
    """
    return [
        {**candidate, "predictions": path, "split_table": places["splits"][where], "truth": places["truths"][where]}
        for candidate, path in zip(candidates, predictions, strict=True)
        if candidate["method"] not in bounds and (where := (candidate["dataset"], candidate["split"]))
    ]


def gather(found: Sequence[Mapping[str, str]], positive: Mapping[str, str | None]) -> dict[str, bootstrap.Evidence]:
    """Read the test predictions of a study.

    Parameters
    ----------
    found
        One for each candidate and split: dataset, split, method, network and precision, and the paths `predictions`
        (image_id, probabilities; notes hold the classes), `truth` (image_id, label) and `split_table`
        (image_id, group). Leave out what does not compete.
    positive
        By dataset the class whose F1 is the score, None for the mean over classes.

    Returns
    -------
    dict
        By dataset. Only the splits with the most labelled images are taken; the folds of a cross-validation
        (``k25_s0_f0``, ``k25_s0_f1``, ...) become one seed, as each predicts images of its own.

    Raises
    ------
    pocketscope.core.errors.InputError
        Runs of one dataset have different classes.
    """
    if not found:
        return {}
    gathered = {}
    frame = pd.DataFrame(found)
    for dataset, of_dataset in frame.groupby("dataset", sort=False):
        kept = score_table.most_labelled(of_dataset)
        classes = _one_list_of_classes(dataset, kept["predictions"])
        parts: dict[tuple[str, str], list[pd.DataFrame]] = {}
        for row in kept.itertuples():
            name = score_table.candidate_name(row.method, row.network, row.precision)
            seed = without_fold(row.split)
            parts.setdefault((name, seed), []).append(_read(row.predictions, ["image_id", "probabilities"]))
        truths = [_read(path, ["image_id", "label"]) for path in dict.fromkeys(kept["truth"])]
        groups = pd.concat([_read(path, ["image_id", "group"]) for path in dict.fromkeys(kept["split_table"])]).dropna()
        asked = positive.get(dataset)
        gathered[dataset] = bootstrap.Evidence(
            {key: pd.concat(frames, ignore_index=True) for key, frames in parts.items()},
            pd.concat(truths).drop_duplicates("image_id"),
            classes,
            dict(zip(groups["image_id"], groups["group"], strict=True)) or None,
            None if asked is None else classes.index(asked),
        )
    return gathered


def timings(paths: Sequence[str]) -> pd.DataFrame:
    """Read the timings of all networks, as if the machine had been equally fast for all.

    Each network was timed by itself, beside a reference model that never changes: times are multiplied by the
    reference's usual time (its median over networks), divided by its time then.

    Parameters
    ----------
    paths
        Tables of `timing`, named by their networks.

    Returns
    -------
    pandas.DataFrame
        The columns of those tables and `network`; the reference's rows are left out.
    """
    frame = pd.concat([_read(path).assign(network=Path(path).stem) for path in paths], ignore_index=True)
    reference = frame["runtime"] == "reference"
    run = ["network", "image_size", "threads"]
    then = frame[reference].set_index(run)["latency_ms"]
    usual = then.groupby("threads").median()
    speed = usual.reindex(frame["threads"]).to_numpy() / then.reindex(pd.MultiIndex.from_frame(frame[run])).to_numpy()
    for column in ("latency_ms", "latency_p5_ms", "latency_p95_ms", "training_step_ms"):
        frame[column] *= speed
    frame["images_per_second"] /= speed
    return frame[~reference].reset_index(drop=True)


def costs(timed: pd.DataFrame) -> pd.DataFrame:
    """Return network, precision, size_mb and latency_ms: what ships, by ONNX Runtime, one image on one thread.

    Where a study has data sets of several image sizes, the mean over these.
    """
    shipped = timed[(timed["runtime"] == "onnxruntime") & (timed["threads"] == 1)]
    shipped = shipped.rename(columns={"file_mb": "size_mb"})
    return shipped.groupby(["network", "precision"], sort=False, as_index=False)[["size_mb", "latency_ms"]].mean()


def _one_list_of_classes(dataset: str, paths: pd.Series) -> list[str]:
    lists = {path: parquet.notes(path)["classes"] for path in paths}
    first = next(iter(lists))
    for path, classes in lists.items():
        if classes != lists[first]:
            raise InputError(
                f"{dataset}: {path} and {first} have different classes; delete the older file and run again"
            )
    return lists[first]


def _read(path: str, columns: list[str] | None = None) -> pd.DataFrame:
    return pq.read_table(path, columns=columns, partitioning=None).to_pandas()
